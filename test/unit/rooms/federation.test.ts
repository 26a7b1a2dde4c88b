import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseRoomEventFilter } from '../../../src/matrix/filter.ts';
import type { EventId, RoomId, UserId } from '../../../src/matrix/ids.ts';
import type { JsonObject } from '../../../src/matrix/pdu.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import { roomVersionsToTry } from '../../support/property-runs.ts';
import { type TestHome, World } from './world.ts';

let world: World;
let hs1: TestHome;
let hs2: TestHome;
let alice: UserId;
let bob: UserId;

beforeEach(async () => {
  world = new World();
  hs1 = await world.add('hs1');
  hs2 = await world.add('hs2');
  alice = await hs1.user('alice');
  bob = await hs2.user('bob');
});
afterEach(() => world.stop());

const say = (home: TestHome, roomId: RoomId, sender: UserId, body: string) =>
  home.rooms.sending.sendEvent({ roomId, sender, type: 'm.room.message', content: { body } });
const joinFrom = (home: TestHome, roomId: RoomId, userId: UserId, ...servers: string[]) =>
  home.rooms.membership.join({ roomId, userId, servers: servers as ServerName[], content: {} });
const everything = parseRoomEventFilter({});

async function bodies(home: TestHome, roomId: RoomId, userId: UserId, limit = 100): Promise<unknown[]> {
  const viewer = { userId, deviceId: null };
  const found: unknown[] = [];
  let from: string | undefined;
  for (let page = 0; page < 20; page++) {
    const text = await home.rooms.history.listMessages(viewer, roomId, {
      direction: 'backward',
      from,
      to: undefined,
      limit,
      filter: everything,
    });
    const answer = JSON.parse(text) as { chunk: { content: JsonObject }[]; end?: string };
    found.push(...answer.chunk.map((event) => event.content.body).filter((body) => body !== undefined));
    if (answer.end === undefined) return found.reverse();
    from = answer.end;
  }
  throw new Error('too many pages');
}

async function stateOf(home: TestHome, roomId: RoomId): Promise<EventId[]> {
  return (await home.storage.state.listCurrentIds(roomId)).sort();
}

describe.each(roomVersionsToTry)('a room of version %s across servers', (version) => {
  let roomId: RoomId;
  beforeEach(async () => {
    roomId = await hs1.rooms.creating.createRoom(alice, { preset: 'public_chat', room_version: version, name: 'Ours' });
  });

  it('is joined, and the room is usable at once in both directions', async () => {
    await joinFrom(hs2, roomId, bob, 'hs1');
    expect(await stateOf(hs2, roomId)).toEqual(await stateOf(hs1, roomId));
    expect(hs1.roster.isJoined(roomId, bob)).toBe(true);
    expect(hs2.roster.isJoined(roomId, alice)).toBe(true);
    await say(hs2, roomId, bob, 'from bob');
    await world.deliver();
    await say(hs1, roomId, alice, 'from alice');
    await world.deliver();
    expect(await bodies(hs1, roomId, alice)).toEqual(['from bob', 'from alice']);
    expect(await bodies(hs2, roomId, bob)).toEqual(['from bob', 'from alice']);
  });

  it('shows the newcomer what was said before, in order, page by page', async () => {
    // More than one answer holds, in one version of each form of events; the pages are the same in all.
    const count = version === '1' || version === '12' ? 110 : 25;
    const said = Array.from({ length: count }, (_, index) => `message ${index}`);
    for (const text of said) await say(hs1, roomId, alice, text);
    await joinFrom(hs2, roomId, bob, 'hs1');
    expect(await bodies(hs2, roomId, bob, Math.ceil(count / 3))).toEqual(said);
  });

  it('resolves forks to the same state on both sides', async () => {
    await hs1.rooms.sending.sendEvent({
      roomId,
      sender: alice,
      type: 'm.room.power_levels',
      stateKey: '',
      content: { users: version === '12' ? { [bob]: 50 } : { [alice]: 100, [bob]: 50 } },
    });
    await joinFrom(hs2, roomId, bob, 'hs1');
    const rename = (home: TestHome, sender: UserId, name: string) =>
      home.rooms.sending.sendEvent({ roomId, sender, type: 'm.room.name', stateKey: '', content: { name } });
    await rename(hs1, alice, 'by alice');
    await rename(hs2, bob, 'by bob');
    await hs2.rooms.sending.sendEvent({
      roomId,
      sender: bob,
      type: 'm.room.topic',
      stateKey: '',
      content: { topic: 'of bob' },
    });
    await world.deliver();
    expect(await stateOf(hs1, roomId)).toEqual(await stateOf(hs2, roomId));
    expect((await hs1.storage.rooms.listExtremities(roomId)).length).toBe(2);
    await say(hs1, roomId, alice, 'merge');
    await world.deliver();
    expect(await hs2.storage.rooms.listExtremities(roomId)).toHaveLength(1);
    expect(await stateOf(hs1, roomId)).toEqual(await stateOf(hs2, roomId));
  });
});

