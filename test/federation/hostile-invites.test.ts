import { beforeEach, describe, expect, it } from 'vitest';
import type { EventId, RoomId, UserId } from '../../src/matrix/ids.ts';
import type { JsonObject } from '../../src/matrix/pdu.ts';
import { getRoomVersion } from '../../src/matrix/room-versions.ts';
import { HostileReply } from '../support/hostile-server.ts';
import { type SealedEvent, type StubEvent, StubRoom, seal } from '../support/stub-room.ts';
import { membershipOf, mindOf, path } from './rooms.ts';
import { a, alice, encoded, mallory, member, stub, third, useHostileServers } from './visit.ts';

useHostileServers();

const storage = () => a.running.lantern.storage;

describe('an invite of a hostile server', () => {
  let there: StubRoom;
  beforeEach(() => {
    there = StubRoom.create(stub, { creator: mallory, nowMs: () => a.clock.now() });
    there.serve();
  });

  const inviteOf = (userId: string, more: Partial<StubEvent> = {}): StubEvent => ({
    ...member(userId, 'invite'),
    sender: mallory,
    ...more,
  });
  const send = (event: SealedEvent, body: JsonObject = {}, at: { room?: string; eventId?: string } = {}) =>
    stub.call(a, 'PUT', `v2/invite/${encoded(at.room ?? there.roomId, at.eventId ?? event.eventId)}`, {
      event: event.pdu,
      room_version: '11',
      invite_room_state: there.stateList(),
      ...body,
    });
  const invited = async () => Object.keys((await alice.ok('GET', '/sync?timeout=0')).rooms?.invite ?? {});

  it('is shown when it is good, and given back with our signature', async () => {
    const invite = there.build(inviteOf(alice.userId));
    const { status, body } = await send(invite);
    expect(status).toBe(200);
    expect(Object.keys(body.event.signatures).sort()).toEqual([a.name, stub.name].sort());
    const { signatures, ...rest } = body.event;
    const { signatures: before, ...restBefore } = invite.pdu;
    expect(rest).toEqual(restBefore);
    expect(signatures).toMatchObject(before as JsonObject);
    expect(await invited()).toContain(there.roomId);
  });

  it('is refused and not shown when it is anything else', async () => {
    const bad = { status: 400 };
    const no = { status: 403, body: { errcode: 'M_FORBIDDEN' } };
    const good = there.build(inviteOf(alice.userId));
    expect(await send(good, { room_version: '99' })).toMatchObject({
      status: 400,
      body: { errcode: 'M_INCOMPATIBLE_ROOM_VERSION' },
    });
    expect(await send(good, { room_version: 11 })).toMatchObject(bad);
    expect(await send(good, {}, { eventId: '$other' })).toMatchObject(bad);
    expect(await send(good, {}, { room: `!other:${stub.name}` })).toMatchObject(bad);
    expect(await send(good, { event: [] })).toMatchObject(bad);
    expect(await send(good, { event: { type: 'x' } })).toMatchObject(bad);
    expect(await send(good, { invite_room_state: 'x' })).toMatchObject(bad);
    expect(await send(there.build(member(alice.userId, 'join')))).toMatchObject(bad);
    expect(await send(there.build({ ...inviteOf(alice.userId), type: 'm.room.name' }))).toMatchObject(bad);
    expect(await send(there.build(inviteOf(third.user('trent'))))).toMatchObject(bad);
    expect(await send(there.build(inviteOf(alice.userId, { sender: third.user('trent') })))).toMatchObject(no);
    expect(await send(there.build(inviteOf(alice.userId, { sender: alice.userId as UserId })))).toMatchObject(no);
    expect(await send(there.build(inviteOf(alice.userId), { signers: [] }))).toMatchObject(no);
    expect(await send(there.build(inviteOf(alice.userId), { signers: [third.signer] }))).toMatchObject(no);
    expect(await send(there.build(inviteOf(`@nobody:${a.name}`)))).toMatchObject({ status: 404 });
    expect(await invited()).not.toContain(there.roomId);
    expect(await storage().rooms.findMembership(there.roomId, alice.userId as UserId)).toBeUndefined();
  });

  it('shows of the stripped state only what is state', async () => {
    const invite = there.build(inviteOf(alice.userId));
    const odd = [
      { type: 'm.room.name', state_key: '', sender: mallory, content: { name: 'Trap' } },
      { type: 5 },
      {},
    ] as JsonObject[];
    expect((await send(invite, { invite_room_state: [...there.stateList(), ...odd] })).status).toBe(200);
    const events = (await alice.ok('GET', '/sync?timeout=0')).rooms.invite[there.roomId].invite_state.events;
    for (const event of events) {
      expect(Object.keys(event).sort()).toEqual(expect.arrayContaining(['content', 'sender', 'state_key', 'type']));
    }
    expect(events.filter(({ type }: JsonObject) => type === 'm.room.name')).toHaveLength(1);
  });

  it('to a room that we are in must be allowed by the room', async () => {
    const room = (await alice.createRoom({
      preset: 'public_chat',
      power_level_content_override: { invite: 50 },
    })) as RoomId;
    const bill = await a.register(`bill${Math.trunc(a.clock.monotonic())}`);
    const guest = await StubRoom.join(stub, a, room, mallory);
    const invite = guest.build(inviteOf(bill.userId));
    const answer = await send(invite, {}, { room });
    expect(answer).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } });
    expect(await membershipOf(alice, room, bill.userId)).toBeUndefined();
    expect(Object.keys((await bill.ok('GET', '/sync?timeout=0')).rooms?.invite ?? {})).toEqual([]);
    expect((await storage().events.find(invite.eventId as EventId))?.verdict).not.toBe('accepted');
  });

  it('to a room that we are in must be of its version', async () => {
    const room = await alice.createRoom({ preset: 'public_chat', power_level_content_override: { invite: 0 } });
    const guest = await StubRoom.join(stub, a, room, mallory);
    const ben = await a.register('ben');
    const invite = guest.build(inviteOf(ben.userId));
    expect(await send(invite, { room_version: '12' }, { room })).toMatchObject({ status: 400 });
    expect(await membershipOf(alice, room, ben.userId)).toBeUndefined();
    expect((await send(invite, {}, { room })).status).toBe(200);
    expect(await membershipOf(alice, room, ben.userId)).toBe('invite');
  });

  it('of somebody who is in the room already is refused', async () => {
    const room = await alice.createRoom({ preset: 'public_chat' });
    const guest = await StubRoom.join(stub, a, room, mallory);
    const answer = await send(guest.build(inviteOf(alice.userId)), {}, { room });
    expect(answer).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } });
    expect(await membershipOf(alice, room, alice.userId)).toBe('join');
  });

  it('can be taken back only by the server it came from', async () => {
    const invite = there.build(inviteOf(alice.userId));
    await send(invite);
    there.take(invite.pdu);
    const kick: StubEvent = { ...member(alice.userId, 'leave'), sender: mallory };
    const forged = there.build({ ...kick, sender: third.user('trent') }, { signers: [third.signer] });
    await third.send(a, { pdus: [forged.pdu] });
    const unsigned = there.build(kick, { signers: [] });
    await stub.send(a, { pdus: [unsigned.pdu] });
    expect(await invited()).toContain(there.roomId);
    await stub.send(a, { pdus: [there.build(kick).pdu] });
    expect(await invited()).not.toContain(there.roomId);
  });
});

