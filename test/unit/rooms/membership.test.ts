import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RoomId, UserId } from '../../../src/matrix/ids.ts';
import type { JsonObject } from '../../../src/matrix/pdu.ts';
import { type TestHome, World } from './world.ts';

let world: World;
let home: TestHome;
let alice: UserId;
let bob: UserId;
let carol: UserId;

beforeEach(async () => {
  world = new World();
  home = await world.add('hs1');
  alice = await home.user('alice');
  bob = await home.user('bob');
  carol = await home.user('carol');
});
afterEach(() => world.stop());

const join = (roomId: RoomId, userId: UserId, content: JsonObject = {}) =>
  home.rooms.membership.join({ roomId, userId, servers: [], content });
const reasonless = { reason: undefined };

async function memberOf(roomId: RoomId, userId: UserId): Promise<JsonObject | undefined> {
  return (await home.storage.state.findCurrent(roomId, 'm.room.member', userId))?.event.pdu.content;
}

describe('joining', () => {
  it('lets anybody into a public room, with their profile and what the client adds', async () => {
    home.profiles.set(bob, { displayname: 'Bob', avatarUrl: 'mxc://hs1/a' });
    const roomId = await home.rooms.creating.createRoom(alice, { preset: 'public_chat' });
    await join(roomId, bob, { foo: 'bar', membership: 'ban' });
    expect(await memberOf(roomId, bob)).toEqual({
      membership: 'join',
      displayname: 'Bob',
      avatar_url: 'mxc://hs1/a',
      foo: 'bar',
    });
    expect(home.steps).toContainEqual({ roomId, userId: bob, before: null, after: 'join' });
  });

  it('writes the rows of the audience in the same commit', async () => {
    const roomId = await home.rooms.creating.createRoom(alice, { preset: 'public_chat' });
    home.audienceRows = [{ kind: 'profile', userId: carol, displayname: 'with it', avatarUrl: null }];
    await join(roomId, bob);
    expect((await home.storage.accounts.findProfile(carol))?.displayname).toBe('with it');
  });

  it('takes an invite for a private room, and not the wish alone', async () => {
    const roomId = await home.rooms.creating.createRoom(alice, { preset: 'private_chat' });
    await expect(join(roomId, bob)).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' });
    await home.rooms.membership.invite({ roomId, sender: alice, target: bob, ...reasonless });
    await join(roomId, bob);
    expect(home.roster.isJoined(roomId, bob)).toBe(true);
  });

  it('does nothing when the user is in already', async () => {
    const roomId = await home.rooms.creating.createRoom(alice, { preset: 'public_chat' });
    await join(roomId, bob);
    const before = home.storage.position();
    await join(roomId, bob);
    expect(home.storage.position()).toBe(before);
  });

  it('asks nobody about a room that nobody named a server for', async () => {
    await expect(join('!nowhere:hs1' as RoomId, bob)).rejects.toMatchObject({ errcode: 'M_NOT_FOUND' });
  });

  it('lets members of an allowed room into a restricted one, with the name of who vouches', async () => {
    const space = await home.rooms.creating.createRoom(alice, { preset: 'public_chat' });
    const roomId = await home.rooms.creating.createRoom(alice, {
      initial_state: [
        {
          type: 'm.room.join_rules',
          content: { join_rule: 'restricted', allow: [{ type: 'm.room_membership', room_id: space }] },
        },
      ],
    });
    await expect(join(roomId, bob)).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' });
    await join(space, bob);
    await join(roomId, bob);
    expect(await memberOf(roomId, bob)).toMatchObject({ join_authorised_via_users_server: alice });
  });
});

