import { afterAll, beforeAll, expect, it } from 'vitest';
import { TestServer } from '../support/server.ts';
import { inRoom, newUsers } from './rooms-support.ts';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());

it('an initial sync tells of rooms that the user is banned from, not of those they left, until they forget them', async () => {
  const [alice, bob] = await newUsers(server, 'alice', 'bob');
  const banned = await alice.createRoom({ preset: 'public_chat' });
  const left = await alice.createRoom({ preset: 'public_chat' });
  for (const room of [banned, left]) await bob.join(room);
  await alice.ok('POST', inRoom(banned, 'ban'), { user_id: bob.userId, reason: 'spam' });
  await bob.ok('POST', inRoom(left, 'leave'), {});
  const { rooms } = await bob.ok('GET', '/sync?timeout=0');
  expect(Object.keys(rooms.leave)).toEqual([banned]);
  expect(rooms.leave[banned].timeline.events.at(-1)).toMatchObject({
    state_key: bob.userId,
    content: { membership: 'ban', reason: 'spam' },
  });
  await bob.ok('POST', inRoom(banned, 'forget'), {});
  expect((await bob.ok('GET', '/sync?timeout=0')).rooms).toBeUndefined();
});
