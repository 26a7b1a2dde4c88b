import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { getState, inRoom, type Json, keysOf, membershipOf, newUser, refusal } from './rooms-support.ts';

let server: TestServer;
let alice: TestUser;
let bob: TestUser;

beforeAll(async () => {
  server = await TestServer.start();
  alice = await newUser(server, 'alice');
  bob = await newUser(server, 'bob');
});
afterAll(() => server.stop());

const create = (body: unknown) => alice.call('POST', '/createRoom', body);
const stateOf = async (roomId: string, type: string): Promise<Json> => (await getState(alice, roomId, type)).body;
const aliasOf = (localpart: string): string => `#${localpart}:${server.name}`;
const resolve = (alias: string) => alice.call('GET', `/directory/room/${encodeURIComponent(alias)}`);

describe('a preset', () => {
  it.each([
    ['private_chat', 'invite', 'can_join'],
    ['trusted_private_chat', 'invite', 'can_join'],
    // A room without the event forbids guests.
    ['public_chat', 'public', undefined],
  ])('%s sets join rule, history visibility and guest access', async (preset, joinRule, guestAccess) => {
    const roomId = await alice.createRoom({ preset });
    expect(await stateOf(roomId, 'm.room.join_rules')).toEqual({ join_rule: joinRule });
    expect(await stateOf(roomId, 'm.room.history_visibility')).toEqual({ history_visibility: 'shared' });
    expect((await stateOf(roomId, 'm.room.guest_access')).guest_access).toEqual(guestAccess);
  });

  it.each([
    ['public', 'public'],
    ['private', 'invite'],
    [undefined, 'invite'],
  ])('left out follows from the visibility %s', async (visibility, joinRule) => {
    const roomId = await alice.createRoom({ visibility });
    expect(await stateOf(roomId, 'm.room.join_rules')).toEqual({ join_rule: joinRule });
  });

  it('wins over the visibility for the state, and the visibility for the directory', async () => {
    const roomId = await alice.createRoom({ preset: 'private_chat', visibility: 'public' });
    expect(await stateOf(roomId, 'm.room.join_rules')).toEqual({ join_rule: 'invite' });
    const listed = (room: string) => alice.ok('GET', `/directory/list/room/${encodeURIComponent(room)}`);
    expect(await listed(roomId)).toEqual({ visibility: 'public' });
    expect(await listed(await alice.createRoom({ preset: 'public_chat' }))).toEqual({ visibility: 'private' });
  });

  it('trusted_private_chat gives invitees the power of the creator, the others do not', async () => {
    for (const [preset, level] of [
      ['trusted_private_chat', 100],
      ['private_chat', undefined],
      ['public_chat', undefined],
    ] as const) {
      const roomId = await alice.createRoom({ preset, invite: [bob.userId] });
      const { users } = await stateOf(roomId, 'm.room.power_levels');
      expect([preset, users[bob.userId], users[alice.userId]]).toEqual([preset, level, 100]);
    }
  });

  it('is overridden by initial_state', async () => {
    const roomId = await alice.createRoom({
      preset: 'public_chat',
      initial_state: [
        { type: 'm.room.join_rules', content: { join_rule: 'knock' } },
        { type: 'm.room.guest_access', state_key: '', content: {} },
      ],
    });
    expect(await stateOf(roomId, 'm.room.join_rules')).toEqual({ join_rule: 'knock' });
    expect(await stateOf(roomId, 'm.room.guest_access')).toEqual({});
    expect(await stateOf(roomId, 'm.room.history_visibility')).toEqual({ history_visibility: 'shared' });
  });
});

