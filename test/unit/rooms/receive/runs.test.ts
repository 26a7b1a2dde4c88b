import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { buildEvent } from '../../../../src/engine/event/build.ts';
import type { EventId, RoomId, UserId } from '../../../../src/matrix/ids.ts';
import { type JsonObject, type RoomEvent, stateKeyOf } from '../../../../src/matrix/pdu.ts';
import { getRoomVersion } from '../../../../src/matrix/room-versions.ts';
import type { ServerName } from '../../../../src/matrix/server-name.ts';
import { signJson } from '../../../../src/signing/sign-json.ts';
import type { Batch, CommitResult } from '../../../../src/storage/contract/commit.ts';
import { type TestHome, World } from '../world.ts';

let world: World;
let hs1: TestHome;
let hs2: TestHome;
let alice: UserId;
let bob: UserId;
let roomId: RoomId;
let depth = 0;
/** Ids of the events of each commit that hs1 made. */
let written: EventId[][];

beforeEach(async () => {
  world = new World();
  hs1 = await world.add('hs1');
  hs2 = await world.add('hs2');
  alice = await hs1.user('alice');
  bob = await hs2.user('bob');
  roomId = await hs1.rooms.creating.createRoom(alice, { preset: 'public_chat' });
  await hs2.rooms.membership.join({ roomId, userId: bob, servers: ['hs1' as ServerName], content: {} });
  depth = 50;
  written = [];
  watchCommits((batch, commit) => commit(batch));
});
afterEach(async () => {
  vi.restoreAllMocks();
  await world.stop();
});

/** Notes what hs1 writes, and does with it what the test says. */
function watchCommits(
  act: (batch: Batch, commit: (batch: Batch) => Promise<CommitResult>) => Promise<CommitResult>,
): void {
  vi.restoreAllMocks();
  const commit = hs1.storage.commit;
  vi.spyOn(hs1.storage, 'commit').mockImplementation(async (batch) => {
    const result = await act(batch, commit);
    const eventIds = eventIdsOf(batch);
    if (eventIds.length > 0 && result.outcome === 'committed') written.push(eventIds);
    return result;
  });
}

function eventIdsOf({ rows }: Batch): EventId[] {
  return rows.flatMap((row) => (row.kind === 'event' ? [row.event.eventId] : []));
}

const idsOf = (events: readonly RoomEvent[]) => events.map(({ eventId }) => eventId);
const keyOf = (type: string, key = '') => stateKeyOf(type, key);

interface Sketch {
  readonly type?: string;
  readonly content?: JsonObject;
  readonly stateKey?: string;
  readonly prev?: readonly EventId[];
  /** Instead of bob's member event. */
  readonly member?: EventId;
}

/** An event of bob, upon the end of the room as hs1 has it or upon those named. */
async function write({ type = 'm.room.message', content = {}, stateKey, prev, member }: Sketch): Promise<RoomEvent> {
  const snapshot = await hs1.storage.state.findCurrentSnapshot(roomId);
  if (snapshot === undefined) throw new Error('the room has no state');
  const keys = [keyOf('m.room.create'), keyOf('m.room.power_levels'), keyOf('m.room.member', bob)];
  const state = await hs1.storage.state.getFromSnapshot(snapshot, keys);
  const auth = [...state].map(([key, eventId]) =>
    key === keyOf('m.room.member', bob) ? (member ?? eventId) : eventId,
  );
  depth += 1;
  const built = buildEvent(
    {
      type,
      sender: bob,
      room_id: roomId,
      content,
      depth,
      origin_server_ts: world.clock.now(),
      prev_events: prev ?? (await hs1.storage.rooms.listExtremities(roomId)),
      auth_events: auth,
      ...(stateKey === undefined ? {} : { state_key: stateKey }),
    },
    getRoomVersion('11'),
    (object) => signJson(object, { server: hs2.name, key: hs2.key }),
  );
  if (built.outcome === 'malformed') throw new Error(built.reason);
  return built.event;
}

/** Each upon the one before it. */
async function chain(sketches: readonly Sketch[], from?: readonly EventId[]): Promise<RoomEvent[]> {
  const events: RoomEvent[] = [];
  let prev = from;
  for (const sketch of sketches) {
    const event = await write({ ...(prev ? { prev } : {}), ...sketch });
    events.push(event);
    prev = [event.eventId];
  }
  return events;
}

const texts = (...bodies: string[]): Sketch[] => bodies.map((body) => ({ content: { body } }));
const jsonOf = ({ pdu }: RoomEvent) => JSON.parse(JSON.stringify(pdu)) as JsonObject;

async function receive(pdus: readonly JsonObject[]) {
  const results = await hs1.rooms.receiver.receivePdus({ origin: hs2.name, roomId, pdus });
  return results.map(({ verdict }) => verdict.verdict);
}

