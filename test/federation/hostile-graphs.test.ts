import { describe, expect, it } from 'vitest';
import type { UserId } from '../../src/matrix/ids.ts';
import { HostileReply } from '../support/hostile-server.ts';
import { settle } from '../support/server.ts';
import { StubRoom } from '../support/stub-room.ts';
import type { TestUser } from '../support/user.ts';
import { historyOf, membershipOf, mindOf, newTexts, path, textsOf } from './rooms.ts';
import { a, alice, guest, mallory, room, stub, useHostileServers, visit } from './visit.ts';

useHostileServers();

/** What `/sync` shows of the room and what stands before it, oldest first: each event once. */
async function wholeTimeline(user: TestUser, room: string): Promise<string[]> {
  const filter = JSON.stringify({ room: { timeline: { limit: 4 } } });
  const sync = await user.ok('GET', `/sync?timeout=0&filter=${encodeURIComponent(filter)}`);
  const { timeline } = sync.rooms.join[room];
  const ids: string[] = timeline.events.map((event: { event_id: string }) => event.event_id);
  for (let from: string | undefined = timeline.prev_batch; from !== undefined; ) {
    const page: { chunk: { event_id: string }[]; end?: string } = await user.ok(
      'GET',
      `${path(room, 'messages')}?dir=b&limit=3&from=${encodeURIComponent(from)}`,
    );
    ids.unshift(...page.chunk.map((event) => event.event_id).reverse());
    from = page.end;
  }
  return ids;
}

describe('depths that a server made up', () => {
  it.each([
    ['the deepest that there is', Number.MAX_SAFE_INTEGER],
    ['nought', 0],
    ['one', 1],
    ['less than what stands before', 3],
  ])('such as %s hide nothing and stop nothing', async (_what, depth) => {
    await visit();
    for (const text of ['one', 'two', 'three']) await alice.say(room, text);
    await settle(a);
    for (const pdu of stub.receivedPdus().filter(({ room_id }) => room_id === room)) guest.take(pdu);
    await alice.sync();
    const { eventId, pdu } = guest.say(mallory, 'odd', { depth });
    expect((await stub.send(a, { pdus: [pdu] })).body.pdus).toEqual({ [eventId]: {} });
    await settle(a);
    expect(newTexts(await alice.sync(), room)).toEqual(['odd']);
    for (const text of ['four', 'five', 'six']) await alice.say(room, text);
    expect(newTexts(await alice.sync(), room)).toEqual(['four', 'five', 'six']);
    const all = ['one', 'two', 'three', 'odd', 'four', 'five', 'six'];
    expect((await textsOf(alice, room)).sort()).toEqual([...all].sort());
    const seen = await wholeTimeline(alice, room);
    expect(new Set(seen).size).toBe(seen.length);
    expect([...seen].sort()).toEqual((await historyOf(alice, room)).map(({ event_id }) => event_id).sort());
    expect((await mindOf(a, room)).extremities).toHaveLength(1);
  });
});

describe('a graph that a server made up', () => {
  it('with an event that has no past is rejected', async () => {
    await visit();
    const rootless = guest.build({ type: 'm.room.message', sender: mallory, content: { body: 'x' }, prev_events: [] });
    const answer = await stub.send(a, { pdus: [rootless.pdu] });
    expect(answer.body.pdus[rootless.eventId]?.error).toEqual(expect.any(String));
    await settle(a);
    expect(await textsOf(alice, room)).toEqual([]);
  });

  it('of many ends is tied together by what our users say', async () => {
    await visit();
    const past = { prev_events: [...guest.latest], depth: guest.depth + 1 };
    const ends = Array.from({ length: 45 }, (_, index) =>
      guest.build({ type: 'm.room.message', sender: mallory, content: { body: `end ${index}` }, ...past }),
    );
    const answer = await stub.send(a, { pdus: ends.map(({ pdu }) => pdu) });
    expect(Object.values(answer.body.pdus)).toEqual(ends.map(() => ({})));
    await settle(a);
    expect((await mindOf(a, room)).extremities).toHaveLength(45);
    for (let index = 0; index < 3; index++) await alice.say(room, `knot ${index}`);
    await settle(a);
    const sent = stub.receivedPdus().at(-3);
    expect(sent?.prev_events).toHaveLength(20);
    expect((await mindOf(a, room)).extremities).toHaveLength(1);
    expect(await textsOf(alice, room)).toHaveLength(48);
  });

  it('that reaches back to the beginning of the room goes on from there', async () => {
    await visit();
    const create = [...guest.state.values()].find(({ pdu }) => pdu.type === 'm.room.create');
    const early = guest.build({
      type: 'm.room.message',
      sender: mallory,
      content: { body: 'I was here first' },
      prev_events: [create?.eventId ?? ''],
      depth: 2,
    });
    const answer = await stub.send(a, { pdus: [early.pdu] });
    expect(answer.body.pdus[early.eventId]?.error).toEqual(expect.any(String));
    await settle(a);
    await alice.say(room, 'no');
    expect(await textsOf(alice, room)).toEqual(['no']);
  });

  it('that turns round and round when asked for history ends', async () => {
    const there = StubRoom.create(stub, { creator: mallory, nowMs: () => a.clock.now() });
    there.serve();
    for (let index = 0; index < 3; index++) there.say(mallory, `past ${index}`);
    expect((await alice.call('POST', `/join/${encodeURIComponent(there.roomId)}?via=${stub.name}`, {})).status).toBe(
      200,
    );
    const before = stub.asked('backfill').length;
    const newest = [...there.events.values()].findLast(({ pdu }) => pdu.content.body === 'past 2');
    stub.on('backfill', () => ({ pdus: [newest?.pdu, newest?.pdu, null, 3] }));
    expect(await textsOf(alice, there.roomId)).toEqual(['past 2']);
    stub.on('backfill', () => ({ pdus: [] }));
    expect(await textsOf(alice, there.roomId)).toEqual(['past 2']);
    stub.on('backfill', () => new HostileReply(500, { errcode: 'M_UNKNOWN', error: 'x' }));
    expect(await textsOf(alice, there.roomId)).toEqual(['past 2']);
    expect(stub.asked('backfill').length - before).toBeLessThan(20);
    there.serve();
    expect(await textsOf(alice, there.roomId)).toEqual(['past 0', 'past 1', 'past 2']);
  });

  it('whose history holds forged events shows none of them', async () => {
    const there = StubRoom.create(stub, { creator: mallory, nowMs: () => a.clock.now() });
    there.serve();
    there.say(mallory, 'true');
    expect((await alice.call('POST', `/join/${encodeURIComponent(there.roomId)}?via=${stub.name}`, {})).status).toBe(
      200,
    );
    const forged = there.build({
      type: 'm.room.message',
      sender: alice.userId as UserId,
      content: { body: 'I confess' },
    });
    const nobody = there.build({
      type: 'm.room.message',
      sender: stub.user('nobody'),
      content: { body: 'not a member' },
    });
    const past = [...there.events.values()].map(({ pdu }) => pdu).filter(({ type }) => type !== 'm.room.member');
    stub.on('backfill', () => ({ pdus: [forged.pdu, nobody.pdu, ...past] }));
    expect(await textsOf(alice, there.roomId)).toEqual(['true']);
  });
});