describe('inviting a user of a hostile server', () => {
  let room: string;
  beforeEach(async () => {
    room = await alice.createRoom({ preset: 'private_chat' });
  });
  const invite = () => alice.call('POST', path(room, 'invite'), { user_id: mallory });

  it.each<[string, (event: JsonObject) => JsonObject | HostileReply]>([
    ['the event without its signature', (event) => ({ event })],
    ['another event', (event) => ({ event: { ...event, origin_server_ts: 5 } })],
    [
      'a bad signature',
      (event) => ({
        event: {
          ...event,
          signatures: { ...(event.signatures as JsonObject), [stub.name]: { [stub.signer.key.keyId]: 'A'.repeat(86) } },
        },
      }),
    ],
    ['nothing', () => ({})],
    ['no JSON', () => new HostileReply(200, 'yes')],
    ['500', () => new HostileReply(500, { errcode: 'M_UNKNOWN', error: 'x' })],
  ])('comes to nothing where it answers with %s', async (_what, make) => {
    stub.on('invite', ({ body }) => make(body.event));
    const before = await mindOf(a, room);
    expect((await invite()).status).toBe(502);
    expect(await mindOf(a, room)).toEqual(before);
  });

  it('is refused where that server refuses it', async () => {
    stub.on('invite', () => new HostileReply(403, { errcode: 'M_FORBIDDEN', error: 'not ours' }));
    expect(await invite()).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } });
    stub.on(
      'invite',
      () => new HostileReply(400, { errcode: 'M_INCOMPATIBLE_ROOM_VERSION', error: 'x', room_version: '11' }),
    );
    expect(await invite()).toMatchObject({ status: 400, body: { errcode: 'M_UNSUPPORTED_ROOM_VERSION' } });
    expect(await membershipOf(alice, room, mallory)).toBeUndefined();
  });

  it('stands when that server signed it, with nothing else that it added', async () => {
    stub.on('invite', ({ body }) => {
      const { hashes, signatures, ...event } = body.event;
      const signed = seal(event, getRoomVersion('11'), { signers: [stub.signer], hash: hashes.sha256 }).pdu
        .signatures as JsonObject;
      return { event: { ...body.event, unsigned: { x: 1 }, signatures: { ...signatures, ...signed } } };
    });
    expect((await invite()).status).toBe(200);
    expect(await membershipOf(alice, room, mallory)).toBe('invite');
    const asked = stub.asked('invite').at(-1)?.body;
    expect(asked.room_version).toBe('11');
    expect(asked.invite_room_state.map(({ type }: JsonObject) => type)).toContain('m.room.create');
  });
});
