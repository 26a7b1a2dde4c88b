import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { encode, forbidden, type Json, newUsers, notFound, query, refusal } from './rooms-support.ts';

let server: TestServer;
let alice: TestUser;
let bob: TestUser;
beforeAll(async () => {
  server = await TestServer.start();
  [alice, bob] = await newUsers(server, 'alice', 'bob');
});
afterAll(() => server.stop());

const worldReadable = { type: 'm.room.history_visibility', content: { history_visibility: 'world_readable' } };
const rule = (join_rule: string, allow?: string) => ({
  type: 'm.room.join_rules',
  content: { join_rule, ...(allow ? { allow: [{ type: 'm.room_membership', room_id: allow }] } : {}) },
});
const spaceOf = (by: TestUser, name: string, more: Json = {}) =>
  by.createRoom({ preset: 'public_chat', name, creation_content: { type: 'm.space' }, ...more });
const link = (by: TestUser, space: string, child: string, more: Json = {}) =>
  by.setState(space, 'm.space.child', { via: [server.name], ...more }, child);

const path = (roomId: string, parameters: Record<string, string> = {}) =>
  `/_matrix/client/v1/rooms/${encode(roomId)}/hierarchy${query(parameters)}`;
const hierarchy = (by: TestUser, roomId: string, parameters: Record<string, string> = {}): Promise<Json> =>
  by.ok('GET', path(roomId, parameters));
const idsOf = ({ rooms }: Json): string[] => rooms.map(({ room_id: id }: Json) => id);
const namesOf = ({ rooms }: Json): string[] => rooms.map(({ name }: Json) => name);

/** Root → (A, Sub → (B, C), D). */
async function tree(): Promise<Record<'root' | 'a' | 'sub' | 'b' | 'c' | 'd', string>> {
  const root = await spaceOf(alice, 'Root');
  const sub = await spaceOf(alice, 'Sub');
  const room = (name: string) => alice.createRoom({ preset: 'public_chat', name });
  const [a, b, c, d] = [await room('A'), await room('B'), await room('C'), await room('D')];
  await link(alice, root, a, { suggested: true });
  await server.clock.advance(1);
  await link(alice, root, sub);
  await server.clock.advance(1);
  await link(alice, root, d, { suggested: true });
  await link(alice, sub, b);
  await server.clock.advance(1);
  await link(alice, sub, c);
  return { root, a, sub, b, c, d };
}