describe('the events of a new room', () => {
  it('stand in the order of the specification, each with the state it needs', async () => {
    const roomId = await alice.createRoom({
      preset: 'public_chat',
      room_alias_name: 'ordered',
      initial_state: [{ type: 'test.first', state_key: 'key', content: { n: 1 } }],
      name: 'Name',
      topic: 'Topic',
      invite: [bob.userId],
    });
    const { chunk } = await alice.ok('GET', `${inRoom(roomId, 'messages')}?dir=f&limit=100`);
    expect(keysOf(chunk)).toEqual([
      'm.room.create|',
      `m.room.member|${alice.userId}`,
      'm.room.power_levels|',
      'm.room.canonical_alias|',
      'm.room.join_rules|',
      'm.room.history_visibility|',
      'test.first|key',
      'm.room.name|',
      'm.room.topic|',
      `m.room.member|${bob.userId}`,
    ]);
    for (const event of chunk) expect([event.sender, event.room_id]).toEqual([alice.userId, roomId]);
  });

  it('have name and topic, which overwrite those of initial_state', async () => {
    const roomId = await alice.createRoom({
      name: 'Name',
      topic: 'Topic',
      initial_state: [
        { type: 'm.room.name', content: { name: 'other' } },
        { type: 'm.room.topic', content: { topic: 'other' } },
      ],
    });
    expect(await stateOf(roomId, 'm.room.name')).toEqual({ name: 'Name' });
    expect(await stateOf(roomId, 'm.room.topic')).toEqual({
      topic: 'Topic',
      'm.topic': { 'm.text': [{ body: 'Topic' }] },
    });
  });

  it('have the topic of initial_state as it is when none is given beside it', async () => {
    const initial = [{ type: 'm.room.topic', state_key: '', content: { topic: 'Given' } }];
    const roomId = await alice.createRoom({ initial_state: initial });
    expect(await stateOf(roomId, 'm.room.topic')).toEqual({ topic: 'Given' });
    expect((await getState(alice, roomId, 'm.room.name')).status).toBe(404);
  });

  it('have what creation_content says, except for what the server decides', async () => {
    const roomId = await alice.createRoom({
      creation_content: {
        'm.federate': false,
        type: 'm.space',
        room_version: 'test',
        creator: '@x:y',
        other: ['kept'],
      },
    });
    expect(await stateOf(roomId, 'm.room.create')).toEqual({
      'm.federate': false,
      type: 'm.space',
      other: ['kept'],
      room_version: '11',
    });
  });

  it('have the power levels of the override on top of the default ones', async () => {
    const roomId = await alice.createRoom({
      power_level_content_override: { users_default: 10, events: { 'm.room.message': 5 }, 'test.more': 1 },
    });
    const levels = await stateOf(roomId, 'm.room.power_levels');
    expect(levels).toMatchObject({
      users_default: 10,
      events: { 'm.room.message': 5 },
      'test.more': 1,
      ban: 50,
      kick: 50,
      redact: 50,
      state_default: 50,
      events_default: 0,
      users: { [alice.userId]: 100 },
    });
    expect(Object.keys(levels.events)).toEqual(['m.room.message']);
  });

  it('have the creator’s profile', async () => {
    const carol = await newUser(server, 'carol');
    await carol.ok('PUT', `/profile/${carol.userId}/displayname`, { displayname: 'Carol' });
    const roomId = await carol.createRoom();
    expect((await getState(carol, roomId, 'm.room.member', carol.userId)).body).toEqual({
      membership: 'join',
      displayname: 'Carol',
    });
  });
});

describe('the invites of a new room', () => {
  it('reach who is named, once each, and not the creator', async () => {
    const roomId = await alice.createRoom({ invite: [bob.userId, bob.userId, alice.userId] });
    expect(await membershipOf(alice, roomId, bob.userId)).toBe('invite');
    expect(await membershipOf(alice, roomId, alice.userId)).toBe('join');
    expect((await bob.sync()).rooms.invite[roomId]).toBeDefined();
  });

  it('say is_direct where the room is', async () => {
    for (const direct of [true, false, undefined]) {
      const roomId = await alice.createRoom({ invite: [bob.userId], is_direct: direct });
      const { body } = await getState(alice, roomId, 'm.room.member', bob.userId);
      expect([direct, body.is_direct]).toEqual([direct, direct === true ? true : undefined]);
    }
  });

  it('of e-mail addresses are refused', async () => {
    const invite = { id_server: 'x', id_access_token: 'x', medium: 'email', address: 'a@b.c' };
    expect(refusal(await create({ invite_3pid: [invite] }))).toEqual([403, 'M_THREEPID_DENIED']);
    expect((await create({ invite_3pid: [] })).status).toBe(200);
  });
});

describe('the alias of a new room', () => {
  it('leads to it and is its canonical alias', async () => {
    const roomId = await alice.createRoom({ room_alias_name: 'lounge' });
    expect((await resolve(aliasOf('lounge'))).body.room_id).toBe(roomId);
    expect(await stateOf(roomId, 'm.room.canonical_alias')).toEqual({ alias: aliasOf('lounge') });
  });

  it('that is taken refuses the room, and nothing of it is left', async () => {
    const roomId = await alice.createRoom({ room_alias_name: 'taken' });
    const before = (await bob.ok('GET', '/joined_rooms')).joined_rooms;
    const again = await bob.call('POST', '/createRoom', { room_alias_name: 'taken' });
    expect(refusal(again)).toEqual([400, 'M_ROOM_IN_USE']);
    expect((await bob.ok('GET', '/joined_rooms')).joined_rooms).toEqual(before);
    expect((await resolve(aliasOf('taken'))).body.room_id).toBe(roomId);
  });

  it('is given to one of two that ask at once', async () => {
    const answers = await Promise.all([create({ room_alias_name: 'race' }), create({ room_alias_name: 'race' })]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 400]);
    const winner = answers.find(({ status }) => status === 200);
    expect((await resolve(aliasOf('race'))).body.room_id).toBe(winner?.body.room_id);
  });

  it.each(['with space', 'a:b', '', 'x'.repeat(256), 'nul\0'])('cannot be %j', async (name) => {
    const answer = await create({ room_alias_name: name });
    expect(answer.status).toBe(400);
    expect(answer.body.errcode).toMatch(/^M_(INVALID_PARAM|BAD_JSON)$/);
  });
});

