import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodeForServer } from '../../../src/federation-in/room-access.ts';
import { createHistoryServer } from '../../../src/federation-in/serve-history.ts';
import type { EventId, RoomId } from '../../../src/matrix/ids.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import { MembershipIndex } from '../../../src/roster/membership-index.ts';
import type { Storage } from '../../../src/storage/contract/storage.ts';
import { RoomBuilder } from '../../support/room-builder.ts';
import { openTestStorage } from '../../support/storage.ts';

const here = 'a' as ServerName;
const there = 'b' as ServerName;
const [alice, bob, bill] = ['@alice:a', '@bob:b', '@bill:b'];
const notFound = { status: 404, errcode: 'M_NOT_FOUND' };
const forbidden = { status: 403, errcode: 'M_FORBIDDEN' };

let storage: Storage;
let roster: MembershipIndex;
let server: ReturnType<typeof createHistoryServer>;

beforeEach(async () => {
  storage = await openTestStorage();
  roster = new MembershipIndex({ serverName: here });
  storage.onCommit((changes) => roster.apply(changes));
  server = createHistoryServer({ storage, roster, serverName: here });
});
afterEach(() => storage.stop());

/** What the server is given of these events: the content of each. */
async function contentsFor(origin: ServerName, eventIds: readonly EventId[]): Promise<object[]> {
  const stored = await storage.events.listByIds(eventIds);
  const byId = new Map(stored.map((entry) => [entry.event.eventId, entry]));
  const inOrder = eventIds.flatMap((eventId) => byId.get(eventId) ?? []);
  const texts = await encodeForServer({ storage, roster, serverName: here }, inOrder, origin);
  return texts.map((text) => JSON.parse(text).content);
}

const said = (body: string) => ({ msgtype: 'm.text', body });

describe('what a server in the room may see', () => {
  it.each([
    ['world_readable', [said('before'), said('invited'), said('joined'), said('after')]],
    ['shared', [said('before'), said('invited'), said('joined'), said('after')]],
    ['invited', [{}, said('invited'), said('joined'), {}]],
    ['joined', [{}, {}, said('joined'), {}]],
    ['anything else', [said('before'), said('invited'), said('joined'), said('after')]],
  ])('of a room whose history is %s is %j', async (historyVisibility, seen) => {
    const room = await RoomBuilder.create(storage, alice, { historyVisibility });
    const ids = [await room.say(alice, 'before')];
    await room.member(alice, bob, 'invite');
    ids.push(await room.say(alice, 'invited'));
    await room.join(bob);
    ids.push(await room.say(alice, 'joined'));
    await room.leave(bob);
    ids.push(await room.say(alice, 'after'));
    expect(await contentsFor(there, ids)).toEqual(seen);
  });

  it('is what any of its users may see', async () => {
    const room = await RoomBuilder.create(storage, alice, { historyVisibility: 'joined' });
    await room.join(bill);
    const first = await room.say(alice, 'bill is here');
    await room.join(bob);
    await room.leave(bill);
    const second = await room.say(alice, 'bob is here');
    expect(await contentsFor(there, [first, second])).toEqual([said('bill is here'), said('bob is here')]);
    expect(await contentsFor('c' as ServerName, [first, second])).toEqual([{}, {}]);
  });

  it('are the comings and goings of its own users with all that they say', async () => {
    const room = await RoomBuilder.create(storage, alice, { historyVisibility: 'joined' });
    const join = await room.join(bob, { reason: 'hello' });
    const kick = await room.member(alice, bob, 'leave', { reason: 'enough' });
    const other = await room.member(alice, '@carl:c', 'ban', { reason: 'private' });
    expect(await contentsFor(there, [join, kick, other])).toEqual([
      { membership: 'join', reason: 'hello' },
      { membership: 'leave', reason: 'enough' },
      { membership: 'ban' },
    ]);
  });

  it('changes with a change of the visibility, of which either side counts', async () => {
    const room = await RoomBuilder.create(storage, alice, { historyVisibility: 'joined' });
    const closed = await room.say(alice, 'closed');
    const opening = await room.state(alice, 'm.room.history_visibility', { history_visibility: 'shared', note: 1 });
    const open = await room.say(alice, 'open');
    const closing = await room.state(alice, 'm.room.history_visibility', { history_visibility: 'joined', note: 2 });
    const again = await room.say(alice, 'closed again');
    expect(await contentsFor(there, [closed, opening, open, closing, again])).toEqual([
      {},
      { history_visibility: 'shared', note: 1 },
      said('open'),
      { history_visibility: 'joined', note: 2 },
      {},
    ]);
  });

  it('keeps its place in the graph where the content is not given', async () => {
    const room = await RoomBuilder.create(storage, alice, { historyVisibility: 'joined' });
    const hidden = await room.say(alice, 'hidden');
    await room.join(bob);
    const pdu = JSON.parse(await server.getEvent(there, hidden));
    expect(pdu).toMatchObject({ type: 'm.room.message', sender: alice, content: {}, depth: expect.any(Number) });
    expect(pdu.prev_events).toHaveLength(1);
  });
});

