import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type UserId, userIdOf } from '../../src/matrix/ids.ts';
import type { ServerName } from '../../src/matrix/server-name.ts';
import { settle, TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { forbidden, getState, inRoom, type Json, membershipOf, newUser, notFound, refusal } from './rooms-support.ts';

let server: TestServer;
let sender: UserId;
let admin: TestUser;
let alice: TestUser;

beforeAll(async () => {
  server = await TestServer.start({ config: { server_notices: { display_name: 'The office', room_name: 'From us' } } });
  sender = userIdOf('_server', server.name as ServerName);
  admin = await newUser(server, 'admin');
  await server.running.lantern.storage.commit({ rows: [{ kind: 'account_admin', userId: admin.userId as UserId }] });
});
afterAll(() => server.stop());
beforeEach(async () => {
  alice = await newUser(server, 'alice');
});

const path = '/_synapse/admin/v1/send_server_notice';
const words = (body: string) => ({ msgtype: 'm.text', body });

async function notify(to: TestUser, body: string, more: Json = {}): Promise<string> {
  return (await admin.ok('POST', path, { user_id: to.userId, content: words(body), ...more })).event_id;
}

/** The one room that the user is invited to by the server. */
async function findInvite(user: TestUser): Promise<string> {
  const { rooms } = await user.sync();
  const invites = Object.entries<Json>(rooms?.invite ?? {}).filter(([, { invite_state: state }]) =>
    state.events.some((event: Json) => event.type === 'm.room.member' && event.sender === sender),
  );
  expect(invites).toHaveLength(1);
  return invites[0]?.[0] ?? '';
}

describe('a server notice', () => {
  it('stands in a room of the user and the server, which clients know by its tag', async () => {
    const eventId = await notify(alice, 'We move on Sunday');
    const roomId = await findInvite(alice);
    await alice.join(roomId);
    const room = (await alice.sync()).rooms.join[roomId];
    expect(room.timeline.events.find((event: Json) => event.event_id === eventId)).toMatchObject({
      type: 'm.room.message',
      sender,
      content: words('We move on Sunday'),
    });
    expect(room.account_data.events).toContainEqual({ type: 'm.tag', content: { tags: { 'm.server_notice': {} } } });
    expect((await getState(alice, roomId, 'm.room.name')).body).toEqual({ name: 'From us' });
    expect((await getState(alice, roomId, 'm.room.member', sender)).body.displayname).toBe('The office');
    expect(refusal(await alice.call('PUT', inRoom(roomId, 'send', 'm.room.message', 't'), words('me')))).toEqual(
      forbidden,
    );
  });

  it('does not let its invite be rejected, but the room be left, and is then invited to it again', async () => {
    await notify(alice, 'one');
    const roomId = await findInvite(alice);
    const refused = [403, 'M_CANNOT_LEAVE_SERVER_NOTICE_ROOM'];
    expect(refusal(await alice.call('POST', inRoom(roomId, 'leave'), {}))).toEqual(refused);
    const byState = inRoom(roomId, 'state', 'm.room.member', alice.userId);
    expect(refusal(await alice.call('PUT', byState, { membership: 'leave' }))).toEqual(refused);
    expect(refusal(await alice.call('POST', inRoom(roomId, 'kick'), { user_id: alice.userId }))).toEqual(refused);
    await alice.join(roomId);
    await alice.leave(roomId);
    await notify(alice, 'two');
    expect(await findInvite(alice)).toBe(roomId);
    const other = await newUser(server, 'other');
    const common = await other.createRoom({ invite: [alice.userId] });
    expect((await alice.call('POST', inRoom(common, 'leave'), {})).status).toBe(200);
  });

  it('comes into the one room, also when several are sent at once', async () => {
    await Promise.all([notify(alice, 'one'), notify(alice, 'two'), notify(alice, 'three')]);
    const roomId = await findInvite(alice);
    await alice.join(roomId);
    const { events } = (await alice.sync()).rooms.join[roomId].timeline;
    const bodies = events
      .filter((event: Json) => event.type === 'm.room.message')
      .map((event: Json) => event.content.body);
    expect(bodies.sort()).toEqual(['one', 'three', 'two']);
  });

  it('comes into another room for who has forgotten the first one', async () => {
    await notify(alice, 'one');
    const roomId = await findInvite(alice);
    await alice.join(roomId);
    await alice.leave(roomId);
    await alice.ok('POST', inRoom(roomId, 'forget'), {});
    await notify(alice, 'two');
    expect(await findInvite(alice)).not.toBe(roomId);
  });

  it('is sent once for a transaction, though its reader has left meanwhile', async () => {
    const put = (id: string, body: string) =>
      admin.ok('PUT', `${path}/${id}`, { user_id: alice.userId, content: words(body) });
    const first = await put('x', 'one');
    const roomId = await findInvite(alice);
    await alice.join(roomId);
    await alice.leave(roomId);
    expect(await put('x', 'one')).toEqual(first);
    expect(await membershipOf(alice, roomId, alice.userId)).toBe('leave');
    expect(await put('y', 'two')).not.toEqual(first);
  });

  it('may be state, such as what is pinned', async () => {
    const eventId = await notify(alice, 'Read this');
    const pinned = { type: 'm.room.pinned_events', state_key: '', content: { pinned: [eventId] } };
    await notify(alice, '', pinned);
    const roomId = await findInvite(alice);
    await alice.join(roomId);
    expect((await getState(alice, roomId, 'm.room.pinned_events')).body).toEqual({ pinned: [eventId] });
  });

  it('is for administrators to send, and for users of this server who exist', async () => {
    const body = { user_id: alice.userId, content: words('x') };
    expect(refusal(await alice.call('POST', path, body))).toEqual(forbidden);
    expect(refusal(await alice.call('PUT', `${path}/t`, body))).toEqual(forbidden);
    expect(refusal(await alice.call('POST', path, {}))).toEqual(forbidden);
    expect(refusal(await admin.call('POST', path, {}))).toEqual([400, 'M_MISSING_PARAM']);
    const to = async (user_id: string) => refusal(await admin.call('POST', path, { ...body, user_id }));
    expect(await to('@bob:far.test')).toEqual([400, 'M_INVALID_PARAM']);
    expect(await to(`@nobody:${server.name}`)).toEqual(notFound);
    expect(await to(sender)).toEqual(notFound);
    expect((await alice.sync()).rooms?.invite ?? {}).toEqual({});
  });

  it('holds nobody who deactivates', async () => {
    await notify(alice, 'one');
    const roomId = await findInvite(alice);
    const identifier = { type: 'm.id.user', user: alice.userId };
    const auth = { type: 'm.login.password', identifier, password: 'correct horse' };
    await alice.ok('POST', '/account/deactivate', { auth });
    await settle(server);
    const membership = await server.running.lantern.storage.rooms.findMembership(
      roomId as never,
      alice.userId as never,
    );
    expect(membership?.membership).toBe('leave');
    expect(refusal(await admin.call('POST', path, { user_id: alice.userId, content: words('two') }))).toEqual(notFound);
  });
});

describe('the user who speaks for the server', () => {
  it('cannot be registered, nor signed in as', async () => {
    await notify(alice, 'one');
    const { call } = { call: alice.call.bind(alice) };
    const register = await call('POST', '/register', {
      username: '_server',
      password: 'x',
      auth: { type: 'm.login.dummy' },
    });
    expect(refusal(register)).toEqual([400, 'M_INVALID_USERNAME']);
    const identifier = { type: 'm.id.user', user: sender };
    for (const password of ['', 'null', 'correct horse']) {
      expect(refusal(await call('POST', '/login', { type: 'm.login.password', identifier, password }))).toEqual(
        forbidden,
      );
    }
  });

  it('is in no rooms but those of its notices: nobody may invite it', async () => {
    await notify(alice, 'one');
    const roomId = await alice.createRoom();
    const member = inRoom(roomId, 'state', 'm.room.member', sender);
    expect(refusal(await alice.call('POST', inRoom(roomId, 'invite'), { user_id: sender }))).toEqual(forbidden);
    expect(refusal(await alice.call('PUT', member, { membership: 'invite' }))).toEqual(forbidden);
    expect(refusal(await alice.call('POST', '/createRoom', { invite: [sender] }))).toEqual(forbidden);
    expect((await getState(alice, roomId, 'm.room.member', sender)).status).toBe(404);
  });

  it('has no presence for anybody', async () => {
    await notify(alice, 'one');
    await alice.join(await findInvite(alice));
    await settle(server);
    const events = (await alice.sync()).presence?.events ?? [];
    expect(events.map((event: Json) => event.sender)).not.toContain(sender);
    expect((await alice.getPresence(sender)).body?.presence ?? 'offline').toBe('offline');
  });
});

describe('with auto_join', () => {
  it('users are in their room without being asked, are back with the next notice, and keep their one membership', async () => {
    const joining = await TestServer.start({ config: { server_notices: { auto_join: true } } });
    try {
      const root = await newUser(joining, 'root');
      const bob = await newUser(joining, 'bob');
      await joining.running.lantern.storage.commit({
        rows: [{ kind: 'account_admin', userId: root.userId as UserId }],
      });
      const tell = (body: string) => root.ok('POST', path, { user_id: bob.userId, content: words(body) });
      await tell('one');
      const [roomId = '', ...others] = Object.keys((await bob.sync()).rooms.join);
      expect(others).toEqual([]);
      const { event_id: before } = await bob.ok(
        'GET',
        `${inRoom(roomId, 'state', 'm.room.member', bob.userId)}?format=event`,
      );
      await tell('two');
      const { event_id: after } = await bob.ok(
        'GET',
        `${inRoom(roomId, 'state', 'm.room.member', bob.userId)}?format=event`,
      );
      expect(after).toBe(before);
      await bob.leave(roomId);
      await tell('three');
      expect(Object.keys((await bob.sync()).rooms.join)).toEqual([roomId]);
      const { chunk } = await bob.ok('GET', `${inRoom(roomId, 'messages')}?dir=b`);
      const bodies = chunk
        .filter(({ type }: Json) => type === 'm.room.message')
        .map(({ content }: Json) => content.body);
      expect(bodies).toEqual(['three', 'two', 'one']);
    } finally {
      await joining.stop();
    }
  });

  it('an invite from before the setting becomes a join with the next notice; without it, it waits', async () => {
    const first = await TestServer.start();
    const root = await newUser(first, 'root');
    const bob = await newUser(first, 'bob');
    await first.running.lantern.storage.commit({ rows: [{ kind: 'account_admin', userId: root.userId as UserId }] });
    const tell = (body: string) => root.ok('POST', path, { user_id: bob.userId, content: words(body) });
    await tell('one');
    await tell('two');
    const [roomId = ''] = Object.keys((await bob.sync()).rooms.invite);
    await first.stop({ keepData: true });
    const later = await TestServer.start({ config: { server_notices: { auto_join: true } }, resume: first });
    try {
      for (const user of [root, bob]) user.url = later.url;
      expect(Object.keys((await bob.sync()).rooms?.join ?? {})).toEqual([]);
      await tell('three');
      expect(Object.keys((await bob.sync()).rooms.join)).toEqual([roomId]);
    } finally {
      await later.stop();
    }
  });
});
