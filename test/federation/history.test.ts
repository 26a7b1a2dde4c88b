import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { supportedRoomVersions } from '../../src/matrix/room-versions.ts';
import { settle, startPair, type TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { historyOf, mindOf, path, stateOf, textsOf } from './rooms.ts';

let a: TestServer;
let b: TestServer;
let alice: TestUser;
let bob: TestUser;

beforeAll(async () => {
  [a, b] = await startPair();
  alice = await a.register('alice');
  bob = await b.register('bob');
});

afterAll(async () => {
  await a.stop();
  await b.stop();
});

describe('what was said before a server joined', () => {
  it.each(supportedRoomVersions)('is fetched when somebody reads back, room version %s', async (version) => {
    const room = await alice.createRoom({ preset: 'public_chat', room_version: version });
    const said = Array.from({ length: 30 }, (_, index) => `number ${index}`);
    for (const text of said) await alice.say(room, text);
    await alice.setState(room, 'm.room.topic', { topic: 'late' });
    await bob.join(room, a.name);
    await settle(a, b);
    expect(await textsOf(bob, room)).toEqual(said);
    const [ofAlice, ofBob] = [await historyOf(alice, room), await historyOf(bob, room)];
    expect(ofBob.map(({ event_id }) => event_id)).toEqual(ofAlice.map(({ event_id }) => event_id));
    expect(await mindOf(b, room)).toEqual(await mindOf(a, room));
  });

  it('comes in pages of any size, without a gap and nothing twice', async () => {
    const room = await alice.createRoom({ preset: 'public_chat' });
    const said = Array.from({ length: 130 }, (_, index) => `page ${index}`);
    for (const text of said) await alice.say(room, text);
    await bob.join(room, a.name);
    await settle(a, b);
    const read = (await historyOf(bob, room, 7)).filter(({ type }) => type === 'm.room.message');
    expect(read.map(({ content }) => content.body)).toEqual(said);
  });

  it('does not show up as new in /sync', async () => {
    const room = await alice.createRoom({ preset: 'public_chat' });
    for (let index = 0; index < 3; index++) await alice.say(room, `old ${index}`);
    await bob.join(room, a.name);
    await settle(a, b);
    await bob.sync();
    expect(await textsOf(bob, room)).toHaveLength(3);
    expect((await bob.sync()).rooms?.join?.[room]).toBeUndefined();
  });

  it('can be asked for as the context of an event, which then is there', async () => {
    const room = await alice.createRoom({ preset: 'public_chat' });
    for (let index = 0; index < 4; index++) await alice.say(room, `c${index}`);
    await bob.join(room, a.name);
    await settle(a, b);
    const events = await historyOf(bob, room);
    const middle = events.find(({ content }) => content.body === 'c2');
    const context = await bob.ok('GET', `${path(room, 'context', middle?.event_id ?? '')}?limit=2`);
    expect(context.event.content.body).toBe('c2');
    expect(context.events_before[0].content.body).toBe('c1');
    expect(context.events_after[0].content.body).toBe('c3');
  });

  it('shows the state as it was then beside each event', async () => {
    const room = await alice.createRoom({ preset: 'public_chat', name: 'first' });
    await alice.setState(room, 'm.room.name', { name: 'second' });
    await bob.join(room, a.name);
    await settle(a, b);
    const names = (await historyOf(bob, room)).filter(({ type }) => type === 'm.room.name');
    expect(names.map(({ content }) => content.name)).toEqual(['first', 'second']);
    expect(names[1]?.unsigned.prev_content).toEqual({ name: 'first' });
    expect(await stateOf(bob, room, 'm.room.name')).toEqual({ name: 'second' });
  });
});

describe('history visibility', () => {
  async function roomOf(visibility: string): Promise<string> {
    const initial = [{ type: 'm.room.history_visibility', state_key: '', content: { history_visibility: visibility } }];
    return alice.createRoom({ preset: 'public_chat', initial_state: initial });
  }

  it.each([
    ['world_readable', ['before', 'invited', 'joined']],
    ['shared', ['before', 'invited', 'joined']],
    ['invited', ['invited', 'joined']],
    ['joined', ['joined']],
  ])('%s shows a user of another server %j', async (visibility, seen) => {
    const room = await roomOf(visibility);
    await alice.say(room, 'before');
    await alice.invite(room, bob.userId);
    await alice.say(room, 'invited');
    await settle(a, b);
    await bob.join(room, a.name);
    await alice.say(room, 'joined');
    await settle(a, b);
    expect(await textsOf(bob, room)).toEqual(seen);
  });

  it('keeps what a server may not see off its disk, not only off its screens', async () => {
    const room = await roomOf('joined');
    const secret = await alice.say(room, 'not for others');
    await bob.join(room, a.name);
    await settle(a, b);
    await historyOf(bob, room);
    const stored = await b.running.lantern.storage.events.find(secret as never);
    expect(stored?.event.pdu.content).toEqual({});
    expect((await bob.call('GET', path(room, 'event', secret))).status).toBe(404);
  });

  it('that changes shows to newcomers what was said while it was open', async () => {
    const room = await roomOf('shared');
    await alice.say(room, 'open');
    await alice.setState(room, 'm.room.history_visibility', { history_visibility: 'joined' });
    await alice.say(room, 'closed');
    await bob.join(room, a.name);
    await settle(a, b);
    expect(await textsOf(bob, room)).toEqual(['open']);
  });

  it('hides from who left what was said after, though others of their server read on', async () => {
    const room = await roomOf('shared');
    const bill = await b.register('bill');
    await bob.join(room, a.name);
    await bill.join(room);
    await alice.say(room, 'together');
    await settle(a, b);
    await bob.leave(room);
    await settle(a, b);
    await alice.say(room, 'among us');
    await settle(a, b);
    expect(await textsOf(bill, room)).toEqual(['together', 'among us']);
    expect(await textsOf(bob, room)).toEqual(['together']);
  });
});