const extremities = () => hs1.storage.rooms.listExtremities(roomId);

/** The newest of the timeline, oldest first. */
async function timeline(count: number): Promise<EventId[]> {
  const events = await hs1.storage.events.listTimeline(roomId, 0, hs1.storage.position(), count);
  return events.map(({ eventId }) => eventId);
}

describe('messages of one transaction', () => {
  it('are written together, in their order, and leave one end', async () => {
    const events = await chain(texts('1', '2', '3', '4'));
    expect(await receive(events.map(jsonOf))).toEqual(Array(4).fill('accepted'));
    expect(written).toEqual([idsOf(events)]);
    expect(await timeline(4)).toEqual(idsOf(events));
    expect(await extremities()).toEqual([events[3]?.eventId]);
    expect(hs1.storage.commit).toHaveBeenCalledTimes(1);
  });

  it('are written by the order of the graph, however they are sent, and once', async () => {
    const events = await chain(texts('1', '2', '3'));
    const [first, second, third] = events.map(jsonOf);
    const pdus = [third, first, second, first].filter((pdu) => pdu !== undefined);
    expect(await receive(pdus)).toEqual(Array(4).fill('accepted'));
    expect(written).toEqual([idsOf(events)]);
    expect(await receive(pdus)).toEqual(Array(4).fill('accepted'));
    expect(written).toHaveLength(1);
  });

  it('are written in several commits when they say much', async () => {
    const events = await chain(Array.from({ length: 12 }, (_, n) => ({ content: { body: `${n}`.repeat(25_000) } })));
    expect(new Set(await receive(events.map(jsonOf)))).toEqual(new Set(['accepted']));
    expect(written.flat()).toEqual(idsOf(events));
    expect(written.length).toBeGreaterThan(1);
    expect(Math.max(...written.map((ids) => ids.length))).toBeLessThanOrEqual(10);
  });

  it('do not take along one that is not signed, nor what builds on it', async () => {
    const events = await chain(texts('1', 'unsigned', '3'));
    const pdus = events.map(jsonOf);
    const [, unsigned] = pdus;
    if (unsigned) unsigned.signatures = {};
    hs1.unreachable.add('hs2');
    expect(await receive(pdus)).toEqual(['accepted', 'dropped', 'waiting']);
    expect(written).toEqual([[events[0]?.eventId]]);
  });

  it('do not take along one that the rules reject', async () => {
    const [first] = await chain(texts('1'));
    const prev = first ? [first.eventId] : [];
    const grab = { type: 'm.room.power_levels', stateKey: '', content: { users: { [bob]: 100 } } };
    const rejected = await write({ ...grab, prev });
    const beside = await chain(texts('2', '3'), prev);
    const events = [...(first ? [first] : []), rejected, ...beside];
    expect(await receive(events.map(jsonOf))).toEqual(['accepted', 'rejected', 'accepted', 'accepted']);
    expect(await extremities()).toEqual([beside[1]?.eventId]);
    expect((await hs1.storage.events.find(rejected.eventId))?.verdict).toBe('rejected');
  });

  it('may fork and grow together', async () => {
    const [base, ...left] = await chain(texts('base', 'left'));
    if (!base) throw new Error('there is a base');
    const right = await chain(texts('right'), [base.eventId]);
    const ends = idsOf([...left, ...right]);
    const merge = await write({ prev: ends });
    const later = await write({ prev: [base.eventId] });
    expect(await receive([base, ...left, ...right, merge].map(jsonOf))).toEqual(Array(4).fill('accepted'));
    expect(written).toHaveLength(1);
    expect(await extremities()).toEqual([merge.eventId]);
    expect(await receive([jsonOf(later)])).toEqual(['accepted']);
    expect(new Set(await extremities())).toEqual(new Set([merge.eventId, later.eventId]));
  });

  it('come behind a departure in vain', async () => {
    const before = await chain(texts('1', '2'));
    const prev = idsOf(before).slice(-1);
    const leave = await write({ type: 'm.room.member', stateKey: bob, content: { membership: 'leave' }, prev });
    const after = await write({ content: { body: 'still here' }, prev: [leave.eventId], member: leave.eventId });
    const beside = await write({ content: { body: 'as if' }, prev: [leave.eventId] });
    const verdicts = await receive([...before, leave, after, beside].map(jsonOf));
    expect(verdicts).toEqual(['accepted', 'accepted', 'accepted', 'rejected', 'rejected']);
    expect(await extremities()).toEqual([leave.eventId]);
    expect(hs1.roster.isJoined(roomId, bob)).toBe(false);
    // The departure ends the run, since what stands behind it is judged by who is in the room.
    expect(written[0]).toEqual(idsOf([...before, leave]));
  });

  it('are stored when another relates to them, so that its thread is found', async () => {
    const [message] = await chain(texts('1'));
    if (!message) throw new Error('there is a message');
    const relation = (type: string) => ({ 'm.relates_to': { rel_type: type, event_id: message.eventId, key: 'a' } });
    const prev = [message.eventId];
    const [inThread, reaction] = await chain(
      [{ content: relation('m.thread') }, { content: relation('m.annotation') }],
      prev,
    );
    if (!inThread || !reaction) throw new Error('they are written');
    expect(await receive([message, inThread, reaction].map(jsonOf))).toEqual(Array(3).fill('accepted'));
    expect(written).toEqual([[message.eventId, inThread.eventId], [reaction.eventId]]);
  });
});

