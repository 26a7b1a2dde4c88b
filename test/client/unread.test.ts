import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { encode, inRoom, newUser } from './rooms-support.ts';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());

const byThread = JSON.stringify({ room: { timeline: { unread_thread_notifications: true } } });

interface Room {
  readonly alice: TestUser;
  readonly bob: TestUser;
  readonly roomId: string;
}

/** Of three people, so that it is no chat of two. */
async function makeRoom(): Promise<Room & { carol: TestUser }> {
  const [alice, bob, carol] = [
    await newUser(server, 'alice'),
    await newUser(server, 'bob'),
    await newUser(server, 'carol'),
  ];
  const roomId = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(roomId);
  await carol.join(roomId);
  await bob.sync();
  return { alice, bob, carol, roomId };
}

/** Notifications and highlights, as a client that begins anew is told. */
async function unreadOf(user: TestUser, roomId: string): Promise<[number, number]> {
  const { rooms } = await user.ok('GET', '/sync?timeout=0');
  const { notification_count, highlight_count } = rooms.join[roomId].unread_notifications;
  expect(rooms.join[roomId].unread_thread_notifications).toBeUndefined();
  return [notification_count, highlight_count];
}

async function threadsOf(user: TestUser, roomId: string): Promise<Record<string, [number, number]>> {
  const { rooms } = await user.ok('GET', `/sync?timeout=0&filter=${encode(byThread)}`);
  const { unread_notifications: main, unread_thread_notifications: threads = {} } = rooms.join[roomId];
  return Object.fromEntries(
    Object.entries<{ notification_count: number; highlight_count: number }>({ main, ...threads }).map(
      ([threadId, { notification_count, highlight_count }]) => [threadId, [notification_count, highlight_count]],
    ),
  );
}

const mention = (body: string, mentions: unknown) => ({ msgtype: 'm.text', body, 'm.mentions': mentions });
const inThread = (root: string, content: object = {}) => ({
  msgtype: 'm.text',
  body: 'in the thread',
  ...content,
  'm.relates_to': { rel_type: 'm.thread', event_id: root },
});
const receipt = (user: TestUser, roomId: string, eventId: string, body: unknown = {}, type = 'm.read') =>
  user.ok('POST', inRoom(roomId, 'receipt', type, eventId), body);
const putRule = (user: TestUser, path: string, body: unknown) => user.ok('PUT', `/pushrules/global/${path}`, body);

