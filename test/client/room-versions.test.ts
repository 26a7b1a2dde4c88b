import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { supportedRoomVersions } from '../../src/matrix/room-versions.ts';
import { TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { forbidden, getState, inRoom, type Json, messages, newUsers, refusal } from './rooms-support.ts';

let server: TestServer;
let alice: TestUser;
let bob: TestUser;
let carol: TestUser;

beforeAll(async () => {
  server = await TestServer.start();
  [alice, bob, carol] = await newUsers(server, 'alice', 'bob', 'carol');
});
afterAll(() => server.stop());

const stateOf = async (roomId: string, type: string): Promise<Json> => (await getState(alice, roomId, type)).body;
const act = (user: TestUser, action: string, roomId: string, target: TestUser) =>
  user.call('POST', inRoom(roomId, action), { user_id: target.userId });
const setLevels = (roomId: string, users: Record<string, unknown>, user = alice) =>
  user.call('PUT', inRoom(roomId, 'state', 'm.room.power_levels'), { users });

describe.each(supportedRoomVersions)('room version %s', (version) => {
  it('is made, talked in, joined, left and read like any other', async () => {
    const roomId = await alice.createRoom({ room_version: version, preset: 'public_chat', name: 'Name', topic: 'T' });
    expect((await stateOf(roomId, 'm.room.create')).room_version).toBe(version);
    await bob.join(roomId);
    const eventId = await bob.say(roomId, 'hello');
    expect((await alice.ok('GET', inRoom(roomId, 'event', eventId))).content.body).toBe('hello');
    expect(refusal(await act(bob, 'kick', roomId, alice))).toEqual(forbidden);
    expect((await act(alice, 'ban', roomId, bob)).status).toBe(200);
    expect(refusal(await bob.call('POST', inRoom(roomId, 'join'), {}))).toEqual(forbidden);
    expect((await act(alice, 'unban', roomId, bob)).status).toBe(200);
    await bob.join(roomId);
    expect((await bob.sync()).rooms.join[roomId].timeline.events.at(-1).state_key).toBe(bob.userId);
  });

  it('names its creator where the version has them', async () => {
    const roomId = await alice.createRoom({ room_version: version });
    const content = await stateOf(roomId, 'm.room.create');
    expect(content.creator).toBe(Number(version) <= 10 ? alice.userId : undefined);
    const { users } = await stateOf(roomId, 'm.room.power_levels');
    expect(users).toEqual(version === '12' ? {} : { [alice.userId]: 100 });
  });

  it('has no second create event', async () => {
    const roomId = await alice.createRoom({ room_version: version });
    const again = await alice.call('PUT', inRoom(roomId, 'state', 'm.room.create'), { room_version: version, x: 1 });
    expect(again.status).toBe(400);
    const other = await alice.call('PUT', inRoom(roomId, 'state', 'm.room.create', 'key'), { x: 1 });
    expect(other.status).toBeGreaterThanOrEqual(400);
    expect(other.status).toBeLessThan(500);
  });

  it('refuses power levels that are no integers', async () => {
    const roomId = await alice.createRoom({ room_version: version });
    for (const level of ['50', 50.5, true, null, 2 ** 53]) {
      expect([level, refusal(await setLevels(roomId, { [bob.userId]: level }))]).toEqual([level, [400, 'M_BAD_JSON']]);
    }
    for (const more of [
      { power_level_content_override: { ban: '50' } },
      { initial_state: [{ type: 'm.room.power_levels', content: { users: { [alice.userId]: '100' } } }] },
    ]) {
      expect(refusal(await alice.call('POST', '/createRoom', { room_version: version, ...more }))).toEqual([
        400,
        'M_BAD_JSON',
      ]);
    }
  });

  it.each(['private_chat', 'trusted_private_chat', 'public_chat'])('begins as the preset %s says', async (preset) => {
    const roomId = await alice.createRoom({ room_version: version, preset, invite: [bob.userId] });
    const asks = (await stateOf(roomId, 'm.room.join_rules')).join_rule;
    expect(asks).toBe(preset === 'public_chat' ? 'public' : 'invite');
    await bob.join(roomId);
    const isTrusted = preset === 'trusted_private_chat';
    const levels = { ...(await stateOf(roomId, 'm.room.power_levels')), ban: 49 };
    const change = await bob.call('PUT', inRoom(roomId, 'state', 'm.room.power_levels'), levels);
    expect(change.status).toBe(isTrusted ? 200 : 403);
    // Who shares the power of the creator cannot be thrown out by them either.
    expect((await act(alice, 'kick', roomId, bob)).status).toBe(isTrusted ? 403 : 200);
  });
});

describe('room version 12', () => {
  const createRoom = (more: Record<string, unknown> = {}): Promise<string> =>
    alice.createRoom({ room_version: '12', preset: 'public_chat', ...more });

  it('has an id that is the hash of its create event, which says so wherever it is given', async () => {
    const roomId = await createRoom();
    const createId = `$${roomId.slice(1)}`;
    expect(roomId).toMatch(/^![A-Za-z0-9_-]{43}$/);
    const eventId = await alice.say(roomId, 'x');
    const find = (events: Json[]): Json => events.find(({ type }) => type === 'm.room.create');
    const around = await alice.ok('GET', `${inRoom(roomId, 'context', eventId)}?limit=100`);
    const places: Json[] = [
      find(await alice.ok('GET', inRoom(roomId, 'state'))),
      find((await messages(alice, roomId)).chunk),
      await alice.ok('GET', inRoom(roomId, 'event', createId)),
      (await alice.ok('GET', inRoom(roomId, 'context', createId))).event,
      find(around.events_before),
      find(around.state),
      await alice.ok('GET', `${inRoom(roomId, 'state', 'm.room.create')}?format=event`),
    ];
    for (const event of places) expect([event.event_id, event.room_id]).toEqual([createId, roomId]);
    const synced = (await alice.sync()).rooms.join[roomId];
    expect(find([...synced.timeline.events, ...synced.state.events]).event_id).toBe(createId);
  });

  it('has another id each time, also for rooms that begin alike at the same moment', async () => {
    const rooms = await Promise.all(Array.from({ length: 5 }, () => createRoom()));
    expect(new Set(rooms).size).toBe(5);
  });

  it('has a creator above every level', async () => {
    const roomId = await createRoom();
    await bob.join(roomId);
    for (const level of [100, 949_342, Number.MAX_SAFE_INTEGER]) {
      expect((await setLevels(roomId, { [bob.userId]: level })).status).toBe(200);
      expect(refusal(await act(bob, 'kick', roomId, alice))).toEqual(forbidden);
      expect(refusal(await act(bob, 'ban', roomId, alice))).toEqual(forbidden);
      expect((await act(alice, 'kick', roomId, bob)).status).toBe(200);
      await bob.join(roomId);
    }
    await setLevels(roomId, {});
    expect((await alice.call('PUT', inRoom(roomId, 'state', 'm.room.name'), { name: 'still' })).status).toBe(200);
  });

  it('has no creator among the power levels', async () => {
    const roomId = await createRoom();
    expect(refusal(await setLevels(roomId, { [alice.userId]: 100 }))).toEqual([400, 'M_BAD_JSON']);
    const body = { room_version: '12', power_level_content_override: { users: { [alice.userId]: 100 } } };
    expect((await alice.call('POST', '/createRoom', body)).status).toBe(400);
    const other = await createRoom({ power_level_content_override: { users: { [bob.userId]: 100 } } });
    expect((await stateOf(other, 'm.room.power_levels')).users).toEqual({ [bob.userId]: 100 });
  });

  it('asks more for a tombstone than for other state', async () => {
    const roomId = await createRoom();
    expect((await stateOf(roomId, 'm.room.power_levels')).events['m.room.tombstone']).toBe(150);
    await bob.join(roomId);
    await setLevelsKeeping(roomId, { [bob.userId]: 100 });
    const path = inRoom(roomId, 'state', 'm.room.tombstone');
    expect(refusal(await bob.call('PUT', path, { body: 'x', replacement_room: '' }))).toEqual(forbidden);
    expect((await alice.call('PUT', path, { body: 'x', replacement_room: '' })).status).toBe(200);
  });

  async function setLevelsKeeping(roomId: string, users: Record<string, number>): Promise<void> {
    await alice.setState(roomId, 'm.room.power_levels', { ...(await stateOf(roomId, 'm.room.power_levels')), users });
  }

  it('takes further creators, who are their equals', async () => {
    const roomId = await createRoom({ creation_content: { additional_creators: [bob.userId] } });
    await bob.join(roomId);
    expect((await bob.call('PUT', inRoom(roomId, 'state', 'm.room.name'), { name: 'by bob' })).status).toBe(200);
    expect(refusal(await act(alice, 'kick', roomId, bob))).toEqual(forbidden);
    expect(refusal(await act(bob, 'kick', roomId, alice))).toEqual(forbidden);
    expect(refusal(await setLevels(roomId, { [bob.userId]: 100 }))).toEqual([400, 'M_BAD_JSON']);
  });

  it('makes creators of who is invited to a trusted private chat, beside those named', async () => {
    const roomId = await createRoom({
      preset: 'trusted_private_chat',
      is_direct: true,
      invite: [bob.userId],
      creation_content: { additional_creators: [carol.userId] },
    });
    const { additional_creators: creators } = await stateOf(roomId, 'm.room.create');
    expect([...creators].sort()).toEqual([bob.userId, carol.userId].sort());
    expect((await stateOf(roomId, 'm.room.power_levels')).users).toEqual({});
    const private_ = await createRoom({ preset: 'private_chat', invite: [bob.userId] });
    expect((await stateOf(private_, 'm.room.create')).additional_creators).toBeUndefined();
  });

  it.each([
    ['not a list', 400],
    [['@foo:example.com', 42], 400],
    [['@foo:example.com', 'not a user'], 400],
    [['@invalid:dom$ain$.com'], 400],
    [[], 200],
    [['@foo:example.com', '@bar:baz.code'], 200],
  ])('further creators %j: %i', async (creators, status) => {
    const body = { room_version: '12', creation_content: { additional_creators: creators } };
    expect((await alice.call('POST', '/createRoom', body)).status).toBe(status);
  });

  it('is redacted, aliased, tagged and forgotten by its id without a server', async () => {
    const roomId = await createRoom({ room_alias_name: 'twelve' });
    await bob.ok('POST', `/join/${encodeURIComponent(`#twelve:${server.name}`)}`, {});
    const eventId = await bob.say(roomId, 'x');
    await bob.ok('PUT', inRoom(roomId, 'redact', eventId, 't'), {});
    expect((await alice.ok('GET', inRoom(roomId, 'event', eventId))).content).toEqual({});
    const user = `/user/${encodeURIComponent(bob.userId)}/rooms/${encodeURIComponent(roomId)}`;
    await bob.ok('PUT', `${user}/tags/u.x`, {});
    await bob.ok('POST', inRoom(roomId, 'receipt', 'm.read', eventId), {});
    await bob.leave(roomId);
    await bob.ok('POST', inRoom(roomId, 'forget'), {});
    const filter = { room: { rooms: [roomId], include_leave: true } };
    expect((await alice.sync({ filter: JSON.stringify(filter) })).rooms.join[roomId]).toBeDefined();
  });

  it('tells who is invited the whole create event’s time', async () => {
    const roomId = await createRoom({ invite: [carol.userId] });
    const { events } = (await carol.sync()).rooms.invite[roomId].invite_state;
    const create = events.find(({ type }: Json) => type === 'm.room.create');
    expect(create).toMatchObject({ sender: alice.userId, state_key: '', content: { room_version: '12' } });
  });
});

describe('room version 3', () => {
  it('has ids with / and +, which stand percent-encoded in every path', async () => {
    const roomId = await alice.createRoom({ room_version: '3', preset: 'public_chat' });
    await bob.join(roomId);
    const ids: string[] = [];
    while (!ids.some((id) => id.includes('/')) || !ids.some((id) => /^[^/]*\+[^/]*$/.test(id))) {
      ids.push(await bob.say(roomId, `number ${ids.length}`));
    }
    const awkward = ids.filter((id) => /[/+]/.test(id));
    for (const eventId of awkward) {
      expect(eventId).toMatch(/^\$[A-Za-z0-9+/]{43}$/);
      expect((await alice.ok('GET', inRoom(roomId, 'event', eventId))).event_id).toBe(eventId);
      expect((await alice.ok('GET', inRoom(roomId, 'context', eventId))).event.event_id).toBe(eventId);
      await alice.ok('POST', inRoom(roomId, 'receipt', 'm.read', eventId), {});
      await alice.ok('POST', inRoom(roomId, 'read_markers'), { 'm.fully_read': eventId });
      await alice.ok('PUT', inRoom(roomId, 'redact', eventId, `redact ${eventId}`), {});
      const redacted = await alice.ok('GET', inRoom(roomId, 'event', eventId));
      expect(redacted.unsigned.redacted_because).toMatchObject({ redacts: eventId, content: { redacts: eventId } });
    }
    // A "+" means itself in a path, encoded or not.
    const plus = ids.find((id) => /^[^/]*\+[^/]*$/.test(id)) ?? '';
    const path = `/rooms/${encodeURIComponent(roomId)}/event/${plus.replace('$', '%24')}`;
    expect((await alice.ok('GET', path)).event_id).toBe(plus);
  });
});

describe('a server', () => {
  it('names the room versions it knows, and makes rooms of its default', async () => {
    const { capabilities } = await alice.ok('GET', '/capabilities');
    expect(capabilities['m.room_versions']).toEqual({
      default: '11',
      available: Object.fromEntries(supportedRoomVersions.map((version) => [version, 'stable'])),
    });
    expect((await stateOf(await alice.createRoom(), 'm.room.create')).room_version).toBe('11');
    expect(capabilities['m.change_password']).toEqual({ enabled: true });
  });

  it('may have another default', async () => {
    const other = await TestServer.start({
      config: { rooms: { default_version: '12' }, public_base_url: 'https://matrix.example.org/' },
    });
    const user = await other.register('user');
    const roomId = await user.createRoom();
    expect((await getState(user, roomId, 'm.room.create')).body.room_version).toBe('12');
    expect((await user.ok('GET', '/capabilities')).capabilities['m.room_versions'].default).toBe('12');
    expect(await user.ok('GET', '/.well-known/matrix/client')).toEqual({
      'm.homeserver': { base_url: 'https://matrix.example.org' },
    });
    await other.stop();
  });

  it('tells the versions of the specification to anybody, and no well-known document it was not told', async () => {
    const versions = await fetch(`${server.url}/_matrix/client/versions`);
    const body: Json = await versions.json();
    expect(body.versions).toEqual(expect.arrayContaining(['r0.6.1', 'v1.1']));
    for (const version of body.versions) expect(version).toMatch(/^(r0\.\d+\.\d+|v1\.\d+)$/);
    for (const flag of Object.values(body.unstable_features)) expect(typeof flag).toBe('boolean');
    const wellKnown = await fetch(`${server.url}/.well-known/matrix/client`);
    expect([wellKnown.status, ((await wellKnown.json()) as Json).errcode]).toEqual([404, 'M_NOT_FOUND']);
  });

  it('answers under r0 as under v3', async () => {
    const old = (path: string): string => `/_matrix/client/r0${path}`;
    const { room_id: roomId } = await alice.ok('POST', old('/createRoom'), { preset: 'public_chat' });
    await bob.ok('POST', old(`/join/${encodeURIComponent(roomId)}`), {});
    const { event_id: eventId } = await bob.ok('PUT', old(inRoom(roomId, 'send', 'm.room.message', 'r0')), {
      body: 'x',
    });
    expect((await alice.ok('GET', old(inRoom(roomId, 'event', eventId)))).sender).toBe(bob.userId);
    expect(await alice.ok('GET', old('/account/whoami'))).toEqual({
      user_id: alice.userId,
      device_id: alice.deviceId,
      is_guest: false,
    });
    for (const path of ['/joined_rooms', '/login', '/sync', '/capabilities', '/devices', inRoom(roomId, 'members')]) {
      expect([path, (await alice.call('GET', old(path))).status]).toEqual([path, 200]);
    }
    expect((await alice.call('GET', '/_matrix/client/v1/joined_rooms')).status).toBe(404);
    expect((await alice.call('GET', '/_matrix/client/r0/versions')).status).toBe(404);
  });
});