describe('joining through others', () => {
  it('goes on to the next server when one does not know the room or does not answer', async () => {
    await world.add('hs3');
    const roomId = await hs1.rooms.creating.createRoom(alice, { preset: 'public_chat' });
    await joinFrom(hs2, roomId, bob, 'hs3', 'hs9', 'hs1');
    expect(hs2.asked.filter((call) => call.startsWith('makeJoin'))).toEqual([
      'makeJoin hs3',
      'makeJoin hs9',
      'makeJoin hs1',
    ]);
    expect(hs2.roster.isJoined(roomId, bob)).toBe(true);
  });

  it('says what the servers said', async () => {
    const roomId = await hs1.rooms.creating.createRoom(alice, { preset: 'private_chat' });
    await expect(joinFrom(hs2, roomId, bob, 'hs1')).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' });
    await expect(joinFrom(hs2, '!nowhere:hs1' as RoomId, bob, 'hs1')).rejects.toMatchObject({
      errcode: 'M_NOT_FOUND',
    });
    await expect(joinFrom(hs2, roomId, bob, 'hs9')).rejects.toMatchObject({ status: 502 });
  });

  it('lets two users who join at once both in, the second by way of the first', async () => {
    const roomId = await hs1.rooms.creating.createRoom(alice, { preset: 'public_chat' });
    const carol = await hs2.user('carol');
    await Promise.all([joinFrom(hs2, roomId, bob, 'hs1'), joinFrom(hs2, roomId, carol, 'hs1')]);
    expect(hs2.asked.filter((call) => call.startsWith('sendJoin'))).toEqual(['sendJoin hs1']);
    await world.deliver();
    expect(hs1.roster.isJoined(roomId, carol)).toBe(true);
  });

  it('comes back after having left, to the room as it is then', async () => {
    const roomId = await hs1.rooms.creating.createRoom(alice, { preset: 'public_chat' });
    const dave = await hs1.user('dave');
    await joinFrom(hs1, roomId, dave);
    await joinFrom(hs2, roomId, bob, 'hs1');
    await say(hs1, roomId, alice, 'one');
    await world.deliver();
    await hs2.rooms.membership.leave({ roomId, userId: bob, reason: undefined });
    await world.deliver();
    await say(hs1, roomId, alice, 'two');
    await hs1.rooms.membership.leave({ roomId, userId: dave, reason: undefined });
    await say(hs1, roomId, alice, 'three');
    await joinFrom(hs2, roomId, bob, 'hs1');
    expect(await stateOf(hs2, roomId)).toEqual(await stateOf(hs1, roomId));
    expect(hs2.roster.isJoined(roomId, dave)).toBe(false);
    expect(await bodies(hs2, roomId, bob)).toEqual(['one', 'two', 'three']);
  });

  it('tells a third server of the newcomer', async () => {
    const hs3 = await world.add('hs3');
    const carol = await hs3.user('carol');
    const roomId = await hs1.rooms.creating.createRoom(alice, { preset: 'public_chat' });
    await joinFrom(hs2, roomId, bob, 'hs1');
    await joinFrom(hs3, roomId, carol, 'hs1');
    await world.deliver();
    expect(hs2.roster.isJoined(roomId, carol)).toBe(true);
    expect(await stateOf(hs2, roomId)).toEqual(await stateOf(hs3, roomId));
  });

  it('enters a restricted room by the word of a server that can vouch', async () => {
    const space = await hs1.rooms.creating.createRoom(alice, { preset: 'public_chat' });
    const roomId = await hs1.rooms.creating.createRoom(alice, {
      initial_state: [
        {
          type: 'm.room.join_rules',
          content: { join_rule: 'restricted', allow: [{ type: 'm.room_membership', room_id: space }] },
        },
      ],
    });
    await expect(joinFrom(hs2, roomId, bob, 'hs1')).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' });
    await joinFrom(hs2, space, bob, 'hs1');
    await joinFrom(hs2, roomId, bob, 'hs1');
    const join = await hs2.storage.state.findCurrent(roomId, 'm.room.member', bob);
    expect(Object.keys(join?.event.pdu.signatures ?? {}).sort()).toEqual(['hs1', 'hs2']);
  });
});

