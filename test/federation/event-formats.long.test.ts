import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { canonicalJson } from '../../src/base/json/canonical-json.ts';
import { LooseNumber } from '../../src/base/json/loose-number.ts';
import type { EventId } from '../../src/matrix/ids.ts';
import type { JsonObject } from '../../src/matrix/pdu.ts';
import { supportedRoomVersions } from '../../src/matrix/room-versions.ts';
import { HostileServer } from '../support/hostile-server.ts';
import { settle, startPair, type TestServer } from '../support/server.ts';
import { type SealedEvent, StubRoom } from '../support/stub-room.ts';
import type { TestUser } from '../support/user.ts';
import { historyOf, mindOf, path, stateOf, textsOf } from './rooms.ts';

const given = ['1', '2'];
const all = [...supportedRoomVersions];
const dayMs = 86_400_000;

let a: TestServer;
let b: TestServer;
let alice: TestUser;
let bob: TestUser;
let stub: HostileServer;
let third: HostileServer;

beforeAll(async () => {
  [a, b] = await startPair();
  alice = await a.register('alice');
  bob = await b.register('bob');
  stub = await HostileServer.start(a.clock.now());
  third = await HostileServer.start(a.clock.now());
});

afterAll(async () => {
  for (const server of [stub, third, a, b]) await server.stop();
});

/** A room of alice's with a guest of a hostile server. */
async function visit(version: string, server = stub): Promise<StubRoom> {
  const room = await alice.createRoom({ preset: 'public_chat', room_version: version });
  const guest = await StubRoom.join(server, a, room, server.user('mallory'));
  await settle(a);
  guest.serve();
  return guest;
}

function message(guest: StubRoom, body: string, more: Partial<Parameters<StubRoom['build']>[0]> = {}) {
  return { type: 'm.room.message', sender: guest.server.user('mallory'), content: { body }, ...more };
}

/** What was said of each event of one transaction. */
async function send(from: HostileServer, ...events: SealedEvent[]): Promise<({ error?: string } | undefined)[]> {
  const answer = await from.send(a, { pdus: events.map(({ pdu }) => pdu) });
  expect(answer.status).toBe(200);
  await settle(a);
  return events.map(({ eventId }) => answer.body.pdus[eventId]);
}

const pduText = async (server: TestServer, eventId: EventId): Promise<string | undefined> =>
  (await server.running.lantern.storage.events.listPduTexts([eventId]))[0];

describe('an event signed by a key that its server had published before', () => {
  it.each(all)(
    'counts before room version 5, and after only if it was made in the time of the key: %s',
    async (version) => {
      const guest = await visit(version);
      const signers = { signers: [stub.retired] };
      const now = a.clock.now();
      const inTime = guest.build(message(guest, 'in time', { origin_server_ts: now - 2 * dayMs }), signers);
      const late = guest.build(message(guest, 'too late', { origin_server_ts: now }), signers);
      const [first, second] = await send(stub, inTime, late);
      expect(first).toEqual({});
      const counts = Number(version) < 5;
      if (counts) expect(second).toEqual({});
      else expect(second?.error).toEqual(expect.any(String));
      expect((await textsOf(alice, guest.roomId)).sort()).toEqual(counts ? ['in time', 'too late'] : ['in time']);
    },
  );
});

