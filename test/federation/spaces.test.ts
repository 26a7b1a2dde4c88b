import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { getRoomVersion } from '../../src/matrix/room-versions.ts';
import { HostileReply, HostileServer } from '../support/hostile-server.ts';
import { settle, startPair, type TestServer } from '../support/server.ts';
import { seal } from '../support/stub-room.ts';
import type { TestUser } from '../support/user.ts';

let a: TestServer;
let b: TestServer;
let other: HostileServer;
let alice: TestUser;
let bob: TestUser;
beforeAll(async () => {
  [a, b] = await startPair();
  other = await HostileServer.start(a.clock.now());
  alice = await a.register('alice');
  bob = await b.register('bob');
});
afterAll(async () => {
  await a.stop();
  await b.stop();
  await other.stop();
});

// biome-ignore lint/suspicious/noExplicitAny: what a server answers
type Json = any;

const rule = (join_rule: string, allow?: string) => ({
  type: 'm.room.join_rules',
  content: { join_rule, ...(allow ? { allow: [{ type: 'm.room_membership', room_id: allow }] } : {}) },
});
const space = (by: TestUser, name: string, more: Json = {}) =>
  by.createRoom({ preset: 'public_chat', name, creation_content: { type: 'm.space' }, ...more });
const link = (by: TestUser, of: string, child: string, via: string, more: Json = {}) =>
  by.setState(of, 'm.space.child', { via: [via], ...more }, child);
const hierarchy = async (by: TestUser, roomId: string, asked = ''): Promise<string[]> => {
  const { rooms } = await by.ok('GET', `/_matrix/client/v1/rooms/${encodeURIComponent(roomId)}/hierarchy${asked}`);
  return rooms.map(({ room_id: id }: Json) => id);
};
const summary = (by: TestUser, roomId: string, via: string) =>
  by.call('GET', `/_matrix/client/v1/room_summary/${encodeURIComponent(roomId)}?via=${encodeURIComponent(via)}`);
/** What our server tells the other one. */
const asOther = (roomId: string, query = '') =>
  other.call(a, 'GET', `v1/hierarchy/${encodeURIComponent(roomId)}`, undefined, { query });
/** Remembered answers are of the past. */
const later = () => a.clock.advance(2 * 60_000);

describe('a space over several servers', () => {
  it('is told whole, also what is below the rooms of others', async () => {
    const root = await space(alice, 'Root');
    const there = await space(bob, 'There');
    const below = await bob.createRoom({ preset: 'public_chat', name: 'Below' });
    const back = await alice.createRoom({ preset: 'public_chat', name: 'Back' });
    await link(alice, root, there, b.name);
    await link(bob, there, below, b.name);
    await b.clock.advance(1);
    await link(bob, there, back, a.name);
    expect(await hierarchy(alice, root)).toEqual([root, there, below, back]);
    expect(await hierarchy(bob, there)).toEqual([there, below, back]);
    expect(await hierarchy(alice, root, '?max_depth=1')).toEqual([root, there]);
  });

  it('holds a restricted room for whoever is in a room that its server sees them in', async () => {
    const root = await space(alice, 'Root');
    const room = await bob.createRoom({ room_version: '8', initial_state: [rule('restricted', root)] });
    await link(alice, root, room, b.name);
    const carol = await a.register('carol');
    expect(await hierarchy(alice, root)).toEqual([root]);
    await bob.join(root, a.name);
    await settle(a, b);
    expect(await hierarchy(alice, root)).toEqual([root, room]);
    expect(await hierarchy(carol, root)).toEqual([root]);
  });

  it('is told without the rooms of a server that does not answer', async () => {
    const root = await space(alice, 'Root');
    const room = await alice.createRoom({ preset: 'public_chat' });
    await link(alice, root, '!lost:127.0.0.1:9', '127.0.0.1:9');
    await a.clock.advance(1);
    await link(alice, root, room, a.name);
    expect(await hierarchy(alice, root)).toEqual([root, room]);
  });
});

describe('what another server is told of a space', () => {
  it('is the space, the children that its users might enter, and the names of those they may not', async () => {
    const root = await space(alice, 'Root', { initial_state: [rule('public')] });
    const make = (name: string, ...state: Json[]) =>
      alice.createRoom({ name, room_version: '10', initial_state: state });
    const hidden = await make('hidden');
    const knock = await make('knock', rule('knock'));
    const invited = await make('invited');
    const restricted = await make('restricted', rule('restricted', root));
    for (const room of [hidden, knock, invited, restricted]) {
      await link(alice, root, room, a.name, { suggested: room === knock });
      await a.clock.advance(1);
    }
    await link(alice, root, '!elsewhere:else.test', 'else.test');
    const { status, body } = await asOther(root);
    expect(status).toBe(200);
    expect(body.room).toMatchObject({ room_id: root, name: 'Root', room_type: 'm.space' });
    expect(body.room.children_state).toHaveLength(5);
    expect(body.children.map(({ name }: Json) => name)).toEqual(['knock']);
    expect(body.inaccessible_children.sort()).toEqual([hidden, invited, restricted].sort());
    const suggested = (await asOther(root, '?suggested_only=true')).body;
    expect([suggested.room.children_state.length, suggested.children.length]).toEqual([1, 1]);
    other.on('invite', ({ body: { event } }) => ({
      event: seal(event, getRoomVersion('10'), { signers: [other.signer] }).pdu,
    }));
    await alice.invite(invited, other.user('mallory'));
    expect((await asOther(root)).body.children.map(({ name }: Json) => name)).toEqual(['knock', 'invited']);
  });

  it('is nothing of a space that it may not enter, does not exist, or keeps it out', async () => {
    const gone = { status: 404, body: { errcode: 'M_NOT_FOUND' } };
    expect(await asOther(await space(alice, 'Hidden', { preset: 'private_chat' }))).toMatchObject(gone);
    expect(await asOther(`!none:${a.name}`)).toMatchObject(gone);
    const closed = await space(alice, 'Closed', {
      initial_state: [{ type: 'm.room.server_acl', content: { allow: ['*'], deny: ['127.0.0.1'] } }],
    });
    expect(await asOther(closed)).toMatchObject(gone);
    expect((await asOther(closed, '?suggested_only=maybe')).status).toBe(400);
  });
});