describe('the hierarchy of a space', () => {
  it('is told depth first, each room with what it says of itself, spaces with their children', async () => {
    const { root, a, sub, b, c, d } = await tree();
    const told = await hierarchy(bob, root);
    expect(idsOf(told)).toEqual([root, a, sub, b, c, d]);
    expect(told.next_batch).toBeUndefined();
    expect(told.rooms[0]).toEqual({
      room_id: root,
      name: 'Root',
      num_joined_members: 1,
      join_rule: 'public',
      guest_can_join: false,
      world_readable: false,
      room_type: 'm.space',
      room_version: expect.any(String),
      children_state: [a, sub, d].map((child) => ({
        type: 'm.space.child',
        state_key: child,
        sender: alice.userId,
        content: expect.objectContaining({ via: [server.name] }),
        origin_server_ts: expect.any(Number),
      })),
    });
    expect(told.rooms[1]).toMatchObject({ room_id: a, children_state: [] });
  });

  it('ends at the depth that was asked for', async () => {
    const { root, a, sub, d } = await tree();
    expect(idsOf(await hierarchy(alice, root, { max_depth: '0' }))).toEqual([root]);
    const one = await hierarchy(alice, root, { max_depth: '1' });
    expect(idsOf(one)).toEqual([root, a, sub, d]);
    expect(one.rooms[2].children_state).toHaveLength(2);
  });

  it('follows suggested children only where that was asked for', async () => {
    const { root, a, d } = await tree();
    const told = await hierarchy(alice, root, { suggested_only: 'true' });
    expect(idsOf(told)).toEqual([root, a, d]);
    expect(told.rooms[0].children_state).toHaveLength(2);
  });

  it('comes in pages that go on where the one before ended, also when one is asked for twice', async () => {
    const { root, a, sub, b, c, d } = await tree();
    const first = await hierarchy(alice, root, { limit: '4' });
    expect(idsOf(first)).toEqual([root, a, sub, b]);
    for (let n = 0; n < 2; n += 1) {
      const second = await hierarchy(alice, root, { limit: '1', from: first.next_batch });
      expect(idsOf(second)).toEqual([c]);
      const third = await hierarchy(alice, root, { from: second.next_batch });
      expect([idsOf(third), third.next_batch]).toEqual([[d], undefined]);
    }
    const whole = await hierarchy(alice, root, { limit: '6' });
    expect(whole.next_batch).toBeUndefined();
  });

  it('refuses a token that is nobody’s, another’s, of another space, with other parameters, or old', async () => {
    const { root, sub } = await tree();
    const { next_batch: from } = await hierarchy(alice, root, { limit: '1', max_depth: '3' });
    const bad = [400, 'M_INVALID_PARAM'];
    expect(refusal(await alice.call('GET', path(root, { from: 'x' })))).toEqual(bad);
    expect(refusal(await bob.call('GET', path(root, { from })))).toEqual(bad);
    expect(refusal(await alice.call('GET', path(sub, { from })))).toEqual(bad);
    expect(refusal(await alice.call('GET', path(root, { from, suggested_only: 'true' })))).toEqual(bad);
    expect(refusal(await alice.call('GET', path(root, { from, max_depth: '2' })))).toEqual(bad);
    expect((await alice.call('GET', path(root, { from, max_depth: '3' }))).status).toBe(200);
    await server.clock.advance(11 * 60_000);
    expect(refusal(await alice.call('GET', path(root, { from })))).toEqual(bad);
  });

  it.each([{ limit: '0' }, { limit: 'x' }, { max_depth: '-1' }, { suggested_only: 'yes' }])(
    'refuses %j',
    async (parameters) => {
      const { status } = await alice.call('GET', path('!x:y', parameters as Record<string, string>));
      expect(status).toBe(400);
    },
  );

  it('goes by the order of the children, and tells each room once, also in a circle', async () => {
    const root = await spaceOf(alice, 'Root');
    const other = await spaceOf(alice, 'Other');
    const names = ['none', 'b', 'a', 'too long', 'umlaut'];
    const orders = [undefined, 'b', 'a', 'x'.repeat(51), 'ä'];
    for (const [index, name] of names.entries()) {
      const room = await alice.createRoom({ preset: 'public_chat', name });
      await link(alice, root, room, orders[index] === undefined ? {} : { order: orders[index] });
      await server.clock.advance(1);
    }
    await link(alice, root, other);
    await link(alice, other, root);
    await link(alice, other, other);
    expect(namesOf(await hierarchy(alice, root))).toEqual(['Root', 'a', 'b', 'none', 'too long', 'umlaut', 'Other']);
  });

  it('leaves out what is no child: without servers, taken away, redacted, or no room id; and children of a room', async () => {
    const { root, a, sub, d } = await tree();
    await alice.setState(root, 'm.space.child', {}, a);
    const event = await alice.ok('GET', `/rooms/${encode(root)}/state`);
    const child = event.find(({ type, state_key }: Json) => type === 'm.space.child' && state_key === sub);
    await alice.ok('PUT', `/rooms/${encode(root)}/redact/${encode(child.event_id)}/r`, {});
    await alice.setState(root, 'm.space.child', { via: 'x' }, `!list:${server.name}`);
    await alice.setState(root, 'm.space.child', { via: [server.name] }, 'no room');
    await link(alice, d, a);
    expect(idsOf(await hierarchy(alice, root))).toEqual([root, d]);
  });

  it('holds what the user may learn of, and nothing below what they may not', async () => {
    const root = await spaceOf(alice, 'Root');
    const hidden = await spaceOf(alice, 'Hidden', { preset: 'private_chat' });
    const below = await alice.createRoom({ preset: 'public_chat', name: 'Below' });
    await link(alice, root, hidden);
    await link(alice, hidden, below);
    const closed = (name: string, ...state: Json[]) =>
      alice.createRoom({ name, room_version: '10', initial_state: state });
    const rooms = {
      invite: await closed('invite'),
      knock: await closed('knock', rule('knock')),
      both: await closed('knock_restricted', rule('knock_restricted', hidden)),
      restricted: await closed('restricted', rule('restricted', root)),
      foreign: await closed('elsewhere', rule('restricted', hidden)),
      readable: await closed('readable', worldReadable),
      old: await alice.createRoom({ name: 'old', room_version: '6', initial_state: [rule('knock')] }),
    };
    for (const room of Object.values(rooms)) {
      await server.clock.advance(1);
      await link(alice, root, room);
    }
    const seen = async (user: TestUser) => namesOf(await hierarchy(user, root));
    expect(await seen(bob)).toEqual(['Root', 'knock', 'knock_restricted', 'readable']);
    await bob.join(root);
    expect(await seen(bob)).toEqual(['Root', 'knock', 'knock_restricted', 'restricted', 'readable']);
    await alice.invite(rooms.invite, bob.userId);
    await alice.invite(hidden, bob.userId);
    expect(await seen(bob)).toEqual([
      'Root',
      'Hidden',
      'Below',
      'invite',
      'knock',
      'knock_restricted',
      'restricted',
      'readable',
    ]);
    await alice.ok('POST', `/rooms/${encode(rooms.knock)}/ban`, { user_id: bob.userId });
    expect(await seen(bob)).not.toContain('knock');
    expect(await seen(alice)).toHaveLength(10);
  });

  it('of a space that the user may not learn of is refused as one that there is not', async () => {
    const hidden = await spaceOf(alice, 'Hidden', { preset: 'private_chat' });
    expect(refusal(await bob.call('GET', path(hidden)))).toEqual(forbidden);
    expect(refusal(await bob.call('GET', path(`!none:${server.name}`)))).toEqual(forbidden);
  });
});

