import { describe, expect, it } from 'vitest';
import type { UserId } from '../../src/matrix/ids.ts';
import { type SigningKey, signingKeyOfSeed } from '../../src/signing/ed25519.ts';
import { signJson } from '../../src/signing/sign-json.ts';
import { HostileReply } from '../support/hostile-server.ts';
import { settle } from '../support/server.ts';
import { type SealedEvent, StubRoom } from '../support/stub-room.ts';
import { historyOf, mindOf, newTexts, stateOf, textsOf } from './rooms.ts';
import { a, alice, find, guest, mallory, message, restartA, room, stub, third, useVisit } from './visit.ts';

useVisit();

const gone = new HostileReply(404, { errcode: 'M_NOT_FOUND', error: 'not here' });
const sharesNothing = () => {
  for (const what of ['get_missing_events', 'state_ids', 'state', 'event', 'event_auth', 'backfill'])
    stub.on(what, () => gone);
};
const waitingIds = async () =>
  (await a.running.lantern.storage.waitingEvents.list(0, 100)).map(({ eventId }) => eventId);
const pass = async (ms: number) => {
  await a.clock.advance(ms);
  await settle(a);
};

/** Trent of an honest third server joins, and the hostile server hears of it. */
async function letTrentIn(): Promise<UserId> {
  const trent = third.user('trent');
  await StubRoom.join(third, a, room, trent);
  await settle(a);
  guest.take(stub.receivedPdus().at(-1) ?? {});
  return trent;
}

describe('an event that was sent before what it follows', () => {
  let first: SealedEvent;
  let second: SealedEvent;
  const sendSecond = async () => {
    sharesNothing();
    first = guest.say(mallory, 'first');
    second = guest.say(mallory, 'second');
    expect((await stub.send(a, { pdus: [second.pdu] })).body.pdus).toEqual({ [second.eventId]: {} });
    await settle(a);
    expect(await waitingIds()).toEqual([second.eventId]);
  };

  it('is shown behind it when it is sent again, and not before', async () => {
    // What Complement's TestUnrejectRejectedEvents does.
    await sendSecond();
    await alice.sync();
    await stub.send(a, { pdus: [first.pdu] });
    await settle(a);
    expect(newTexts(await alice.sync(), room)).toEqual(['first']);
    await stub.send(a, { pdus: [second.pdu] });
    await settle(a);
    expect(newTexts(await alice.sync(), room)).toEqual(['second']);
    await pass(10_000);
    expect(await waitingIds()).toEqual([]);
    expect(newTexts(await alice.sync(), room)).toEqual([]);
    expect(await textsOf(alice, room)).toEqual(['first', 'second']);
  });

  it('is shown behind it also when nobody sends it again', async () => {
    await sendSecond();
    await stub.send(a, { pdus: [first.pdu] });
    await pass(2_000);
    expect(await textsOf(alice, room)).toEqual(['first', 'second']);
    expect(await waitingIds()).toEqual([]);
    expect((await mindOf(a, room)).extremities).toEqual([second.eventId]);
  });

  it('is shown behind it after a restart', async () => {
    await sendSecond();
    await restartA();
    expect(await waitingIds()).toEqual([second.eventId]);
    await stub.send(a, { pdus: [first.pdu] });
    await pass(2_000);
    expect(await textsOf(alice, room)).toEqual(['first', 'second']);
  });

  it('is judged at the start when what it follows came in the last moment', async () => {
    await sendSecond();
    await stub.send(a, { pdus: [first.pdu] });
    await restartA();
    await settle(a);
    expect(await textsOf(alice, room)).toEqual(['first', 'second']);
  });

  it('is asked for again until its server gives what it follows', async () => {
    await sendSecond();
    guest.serve();
    await pass(60_000);
    expect(await textsOf(alice, room)).toEqual([]);
    await pass(120_000);
    expect(await textsOf(alice, room)).toEqual(['first', 'second']);
  });

  it('is asked of another server of the room when its own does not give it', async () => {
    await letTrentIn();
    await sendSecond();
    third.on('get_missing_events', () => ({ events: [first.pdu] }));
    await pass(180_000);
    expect(await textsOf(alice, room)).toEqual(['first', 'second']);
    expect(third.asked('get_missing_events').at(-1)?.body).toMatchObject({ latest_events: [second.eventId] });
  });

  it('holds up nothing else in its room', async () => {
    await sendSecond();
    await alice.say(room, 'meanwhile');
    expect(await textsOf(alice, room)).toEqual(['meanwhile']);
    await stub.send(a, { pdus: [first.pdu] });
    await pass(2_000);
    expect((await textsOf(alice, room)).sort()).toEqual(['first', 'meanwhile', 'second']);
  });

  it('is gone with the room', async () => {
    await sendSecond();
    await alice.leave(room);
    await pass(200_000);
    expect(await waitingIds()).toEqual([]);
  });

  it('waits with all that follows it, and all of them come in order', async () => {
    await sendSecond();
    const others = ['third', 'fourth', 'fifth'].map((text) => guest.say(mallory, text));
    for (const { pdu } of others.toReversed()) await stub.send(a, { pdus: [pdu] });
    await settle(a);
    expect(await waitingIds()).toHaveLength(4);
    await stub.send(a, { pdus: [first.pdu] });
    await pass(2_000);
    expect(await textsOf(alice, room)).toEqual(['first', 'second', 'third', 'fourth', 'fifth']);
    expect(await waitingIds()).toEqual([]);
  });
});

