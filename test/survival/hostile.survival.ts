import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { EventId, UserId } from '../../src/matrix/ids.ts';
import { textsOf } from '../federation/rooms.ts';
import { HostileServer, HostileStream } from '../support/hostile-server.ts';
import { type SealedEvent, StubRoom, unknownId } from '../support/stub-room.ts';
import type { TestUser } from '../support/user.ts';
import { ServerProcess } from './server-process.ts';
import { storedIn } from './talking.ts';
import { pause, until } from './until.ts';

const mebibyte = 1_048_576;
const answerBytes = 100 * mebibyte;
/** Far above what any of it should take, far below what an answer kept whole would. */
const growthMaxMib = 200;
const cpuSecondsMax = 20;
/** Of 10,000: for each of twenty transactions the server asks for a few states. */
const storedMax = 200;

let a: ServerProcess;
let alice: TestUser;
let stub: HostileServer;
let honest: HostileServer;
let mallory: UserId;
let trent: UserId;
let room: string;
let quiet: string;
let guest: StubRoom;
let friend: StubRoom;

beforeAll(async () => {
  a = await ServerProcess.start();
  alice = await a.register('alice');
  stub = await HostileServer.start(a.clock.now());
  honest = await HostileServer.start(a.clock.now());
  [mallory, trent] = [stub.user('mallory'), honest.user('trent')];
});

afterAll(async () => {
  await a.remove();
  await stub.stop();
  await honest.stop();
});

/** A room in which the hostile server is, and one in which it is not, with an honest one. */
beforeEach(async () => {
  [room, quiet] = [
    await alice.createRoom({ preset: 'public_chat' }),
    await alice.createRoom({ preset: 'public_chat' }),
  ];
  [guest, friend] = [await StubRoom.join(stub, a, room, mallory), await StubRoom.join(honest, a, quiet, trent)];
  guest.serve();
  friend.serve();
});

/** Events that wait for one nobody has, so that our server asks for it. */
const lost = (index = 0): SealedEvent =>
  guest.build({
    type: 'm.room.message',
    sender: mallory,
    content: { body: `lost ${index}` },
    prev_events: [unknownId(index)],
    depth: 50,
  });

/** In the other room both sides are heard, in both directions. */
async function expectQuietRoomWorks(turn: number): Promise<void> {
  const { eventId, pdu } = friend.say(trent, `in ${turn}`);
  expect((await honest.send(a, { pdus: [pdu] })).body.pdus).toEqual({ [eventId]: {} });
  const said = await alice.say(quiet, `out ${turn}`);
  const arrived = await until('what alice says arrives', () =>
    honest
      .receivedPdus()
      .find(
        (received) =>
          received.room_id === quiet && received.content && JSON.stringify(received.content).includes(`out ${turn}`),
      ),
  );
  friend.take(arrived);
  expect([...friend.latest]).toEqual([said]);
  expect((await textsOf(alice, quiet)).slice(-2)).toEqual([`in ${turn}`, `out ${turn}`]);
}

/** While `attack` goes on the other room works, and what it costs is bounded. What `attack` answered. */
async function bear<T>(attack: () => Promise<T>): Promise<T> {
  const [before, cpuBefore] = [a.memory(), a.cpuSeconds()];
  let over = false;
  const outcome = attack().finally(() => {
    over = true;
  });
  let turn = 0;
  do {
    await expectQuietRoomWorks(turn);
    turn += 1;
    await pause(50);
  } while (!over);
  const result = await outcome;
  await expectQuietRoomWorks(turn);
  const after = a.memory();
  // A peak of before says nothing about this one, but that it was no higher.
  const growth = after.peak > before.peak ? after.peak - before.now : after.now - before.now;
  expect(growth).toBeLessThan(growthMaxMib);
  expect(a.cpuSeconds() - cpuBefore).toBeLessThan(cpuSecondsMax);
  return result;
}

/** JSON without end, as fast as it is read, up to 100 MiB. */
function flood(start: string): HostileStream {
  return new HostileStream((response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.write(start);
    const chunk = Buffer.alloc(mebibyte, 'x');
    let sent = 0;
    const pour = (): void => {
      while (sent < answerBytes && !response.destroyed) {
        sent += chunk.length;
        if (!response.write(chunk)) {
          response.once('drain', pour);
          return;
        }
      }
      response.end('"}');
    };
    pour();
  });
}

/** A byte a second, for ever. */
const drip = (): HostileStream =>
  new HostileStream((response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    const timer = setInterval(() => response.write(' '), 1_000);
    response.once('close', () => clearInterval(timer));
  });

const asking = [
  'get_missing_events',
  'state_ids',
  'state',
  'event',
  'event_auth',
  'backfill',
  'make_join',
  'query/profile',
];

/** None of them is shown to anybody. How many are stored all the same. */
async function countStored(...eventIds: readonly EventId[]): Promise<number> {
  for (const eventId of eventIds.slice(-20)) {
    const shown = await alice.call('GET', `/rooms/${encodeURIComponent(room)}/event/${encodeURIComponent(eventId)}`);
    expect(shown.status).toBe(404);
  }
  await a.stop();
  const { places } = await storedIn(a, room, eventIds);
  await a.startAgain();
  expect(a.errors()).toEqual([]);
  return places.size;
}