describe('a redaction in the same transaction', () => {
  it('is carried out on what stands before it, and its successor is written', async () => {
    const [target] = await chain(texts('secret'));
    if (!target) throw new Error('there is a target');
    const redaction = { type: 'm.room.redaction', content: { redacts: target.eventId } };
    const events = await chain([redaction, ...texts('after')], [target.eventId]);
    expect(await receive([target, ...events].map(jsonOf))).toEqual(Array(3).fill('accepted'));
    const stored = await hs1.storage.events.find(target.eventId);
    expect(stored).toMatchObject({ redactedBy: events[0]?.eventId, event: { pdu: { content: {} } } });
    expect(await timeline(3)).toEqual(idsOf([target, ...events]));
  });
});

describe('events that are judged together', () => {
  it('are judged one by one when somebody else wrote to the room', async () => {
    const events = await chain(texts('1', '2', '3'));
    const ours = await write({ content: { body: 'meanwhile' } });
    let conflicts = 0;
    watchCommits(async (batch, commit) => {
      if (eventIdsOf(batch).length > 1 && conflicts === 0) {
        const snapshot = await hs1.storage.state.findCurrentSnapshot(roomId);
        await commit({
          rows: [
            {
              kind: 'event',
              event: ours,
              verdict: 'accepted',
              placement: 'timeline',
              snapshotBefore: snapshot ?? null,
              snapshotAfter: snapshot ?? null,
              receivedAtMs: 1,
            },
            { kind: 'extremities', roomId, eventIds: [ours.eventId] },
          ],
        });
      }
      const result = await commit(batch);
      if (result.outcome === 'conflict') conflicts += 1;
      return result;
    });
    expect(await receive(events.map(jsonOf))).toEqual(Array(3).fill('accepted'));
    expect(conflicts).toBe(1);
    expect(written).toEqual(idsOf(events).map((eventId) => [eventId]));
    expect(new Set(await extremities())).toEqual(new Set([ours.eventId, events[2]?.eventId]));
  });

  it('and what a user of ours sends meanwhile are all taken, once', async () => {
    const events = await chain(texts('1', '2', '3'));
    const [verdicts, sent] = await Promise.all([
      receive(events.map(jsonOf)),
      hs1.rooms.sending.sendEvent({ roomId, sender: alice, type: 'm.room.message', content: { body: 'hi' } }),
    ]);
    expect(verdicts).toEqual(Array(3).fill('accepted'));
    const ids = await timeline(4);
    expect(new Set(ids)).toEqual(new Set([...idsOf(events), sent]));
    expect(ids.filter((eventId) => eventId !== sent)).toEqual(idsOf(events));
  });

  it('are stored but for the one that cannot be', async () => {
    const events = await chain(texts('1', '2', 'bug'));
    const bug = events[2]?.eventId;
    watchCommits((batch, commit) =>
      eventIdsOf(batch).some((eventId) => eventId === bug) ? Promise.reject(new Error('a bug')) : commit(batch),
    );
    await expect(receive(events.map(jsonOf))).rejects.toThrow('a bug');
    expect(written.flat()).toEqual(idsOf(events.slice(0, 2)));
  });

  it('are taken once when the process ended between two commits and the transaction comes again', async () => {
    const before = await chain(texts('1', '2'));
    const name = { type: 'm.room.member', stateKey: bob, content: { membership: 'join', displayname: 'Bob' } };
    const events = [...before, ...(await chain([name, ...texts('4', '5')], idsOf(before).slice(-1)))];
    let commits = 0;
    watchCommits((batch, commit) => {
      commits += 1;
      return commits > 1 ? Promise.reject(new Error('the process ends')) : commit(batch);
    });
    await expect(receive(events.map(jsonOf))).rejects.toThrow('the process ends');
    expect(written).toEqual([idsOf(events.slice(0, 3))]);
    watchCommits((batch, commit) => commit(batch));
    expect(await receive(events.map(jsonOf))).toEqual(Array(5).fill('accepted'));
    expect(written.flat()).toEqual(idsOf(events));
    expect(await timeline(5)).toEqual(idsOf(events));
  });
});