describe('ids that servers give', () => {
  let guest: StubRoom;
  beforeEach(async () => {
    guest = await visit('1');
  });

  it.each(given)('may be anything of their own, in version %s', async (version) => {
    const own = await visit(version);
    const eventId = `$some/thing+else & more-${version}:${stub.name}` as EventId;
    const said = own.add({ ...message(own, 'hello'), more: { event_id: eventId } });
    expect(said.eventId).toBe(eventId);
    expect(await send(stub, said)).toEqual([{}]);
    expect((await alice.ok('GET', path(own.roomId, 'event', eventId))).content).toEqual({ body: 'hello' });
    await alice.ok('PUT', path(own.roomId, 'redact', eventId, 't'), {});
    expect(await textsOf(alice, own.roomId)).toEqual(['(redacted)']);
    await settle(a);
    expect(stub.receivedPdus().at(-1)).toMatchObject({
      redacts: eventId,
      prev_events: [[eventId, { sha256: expect.any(String) }]],
    });
  });

  it('of the domain of another server need its signature', async () => {
    const eventId = `$x:${third.name}` as EventId;
    const forged = guest.build({ ...message(guest, 'forged'), more: { event_id: eventId } });
    expect((await send(stub, forged))[0]?.error).toEqual(expect.any(String));
    expect(await textsOf(alice, guest.roomId)).toEqual([]);
    const both = { signers: [stub.signer, third.signer] };
    expect(await send(stub, guest.build({ ...message(guest, 'agreed'), more: { event_id: eventId } }, both))).toEqual([
      {},
    ]);
    expect(await textsOf(alice, guest.roomId)).toEqual(['agreed']);
  });

  it('stand for the first event that had them', async () => {
    const more = { event_id: `$twice:${stub.name}` };
    const first = guest.build({ ...message(guest, 'first'), more });
    const second = guest.build({ ...message(guest, 'second'), more });
    expect(await send(stub, first)).toEqual([{}]);
    expect((await send(stub, second))[0]?.error).toEqual(expect.any(String));
    expect(await send(stub, first)).toEqual([{}]);
    expect(await textsOf(alice, guest.roomId)).toEqual(['first']);
    expect(await pduText(a, first.eventId)).toBe(canonicalJson(first.pdu));
  });

  it('stand for the first event that had them in any room', async () => {
    const other = await visit('2');
    const more = { event_id: `$both-rooms:${stub.name}` };
    const here = guest.build({ ...message(guest, 'here'), more });
    const there = other.build({ ...message(other, 'there'), more });
    expect(await send(stub, here)).toEqual([{}]);
    expect((await send(stub, there))[0]?.error).toEqual(expect.any(String));
    expect([await textsOf(alice, guest.roomId), await textsOf(alice, other.roomId)]).toEqual([['here'], []]);
  });

  it('do not change hands where the first event is known only because another names it', async () => {
    const more = { event_id: `$outlier:${stub.name}` };
    const named = guest.build({ ...message(guest, 'named'), more });
    // Alice's server asks for the auth event of another, so this becomes an outlier there.
    const other = guest.build({ ...message(guest, 'of the same id'), more });
    stub.on('event', ({ rest: [eventId = ''] }) => ({ pdus: [eventId === named.eventId ? named.pdu : {}] }));
    const citing = guest.build({ ...message(guest, 'citing'), auth_events: [named.eventId] });
    await send(stub, citing);
    const known = { placement: 'outlier', verdict: 'accepted' };
    expect(await a.running.lantern.storage.events.find(named.eventId)).toMatchObject(known);
    expect((await send(stub, other))[0]?.error).toEqual(expect.any(String));
    expect(await textsOf(alice, guest.roomId)).toEqual([]);
    expect(await pduText(a, named.eventId)).toBe(canonicalJson(named.pdu));
  });

  it('mean nothing in a room of another version', async () => {
    const later = await visit('4');
    const said = later.build({ ...message(later, 'hello'), more: { event_id: `$x:${third.name}` } });
    expect(said.eventId).toMatch(/^\$[A-Za-z0-9_-]{43}$/);
    expect(await send(stub, said)).toEqual([{}]);
    const [event] = (await historyOf(alice, later.roomId)).filter(({ type }) => type === 'm.room.message');
    expect(event?.event_id).toBe(said.eventId);
  });

  it('name each other in circles, and nothing comes of it', async () => {
    const [left, right] = [`$left:${stub.name}`, `$right:${stub.name}`];
    const first = guest.build({ ...message(guest, 'left'), prev_events: [right], more: { event_id: left } });
    const second = guest.build({ ...message(guest, 'right'), prev_events: [left], more: { event_id: right } });
    stub.on('get_missing_events', () => ({ events: [first.pdu, second.pdu] }));
    stub.on('event', ({ rest: [eventId = ''] }) => ({ pdus: [eventId === left ? first.pdu : second.pdu] }));
    await send(stub, first, second);
    expect(await textsOf(alice, guest.roomId)).toEqual([]);
    expect(await send(stub, guest.build(message(guest, 'still there')))).toEqual([{}]);
    expect(await textsOf(alice, guest.roomId)).toEqual(['still there']);
  });
});

