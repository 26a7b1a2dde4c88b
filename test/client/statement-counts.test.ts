import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestServer } from '../support/server.ts';
import { StatementCounter } from '../support/statements.ts';
import type { TestUser } from '../support/user.ts';
import { encode, inRoom, newUser } from './rooms-support.ts';

/**
 * What a request asks of the database must not grow with rooms, members or events: each call is counted for a user with one of everything
 * and for one with many.
 */

const many = 25;

interface Life {
  readonly user: TestUser;
  readonly friend: TestUser;
  readonly rooms: readonly string[];
  /** One with as many members and events as there are rooms. */
  readonly room: string;
}

let server: TestServer;
let lives: { few: Life; many: Life };
const counter = new StatementCounter();

async function live(count: number): Promise<Life> {
  const user = await newUser(server, 'owner');
  const members: TestUser[] = [];
  for (let n = 0; n < count; n += 1) members.push(await newUser(server, 'member'));
  const [friend = user] = members;
  const rooms: string[] = [];
  for (let n = 0; n < count; n += 1) {
    const roomId = await user.createRoom({ visibility: 'public', name: `Room ${n}` });
    for (const member of n === 0 ? members : [friend]) await member.join(roomId);
    for (let k = 0; k < (n === 0 ? 2 * count : 2); k += 1) await user.say(roomId, `message ${k}`);
    await user.setState(roomId, 'm.room.topic', { topic: 'Topic' });
    rooms.push(roomId);
    const left = await friend.createRoom({ preset: 'public_chat' });
    await user.join(left);
    await user.leave(left);
    await friend.createRoom({ invite: [user.userId] });
  }
  return { user, friend, rooms, room: rooms[0] ?? '' };
}

beforeAll(async () => {
  server = await TestServer.start();
  lives = { few: await live(1), many: await live(many) };
  counter.start();
});
afterAll(async () => {
  counter.stop();
  await server.stop();
});

interface Call {
  readonly name: string;
  /** Statements of a server that has been running, at most. Raised only for a reason that a commit names. */
  readonly most: number;
  prepare?(life: Life): Promise<unknown>;
  make(life: Life): Promise<unknown>;
}

const lazy = JSON.stringify({ room: { state: { lazy_load_members: true } } });
const leavers = JSON.stringify({ room: { include_leave: true } });
const fresh = ({ user }: Life): void => {
  user.since = undefined;
};
const settled = async (life: Life): Promise<void> => {
  await life.user.sync();
  await server.settle();
};

