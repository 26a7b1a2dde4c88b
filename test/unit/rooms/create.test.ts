import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DeviceId, RoomId, UserId } from '../../../src/matrix/ids.ts';
import type { JsonObject } from '../../../src/matrix/pdu.ts';
import { type TestHome, World } from './world.ts';

let world: World;
let home: TestHome;
let alice: UserId;
let bob: UserId;

beforeEach(async () => {
  world = new World();
  home = await world.add('hs1');
  alice = await home.user('alice');
  bob = await home.user('bob');
});
afterEach(() => world.stop());

async function content(roomId: RoomId, type: string, stateKey = ''): Promise<JsonObject | undefined> {
  return (await home.storage.state.findCurrent(roomId, type, stateKey))?.event.pdu.content;
}

async function timelineTypes(roomId: RoomId): Promise<string[]> {
  const events = await home.storage.events.listTimeline(roomId, 0, home.storage.position(), 100);
  return events.map((event) => event.type);
}

describe('creating a room', () => {
  it('writes the events in the order of the specification', async () => {
    home.aliases.clear();
    const roomId = await home.rooms.creating.createRoom(alice, {
      room_alias_name: 'pub',
      name: 'The pub',
      topic: 'Beer',
      initial_state: [{ type: 'm.room.encryption', content: { algorithm: 'm.megolm.v1.aes-sha2' } }],
      invite: [bob],
      is_direct: true,
    });
    expect(await timelineTypes(roomId)).toEqual([
      'm.room.create',
      'm.room.member',
      'm.room.power_levels',
      'm.room.canonical_alias',
      'm.room.join_rules',
      'm.room.history_visibility',
      'm.room.guest_access',
      'm.room.encryption',
      'm.room.name',
      'm.room.topic',
      'm.room.member',
    ]);
    expect(await content(roomId, 'm.room.topic')).toEqual({
      topic: 'Beer',
      'm.topic': { 'm.text': [{ body: 'Beer' }] },
    });
    expect(await content(roomId, 'm.room.member', bob)).toEqual({ membership: 'invite', is_direct: true });
    expect(await content(roomId, 'm.room.canonical_alias')).toEqual({ alias: '#pub:hs1' });
    expect(home.roster.isJoined(roomId, alice)).toBe(true);
    expect(home.steps).toContainEqual({ roomId, userId: bob, before: null, after: 'invite', predecessor: null });
  });

  it.each([
    ['private_chat', 'invite', { guest_access: 'can_join' }],
    // A room without the event forbids guests.
    ['public_chat', 'public', undefined],
  ] as const)('follows the preset %s', async (preset, joinRule, guestAccess) => {
    const roomId = await home.rooms.creating.createRoom(alice, { preset });
    expect(await content(roomId, 'm.room.join_rules')).toEqual({ join_rule: joinRule });
    expect(await content(roomId, 'm.room.guest_access')).toEqual(guestAccess);
    expect(await content(roomId, 'm.room.history_visibility')).toEqual({ history_visibility: 'shared' });
  });

  it('gives invitees of a trusted private chat the power of the creator', async () => {
    const roomId = await home.rooms.creating.createRoom(alice, { preset: 'trusted_private_chat', invite: [bob] });
    expect((await content(roomId, 'm.room.power_levels'))?.users).toEqual({ [alice]: 100, [bob]: 100 });
  });

  it.each([
    [{}, 150],
    [{ state_default: 200 }, 201],
    [{ events: { 'm.room.name': 1 } }, 150],
    [{ events: { 'm.room.tombstone': 60 } }, 60],
    [{ events: { 'm.room.tombstone': 50 } }, 150],
  ])('guards the tombstone above other state in version 12, with %j', async (override, level) => {
    const request = { room_version: '12', power_level_content_override: override };
    const roomId = await home.rooms.creating.createRoom(alice, request);
    const levels = await content(roomId, 'm.room.power_levels');
    expect(levels?.events).toMatchObject({ 'm.room.tombstone': level });
  });

  it('makes them creators in version 12, beside those that were asked for', async () => {
    const roomId = await home.rooms.creating.createRoom(alice, {
      room_version: '12',
      preset: 'trusted_private_chat',
      invite: [bob],
      creation_content: { additional_creators: ['@carol:hs1'] },
    });
    expect((await content(roomId, 'm.room.create'))?.additional_creators).toEqual(['@carol:hs1', bob]);
    expect((await content(roomId, 'm.room.power_levels'))?.users).toEqual({});
    const create = await home.storage.state.findCurrent(roomId, 'm.room.create', '');
    expect(roomId).toBe(`!${create?.event.eventId.slice(1)}`);
  });

  it('refuses what cannot be', async () => {
    const create = (body: JsonObject) => home.rooms.creating.createRoom(alice, body);
    await expect(create({ room_version: 'x' })).rejects.toMatchObject({ errcode: 'M_UNSUPPORTED_ROOM_VERSION' });
    await expect(create({ invite_3pid: [{}] })).rejects.toMatchObject({ errcode: 'M_THREEPID_DENIED' });
    await expect(
      create({ room_version: '12', creation_content: { additional_creators: ['nobody'] } }),
    ).rejects.toMatchObject({ errcode: 'M_BAD_JSON' });
    await expect(
      create({ room_version: '12', power_level_content_override: { users: { [alice]: 100 } } }),
    ).rejects.toMatchObject({ errcode: 'M_BAD_JSON' });
    await expect(create({ name: 'x', power_level_content_override: { users: { [bob]: 1 } } })).rejects.toMatchObject({
      errcode: 'M_INVALID_ROOM_STATE',
    });
    await expect(create({ creation_content: { bad: 1.5 } })).rejects.toMatchObject({ errcode: 'M_BAD_JSON' });
  });

  it('takes an alias once', async () => {
    await home.rooms.creating.createRoom(alice, { room_alias_name: 'pub' });
    await expect(home.rooms.creating.createRoom(bob, { room_alias_name: 'pub' })).rejects.toMatchObject({
      errcode: 'M_ROOM_IN_USE',
    });
  });
});