describe('numbers that are no strict integers', () => {
  const content = {
    body: 'loose',
    fraction: new LooseNumber('1.50'),
    power: new LooseNumber('1e2'),
    large: new LooseNumber('9223372036854775807'),
  };

  it.each(all)('pass with the event as it was signed before room version 6, and never after: %s', async (version) => {
    const guest = await visit(version);
    const said = guest.build(message(guest, 'loose', { content }));
    const topic = guest.build({ type: 'org.example.x', state_key: '', sender: stub.user('mallory'), content });
    const results = await send(stub, said, topic);
    if (Number(version) >= 6) {
      expect(results).toEqual([undefined, undefined]);
      expect(await a.running.lantern.storage.events.find(said.eventId)).toBeUndefined();
      return;
    }
    expect(results[0]).toEqual({});
    const plain = { body: 'loose', fraction: 1.5, power: 100, large: 2 ** 63 };
    const seen = await alice.ok('GET', path(guest.roomId, 'event', said.eventId));
    expect(seen.content).toEqual(plain);
    expect(await pduText(a, said.eventId)).toContain(
      '{"body":"loose","fraction":1.5,"large":9223372036854775807,"power":100.0}',
    );
    // Who comes later gets and believes the very same.
    await alice.say(guest.roomId, 'on');
    await bob.join(guest.roomId, a.name);
    await settle(a, b);
    expect(await textsOf(bob, guest.roomId)).toEqual(['loose', 'on']);
    expect(await pduText(b, said.eventId)).toBe(await pduText(a, said.eventId));
    expect((await bob.ok('GET', path(guest.roomId, 'event', said.eventId))).content).toEqual(plain);
    // And what is built on it names it by the right hash, also after a restart.
    a = await a.restart();
    alice.url = a.url;
    await alice.say(guest.roomId, 'after a restart');
    await settle(a, b);
    expect(await mindOf(b, guest.roomId)).toEqual(await mindOf(a, guest.roomId));
  });

  it('count as power levels, cut off at the point', async () => {
    const room = await alice.createRoom({ preset: 'public_chat', room_version: '5' });
    const levels = await stateOf(alice, room, 'm.room.power_levels');
    const mallory = stub.user('mallory');
    await alice.setState(room, 'm.room.power_levels', { ...levels, users: { ...levels.users, [mallory]: 100 } });
    const guest = await StubRoom.join(stub, a, room, mallory);
    const users = { ...levels.users, [mallory]: 100, [bob.userId]: new LooseNumber('50.57') };
    const change = { type: 'm.room.power_levels', state_key: '', sender: mallory, content: { ...levels, users } };
    expect(await send(stub, guest.add(change))).toEqual([{}]);
    await bob.join(room, a.name);
    await settle(a, b);
    await bob.setState(room, 'm.room.topic', { topic: 'of a moderator' });
    expect((await bob.call('POST', path(room, 'kick'), { user_id: alice.userId })).status).toBe(403);
    await settle(a, b);
    expect(await stateOf(alice, room, 'm.room.topic')).toEqual({ topic: 'of a moderator' });
    expect(await mindOf(b, room)).toEqual(await mindOf(a, room));
  });
});

describe('depth', () => {
  it.each<[string, string, JsonObject[string]]>([
    ['2^63 - 1', '1', new LooseNumber('9223372036854775807')],
    ['2^53 - 1', '11', Number.MAX_SAFE_INTEGER],
    ['2^53 - 1', '12', Number.MAX_SAFE_INTEGER],
  ])('of %s in version %s ends nothing: what follows has the greatest depth too', async (_name, version, depth) => {
    const guest = await visit(version);
    await bob.join(guest.roomId, a.name);
    await settle(a, b);
    guest.take(stub.receivedPdus().at(-1) ?? {});
    const bomb = guest.build({ ...message(guest, 'bomb'), more: { depth } });
    expect(await send(stub, bomb)).toEqual([{}]);
    await settle(a, b);
    const next = await alice.say(guest.roomId, 'on');
    await settle(a, b);
    const last = await bob.say(guest.roomId, 'and on');
    await settle(a, b);
    for (const eventId of [next, last]) {
      expect(await pduText(a, eventId as EventId)).toContain(`"depth":${Number.MAX_SAFE_INTEGER},`);
    }
    expect(await textsOf(alice, guest.roomId)).toEqual(['bomb', 'on', 'and on']);
    expect(await mindOf(b, guest.roomId)).toEqual(await mindOf(a, guest.roomId));
  });
});

describe('previous events of another room', () => {
  it.each(['1', '10', '12'])('bring nothing from there, whoever may see them, in version %s', async (version) => {
    const guest = await visit(version);
    // A room in which the guest may do everything.
    const own = await visit(version);
    const levels = await stateOf(alice, own.roomId, 'm.room.power_levels');
    const users = { ...levels.users, [stub.user('mallory')]: 90 };
    const promotion = await alice.setState(own.roomId, 'm.room.power_levels', { ...levels, users });
    await settle(a);
    const before = await mindOf(a, guest.roomId);
    guest.events.set(promotion as EventId, own.take(stub.receivedPdus().at(-1) ?? {}));
    const crossed = guest.build(message(guest, 'crossed', { prev_events: [promotion] }));
    expect((await send(stub, crossed))[0]?.error).toEqual(expect.any(String));
    const both = guest.build(message(guest, 'both', { prev_events: [promotion, ...guest.latest] }));
    expect((await send(stub, both))[0]?.error).toEqual(expect.any(String));
    expect(await mindOf(a, guest.roomId)).toEqual(before);
    expect(await textsOf(alice, guest.roomId)).toEqual([]);
  });
});