describe('what a user has not read', () => {
  it('is counted from their arrival, without what they said themselves', async () => {
    const { alice, bob, roomId } = await makeRoom();
    await alice.say(roomId, 'one');
    await alice.say(roomId, 'two');
    const dave = await newUser(server, 'dave');
    await dave.join(roomId);
    await alice.say(roomId, 'three');
    expect(await unreadOf(bob, roomId)).toEqual([3, 0]);
    expect(await unreadOf(dave, roomId)).toEqual([1, 0]);
    expect(await unreadOf(alice, roomId)).toEqual([0, 0]);
  });

  it('comes with the events that raise it', async () => {
    const { alice, bob, roomId } = await makeRoom();
    await alice.say(roomId, 'one');
    const first = await bob.sync();
    expect(first.rooms.join[roomId].unread_notifications).toEqual({ notification_count: 1, highlight_count: 0 });
    await alice.send(roomId, 'm.room.message', mention('two', { user_ids: [bob.userId] }));
    const second = await bob.sync();
    expect(second.rooms.join[roomId].unread_notifications).toEqual({ notification_count: 2, highlight_count: 1 });
  });

  it('goes with a receipt, public or private, and not with the marker of what is fully read', async () => {
    const { alice, bob, roomId } = await makeRoom();
    const first = await alice.say(roomId, 'one');
    const second = await alice.say(roomId, 'two');
    const third = await alice.say(roomId, 'three');
    await bob.sync();
    await bob.ok('POST', inRoom(roomId, 'read_markers'), { 'm.fully_read': third });
    expect(await unreadOf(bob, roomId)).toEqual([3, 0]);
    await receipt(bob, roomId, first);
    const told = await bob.sync();
    expect(told.rooms.join[roomId].unread_notifications.notification_count).toBe(2);
    await receipt(bob, roomId, second, {}, 'm.read.private');
    expect(await unreadOf(bob, roomId)).toEqual([1, 0]);
    // "the m.read receipt is now behind the m.read.private receipt"
    await receipt(bob, roomId, first);
    expect(await unreadOf(bob, roomId)).toEqual([1, 0]);
    await bob.ok('POST', inRoom(roomId, 'read_markers'), { 'm.read': third });
    expect(await unreadOf(bob, roomId)).toEqual([0, 0]);
  });

  it('wakes a waiting sync of another device when it is read, also where receipts are filtered', async () => {
    const { alice, bob, roomId } = await makeRoom();
    const eventId = await alice.say(roomId, 'one');
    const phone = await bob.newDevice();
    await phone.sync();
    const filter = JSON.stringify({ room: { ephemeral: { types: [] } } });
    const waiting = phone.sync({ timeout: '30000', filter });
    await receipt(bob, roomId, eventId, {}, 'm.read.private');
    const { rooms } = await waiting;
    expect(rooms.join[roomId].unread_notifications).toEqual({ notification_count: 0, highlight_count: 0 });
    expect(rooms.join[roomId].ephemeral.events).toEqual([]);
  });

  it('goes with a message of their own, of its thread, and stays with a change of their profile', async () => {
    const { alice, bob, roomId } = await makeRoom();
    const root = await alice.say(roomId, 'root');
    await alice.send(roomId, 'm.room.message', inThread(root));
    await bob.ok('PUT', `/profile/${encode(bob.userId)}/displayname`, { displayname: 'Bobby' });
    await server.settle();
    expect(await threadsOf(bob, roomId)).toEqual({ main: [1, 0], [root]: [1, 0] });
    await bob.say(roomId, 'here');
    expect(await threadsOf(bob, roomId)).toEqual({ main: [0, 0], [root]: [1, 0] });
    await bob.send(roomId, 'm.room.message', inThread(root));
    expect(await threadsOf(bob, roomId)).toEqual({ main: [0, 0] });
    expect(await threadsOf(alice, roomId)).toEqual({ main: [1, 0], [root]: [1, 0] });
  });

  it('is told by thread to whoever asks for that, and read by thread', async () => {
    const { alice, bob, roomId } = await makeRoom();
    const root = await alice.say(roomId, 'root');
    const first = await alice.send(roomId, 'm.room.message', inThread(root));
    const second = await alice.send(
      roomId,
      'm.room.message',
      inThread(root, { 'm.mentions': { user_ids: [bob.userId] } }),
    );
    const edit = {
      msgtype: 'm.text',
      body: '* edited',
      'm.mentions': { user_ids: [bob.userId] },
      'm.relates_to': { rel_type: 'm.annotation', event_id: second, key: 'x' },
    };
    const related = await alice.send(roomId, 'm.room.message', edit);
    await alice.say(roomId, 'main');
    expect(await threadsOf(bob, roomId)).toEqual({ main: [2, 0], [root]: [3, 2] });
    expect(await unreadOf(bob, roomId)).toEqual([5, 2]);
    await receipt(bob, roomId, root, { thread_id: 'main' });
    expect(await threadsOf(bob, roomId)).toEqual({ main: [1, 0], [root]: [3, 2] });
    await receipt(bob, roomId, first, { thread_id: root });
    expect(await threadsOf(bob, roomId)).toEqual({ main: [1, 0], [root]: [2, 2] });
    await receipt(bob, roomId, second);
    expect(await threadsOf(bob, roomId)).toEqual({ main: [1, 0], [root]: [1, 1] });
    await receipt(bob, roomId, related, { thread_id: root });
    expect(await threadsOf(bob, roomId)).toEqual({ main: [1, 0] });
  });

  it('is less by what was redacted', async () => {
    const { alice, bob, roomId } = await makeRoom();
    const shout = await alice.send(roomId, 'm.room.message', mention('you', { user_ids: [bob.userId] }));
    await alice.say(roomId, 'two');
    expect(await unreadOf(bob, roomId)).toEqual([2, 1]);
    await bob.sync();
    await alice.ok('PUT', inRoom(roomId, 'redact', shout, 'r1'), {});
    const { rooms } = await bob.sync();
    expect(rooms.join[roomId].unread_notifications).toEqual({ notification_count: 1, highlight_count: 0 });
  });

  it('begins anew for whoever left and came back', async () => {
    const { alice, bob, roomId } = await makeRoom();
    await alice.say(roomId, 'one');
    await bob.leave(roomId);
    await alice.say(roomId, 'two');
    await bob.join(roomId);
    expect(await unreadOf(bob, roomId)).toEqual([0, 0]);
    await alice.say(roomId, 'three');
    expect(await unreadOf(bob, roomId)).toEqual([1, 0]);
  });

  it('survives a restart', async () => {
    const { alice, bob, roomId } = await makeRoom();
    await alice.say(roomId, 'one');
    await putRule(bob, `room/${encode(roomId)}`, { actions: [] });
    server = await server.restart();
    for (const user of [alice, bob]) user.url = server.url;
    expect(await unreadOf(bob, roomId)).toEqual([1, 0]);
    await alice.say(roomId, 'two');
    expect(await unreadOf(bob, roomId)).toEqual([1, 0]);
  });
});