describe('a server that asks about a room', () => {
  let room: RoomBuilder;
  let message: EventId;
  beforeEach(async () => {
    room = await RoomBuilder.create(storage, alice);
    await room.join(bob);
    message = await room.say(alice, 'hello');
  });

  const ask = (origin: ServerName, roomId: RoomId, eventId: EventId) => [
    () => server.getState(origin, { roomId, eventId }),
    () => server.getStateIds(origin, { roomId, eventId }),
    () => server.getEventAuth(origin, { roomId, eventId }),
    () => server.backfill(origin, { roomId, from: [eventId], limit: 10 }),
    () => server.getMissingEvents(origin, { roomId, earliest: [], latest: [eventId], limit: 10, minDepth: 0 }),
  ];

  it('and is in it gets answers', async () => {
    for (const question of [...ask(there, room.roomId, message), () => server.getEvent(there, message)]) {
      await expect(question()).resolves.toBeDefined();
    }
  });

  it('and never was in it is forbidden', async () => {
    const all = (origin: ServerName) => [...ask(origin, room.roomId, message), () => server.getEvent(origin, message)];
    for (const question of all('c' as ServerName)) await expect(question()).rejects.toMatchObject(forbidden);
  });

  it('and is not in it any more is told of its time there, and forbidden the rest', async () => {
    const departure = await room.leave(bob);
    const after = await room.say(alice, 'without bob');
    const [state, stateIds, auth, backfill, missing] = ask(there, room.roomId, departure);
    for (const question of [state, stateIds, auth, missing, () => server.getEvent(there, departure)]) {
      await expect(question?.()).resolves.toBeDefined();
    }
    await expect(backfill?.()).rejects.toMatchObject(forbidden);
    const late = [...ask(there, room.roomId, after), () => server.getEvent(there, after)];
    for (const question of late) await expect(question()).rejects.toMatchObject(forbidden);
    const both = { earliest: [], latest: [departure, after], limit: 10, minDepth: 0 };
    await expect(server.getMissingEvents(there, { roomId: room.roomId, ...both })).rejects.toMatchObject(forbidden);
    const unknown = { roomId: room.roomId, eventId: '$none' as EventId };
    await expect(server.getStateIds(there, unknown)).rejects.toMatchObject(forbidden);
  });

  it('and is not in it any more gets nothing of what was hidden from it in its time', async () => {
    const secretive = await RoomBuilder.create(storage, alice, { historyVisibility: 'joined' });
    const hidden = await secretive.say(alice, 'hidden');
    await secretive.join(bob);
    const gone = await secretive.leave(bob);
    const request = { roomId: secretive.roomId, earliest: [], latest: [gone], limit: 10, minDepth: 0 };
    const given = (await server.getMissingEvents(there, request)).map((text) => JSON.parse(text));
    expect(given.find(({ type }) => type === 'm.room.message')).toMatchObject({ content: {} });
    expect(JSON.parse(await server.getEvent(there, hidden))).toMatchObject({ content: {} });
    const after = await secretive.say(alice, 'after');
    await expect(server.getEvent(there, after)).rejects.toMatchObject(forbidden);
  });

  it('and is kept out by its access control list is forbidden', async () => {
    await room.state(alice, 'm.room.server_acl', { allow: ['*'], deny: ['b'] });
    for (const question of [...ask(there, room.roomId, message), () => server.getEvent(there, message)]) {
      await expect(question()).rejects.toMatchObject(forbidden);
    }
  });

  it('that we are not in ourselves finds nothing', async () => {
    await room.leave(alice);
    for (const question of ask(there, room.roomId, message)) await expect(question()).rejects.toMatchObject(notFound);
    for (const question of ask(there, '!none:a' as RoomId, message)) {
      await expect(question()).rejects.toMatchObject(notFound);
    }
    await expect(server.getEvent(there, '$none' as EventId)).rejects.toMatchObject(notFound);
  });

  it('that our last user left may ask on what they left, if it was in it then', async () => {
    const departure = await room.leave(alice);
    const [state, stateIds, auth, backfill, missing] = ask(there, room.roomId, departure);
    for (const question of [state, stateIds, auth, missing]) await expect(question?.()).resolves.toBeDefined();
    await expect(backfill?.()).rejects.toMatchObject(notFound);
    for (const question of ask('c' as ServerName, room.roomId, departure)) {
      await expect(question()).rejects.toMatchObject(notFound);
    }
  });

  it('gets nothing of another room by naming an event of that', async () => {
    const other = await RoomBuilder.create(storage, alice);
    const secret = await other.say(alice, 'secret');
    const [state, stateIds, auth, backfill, missing] = ask(there, room.roomId, secret);
    for (const question of [state, stateIds, auth]) await expect(question?.()).rejects.toMatchObject(notFound);
    for (const question of [backfill, missing]) expect(await question?.()).toEqual([]);
    await expect(server.getEvent(there, secret)).rejects.toMatchObject(forbidden);
  });

  it('gets the state before an event, not behind it', async () => {
    const before = await room.state(alice, 'm.room.topic', { topic: 'before' });
    const change = await room.state(alice, 'm.room.topic', { topic: 'after' });
    const { pduIds } = await server.getStateIds(there, { roomId: room.roomId, eventId: change });
    expect(pduIds).toContain(before);
    expect(pduIds).not.toContain(change);
    const { pdus } = await server.getState(there, { roomId: room.roomId, eventId: change });
    expect(pdus).toHaveLength(pduIds.length);
  });

  it('gets a rejected event that it needs, and the state before it', async () => {
    const rejected = await room.say(bob, 'bad', { verdict: 'rejected' });
    expect(JSON.parse(await server.getEvent(there, rejected)).content).toEqual(said('bad'));
    const { pduIds } = await server.getStateIds(there, { roomId: room.roomId, eventId: rejected });
    expect(pduIds.length).toBeGreaterThan(0);
  });

  it('gets at most a hundred events of history and twenty of a gap, in their orders', async () => {
    const ids: EventId[] = [];
    for (let index = 0; index < 110; index++) ids.push(await room.say(alice, `${index}`));
    const latest = ids.slice(-1);
    const bodies = (texts: readonly string[]) => texts.map((text) => Number(JSON.parse(text).content.body));
    const { roomId } = room;
    const history = bodies(await server.backfill(there, { roomId, from: latest, limit: 5_000 }));
    expect(history).toEqual(Array.from({ length: 100 }, (_, index) => 109 - index));
    expect(bodies(await server.backfill(there, { roomId, from: latest, limit: 2 }))).toEqual([109, 108]);
    const gap = { roomId, earliest: ids.slice(50, 51), latest, minDepth: 0 };
    expect(bodies(await server.getMissingEvents(there, { ...gap, limit: 5_000 }))).toEqual(
      Array.from({ length: 20 }, (_, index) => 89 + index),
    );
    const narrow = { ...gap, earliest: ids.slice(105, 106), limit: 10 };
    expect(bodies(await server.getMissingEvents(there, narrow))).toEqual([106, 107, 108]);
  });
});
