import { afterAll, beforeAll, expect, test } from 'vitest';
import { settle, startPair, type TestServer } from '../support/server.ts';
import { type Body, brief } from '../support/sync-fixture.ts';
import type { TestUser } from '../support/user.ts';

let first: TestServer;
let second: TestServer;
let alice: TestUser;
let bob: TestUser;

beforeAll(async () => {
  [first, second] = await startPair();
  alice = await first.register('alice');
  bob = await second.register('bob');
});

afterAll(async () => {
  await first.stop();
  await second.stop();
});

test('a room joined elsewhere comes with its whole state, and what is said in it goes both ways', async () => {
  const roomId = await alice.createRoom({ preset: 'public_chat', name: 'Far away' });
  await alice.say(roomId, 'before bob');
  await bob.sync();
  await bob.join(roomId, first.name);
  await settle(first, second);
  const room = (await bob.sync()).rooms.join[roomId];
  const told = brief([...room.state.events, ...room.timeline.events]);
  expect(told).toEqual(
    expect.arrayContaining(['m.room.create', 'm.room.name', 'm.room.member alice', 'm.room.member bob']),
  );
  expect(room.timeline.limited).toBe(true);
  expect(room.timeline.prev_batch).toEqual(expect.any(String));
  expect(room.summary).toMatchObject({ 'm.heroes': [alice.userId], 'm.joined_member_count': 2 });
  await alice.say(roomId, 'welcome');
  await bob.say(roomId, 'thanks');
  await settle(first, second);
  const timelineOf = async (user: TestUser) => (await user.sync()).rooms.join[roomId].timeline;
  expect(brief((await timelineOf(bob)).events).sort()).toEqual(['thanks', 'welcome']);
  expect(brief((await timelineOf(alice)).events)).toContain('thanks');
});

test('an invite from elsewhere is told with its stripped state, its rejection as a left room', async () => {
  const roomId = await alice.createRoom({ name: 'Private', topic: 'secret' });
  await bob.sync();
  await alice.invite(roomId, bob.userId);
  await settle(first, second);
  const { events } = (await bob.sync()).rooms.invite[roomId].invite_state;
  expect(brief(events)).toEqual(expect.arrayContaining(['m.room.create', 'm.room.name', 'm.room.member bob']));
  for (const event of events) {
    expect(Object.keys(event)).not.toEqual(expect.arrayContaining(['signatures']));
    expect(event).not.toHaveProperty('auth_events');
  }
  await bob.leave(roomId);
  await settle(first, second);
  const { leave } = (await bob.sync()).rooms;
  expect(leave[roomId].timeline.events.map((event: Body) => event.content.membership)).toEqual(['leave']);
  expect(leave[roomId].state.events).toEqual([]);
});

test('a departure from a room elsewhere is the last that is told of it', async () => {
  const roomId = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(roomId, first.name);
  await settle(first, second);
  await bob.sync();
  await bob.leave(roomId);
  await alice.say(roomId, 'gone');
  await settle(first, second);
  const { rooms } = await bob.sync();
  expect(brief(rooms.leave[roomId].timeline.events)).toEqual(['m.room.member bob']);
  expect((await bob.sync()).rooms?.leave ?? {}).toEqual({});
});