describe('whether an event notifies', () => {
  it('follows the default rules', async () => {
    const { alice, bob, roomId } = await makeRoom();
    const silent: [string, unknown][] = [
      ['m.room.message', { msgtype: 'm.notice', body: 'notice' }],
      ['m.reaction', { 'm.relates_to': { rel_type: 'm.annotation', event_id: '$x', key: 'x' } }],
      ['org.example.other', { body: 'what' }],
    ];
    for (const [type, content] of silent) await alice.send(roomId, type, content);
    await alice.setState(roomId, 'm.room.topic', { topic: 'Topic' });
    await alice.setState(roomId, 'm.room.server_acl', { allow: ['*'] });
    expect(await unreadOf(bob, roomId)).toEqual([0, 0]);
    await alice.send(roomId, 'm.room.encrypted', { algorithm: 'a', ciphertext: 'b' });
    await alice.send(roomId, 'm.call.invite', { call_id: 'x', version: '1', lifetime: 1, offer: {} });
    expect(await unreadOf(bob, roomId)).toEqual([2, 0]);
    await alice.setState(roomId, 'm.room.tombstone', { body: 'over', replacement_room: '!x:y' });
    expect(await unreadOf(bob, roomId)).toEqual([3, 1]);
  });

  it('is seen by whoever is named, and by the room where the sender may call it', async () => {
    const { alice, bob, carol, roomId } = await makeRoom();
    await alice.send(roomId, 'm.room.message', mention('bob', { user_ids: [bob.userId, 7, '@who:else'] }));
    expect([await unreadOf(bob, roomId), await unreadOf(carol, roomId)]).toEqual([
      [1, 1],
      [1, 0],
    ]);
    await alice.send(roomId, 'm.room.message', mention('@room', { room: true }));
    await carol.send(roomId, 'm.room.message', mention('@room', { room: true }));
    expect([await unreadOf(bob, roomId), await unreadOf(carol, roomId)]).toEqual([
      [3, 2],
      [0, 0],
    ]);
  });

  it('follows the rules of each user', async () => {
    const { alice, bob, carol, roomId } = await makeRoom();
    await putRule(bob, `room/${encode(roomId)}`, { actions: [] });
    await putRule(carol, 'content/word', { pattern: 'lantern', actions: ['notify', { set_tweak: 'highlight' }] });
    await alice.say(roomId, 'a Lantern!');
    expect([await unreadOf(bob, roomId), await unreadOf(carol, roomId)]).toEqual([
      [0, 0],
      [1, 1],
    ]);
    await bob.ok('DELETE', `/pushrules/global/room/${encode(roomId)}`);
    await carol.ok('PUT', '/pushrules/global/override/.m.rule.master/enabled', { enabled: true });
    await alice.say(roomId, 'lanterns');
    expect([await unreadOf(bob, roomId), await unreadOf(carol, roomId)]).toEqual([
      [1, 0],
      [1, 1],
    ]);
  });

  it('follows what somebody is called, for whoever has a rule that asks', async () => {
    const { alice, bob, roomId } = await makeRoom();
    await bob.ok('PUT', `/profile/${encode(bob.userId)}/displayname`, { displayname: 'Robert' });
    await server.settle();
    const conditions = [{ kind: 'contains_display_name' }];
    await putRule(bob, 'override/name', { conditions, actions: ['notify', { set_tweak: 'highlight' }] });
    await alice.say(roomId, 'Roberta');
    await alice.say(roomId, 'robert?');
    expect(await unreadOf(bob, roomId)).toEqual([2, 1]);
  });

  it('is not for whoever ignores the sender', async () => {
    const { alice, bob, carol, roomId } = await makeRoom();
    await bob.setAccountData('m.ignored_user_list', { ignored_users: { [alice.userId]: {} } });
    await alice.send(roomId, 'm.room.message', mention('hey', { user_ids: [bob.userId, carol.userId] }));
    expect([await unreadOf(bob, roomId), await unreadOf(carol, roomId)]).toEqual([
      [0, 0],
      [1, 1],
    ]);
    await bob.setAccountData('m.ignored_user_list', { ignored_users: {} });
    await alice.say(roomId, 'hey');
    expect(await unreadOf(bob, roomId)).toEqual([1, 0]);
  });
});