describe('createRoom refuses', () => {
  const user = '@someone:elsewhere.test';
  it.each([
    [{ room_version: 'made-up' }, 'M_UNSUPPORTED_ROOM_VERSION'],
    [{ room_version: '' }, 'M_UNSUPPORTED_ROOM_VERSION'],
    [{ room_version: 1 }, 'M_BAD_JSON'],
    [{ preset: 'party' }, 'M_BAD_JSON'],
    [{ visibility: 'hidden' }, 'M_BAD_JSON'],
    [{ name: 7 }, 'M_BAD_JSON'],
    [{ topic: {} }, 'M_BAD_JSON'],
    [{ invite: 'bob' }, 'M_BAD_JSON'],
    [{ invite: ['bob'] }, 'M_BAD_JSON'],
    [{ invite: [user, 7] }, 'M_BAD_JSON'],
    [{ is_direct: 'yes' }, 'M_BAD_JSON'],
    [{ creation_content: [] }, 'M_BAD_JSON'],
    [{ initial_state: {} }, 'M_BAD_JSON'],
    [{ initial_state: [{ content: {} }] }, 'M_MISSING_PARAM'],
    [{ initial_state: [{ type: 'a' }] }, 'M_MISSING_PARAM'],
    [{ initial_state: [{ type: 'a', content: 'text' }] }, 'M_BAD_JSON'],
    [{ initial_state: [{ type: 'a', state_key: 7, content: {} }] }, 'M_BAD_JSON'],
    [{ power_level_content_override: [] }, 'M_BAD_JSON'],
    [{ room_alias_name: 7 }, 'M_BAD_JSON'],
  ])('%j', async (body, errcode) => {
    expect(refusal(await create(body))).toEqual([400, errcode]);
  });

  it.each([
    { power_level_content_override: { users: { 'not a user': 100 } } },
    { power_level_content_override: { ban: '50' } },
    { power_level_content_override: { users: { [user]: 50.5 } } },
    { power_level_content_override: { events: [] } },
  ])('power levels that are none: %j', async (body) => {
    const answer = await create(body);
    expect(answer.status).toBe(400);
    expect(answer.body.errcode).toMatch(/^M_(BAD_JSON|INVALID_ROOM_STATE)$/);
  });

  it('a room whose own rules would not let the creator write it', async () => {
    const body = { power_level_content_override: { users: { [alice.userId]: 0 } }, name: 'Name' };
    expect(refusal(await create(body))).toEqual([400, 'M_INVALID_ROOM_STATE']);
    const member = { type: 'm.room.member', state_key: bob.userId, content: { membership: 'join' } };
    expect(refusal(await create({ initial_state: [member] }))).toEqual([400, 'M_INVALID_ROOM_STATE']);
  });

  it('a name that no event can hold', async () => {
    const answer = await create({ name: 'x'.repeat(70_000) });
    expect([answer.status, answer.body.errcode]).toEqual([413, 'M_TOO_LARGE']);
  });

  it('and leaves nothing behind: the rooms are those that were made', async () => {
    const dora = await newUser(server, 'dora');
    await dora.call('POST', '/createRoom', { name: 'x'.repeat(70_000), room_alias_name: 'halfway' });
    await dora.call('POST', '/createRoom', {
      room_alias_name: 'halfway',
      power_level_content_override: { users: { [dora.userId]: 0 } },
    });
    expect(await dora.ok('GET', '/joined_rooms')).toEqual({ joined_rooms: [] });
    expect((await resolve(aliasOf('halfway'))).status).toBe(404);
    const roomId = await dora.createRoom({ room_alias_name: 'halfway' });
    expect(await dora.ok('GET', '/joined_rooms')).toEqual({ joined_rooms: [roomId] });
  });
});

it('fields that are null or unknown count as left out', async () => {
  const body = { name: null, topic: null, preset: null, invite: null, room_version: null, 'org.example': { x: 1 } };
  const roomId = await alice.createRoom(body);
  expect((await getState(alice, roomId, 'm.room.name')).status).toBe(404);
  expect(await stateOf(roomId, 'm.room.join_rules')).toEqual({ join_rule: 'invite' });
});