describe('a restricted room that this server is in but cannot vouch for', () => {
  it('is entered by the word of another server, and by nobody who meets no condition', async () => {
    const space = await hs1.rooms.creating.createRoom(alice, { preset: 'public_chat' });
    const roomId = await hs1.rooms.creating.createRoom(alice, {
      preset: 'public_chat',
      initial_state: [
        {
          type: 'm.room.join_rules',
          content: { join_rule: 'restricted', allow: [{ type: 'm.room_membership', room_id: space }] },
        },
      ],
    });
    const carol = await hs2.user('carol');
    await joinFrom(hs2, space, bob, 'hs1');
    await joinFrom(hs2, roomId, bob, 'hs1');
    await world.deliver();
    await expect(joinFrom(hs2, roomId, carol, 'hs1')).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' });
    await joinFrom(hs2, space, carol, 'hs1');
    await world.deliver();
    await joinFrom(hs2, roomId, carol, 'hs1');
    expect(hs2.roster.isJoined(roomId, carol)).toBe(true);
    expect(hs1.roster.isJoined(roomId, carol)).toBe(true);
    expect(await stateOf(hs2, roomId)).toEqual(await stateOf(hs1, roomId));
    hs2.profiles.set(carol, { displayname: 'C', avatarUrl: null });
    const change = { kind: 'profile' as const, position: 1, userId: carol, before: null };
    await hs2.rooms.profileReaction.react({ ...change, after: { displayname: 'C', avatarUrl: null } });
    await world.deliver();
    const member = await hs1.storage.state.findCurrent(roomId, 'm.room.member', carol);
    expect(member?.event.pdu.content).toEqual({ membership: 'join', displayname: 'C' });
  });
});

describe('a restricted room in which one of ours just got the power to invite', () => {
  it('is entered by their word, though the news of it was still on its way here', async () => {
    const space = await hs1.rooms.creating.createRoom(alice, { preset: 'public_chat' });
    const allow = [{ type: 'm.room_membership', room_id: space }];
    const roomId = await hs1.rooms.creating.createRoom(alice, {
      preset: 'public_chat',
      initial_state: [{ type: 'm.room.join_rules', content: { join_rule: 'restricted', allow } }],
      power_level_content_override: { invite: 50 },
    });
    const carol = await hs2.user('carol');
    await joinFrom(hs2, space, bob, 'hs1');
    await joinFrom(hs2, space, carol, 'hs1');
    await joinFrom(hs2, roomId, bob, 'hs1');
    await world.deliver();
    const levels = await hs1.storage.state.findCurrent(roomId, 'm.room.power_levels', '');
    const content = { ...levels?.event.pdu.content, users: { [alice]: 100, [bob]: 50 } };
    await hs1.rooms.sending.sendEvent({ roomId, sender: alice, type: 'm.room.power_levels', stateKey: '', content });
    hs2.meanwhile = () => world.deliver();
    await joinFrom(hs2, roomId, carol, 'hs1');
    const join = await hs2.storage.state.findCurrent(roomId, 'm.room.member', carol);
    expect(join?.event.pdu.content).toMatchObject({ join_authorised_via_users_server: bob });
    expect(hs2.asked.filter((call) => call.startsWith('makeJoin'))).toHaveLength(2);
  });
});

