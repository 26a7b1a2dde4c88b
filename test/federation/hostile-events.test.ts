import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../src/base/json/canonical-json.ts';
import type { UserId } from '../../src/matrix/ids.ts';
import type { JsonObject } from '../../src/matrix/pdu.ts';
import { settle } from '../support/server.ts';
import { StubRoom, unknownId } from '../support/stub-room.ts';
import { historyOf, mindOf, stateOf, textsOf } from './rooms.ts';
import {
  a,
  alice,
  expectUnseen,
  find,
  guest,
  mallory,
  message,
  room,
  sendAmongGood,
  stub,
  third,
  useVisit,
} from './visit.ts';

useVisit();

describe('an event', () => {
  it('of another server goes the whole way: stored, shown, built upon', async () => {
    const { eventId, pdu } = guest.say(mallory, 'hello');
    expect(await stub.send(a, { pdus: [pdu] })).toEqual({ status: 200, body: { pdus: { [eventId]: {} } } });
    await settle(a);
    expect(await textsOf(alice, room)).toEqual(['hello']);
    const answer = await alice.say(room, 'hi');
    await settle(a);
    const sent = stub.receivedPdus().at(-1);
    expect(sent).toMatchObject({ prev_events: [eventId], depth: (pdu.depth as number) + 1 });
    expect(await find(answer)).toMatchObject({ verdict: 'accepted' });
  });

  it.each([
    ['nobody', () => []],
    ['another server than its sender’s', () => [third.signer]],
    ['a key that its server does not have', () => [{ server: stub.name, key: third.signer.key }]],
  ])('signed by %s is dropped, as if it had never come', async (_who, signers) => {
    const forged = guest.build(message('forged'), { signers: signers() });
    const [result] = await sendAmongGood(forged);
    expect(result?.error).toEqual(expect.any(String));
    expect(await find(forged.eventId)).toBeUndefined();
    await expectUnseen(forged.eventId);
  });

  it.each([
    ['ours', () => alice.userId as UserId],
    ['a third server’s', () => third.user('trent')],
  ])('by a user who is %s is dropped, though the sending server signed it', async (_whose, user) => {
    const spoofed = guest.build(message('spoofed', { sender: user() }));
    const [result] = await sendAmongGood(spoofed);
    expect(result?.error).toEqual(expect.any(String));
    expect(await find(spoofed.eventId)).toBeUndefined();
    expect(await textsOf(alice, room)).not.toContain('spoofed');
  });

  it('of a third server is taken from whoever brings it, if that server signed it', async () => {
    await StubRoom.join(third, a, room, third.user('trent'));
    await settle(a);
    // The hostile server heard of the join by a transaction.
    guest.take(stub.receivedPdus().at(-1) ?? {});
    const brought = guest.add(message('by courier', { sender: third.user('trent') }), { signers: [third.signer] });
    expect(await stub.send(a, { pdus: [brought.pdu] })).toMatchObject({ body: { pdus: { [brought.eventId]: {} } } });
    await settle(a);
    expect(await textsOf(alice, room)).toEqual(['by courier']);
  });

  it('whose content was changed after it was hashed counts without its content', async () => {
    const { eventId, pdu } = guest.build(message('as signed'));
    const changed = { ...pdu, content: { body: 'as changed' }, extra: 'field' };
    expect(await sendAmongGood({ eventId, pdu: changed })).toEqual([{}]);
    const seen = (await historyOf(alice, room)).find(({ event_id }) => event_id === eventId);
    expect(seen?.content).toEqual({});
    expect((await find(eventId))?.event.pdu).not.toHaveProperty('extra');
  });

  it('with a wrong hash keeps what redaction keeps, so that a join counts', async () => {
    const joiner = stub.user('joiner');
    const content = { membership: 'join', displayname: 'Joiner' };
    const join = guest.build({ type: 'm.room.member', sender: joiner, state_key: joiner, content }, { hash: 'AAAA' });
    expect(await sendAmongGood(join)).toEqual([{}]);
    expect(await stateOf(alice, room, 'm.room.member', joiner)).toEqual({ membership: 'join' });
  });

  it.each([
    ['1.0', (text: string) => text.replace(/"depth":(\d+)/, '"depth":$1.0')],
    ['1e1', (text: string) => text.replace('"loose":10', '"loose":1e1')],
    ['a fraction', (text: string) => text.replace('"loose":10', '"loose":10.5')],
    ['2^53', (text: string) => text.replace('"loose":10', '"loose":9007199254740992')],
    ['-0', (text: string) => text.replace('"loose":10', '"loose":-0')],
  ])('with the number %s is dropped, and its neighbours are not', async (_what, change) => {
    const good = guest.say(mallory, 'strict');
    const { eventId, pdu } = guest.build({ ...message('loose'), content: { body: 'loose', loose: 10 } });
    const text = `{"pdus":[${change(canonicalJson(pdu))},${canonicalJson(good.pdu)}]}`;
    const answer = await stub.call(a, 'PUT', `v1/send/loose-${eventId.slice(1, 9)}`, undefined, { text });
    await settle(a);
    expect(await textsOf(alice, room)).toEqual(['strict']);
    expect(answer).toEqual({ status: 200, body: { pdus: { [good.eventId]: {} } } });
    expect(await find(eventId)).toBeUndefined();
  });

  it('larger than 65536 bytes is dropped, one of just that size is not', async () => {
    const size = (body: string) => canonicalJson(guest.build(message(body)).pdu).length;
    const room64k = 65_536 - size('');
    const [fits, tooLarge] = [guest.build(message('x'.repeat(room64k))), guest.build(message('x'.repeat(room64k + 1)))];
    expect(canonicalJson(fits.pdu)).toHaveLength(65_536);
    expect((await sendAmongGood(fits))[0]).toEqual({});
    await sendAmongGood(tooLarge);
    expect(await find(fits.eventId)).toBeDefined();
    expect(await find(tooLarge.eventId)).toBeUndefined();
  });

  it.each<[string, JsonObject]>([
    ['no sender', { sender: undefined }],
    ['a sender that is no user id', { sender: 'mallory' }],
    ['content that is a list', { content: [] }],
    ['a type that is a number', { type: 5 }],
    ['a state key that is null', { state_key: null }],
    ['a type of 256 bytes', { type: 'x'.repeat(256) }],
    ['a state key of 256 bytes', { state_key: 'x'.repeat(256) }],
    ['21 previous events', { prev_events: Array.from({ length: 21 }, (_, index) => unknownId(index)) }],
    ['11 auth events', { auth_events: Array.from({ length: 11 }, (_, index) => unknownId(index)) }],
    ['previous events as pairs', { prev_events: [[unknownId(), {}]] }],
    ['a previous event that is no hash', { prev_events: ['$x:a.test'] }],
    ['a negative depth', { depth: -1 }],
    ['no depth', { depth: undefined }],
    ['a time that is text', { origin_server_ts: 'now' }],
    ['a room id that is none', { room_id: 'here' }],
  ])('with %s is dropped', async (_what, more) => {
    const fields = Object.entries(more).filter(([, value]) => value !== undefined);
    const dropped = Object.keys(more).filter((key) => more[key] === undefined);
    const base = guest.build(message('malformed')).pdu;
    const bare = Object.fromEntries(
      Object.entries({ ...base, ...Object.fromEntries(fields) }).filter(
        ([key]) => !dropped.includes(key) && key !== 'hashes' && key !== 'signatures',
      ),
    );
    const malformed = guest.build({ ...message('malformed'), more: bare });
    const pdu = Object.fromEntries(Object.entries(malformed.pdu).filter(([key]) => !dropped.includes(key)));
    await sendAmongGood({ eventId: malformed.eventId, pdu });
    expect(await textsOf(alice, room)).toEqual(['good 1', 'good 2']);
  });

  it.each([[null], [7], ['text'], [[]], [{}]])('that is %j is passed over', async (pdu) => {
    const good = guest.say(mallory, 'beside nothing');
    const answer = await stub.send(a, { pdus: [pdu, good.pdu] });
    expect(answer).toEqual({ status: 200, body: { pdus: { [good.eventId]: {} } } });
  });

  it('of a room that is unknown here is not taken, and nothing is kept of that room', async () => {
    const elsewhere = StubRoom.create(third, { creator: third.user('trent'), nowMs: () => a.clock.now() });
    const { eventId, pdu } = elsewhere.say(third.user('trent'), 'elsewhere');
    await sendAmongGood({ eventId, pdu });
    const answer = await third.send(a, { pdus: [...elsewhere.events.values()].map((event) => event.pdu) });
    expect(answer.status).toBe(200);
    expect(await find(eventId)).toBeUndefined();
    expect(await a.running.lantern.storage.rooms.find(elsewhere.roomId)).toBeUndefined();
  });

  it('that names auth events of another room is rejected', async () => {
    const other = await alice.createRoom({ preset: 'public_chat' });
    const elsewhere = await StubRoom.join(stub, a, other, mallory);
    guest.serve();
    const foreign = elsewhere.build(message('from there')).pdu.auth_events as string[];
    const crossed = guest.build(message('crossed', { auth_events: foreign }));
    const [result] = await sendAmongGood(crossed);
    expect(result?.error).toEqual(expect.any(String));
    await expectUnseen(crossed.eventId);
  });

  it('that names previous events of another room takes nothing from there', async () => {
    const other = await alice.createRoom({ preset: 'private_chat', name: 'secret' });
    const [end = ''] = (await mindOf(a, other)).extremities;
    const before = await mindOf(a, room);
    const crossed = guest.build(message('crossed', { prev_events: [end] }));
    const answer = await stub.send(a, { pdus: [crossed.pdu] });
    expect(answer.body.pdus).toHaveProperty([crossed.eventId]);
    await settle(a);
    expect(await mindOf(a, room)).toEqual(before);
    expect(await textsOf(alice, room)).toEqual([]);
  });
});