describe('an event that is signed with a key which its server does not give yet', () => {
  const newKey = signingKeyOfSeed(new Uint8Array(32).fill(77), 'new');
  const publish = (...keys: SigningKey[]) => {
    const listed = Object.fromEntries(keys.map(({ keyId, publicKey }) => [keyId, { key: publicKey }]));
    const untilMs = a.clock.now() + 7 * 86_400_000;
    const said = { server_name: stub.name, verify_keys: listed, old_verify_keys: {}, valid_until_ts: untilMs };
    stub.on('keys', () => signJson(said, stub.signer));
  };
  const sign = () => guest.build(message('new key'), { signers: [{ server: stub.name, key: newKey }] });

  it('waits for it, and nobody waits for the event', async () => {
    stub.on('keys', () => new HostileReply(500, {}));
    const event = sign();
    const neighbour = guest.say(mallory, 'old key');
    expect((await stub.send(a, { pdus: [event.pdu, neighbour.pdu] })).body.pdus).toEqual({
      [event.eventId]: {},
      [neighbour.eventId]: {},
    });
    await settle(a);
    expect(await textsOf(alice, room)).toEqual(['old key']);
    expect(await waitingIds()).toEqual([event.eventId]);
    publish(stub.signer.key, newKey);
    await pass(120_000);
    expect((await textsOf(alice, room)).sort()).toEqual(['new key', 'old key']);
    expect(await waitingIds()).toEqual([]);
  });

  it('is dropped once the server says that it has no such key', async () => {
    // It was asked a moment ago, and is asked again after a minute.
    await pass(61_000);
    stub.on('keys', () => new HostileReply(500, {}));
    const strange = { server: stub.name, key: signingKeyOfSeed(new Uint8Array(32).fill(78), 'strange') };
    const event = guest.build(message('forged'), { signers: [strange] });
    await stub.send(a, { pdus: [event.pdu] });
    await settle(a);
    expect(await waitingIds()).toEqual([event.eventId]);
    publish(stub.signer.key);
    await pass(120_000);
    expect(await waitingIds()).toEqual([]);
    expect(await find(event.eventId)).toBeUndefined();
  });
});

describe('the state that a server tells', () => {
  it('refuses no event for good', async () => {
    const trent = await letTrentIn();
    sharesNothing();
    const before = guest.say(mallory, 'before');
    const said = guest.add(message('by trent', { sender: trent }), { signers: [third.signer] });
    const pushed = guest.say(mallory, 'pushed');
    // The hostile server gives Trent's message, and a state in which Trent is not in the room.
    const told = [...guest.state.values()].filter(({ pdu }) => pdu.state_key !== trent).map(({ eventId }) => eventId);
    stub.on('get_missing_events', () => ({ events: [said.pdu] }));
    stub.on('state_ids', () => ({ pdu_ids: told, auth_chain_ids: [] }));
    stub.on('event', ({ rest: [eventId] }) => (eventId === before.eventId ? { pdus: [before.pdu] } : gone));
    await stub.send(a, { pdus: [pushed.pdu] });
    await settle(a);
    expect((await find(said.eventId))?.verdict).not.toBe('rejected');
    sharesNothing();
    await third.send(a, { pdus: [before.pdu, said.pdu] });
    await pass(2_000);
    expect(await textsOf(alice, room)).toEqual(['before', 'by trent', 'pushed']);
  });

  it('takes nothing back that was accepted', async () => {
    const there = StubRoom.create(stub, { creator: mallory, nowMs: () => a.clock.now() });
    const past = there.say(mallory, 'past');
    const topic = there.add({ type: 'm.room.topic', sender: mallory, state_key: '', content: { topic: 'true' } });
    there.serve();
    expect((await alice.call('POST', `/join/${encodeURIComponent(there.roomId)}?via=${stub.name}`, {})).status).toBe(
      200,
    );
    expect(await stateOf(alice, there.roomId, 'm.room.topic')).toEqual({ topic: 'true' });
    // History holds the topic, behind a state in which its sender had no power.
    const weak = there.build({ type: 'm.room.power_levels', sender: mallory, state_key: '', content: { users: {} } });
    const told = [...there.state.values()].filter(
      ({ pdu }) => pdu.type !== 'm.room.power_levels' && pdu.type !== 'm.room.topic',
    );
    stub.on('backfill', () => ({ pdus: [topic.pdu] }));
    stub.on('state_ids', () => ({
      pdu_ids: [...told.map(({ eventId }) => eventId), weak.eventId],
      auth_chain_ids: [],
    }));
    stub.on('event', ({ rest: [eventId] }) => {
      const known = [past, weak].find((event) => event.eventId === eventId);
      return known ? { pdus: [known.pdu] } : gone;
    });
    await historyOf(alice, there.roomId);
    await settle(a);
    expect((await find(topic.eventId))?.verdict).toBe('accepted');
    await there.server.send(a, { pdus: [there.say(mallory, 'still here').pdu] });
    await settle(a);
    expect(await textsOf(alice, there.roomId)).toContain('still here');
  });
});