describe('names that a server made up', () => {
  it.each(['!a/b%2Fc?d#e', '!ü😀 x', '!__proto__', '!..'])('such as the room id %s work', async (start) => {
    const there = StubRoom.create(stub, {
      creator: mallory,
      nowMs: () => a.clock.now(),
      roomId: `${start}:${stub.name}`,
    });
    there.serve();
    expect(await alice.call('POST', `/join/${encodeURIComponent(there.roomId)}?via=${stub.name}`, {})).toEqual({
      status: 200,
      body: { room_id: there.roomId },
    });
    const { eventId, pdu } = there.say(mallory, 'hello');
    expect((await stub.send(a, { pdus: [pdu] })).body.pdus).toEqual({ [eventId]: {} });
    await alice.say(there.roomId, 'hi');
    await settle(a);
    expect(await textsOf(alice, there.roomId)).toEqual(['hello', 'hi']);
    expect(stub.receivedPdus().at(-1)).toMatchObject({ room_id: there.roomId, content: { body: 'hi' } });
    await alice.leave(there.roomId);
    await settle(a);
    expect(stub.receivedPdus().at(-1)).toMatchObject({ state_key: alice.userId, content: { membership: 'leave' } });
  });

  it.each(['Ünï/code', 'a%20b', '__proto__', 'x y', ''])('such as the user %j join and speak', async (localpart) => {
    await visit();
    const odd = stub.user(localpart);
    const other = await StubRoom.join(stub, a, room, odd);
    const { eventId, pdu } = other.say(odd, 'odd but true');
    expect((await stub.send(a, { pdus: [pdu] })).body.pdus).toEqual({ [eventId]: {} });
    await settle(a);
    expect(await membershipOf(alice, room, odd)).toBe('join');
    expect(await textsOf(alice, room)).toEqual(['odd but true']);
    await alice.ok('POST', path(room, 'kick'), { user_id: odd });
    expect(await membershipOf(alice, room, odd)).toBe('leave');
    expect(guest.roomId).toBe(room);
  });
});

describe('answers to our transactions', () => {
  it.each<[string, () => HostileReply]>([
    ['500', () => new HostileReply(500, { errcode: 'M_UNKNOWN', error: 'x' })],
    ['429', () => new HostileReply(429, { errcode: 'M_LIMIT_EXCEEDED', error: 'x', retry_after_ms: 5000 })],
    ['401', () => new HostileReply(401, { errcode: 'M_UNAUTHORIZED', error: 'x' })],
    ['no JSON', () => new HostileReply(200, 'fine')],
  ])('of %s have the same transaction come again, unchanged, until it is taken', async (_what, refuse) => {
    await visit();
    stub.on('send', refuse);
    const before = stub.asked('send').length;
    await alice.say(room, 'first');
    await settle(a);
    await alice.say(room, 'second');
    await settle(a);
    stub.on('send', () => ({ pdus: {} }));
    await a.clock.advance(2 * 3_600_000);
    await settle(a);
    const sent = stub.asked('send').slice(before);
    const [first] = sent;
    const repeats = sent.filter(({ rest }) => rest[0] === first?.rest[0]);
    expect(repeats.length).toBeGreaterThan(1);
    for (const { body } of repeats) expect(body.pdus).toEqual(first?.body.pdus);
    const taken = new Map(sent.map(({ rest, body }) => [rest[0], body.pdus]));
    expect([...taken.values()].flat().map(({ content }) => content.body)).toEqual(['first', 'second']);
  });

  it('that are odd but good count as taken', async () => {
    await visit();
    for (const odd of [{}, { pdus: 7 }, { pdus: { $x: { error: 'no' } } }, { pdus: [] }]) {
      stub.on('send', () => odd as never);
      const before = stub.receivedPdus().length;
      await alice.say(room, 'once');
      await settle(a);
      await a.clock.advance(3_600_000);
      await settle(a);
      expect(stub.receivedPdus()).toHaveLength(before + 1);
    }
    stub.on('send', () => ({ pdus: {} }));
  });
});