describe('a redaction from another server', () => {
  const redactionOf = (guest: StubRoom, eventId: string, sender = guest.server.user('mallory')) => {
    const inContent = guest.version.redactsIn === 'content' ? { redacts: eventId } : {};
    const more = guest.version.redactsIn === 'event' ? { redacts: eventId } : {};
    return { type: 'm.room.redaction', sender, content: { reason: 'why', ...inContent }, more };
  };
  const bodyOf = async (guest: StubRoom, eventId: string) =>
    (await alice.ok('GET', path(guest.roomId, 'event', eventId))).content.body;

  it.each(all)(
    'is obeyed for events of its own server, and for others only by power, in version %s',
    async (version) => {
      const guest = await visit(version);
      const [nina, ours] = [stub.user('nina'), await alice.say(guest.roomId, 'of alice')];
      await settle(a);
      guest.take(stub.receivedPdus().at(-1) ?? {});
      const join = { type: 'm.room.member', sender: nina, state_key: nina, content: { membership: 'join' } };
      const said = [
        guest.add(join),
        guest.say(nina, 'of nina'),
        guest.say(stub.user('mallory'), 'of mallory'),
      ] as const;
      expect(await send(stub, ...said)).toEqual([{}, {}, {}]);
      const [, theirs, own] = said;
      const results = await send(
        stub,
        guest.build(redactionOf(guest, own.eventId)),
        guest.build(redactionOf(guest, theirs.eventId)),
        guest.build(redactionOf(guest, ours)),
      );
      expect(await bodyOf(guest, own.eventId)).toBeUndefined();
      expect(await bodyOf(guest, theirs.eventId)).toBeUndefined();
      expect(await bodyOf(guest, ours)).toBe('of alice');
      // Before version 3 it is the authorisation rules that refuse it.
      expect(results.map((result) => result?.error === undefined)).toEqual([true, true, !given.includes(version)]);

      const levels = await stateOf(alice, guest.roomId, 'm.room.power_levels');
      const users = { ...levels.users, [stub.user('mallory')]: 50 };
      await alice.setState(guest.roomId, 'm.room.power_levels', { ...levels, users });
      await settle(a);
      guest.take(stub.receivedPdus().at(-1) ?? {});
      expect(await send(stub, guest.build(redactionOf(guest, ours)))).toEqual([{}]);
      expect(await bodyOf(guest, ours)).toBeUndefined();
    },
  );

  it.each(all)(
    'that comes before its target waits for it, and names it in one place only, in version %s',
    async (version) => {
      const guest = await visit(version);
      const [target, other] = [guest.say(stub.user('mallory'), 'target'), guest.say(stub.user('mallory'), 'other')];
      const redaction = guest.add(redactionOf(guest, target.eventId));
      // At the place that other versions have it in, it names nothing.
      const misplaced =
        guest.version.redactsIn === 'event'
          ? { content: { redacts: other.eventId } }
          : { more: { redacts: other.eventId } };
      const wrong = guest.build({ type: 'm.room.redaction', sender: stub.user('mallory'), ...misplaced });
      stub.on('get_missing_events', () => ({ events: [] }));
      await send(stub, redaction);
      await send(stub, target, other, redaction, wrong);
      expect(await bodyOf(guest, target.eventId)).toBeUndefined();
      expect(await bodyOf(guest, other.eventId)).toBe('other');
    },
  );

  it('in versions 1 and 2 is judged by who gave the ids, not by who sent the events', async () => {
    const guest = await visit('1');
    const other = await StubRoom.join(third, a, guest.roomId, third.user('trent'));
    await settle(a);
    guest.take(stub.receivedPdus().at(-1) ?? {});
    // Trent's message has an id of the stub's server, which signed for it.
    const more = { event_id: `$lent:${stub.name}` };
    const said = { type: 'm.room.message', sender: third.user('trent'), content: { body: 'x' }, more };
    const lent = other.build(said, { signers: [third.signer, stub.signer] });
    expect(await send(third, lent)).toEqual([{}]);
    expect(await send(stub, guest.build(redactionOf(guest, lent.eventId)))).toEqual([{}]);
    expect(await bodyOf(guest, lent.eventId)).toBeUndefined();
  });
});