describe('invites across servers', () => {
  it('are signed by the invited server, kept there with what tells the room, and taken', async () => {
    const roomId = await hs1.rooms.creating.createRoom(alice, {
      preset: 'private_chat',
      name: 'Secret',
      invite: [bob],
    });
    const row = await hs2.storage.rooms.findMembership(roomId, bob);
    expect(row).toMatchObject({ membership: 'invite', sender: alice });
    expect(row?.outOfBand?.strippedState.map((event) => event.type)).toContain('m.room.create');
    const invite = await hs1.storage.state.findCurrent(roomId, 'm.room.member', bob);
    expect(Object.keys(invite?.event.pdu.signatures ?? {}).sort()).toEqual(['hs1', 'hs2']);
    await joinFrom(hs2, roomId, bob);
    await world.deliver();
    expect(hs1.roster.isJoined(roomId, bob)).toBe(true);
  });

  it('can be given back', async () => {
    const roomId = await hs1.rooms.creating.createRoom(alice, { preset: 'private_chat', invite: [bob] });
    await hs2.rooms.membership.leave({ roomId, userId: bob, reason: 'no' });
    const member = await hs1.storage.state.findCurrent(roomId, 'm.room.member', bob);
    expect(member?.event.pdu.content).toEqual({ membership: 'leave', reason: 'no' });
    expect((await hs2.storage.rooms.findMembership(roomId, bob))?.membership).toBe('leave');
  });

  it('are gone here even when the other server is', async () => {
    const roomId = await hs1.rooms.creating.createRoom(alice, { preset: 'private_chat', invite: [bob] });
    hs2.unreachable.add('hs1');
    await hs2.rooms.membership.leave({ roomId, userId: bob, reason: undefined });
    expect(await hs2.storage.rooms.findMembership(roomId, bob)).toMatchObject({
      membership: 'leave',
      outOfBand: { event: { content: { membership: 'leave' } } },
    });
  });

  it('can be taken back by those who sent them', async () => {
    const roomId = await hs1.rooms.creating.createRoom(alice, { preset: 'private_chat', invite: [bob] });
    await hs1.rooms.membership.kick({ roomId, sender: alice, target: bob, reason: undefined });
    await world.deliver();
    expect((await hs2.storage.rooms.findMembership(roomId, bob))?.membership).toBe('leave');
  });

  it('fail for users who do not exist, and where the server cannot be asked', async () => {
    const roomId = await hs1.rooms.creating.createRoom(alice, {});
    const invite = (target: string) =>
      hs1.rooms.membership.invite({ roomId, sender: alice, target: target as UserId, reason: undefined });
    await expect(invite('@nobody:hs2')).rejects.toMatchObject({ status: 404 });
    await expect(invite('@bob:hs9')).rejects.toMatchObject({ status: 502 });
    expect(await hs1.storage.state.findCurrent(roomId, 'm.room.member', '@nobody:hs2')).toBeUndefined();
  });
});

describe('leaving across servers', () => {
  it('tells those who stay', async () => {
    const roomId = await hs1.rooms.creating.createRoom(alice, { preset: 'public_chat' });
    await joinFrom(hs2, roomId, bob, 'hs1');
    await hs2.rooms.membership.leave({ roomId, userId: bob, reason: undefined });
    await world.deliver();
    expect(hs1.roster.isJoined(roomId, bob)).toBe(false);
  });

  it('reaches a user who is kicked', async () => {
    const roomId = await hs1.rooms.creating.createRoom(alice, { preset: 'public_chat' });
    await joinFrom(hs2, roomId, bob, 'hs1');
    await hs1.rooms.membership.kick({ roomId, sender: alice, target: bob, reason: undefined });
    await world.deliver();
    expect(hs2.roster.isJoined(roomId, bob)).toBe(false);
  });
});