describe('leaving', () => {
  it('gives an invite back, also when nobody is left in the room', async () => {
    const roomId = await home.rooms.creating.createRoom(alice, { preset: 'private_chat' });
    await home.rooms.membership.invite({ roomId, sender: alice, target: bob, ...reasonless });
    await home.rooms.membership.leave({ roomId, userId: alice, reason: 'bye' });
    await home.rooms.membership.leave({ roomId, userId: bob, reason: undefined });
    expect(await memberOf(roomId, bob)).toEqual({ membership: 'leave' });
    expect(await memberOf(roomId, alice)).toEqual({ membership: 'leave', reason: 'bye' });
  });

  it('does nothing twice, and nothing for a stranger', async () => {
    const roomId = await home.rooms.creating.createRoom(alice, { preset: 'public_chat' });
    await expect(home.rooms.membership.leave({ roomId, userId: bob, reason: undefined })).rejects.toMatchObject({
      status: 403,
    });
    await join(roomId, bob);
    await home.rooms.membership.leave({ roomId, userId: bob, reason: undefined });
    await home.rooms.membership.leave({ roomId, userId: bob, reason: undefined });
    expect(home.roster.isJoined(roomId, bob)).toBe(false);
  });
});

describe('moderating', () => {
  it('kicks only who is there, bans anybody, and unbans only the banned', async () => {
    const roomId = await home.rooms.creating.createRoom(alice, { preset: 'public_chat' });
    const { kick, ban, unban } = home.rooms.membership;
    const bobs = { roomId, sender: alice, target: bob, ...reasonless };
    await expect(kick(bobs)).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' });
    await join(roomId, bob);
    await expect(kick({ ...bobs, sender: bob, target: alice })).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' });
    await expect(unban(bobs)).rejects.toMatchObject({ errcode: 'M_BAD_STATE' });
    await kick({ ...bobs, reason: 'out' });
    expect(await memberOf(roomId, bob)).toEqual({ membership: 'leave', reason: 'out' });
    await expect(kick(bobs)).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' });
    await ban(bobs);
    await expect(join(roomId, bob)).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' });
    await unban(bobs);
    await join(roomId, bob);
  });

  it('is for members', async () => {
    const roomId = await home.rooms.creating.createRoom(alice, { preset: 'public_chat' });
    await join(roomId, bob);
    await expect(
      home.rooms.membership.ban({ roomId, sender: carol, target: bob, ...reasonless }),
    ).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' });
    await expect(
      home.rooms.membership.invite({ roomId, sender: alice, target: alice, ...reasonless }),
    ).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' });
  });
});

describe('forgetting', () => {
  it('is for rooms one has left, and tells the audience', async () => {
    const roomId = await home.rooms.creating.createRoom(alice, { preset: 'public_chat' });
    await expect(home.rooms.membership.forget(roomId, alice)).rejects.toMatchObject({ errcode: 'M_UNKNOWN' });
    await home.rooms.membership.leave({ roomId, userId: alice, reason: undefined });
    await home.rooms.membership.forget(roomId, alice);
    expect(home.steps.at(-1)).toEqual({ roomId, userId: alice, before: 'leave', after: 'forgotten' });
    const viewer = { userId: alice, deviceId: null };
    await expect(home.rooms.state.listState(viewer, roomId)).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' });
  });
});

describe('a change of profile', () => {
  it('reaches the member event of each joined room, once', async () => {
    const roomId = await home.rooms.creating.createRoom(alice, { preset: 'public_chat' });
    await join(roomId, bob, { foo: 'bar' });
    home.profiles.set(bob, { displayname: 'Robert', avatarUrl: null });
    const change = {
      kind: 'profile' as const,
      position: 1,
      userId: bob,
      before: null,
      after: { displayname: 'stale', avatarUrl: null },
    };
    expect(await home.rooms.profileReaction.react(change)).toEqual([]);
    expect(await memberOf(roomId, bob)).toEqual({ membership: 'join', displayname: 'Robert', foo: 'bar' });
    const before = home.storage.position();
    await home.rooms.profileReaction.react(change);
    expect(home.storage.position()).toBe(before);
  });
});