const calls: readonly Call[] = [
  { name: 'an initial sync', most: 12, prepare: async (life) => fresh(life), make: ({ user }) => user.sync() },
  {
    name: 'an initial sync with lazy members',
    most: 14,
    prepare: async (life) => fresh(life),
    make: ({ user }) => user.sync({ filter: lazy }),
  },
  {
    name: 'an initial sync with the rooms that were left',
    most: 21,
    prepare: async (life) => fresh(life),
    make: ({ user }) => user.sync({ filter: leavers }),
  },
  { name: 'a sync without news', most: 1, prepare: settled, make: ({ user }) => user.sync() },
  {
    name: 'a sync with one event',
    most: 4,
    async prepare(life) {
      await settled(life);
      await life.friend.say(life.room, 'news');
      await server.settle();
    },
    make: ({ user }) => user.sync(),
  },
  {
    name: 'a sync with news in every room',
    most: 4,
    async prepare(life) {
      await settled(life);
      for (const roomId of life.rooms) await life.friend.say(roomId, 'news');
      await server.settle();
    },
    async make({ user, rooms }) {
      expect(Object.keys((await user.sync()).rooms.join)).toHaveLength(rooms.length);
    },
  },
  { name: 'sending', most: 33, prepare: settled, make: ({ user, room }) => user.say(room, 'sent') },
  { name: 'messages', most: 8, make: ({ user, room }) => user.ok('GET', `${inRoom(room, 'messages')}?dir=b&limit=50`) },
  {
    name: 'messages with lazy members',
    most: 9,
    make: ({ user, room }) =>
      user.ok('GET', `${inRoom(room, 'messages')}?dir=b&limit=50&filter=${encode('{"lazy_load_members":true}')}`),
  },
  {
    name: 'the context of an event',
    most: 23,
    async make({ user, room }) {
      const { chunk } = await user.ok('GET', `${inRoom(room, 'messages')}?dir=b&limit=1`);
      await user.ok('GET', `${inRoom(room, 'context', chunk[0].event_id)}?limit=40`);
    },
  },
  { name: 'members', most: 4, make: ({ user, room }) => user.ok('GET', inRoom(room, 'members')) },
  { name: 'joined members', most: 3, make: ({ user, room }) => user.ok('GET', inRoom(room, 'joined_members')) },
  { name: 'the state', most: 4, make: ({ user, room }) => user.ok('GET', inRoom(room, 'state')) },
  { name: 'the rooms of a user', most: 1, make: ({ user }) => user.ok('GET', '/joined_rooms') },
  { name: 'the public list', most: 3, make: ({ user }) => user.ok('POST', '/publicRooms', {}) },
  {
    name: 'a search for people',
    most: 3,
    make: ({ user }) => user.ok('POST', '/user_directory/search', { search_term: 'member' }),
  },
  {
    name: 'joining',
    most: 60,
    async prepare({ friend, room }) {
      await friend.leave(room);
      await server.settle();
    },
    make: ({ friend, room }) => friend.join(room),
  },
  {
    name: 'the newest message and its relations',
    most: 17,
    async make({ user, room }) {
      const { chunk } = await user.ok('GET', `${inRoom(room, 'messages')}?dir=b&limit=1`);
      await user.ok('GET', `/_matrix/client/v1/rooms/${encode(room)}/relations/${encode(chunk[0].event_id)}`);
    },
  },
  {
    name: 'a search in messages',
    most: 14,
    make: ({ user }) => user.ok('POST', '/search', { search_categories: { room_events: { search_term: 'message' } } }),
  },
  {
    name: 'the hierarchy of a room',
    most: 10,
    make: ({ user, room }) => user.ok('GET', `/_matrix/client/v1/rooms/${encode(room)}/hierarchy`),
  },
  {
    name: 'asking for the keys of everybody in a room',
    most: 6,
    async make({ user, room }) {
      const { joined } = await user.ok('GET', inRoom(room, 'joined_members'));
      const deviceKeys = Object.fromEntries(Object.keys(joined).map((userId) => [userId, []]));
      await user.ok('POST', '/keys/query', { device_keys: deviceKeys });
    },
  },
  {
    name: 'claiming a key of everybody in a room',
    most: 12,
    async make({ user, room }) {
      const { joined } = await user.ok('GET', inRoom(room, 'joined_members'));
      const oneTimeKeys = Object.fromEntries(
        Object.keys(joined).map((userId) => [userId, { DEVICE: 'signed_curve25519' }]),
      );
      await user.ok('POST', '/keys/claim', { one_time_keys: oneTimeKeys });
    },
  },
  {
    name: 'what changed of keys',
    most: 8,
    async make({ user }) {
      const { next_batch: from } = await user.sync();
      await user.ok('GET', `/keys/changes?from=${from}&to=${from}`);
    },
  },
  {
    name: 'a receipt',
    most: 16,
    async make({ user, room }) {
      const { chunk } = await user.ok('GET', `${inRoom(room, 'messages')}?dir=b&limit=1`);
      await user.ok('POST', inRoom(room, 'receipt', 'm.read', chunk[0].event_id), {});
    },
  },
  {
    name: 'typing',
    most: 2,
    make: ({ user, room }) => user.ok('PUT', inRoom(room, 'typing', user.userId), { typing: true, timeout: 1_000 }),
  },
  {
    name: 'media, sent and fetched',
    most: 14,
    async make({ user }) {
      const { content_uri: uri } = await user.ok('POST', '/_matrix/media/v3/upload', { some: 'json' });
      const { status } = await user.call(
        'GET',
        `/_matrix/client/v1/media/download/${String(uri).slice('mxc://'.length)}`,
      );
      expect(status).toBe(200);
    },
  },
  { name: 'a profile', most: 4, make: ({ user }) => user.ok('GET', `/profile/${encode(user.userId)}`) },
];

async function count(call: Call, life: Life): Promise<string[]> {
  await call.prepare?.(life);
  return counter.during(() => call.make(life));
}

describe('a server that has been running', () => {
  it.each(calls)('asks its database as little for many as for one: $name', async (call) => {
    await count(call, lives.few);
    await count(call, lives.many);
    const [few, more] = [await count(call, lives.few), await count(call, lives.many)];
    expect(more.length, more.join('\n')).toBeLessThanOrEqual(call.most);
    expect(more.length, more.join('\n')).toBeLessThanOrEqual(few.length + 2);
  });
});

describe('a server that has just started', () => {
  /** Layers of state and texts that stand for numbers are read when first asked for, all that are needed together. */
  const coldMax = 40;

  it.each(calls.filter(({ prepare }) => prepare === undefined || prepare.length === 1))(
    'asks for what it does not know yet together: $name',
    async (call) => {
      server = await server.restart();
      for (const { user, friend } of Object.values(lives)) for (const person of [user, friend]) person.url = server.url;
      await server.settle();
      const found = await count(call, lives.many);
      expect(found.length, found.join('\n')).toBeLessThanOrEqual(call.most + coldMax);
    },
  );
});
