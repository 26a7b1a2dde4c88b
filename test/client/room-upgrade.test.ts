import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { settle, startPair, type TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import {
  encode,
  forbidden,
  getState,
  inRoom,
  type Json,
  membershipOf,
  newUser,
  newUsers,
  refusal,
} from './rooms-support.ts';

let server: TestServer;
let other: TestServer;
beforeAll(async () => {
  [server, other] = await startPair();
});
afterAll(async () => {
  await server.stop();
  await other.stop();
});

async function upgrade(user: TestUser, roomId: string, version = '11', more: Json = {}): Promise<string> {
  return (await user.ok('POST', inRoom(roomId, 'upgrade'), { new_version: version, ...more })).replacement_room;
}

async function stateOf(user: TestUser, roomId: string, type: string): Promise<Json> {
  return (await getState(user, roomId, type)).body;
}

describe('the upgrade of a room', () => {
  it('makes a room with the state of the old one, and closes that', async () => {
    const [alice, bob] = await newUsers(server, 'alice', 'bob');
    const roomId = await alice.createRoom({
      preset: 'public_chat',
      room_version: '9',
      name: 'Name',
      topic: 'Topic',
      creation_content: { 'm.federate': false },
      power_level_content_override: { users: { [alice.userId]: 100, [bob.userId]: 60 } },
      initial_state: [
        { type: 'm.room.encryption', content: { algorithm: 'm.megolm.v1.aes-sha2' } },
        { type: 'm.room.history_visibility', content: { history_visibility: 'joined' } },
        { type: 'm.room.server_acl', content: { allow: ['*'] } },
        { type: 'custom', content: { a: 1 } },
      ],
    });
    await alice.ok('POST', inRoom(roomId, 'ban'), { user_id: bob.userId, reason: 'spam' });
    const next = await upgrade(alice, roomId);
    for (const type of [
      'name',
      'topic',
      'encryption',
      'history_visibility',
      'server_acl',
      'join_rules',
      'guest_access',
    ]) {
      const [before, after] = [
        await stateOf(alice, roomId, `m.room.${type}`),
        await stateOf(alice, next, `m.room.${type}`),
      ];
      expect([type, after]).toEqual([type, before]);
    }
    expect((await getState(alice, next, 'custom')).status).toBe(404);
    expect((await stateOf(alice, next, 'm.room.power_levels')).users).toEqual({
      [alice.userId]: 100,
      [bob.userId]: 60,
    });
    expect((await getState(alice, next, 'm.room.member', bob.userId)).body).toEqual({
      membership: 'ban',
      reason: 'spam',
    });
    expect(await membershipOf(alice, next, alice.userId)).toBe('join');
    const tombstone = await alice.ok('GET', `${inRoom(roomId, 'state', 'm.room.tombstone')}/?format=event`);
    expect(tombstone.content).toEqual({ body: 'This room has been replaced', replacement_room: next });
    expect(await stateOf(alice, next, 'm.room.create')).toEqual({
      room_version: '11',
      'm.federate': false,
      predecessor: { room_id: roomId, event_id: tombstone.event_id },
    });
    expect(await stateOf(alice, roomId, 'm.room.power_levels')).toMatchObject({ events_default: 50, invite: 50 });
  });

  it('moves the aliases of this server and the place in the public list', async () => {
    const alice = await newUser(server);
    const roomId = await alice.createRoom({ visibility: 'public', room_alias_name: 'moved' });
    const alias = `#moved:${server.name}`;
    const next = await upgrade(alice, roomId);
    expect((await alice.ok('GET', `/directory/room/${encode(alias)}`)).room_id).toBe(next);
    expect(await stateOf(alice, next, 'm.room.canonical_alias')).toEqual({ alias });
    expect(await stateOf(alice, roomId, 'm.room.canonical_alias')).toEqual({});
    const visibility = async (room: string) =>
      (await alice.ok('GET', `/directory/list/room/${encode(room)}`)).visibility;
    expect([await visibility(roomId), await visibility(next)]).toEqual(['private', 'public']);
    const unlisted = await alice.createRoom();
    expect(await visibility(await upgrade(alice, unlisted))).toBe('private');
  });

  it('is for those who may send a tombstone, and leaves nothing behind for others', async () => {
    const [alice, bob, eve] = await newUsers(server, 'alice', 'bob', 'eve');
    const roomId = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(roomId);
    for (const user of [bob, eve]) {
      const rooms = (await user.ok('GET', '/joined_rooms')).joined_rooms;
      for (const version of ['11', '12']) {
        expect(refusal(await user.call('POST', inRoom(roomId, 'upgrade'), { new_version: version }))).toEqual(
          forbidden,
        );
      }
      expect((await user.ok('GET', '/joined_rooms')).joined_rooms).toEqual(rooms);
    }
    expect((await getState(alice, roomId, 'm.room.tombstone')).status).toBe(404);
    const nowhere = inRoom('!nowhere:x', 'upgrade');
    expect(refusal(await alice.call('POST', nowhere, { new_version: '11' }))).toEqual(forbidden);
    const unknown = await alice.call('POST', inRoom(roomId, 'upgrade'), { new_version: 'no such' });
    expect(refusal(unknown)).toEqual([400, 'M_UNSUPPORTED_ROOM_VERSION']);
    const body = { new_version: '12', additional_creators: ['nobody'] };
    expect(refusal(await alice.call('POST', inRoom(roomId, 'upgrade'), body))).toEqual([400, 'M_BAD_JSON']);
    expect((await alice.call('POST', inRoom(roomId, 'upgrade'), {})).status).toBe(400);
  });

  it('to version 12 makes whoever does it a creator, and those they name', async () => {
    const [alice, bob, carol] = await newUsers(server, 'alice', 'bob', 'carol');
    const roomId = await alice.createRoom({ preset: 'public_chat', room_version: '11' });
    const users = { [alice.userId]: 100, [bob.userId]: 100, [carol.userId]: 100 };
    await bob.join(roomId);
    await alice.setState(roomId, 'm.room.power_levels', { users });
    const next = await upgrade(bob, roomId, '12', { additional_creators: [carol.userId] });
    expect(next).toMatch(/^![A-Za-z0-9_-]{43}$/);
    expect(await stateOf(bob, next, 'm.room.create')).toEqual({
      room_version: '12',
      additional_creators: [carol.userId],
      predecessor: { room_id: roomId },
    });
    const levels = await stateOf(bob, next, 'm.room.power_levels');
    expect([levels.users, levels.events['m.room.tombstone']]).toEqual([{ [alice.userId]: 100 }, 150]);
    expect((await stateOf(bob, roomId, 'm.room.tombstone')).replacement_room).toBe(next);
    const third = await upgrade(bob, next, '11');
    expect((await stateOf(bob, third, 'm.room.power_levels')).users).toMatchObject({
      [bob.userId]: 150,
      [carol.userId]: 150,
    });
  });

  it('pressed twice at once is one', async () => {
    const alice = await newUser(server);
    const roomId = await alice.createRoom();
    const [one, two] = await Promise.all([upgrade(alice, roomId), upgrade(alice, roomId)]);
    expect(one).toBe(two);
    expect((await alice.ok('GET', '/joined_rooms')).joined_rooms).toHaveLength(2);
  });

  it('takes along more bans than one commit holds, before anybody can come in', async () => {
    const alice = await newUser(server);
    const roomId = await alice.createRoom({ preset: 'public_chat' });
    for (let n = 0; n < 205; n += 1) {
      await alice.ok('POST', inRoom(roomId, 'ban'), { user_id: `@bad${n}:elsewhere.test` });
    }
    const next = await upgrade(alice, roomId);
    const { chunk } = await alice.ok('GET', `${inRoom(next, 'members')}?membership=ban`);
    expect(chunk).toHaveLength(205);
    const types = (await alice.ok('GET', `${inRoom(next, 'messages')}?dir=b&limit=2`)).chunk.map(
      ({ type }: Json) => type,
    );
    expect(types).toEqual(['m.room.power_levels', 'm.room.join_rules']);
  });

  it('takes along the rooms of a space', async () => {
    const alice = await newUser(server);
    const child = await alice.createRoom();
    const space = await alice.createRoom({ creation_content: { type: 'm.space' } });
    await alice.setState(space, 'm.space.child', { via: [server.name] }, child);
    const next = await upgrade(alice, space);
    expect((await getState(alice, next, 'm.space.child', child)).body).toEqual({ via: [server.name] });
    expect((await stateOf(alice, next, 'm.room.create')).type).toBe('m.space');
  });
});

describe('the settings of a member', () => {
  const tagsPath = (user: TestUser, roomId: string) => `/user/${encode(user.userId)}/rooms/${encode(roomId)}/tags`;
  async function settleSettings(user: TestUser, roomId: string): Promise<void> {
    await user.ok('PUT', `${tagsPath(user, roomId)}/m.favourite`, { order: 0.5 });
    await user.setAccountData('m.direct', { '@friend:x': [roomId], '@other:x': 'odd' });
    await user.ok('PUT', `/pushrules/global/room/${encode(roomId)}`, { actions: [] });
    await user.ok('PUT', `/pushrules/global/override/${encode(roomId)}`, {
      actions: [],
      conditions: [{ kind: 'event_match', key: 'room_id', pattern: roomId }],
    });
    await user.ok('PUT', `/pushrules/global/override/${encode(roomId)}/enabled`, { enabled: false });
  }
  async function settingsOf(user: TestUser, roomId: string): Promise<Json> {
    const { tags } = await user.ok('GET', tagsPath(user, roomId));
    const direct = await user.ok('GET', `/user/${encode(user.userId)}/account_data/m.direct`);
    const { global } = await user.ok('GET', '/pushrules/');
    const rule = (kind: string) => global[kind].find(({ rule_id: id }: Json) => id === roomId);
    return { tags, direct: direct['@friend:x'].includes(roomId), room: rule('room'), override: rule('override') };
  }
  const followed = (roomId: string) => ({
    tags: { 'm.favourite': { order: 0.5 } },
    direct: true,
    room: { rule_id: roomId, actions: [], default: false, enabled: true },
    override: {
      rule_id: roomId,
      actions: [],
      default: false,
      enabled: false,
      conditions: [{ kind: 'event_match', key: 'room_id', pattern: roomId }],
    },
  });
  const bare = { tags: {}, direct: false, room: undefined, override: undefined };

  it('follow to the replacement when they come to it', async () => {
    const [alice, bob] = await newUsers(server, 'alice', 'bob');
    const roomId = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(roomId);
    for (const user of [alice, bob]) await settleSettings(user, roomId);
    const next = await upgrade(alice, roomId);
    await server.settle();
    expect(await settingsOf(alice, next)).toEqual(followed(next));
    expect(await settingsOf(bob, next)).toEqual(bare);
    await bob.join(next);
    await server.settle();
    expect(await settingsOf(bob, next)).toEqual(followed(next));
    expect(await settingsOf(bob, roomId)).toEqual(followed(roomId));
  });

  it('follow where the rooms were made to replace each other by hand, and not before both say so', async () => {
    const alice = await newUser(server);
    const roomId = await alice.createRoom();
    await settleSettings(alice, roomId);
    const next = await alice.createRoom({ creation_content: { predecessor: { room_id: roomId } } });
    await server.settle();
    expect(await settingsOf(alice, next)).toEqual(bare);
    await alice.setState(roomId, 'm.room.tombstone', { body: 'x', replacement_room: next });
    await server.settle();
    expect(await settingsOf(alice, next)).toEqual(followed(next));
  });

  it('stay where they were set for the replacement already', async () => {
    const alice = await newUser(server);
    const roomId = await alice.createRoom();
    await settleSettings(alice, roomId);
    const next = await alice.createRoom({ creation_content: { predecessor: { room_id: roomId } } });
    await alice.ok('PUT', `${tagsPath(alice, next)}/u.own`, {});
    await alice.ok('PUT', `/pushrules/global/room/${encode(next)}`, { actions: ['notify'] });
    await alice.setState(roomId, 'm.room.tombstone', { body: 'x', replacement_room: next });
    await server.settle();
    const { tags, room } = await settingsOf(alice, next);
    expect([tags, room.actions]).toEqual([{ 'u.own': {} }, ['notify']]);
  });

  it('follow on another server too', async () => {
    const [alice, carol] = [await newUser(server), await newUser(other)];
    const roomId = await alice.createRoom({ preset: 'public_chat' });
    await carol.join(roomId, server.name);
    await settleSettings(carol, roomId);
    const next = await upgrade(alice, roomId);
    await settle(server, other);
    expect((await stateOf(carol, roomId, 'm.room.tombstone')).replacement_room).toBe(next);
    await carol.join(next, server.name);
    await settle(server, other);
    expect(await settingsOf(carol, next)).toEqual(followed(next));
  });
});
