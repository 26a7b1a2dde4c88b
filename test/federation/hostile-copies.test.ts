import { describe, expect, it } from 'vitest';
import type { EventId, RoomId, UserId } from '../../src/matrix/ids.ts';
import type { JsonObject } from '../../src/matrix/pdu.ts';
import { signJson } from '../../src/signing/sign-json.ts';
import { HostileReply } from '../support/hostile-server.ts';
import { settle } from '../support/server.ts';
import { type SealedEvent, type Sealing, type StubEvent, StubRoom } from '../support/stub-room.ts';
import { historyOf, membershipOf, mindOf, newTexts, path, stateOf, textsOf } from './rooms.ts';
import { a, alice, find, guest, mallory, message, room, stub, third, useVisit } from './visit.ts';

useVisit();

/** The same event with another content: its id and its signature cover what redaction keeps, and that is the same. */
function altered({ pdu }: SealedEvent, content: JsonObject = { body: 'altered' }, more: JsonObject = {}): JsonObject {
  return { ...pdu, content, ...more };
}

/** Trent of an honest third server joins, and the hostile server hears of it. */
async function letTrentIn(): Promise<UserId> {
  const trent = third.user('trent');
  await StubRoom.join(third, a, room, trent);
  await settle(a);
  guest.take(stub.receivedPdus().at(-1) ?? {});
  return trent;
}

const byTrent = (event: StubEvent, sealing: Sealing = {}) => guest.add(event, { signers: [third.signer], ...sealing });

describe('an event of an honest server of which a hostile one brings an altered copy first', () => {
  it('has its true content once a true copy comes, in its place, and is not shown again', async () => {
    const trent = await letTrentIn();
    const event = byTrent(message('as sent', { sender: trent }));
    await stub.send(a, { pdus: [altered(event)] });
    await settle(a);
    expect(await textsOf(alice, room)).toEqual(['(redacted)']);
    const before = await find(event.eventId);
    const mind = await mindOf(a, room);
    await alice.sync();
    const answer = await third.send(a, { pdus: [event.pdu] });
    expect(answer.body.pdus).toEqual({ [event.eventId]: {} });
    await settle(a);
    expect(await textsOf(alice, room)).toEqual(['as sent']);
    expect((await find(event.eventId))?.position).toBe(before?.position);
    expect(newTexts(await alice.sync(), room)).toEqual([]);
    expect(await mindOf(a, room)).toEqual(mind);
  });

  it('keeps its true content when the altered copy comes last, or again', async () => {
    const trent = await letTrentIn();
    const event = byTrent(message('as sent', { sender: trent }));
    for (const pdu of [event.pdu, altered(event), event.pdu, altered(event)]) await stub.send(a, { pdus: [pdu] });
    expect(await textsOf(alice, room)).toEqual(['as sent']);
  });

  it('gives a member the name that they chose', async () => {
    const trent = await letTrentIn();
    const content = { membership: 'join', displayname: 'Trent' };
    const event = byTrent({ type: 'm.room.member', sender: trent, state_key: trent, content });
    await stub.send(a, { pdus: [altered(event, { membership: 'join', displayname: 'Fool' })] });
    const members = async () => (await alice.ok('GET', path(room, 'joined_members'))).joined[trent];
    expect(await members()).not.toHaveProperty('display_name', 'Trent');
    await third.send(a, { pdus: [event.pdu] });
    expect(await stateOf(alice, room, 'm.room.member', trent)).toEqual(content);
    expect(await members()).toMatchObject({ display_name: 'Trent' });
  });

  it('stays empty where it was redacted meanwhile', async () => {
    const trent = await letTrentIn();
    const event = byTrent(message('secret', { sender: trent }));
    await stub.send(a, { pdus: [altered(event)] });
    await alice.ok('PUT', path(room, 'redact', event.eventId, 'r1'), {});
    await third.send(a, { pdus: [event.pdu] });
    await settle(a);
    expect(await textsOf(alice, room)).toEqual(['(redacted)']);
    expect(JSON.stringify((await find(event.eventId))?.event.pdu)).not.toContain('secret');
  });

  it('takes a true copy that another event made us ask for', async () => {
    const trent = await letTrentIn();
    const event = byTrent(message('as sent', { sender: trent }));
    await stub.send(a, { pdus: [altered(event)] });
    const unknown = byTrent(message('between', { sender: trent }));
    const last = byTrent(message('last', { sender: trent }));
    third.on('get_missing_events', () => ({ events: [event.pdu, unknown.pdu] }));
    await third.send(a, { pdus: [last.pdu] });
    await settle(a);
    expect(await textsOf(alice, room)).toEqual(['as sent', 'between', 'last']);
  });

  it('keeps what was judged where the rules refuse what it truly says', async () => {
    const power = await stateOf(alice, room, 'm.room.power_levels');
    const users = { ...power.users, [mallory]: 100 };
    await alice.setState(room, 'm.room.power_levels', { ...power, users });
    await settle(a);
    guest.take(stub.receivedPdus().at(-1) ?? {});
    // A redaction takes `notifications` away, and so what is wrong with them.
    const content = { users, notifications: { room: 'many' } };
    const event = guest.build({ type: 'm.room.power_levels', sender: mallory, state_key: '', content });
    await stub.send(a, { pdus: [altered(event, { users })] });
    expect(await find(event.eventId)).toMatchObject({ verdict: 'accepted' });
    await stub.send(a, { pdus: [event.pdu] });
    expect(await stateOf(alice, room, 'm.room.power_levels')).toEqual({ users });
  });
});