describe('the summary of a room', () => {
  const summary = (by: TestUser | undefined, room: string) =>
    by
      ? by.call('GET', `/_matrix/client/v1/room_summary/${encode(room)}`)
      : fetch(`${server.url}/_matrix/client/v1/room_summary/${encode(room)}`).then(async (response) => ({
          status: response.status,
          body: await response.json(),
        }));

  it('says what the room says of itself, and what the user is in it', async () => {
    const roomId = await alice.createRoom({
      preset: 'public_chat',
      name: 'Name',
      topic: 'Topic',
      room_alias_name: 'summed',
      room_version: '10',
      initial_state: [{ type: 'm.room.encryption', content: { algorithm: 'm.megolm.v1.aes-sha2' } }, worldReadable],
    });
    const room = {
      room_id: roomId,
      name: 'Name',
      topic: 'Topic',
      canonical_alias: `#summed:${server.name}`,
      num_joined_members: 1,
      join_rule: 'public',
      guest_can_join: false,
      world_readable: true,
      room_version: '10',
      encryption: 'm.megolm.v1.aes-sha2',
    };
    expect((await summary(alice, roomId)).body).toEqual({ ...room, membership: 'join' });
    expect((await summary(bob, `#summed:${server.name}`)).body).toEqual({ ...room, membership: 'leave' });
    expect((await summary(undefined, roomId)).body).toEqual(room);
    expect(refusal(await summary(Object.assign(Object.create(bob), { accessToken: 'none' }), roomId))).toEqual([
      401,
      'M_UNKNOWN_TOKEN',
    ]);
  });

  it('names the rooms whose members may join, of a restricted room only', async () => {
    const space = await spaceOf(alice, 'Space');
    const restricted = await alice.createRoom({ room_version: '8', initial_state: [rule('restricted', space)] });
    const closed = await alice.createRoom({ room_version: '8', initial_state: [rule('invite', space)] });
    expect((await summary(alice, restricted)).body).toMatchObject({ allowed_room_ids: [space] });
    expect((await summary(alice, closed)).body.allowed_room_ids).toBeUndefined();
  });

  it('is for whoever may learn of the room: members, the invited, who may join or knock; to others it is not there', async () => {
    const space = await spaceOf(alice, 'Space');
    const make = (...state: Json[]) => alice.createRoom({ room_version: '10', initial_state: state });
    const closed = await make();
    const restricted = await make(rule('restricted', space));
    const knock = await make(rule('knock'));
    const [stranger, member, guest] = await newUsers(server, 'stranger', 'member', 'guest');
    await member.join(space);
    await alice.invite(closed, guest.userId);
    const seen = async (user: TestUser | undefined) =>
      Promise.all([closed, restricted, knock].map(async (room) => (await summary(user, room)).status));
    expect(await seen(alice)).toEqual([200, 200, 200]);
    expect(await seen(stranger)).toEqual([404, 404, 200]);
    expect(await seen(member)).toEqual([404, 200, 200]);
    expect(await seen(guest)).toEqual([200, 404, 200]);
    expect(await seen(undefined)).toEqual([404, 404, 200]);
    expect((await summary(guest, closed)).body.membership).toBe('invite');
    expect((await summary(stranger, closed)).body).toEqual((await summary(stranger, `!none:${server.name}`)).body);
  });

  it('of what is no room is refused, and of what nobody knows not found', async () => {
    expect(refusal(await summary(alice, 'room'))).toEqual([400, 'M_INVALID_PARAM']);
    expect(refusal(await summary(alice, `#none:${server.name}`))).toEqual(notFound);
    expect(refusal(await summary(alice, `!none:${server.name}`))).toEqual(notFound);
  });
});