describe('sending', () => {
  const device = 'DEVICE' as DeviceId;

  it('answers the same transaction with the same event, and another device with another', async () => {
    const roomId = await home.rooms.creating.createRoom(alice, {});
    const send = (deviceId: DeviceId) =>
      home.rooms.sending.sendEvent({
        roomId,
        sender: alice,
        type: 'm.room.message',
        content: { body: 'hi' },
        transaction: { deviceId, scope: 'send', transactionId: '1' },
      });
    const [first, again] = await Promise.all([send(device), send(device)]);
    expect(again).toBe(first);
    expect(await send('OTHER' as DeviceId)).not.toBe(first);
  });

  it('is for members', async () => {
    const roomId = await home.rooms.creating.createRoom(alice, {});
    const message = { type: 'm.room.message', content: { body: 'hi' } };
    await expect(home.rooms.sending.sendEvent({ roomId, sender: bob, ...message })).rejects.toMatchObject({
      errcode: 'M_FORBIDDEN',
    });
    await expect(
      home.rooms.sending.sendEvent({ roomId: '!nowhere:hs1' as RoomId, sender: bob, ...message }),
    ).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' });
  });

  it('does not repeat state that holds', async () => {
    const roomId = await home.rooms.creating.createRoom(alice, {});
    const name = { roomId, sender: alice, type: 'm.room.name', stateKey: '', content: { name: 'a' } };
    const first = await home.rooms.sending.sendEvent(name);
    expect(await home.rooms.sending.sendEvent(name)).toBe(first);
    expect(await home.rooms.sending.sendEvent({ ...name, content: { name: 'b' } })).not.toBe(first);
  });

  it('redacts', async () => {
    const roomId = await home.rooms.creating.createRoom(alice, {});
    const target = await home.rooms.sending.sendEvent({
      roomId,
      sender: alice,
      type: 'm.room.message',
      content: { body: 'secret' },
    });
    const redaction = await home.rooms.sending.sendEvent({
      roomId,
      sender: alice,
      type: 'm.room.redaction',
      content: {},
      redacts: target,
    });
    const text = await home.rooms.history.getEvent({ userId: alice, deviceId: device }, roomId, target);
    const event = JSON.parse(text) as JsonObject & { unsigned: { redacted_because: JsonObject } };
    expect(event.content).toEqual({});
    expect(event.unsigned.redacted_because).toMatchObject({ event_id: redaction, redacts: target });
  });

  it('refuses power levels that are no integers or name a creator', async () => {
    const roomId = await home.rooms.creating.createRoom(alice, { room_version: '12' });
    const set = (levels: JsonObject) =>
      home.rooms.sending.sendEvent({
        roomId,
        sender: alice,
        type: 'm.room.power_levels',
        stateKey: '',
        content: levels,
      });
    await expect(set({ users: { [alice]: 100 } })).rejects.toMatchObject({ status: 400 });
    await expect(set({ ban: '50' })).rejects.toMatchObject({ status: 400 });
    await expect(set({ users: { [bob]: 2 ** 53 } })).rejects.toMatchObject({ status: 400 });
    await set({ users: { [bob]: 2 ** 53 - 1 } });
  });

  it('checks canonical aliases', async () => {
    const roomId = await home.rooms.creating.createRoom(alice, {});
    const set = (aliases: JsonObject) =>
      home.rooms.sending.sendEvent({
        roomId,
        sender: alice,
        type: 'm.room.canonical_alias',
        stateKey: '',
        content: aliases,
      });
    home.aliases.set('#here:hs1', roomId);
    home.aliases.set('#there:hs1', '!other:hs1' as RoomId);
    await set({ alias: '#here:hs1', alt_aliases: ['#here:hs1'] });
    await expect(set({ alias: '#gone:hs1' })).rejects.toMatchObject({ errcode: 'M_BAD_ALIAS' });
    await expect(set({ alias: '#here:hs1', alt_aliases: ['#there:hs1'] })).rejects.toMatchObject({
      errcode: 'M_BAD_ALIAS',
    });
    await expect(set({ alias: '%here:hs1' })).rejects.toMatchObject({ errcode: 'M_INVALID_PARAM' });
  });
});