describe('a server of which another sends', () => {
  it('answers of 100 MB stores nothing of them, keeps none in memory, and talks to others meanwhile', async () => {
    for (const what of asking) stub.on(what, () => flood('{"events":"'));
    const events = Array.from({ length: 10 }, (_, index) => lost(index));
    await bear(async () => {
      const answer = await stub.send(a, { pdus: events.map(({ pdu }) => pdu) });
      expect(answer.status).toBe(200);
      expect((await alice.call('GET', `/profile/${encodeURIComponent(mallory)}`)).status).not.toBe(200);
      const elsewhere = `/join/${encodeURIComponent(`!elsewhere:${stub.name}`)}?via=${stub.name}`;
      expect((await alice.call('POST', elsewhere, {})).status).not.toBe(200);
    });
    expect(stub.asked('get_missing_events').length).toBeGreaterThan(0);
    expect(await countStored(...events.map(({ eventId }) => eventId))).toBe(0);
  });

  it('an answer of 100 MB to a join ends that join and nothing else', async () => {
    const there = StubRoom.create(stub, { creator: mallory, nowMs: () => a.clock.now() });
    there.serve();
    stub.on('send_join', () => flood('{"state":"'));
    await bear(async () => {
      const answer = await alice.call('POST', `/join/${encodeURIComponent(there.roomId)}?via=${stub.name}`, {});
      expect(answer.status).not.toBe(200);
    });
    expect(stub.asked('send_join').length).toBeGreaterThan(0);
    expect((await alice.ok('GET', '/joined_rooms')).joined_rooms).not.toContain(there.roomId);
  });

  it('answers that drip a byte a second waits for them as long as it wants, and talks to others meanwhile', async () => {
    for (const what of asking) stub.on(what, drip);
    const events = Array.from({ length: 10 }, (_, index) => lost(100 + index));
    await bear(async () => {
      // Each of these ends once the server has waited for as long as it grants that kind of request.
      const [answer, profile] = await Promise.all([
        stub.send(a, { pdus: events.map(({ pdu }) => pdu) }),
        alice.call('GET', `/profile/${encodeURIComponent(mallory)}`),
      ]);
      expect(answer.status).toBe(200);
      expect(profile.status).not.toBe(200);
    });
    expect(await countStored(...events.map(({ eventId }) => eventId))).toBe(0);
  });

  it('a graph of 10,000 events behind the one that it tells of asks for few of them', async () => {
    const depth = 10_000;
    let previous = unknownId();
    const known = new Map<string, SealedEvent>();
    for (let index = 0; index < depth; index += 1) {
      const event = guest.build({
        type: 'm.room.message',
        sender: mallory,
        content: { body: `deep ${index}` },
        prev_events: [previous],
        depth: 100 + index,
      });
      known.set(event.eventId, event);
      previous = event.eventId;
    }
    // Each question is answered with the events right before those asked about, and these lead ever further back.
    stub.on('get_missing_events', ({ body }) => {
      const behind: unknown[] = [];
      for (let next = known.get(body.latest_events[0]); next && behind.length < 20; ) {
        const [before] = next.pdu.prev_events as string[];
        next = known.get(before ?? '');
        if (next) behind.unshift(next.pdu);
      }
      return { events: behind };
    });
    stub.on('event', ({ rest: [eventId = ''] }) => ({ pdus: [known.get(eventId)?.pdu] }));
    for (const what of ['state_ids', 'state'])
      stub.on(what, () => ({ pdu_ids: [], auth_chain_ids: [], pdus: [], auth_chain: [] }));
    const asked = stub.requests.length;
    const newest = [...known.keys()].slice(-20) as EventId[];
    await bear(async () => {
      for (const eventId of newest) await stub.send(a, { pdus: [known.get(eventId)?.pdu] });
    });
    expect(stub.requests.length - asked).toBeLessThan(2_000);
    // Mallory's own good events: what was fetched for the state at the edge of a gap is kept beside the room, never in it.
    expect(await countStored(...([...known.keys()] as EventId[]))).toBeLessThan(storedMax);
  });

  it('wrong signatures and the names of others stores nothing of it, however much of it comes', async () => {
    const forged = Array.from({ length: 50 }, (_, index) => [
      guest.build({ type: 'm.room.message', sender: alice.userId as UserId, content: { body: `as alice ${index}` } }),
      guest.build({ type: 'm.room.message', sender: trent, content: { body: `as trent ${index}` } }),
      guest.build({ type: 'm.room.message', sender: mallory, content: { body: `unsigned ${index}` } }, { signers: [] }),
      guest.build(
        { type: 'm.room.message', sender: mallory, content: { body: `badly signed ${index}` } },
        {
          signers: [{ server: stub.name, key: honest.signer.key }],
        },
      ),
    ]).flat();
    await bear(async () => {
      for (let from = 0; from < forged.length; from += 50) {
        const answer = await stub.send(a, { pdus: forged.slice(from, from + 50).map(({ pdu }) => pdu) });
        expect(answer.status).toBe(200);
      }
      const good = guest.build({ type: 'm.room.message', sender: mallory, content: { body: 'as another server' } });
      for (let turn = 0; turn < 200; turn += 1) {
        const how =
          turn % 2 === 0 ? { origin: honest.name } : { signer: { server: stub.name, key: honest.signer.key } };
        expect((await stub.send(a, { pdus: [good.pdu] }, how)).status).toBe(401);
      }
    });
    expect(await countStored(...forged.map(({ eventId }) => eventId))).toBe(0);
  });
});