describe('what another server tells of a space', () => {
  const said = (room: Json, more: Json = {}) => ({ room, children: [], inaccessible_children: [], ...more });
  let rooms = 0;
  const remote = (more: Json = {}): Json => {
    rooms += 1;
    const room_id = `!remote${rooms}:${other.name}`;
    return {
      room_id,
      join_rule: 'public',
      num_joined_members: 3,
      world_readable: false,
      guest_can_join: false,
      ...more,
    };
  };
  const child = (roomId: string, more: Json = {}) => ({
    type: 'm.space.child',
    state_key: roomId,
    sender: other.user('mallory'),
    content: { via: [other.name] },
    origin_server_ts: 1,
    ...more,
  });
  const tell = (answers: Record<string, Json>) =>
    other.on('hierarchy', ({ rest }) => answers[rest[0] ?? ''] ?? new HostileReply(404, { errcode: 'M_NOT_FOUND' }));
  const asked = () => other.asked('hierarchy').length;

  it('is used for its children too, which are not asked for again, and remembered for a while', async () => {
    const [room, no] = [remote({ name: 'R' }), remote()];
    const top = remote({
      room_type: 'm.space',
      children_state: [child(room.room_id), child(no.room_id, { origin_server_ts: 2 })],
    });
    tell({
      [top.room_id]: said(top, { children: [room], inaccessible_children: [no.room_id] }),
      [no.room_id]: said(no),
    });
    const before = asked();
    for (let n = 0; n < 2; n += 1) expect(await hierarchy(alice, top.room_id)).toEqual([top.room_id, room.room_id]);
    expect(asked()).toBe(before + 1);
    await later();
    await hierarchy(alice, top.room_id);
    expect(asked()).toBe(before + 2);
  });

  it('is left out where it is for another room, or has no shape, and where this user may not enter', async () => {
    const root = await space(alice, 'Root');
    const wrong = remote();
    const odd = remote();
    const invite = remote({ join_rule: 'invite' });
    const restricted = remote({ join_rule: 'restricted', allowed_room_ids: [root, 7] });
    const strange = remote({ join_rule: 'restricted', allowed_room_ids: [`!x:${other.name}`] });
    const open = remote({ join_rule: undefined, name: 7, num_joined_members: -1 });
    tell({
      [wrong.room_id]: said({ ...wrong, room_id: open.room_id }),
      [odd.room_id]: [] as never,
      ...Object.fromEntries([invite, restricted, strange, open].map((room) => [room.room_id, said(room)])),
    });
    for (const { room_id: id } of [wrong, odd, invite, restricted, strange, open]) {
      await link(alice, root, id, other.name);
      await a.clock.advance(1);
    }
    expect(await hierarchy(alice, root)).toEqual([root, restricted.room_id, open.room_id]);
    expect((await summary(alice, open.room_id, other.name)).body).toEqual({
      room_id: open.room_id,
      num_joined_members: 0,
      world_readable: false,
      guest_can_join: false,
      membership: 'leave',
    });
    expect((await summary(alice, invite.room_id, other.name)).status).toBe(404);
  });

  it('cannot keep us busy: circles end, and a page ends at its limit', async () => {
    const ids = Array.from({ length: 120 }, (_, n) => `!many${n}:${other.name}`);
    const top = remote({ room_type: 'm.space' });
    const state = [...ids, top.room_id].map((id, n) => child(id, { origin_server_ts: n }));
    const spaces = ids.map((room_id) => ({ ...remote({ room_type: 'm.space', children_state: state }), room_id }));
    tell(Object.fromEntries([{ ...top, children_state: state }, ...spaces].map((room) => [room.room_id, said(room)])));
    const first = await alice.ok(
      'GET',
      `/_matrix/client/v1/rooms/${encodeURIComponent(top.room_id)}/hierarchy?limit=1000`,
    );
    expect(first.rooms).toHaveLength(100);
    const rest = await hierarchy(alice, top.room_id, `?limit=1000&from=${first.next_batch}`);
    expect(rest).toHaveLength(21);
  });

  it('is not asked for by strangers', async () => {
    const room = remote();
    tell({ [room.room_id]: said(room) });
    const before = asked();
    const url = `${a.url}/_matrix/client/v1/room_summary/${encodeURIComponent(room.room_id)}?via=${other.name}`;
    expect((await fetch(url)).status).toBe(404);
    expect(asked()).toBe(before);
    expect((await summary(alice, room.room_id, other.name)).status).toBe(200);
  });
});