describe('an event that was rejected for what an altered copy lacks', () => {
  it('is judged again by a true one, and shown then', async () => {
    // Room version 10: what makes an invite one by a third party does not survive a redaction.
    const old = await alice.createRoom({
      preset: 'public_chat',
      room_version: '10',
      power_level_content_override: { invite: 0 },
    });
    const there = await StubRoom.join(stub, a, old, mallory);
    const keys = [{ public_key: third.signer.key.publicKey }];
    const token = {
      type: 'm.room.third_party_invite',
      sender: mallory,
      state_key: 't0',
      content: { public_keys: keys },
    };
    await stub.send(a, { pdus: [there.add(token).pdu] });
    const power = await stateOf(alice, old, 'm.room.power_levels');
    await alice.setState(old, 'm.room.power_levels', { ...power, invite: 50 });
    await settle(a);
    there.take(stub.receivedPdus().at(-1) ?? {});
    const guestOfThird = third.user('new');
    const signed = signJson({ mxid: guestOfThird, token: 't0' }, third.signer);
    const invite = there.add({
      type: 'm.room.member',
      sender: mallory,
      state_key: guestOfThird,
      content: { membership: 'invite', third_party_invite: { display_name: 'new', signed } },
    });
    await stub.send(a, { pdus: [altered(invite, { membership: 'invite' })] });
    expect(await find(invite.eventId)).toMatchObject({ verdict: 'rejected' });
    await alice.sync();
    await stub.send(a, { pdus: [invite.pdu] });
    await settle(a);
    expect(await find(invite.eventId)).toMatchObject({ verdict: 'accepted' });
    expect(await membershipOf(alice, old, guestOfThird)).toBe('invite');
    const { timeline } = (await alice.sync()).rooms.join[old];
    expect(timeline.events).toMatchObject([{ event_id: invite.eventId }]);
  });
});

describe('an altered copy of a redaction', () => {
  it('redacts once a true one comes, where its target is not protected', async () => {
    const old = await alice.createRoom({ preset: 'public_chat', room_version: '10' });
    const elsewhere = await StubRoom.join(stub, a, old, mallory);
    const said = elsewhere.say(mallory, 'regret');
    const redaction = elsewhere.add({ type: 'm.room.redaction', sender: mallory, more: { redacts: said.eventId } });
    await stub.send(a, { pdus: [said.pdu, altered(redaction, { reason: 'altered' })] });
    await settle(a);
    expect(await textsOf(alice, old)).toEqual(['regret']);
    await stub.send(a, { pdus: [redaction.pdu] });
    await settle(a);
    expect(await textsOf(alice, old)).toEqual(['(redacted)']);
    const seen = (await historyOf(alice, old)).find(({ event_id }) => event_id === said.eventId);
    expect(seen?.unsigned?.redacted_because).toMatchObject({ event_id: redaction.eventId });
  });
});

describe('an altered copy in the answer to a join', () => {
  it('counts without its content until a true one comes', async () => {
    const there = StubRoom.create(stub, { creator: mallory, nowMs: () => a.clock.now() });
    const topic = there.add({ type: 'm.room.topic', sender: mallory, state_key: '', content: { topic: 'true' } });
    there.serve();
    stub.on('send_join', () => ({
      state: there.stateList().map((pdu) => (pdu.type === 'm.room.topic' ? { ...pdu, content: { topic: 'x' } } : pdu)),
      auth_chain: there.authChainOf(there.state.values()),
    }));
    expect((await alice.call('POST', `/join/${encodeURIComponent(there.roomId)}?via=${stub.name}`, {})).status).toBe(
      200,
    );
    expect(await stateOf(alice, there.roomId, 'm.room.topic')).toEqual({});
    expect((await historyOf(alice, there.roomId)).map(({ event_id }) => event_id)).toContain(topic.eventId);
    expect(await stateOf(alice, there.roomId, 'm.room.topic')).toEqual({ topic: 'true' });
    const current = await a.running.lantern.storage.state.findCurrent(there.roomId as RoomId, 'm.room.topic', '');
    expect(current?.event.eventId).toBe(topic.eventId as EventId);
  });

  it('keeps its true content where history brings an altered copy', async () => {
    const there = StubRoom.create(stub, { creator: mallory, nowMs: () => a.clock.now() });
    const topic = there.add({ type: 'm.room.topic', sender: mallory, state_key: '', content: { topic: 'true' } });
    there.serve();
    expect((await alice.call('POST', `/join/${encodeURIComponent(there.roomId)}?via=${stub.name}`, {})).status).toBe(
      200,
    );
    stub.on('backfill', () => ({ pdus: [altered(topic, { topic: 'x' })] }));
    stub.on('event', () => new HostileReply(404, { errcode: 'M_NOT_FOUND' }));
    await historyOf(alice, there.roomId);
    expect((await find(topic.eventId))?.placement).toBe('historical');
    expect(await stateOf(alice, there.roomId, 'm.room.topic')).toEqual({ topic: 'true' });
  });
});
