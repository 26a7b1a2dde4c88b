import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { settle, startPair, type TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { membershipOf, path } from './rooms.ts';

let a: TestServer;
let b: TestServer;
let alice: TestUser;
beforeAll(async () => {
  [a, b] = await startPair();
  alice = await a.register('alice');
});
afterAll(async () => {
  await a.stop();
  await b.stop();
});

let people = 0;

async function closedRoom(joinRule = 'knock', more: Record<string, unknown> = {}) {
  people += 1;
  const bob = await b.register(`bob${people}`);
  await bob.ok('PUT', `/profile/${encodeURIComponent(bob.userId)}/displayname`, { displayname: 'Bob' });
  const roomId = await alice.createRoom({
    name: 'Closed',
    room_version: '10',
    initial_state: [{ type: 'm.room.join_rules', content: { join_rule: joinRule } }],
    ...more,
  });
  await bob.sync();
  return { bob, roomId };
}

const knock = (user: TestUser, room: string, body: unknown = {}, via = a.name) =>
  user.call('POST', `/knock/${encodeURIComponent(room)}?via=${encodeURIComponent(via)}`, body);
const refused = { status: 403, body: { errcode: 'M_FORBIDDEN' } };

describe('a knock on a room of another server', () => {
  it('is heard there, and shown here with what the room says of itself', async () => {
    const { bob, roomId } = await closedRoom();
    await alice.sync();
    expect(await knock(bob, roomId, { reason: 'hello?' })).toEqual({ status: 200, body: { room_id: roomId } });
    await settle(a, b);
    expect((await alice.sync()).rooms.join[roomId].timeline.events.at(-1)).toMatchObject({
      type: 'm.room.member',
      sender: bob.userId,
      state_key: bob.userId,
      content: { membership: 'knock', reason: 'hello?', displayname: 'Bob' },
    });
    const { rooms } = await bob.sync();
    expect(Object.keys(rooms)).toEqual(['knock']);
    const { events } = rooms.knock[roomId].knock_state;
    // biome-ignore lint/suspicious/noExplicitAny: the answer of a server
    const types = events.map(({ type }: any) => type);
    expect(types).toEqual(expect.arrayContaining(['m.room.create', 'm.room.name', 'm.room.join_rules']));
    expect(types).not.toContain('m.room.power_levels');
    expect(events.at(-1)).toMatchObject({ state_key: bob.userId, content: { membership: 'knock' } });
    expect(Object.keys(events.at(-1)).sort()).toEqual(['content', 'sender', 'state_key', 'type']);
  });

  it.each(['knock', 'knock_restricted'])('works by alias and a second time, where the rule is %s', async (rule) => {
    const { bob } = await closedRoom(rule, { room_alias_name: rule });
    for (let n = 0; n < 2; n += 1) expect((await knock(bob, `#${rule}:${a.name}`)).status).toBe(200);
  });

  it('is answered by an invite, and then the way is open', async () => {
    const { bob, roomId } = await closedRoom();
    await knock(bob, roomId);
    await bob.sync();
    expect(await bob.call('POST', `/join/${encodeURIComponent(roomId)}?via=${a.name}`, {})).toMatchObject(refused);
    await alice.invite(roomId, bob.userId);
    await settle(a, b);
    expect(Object.keys((await bob.sync()).rooms)).toEqual(['invite']);
    expect(await knock(bob, roomId)).toMatchObject(refused);
    await bob.join(roomId);
    expect(await membershipOf(alice, roomId, bob.userId)).toBe('join');
    expect(await knock(bob, roomId)).toMatchObject(refused);
  });

  it('is taken back by leaving, which the room hears', async () => {
    const { bob, roomId } = await closedRoom();
    await knock(bob, roomId);
    await bob.sync();
    await bob.leave(roomId);
    await settle(a, b);
    expect(await membershipOf(alice, roomId, bob.userId)).toBe('leave');
    const left = (await bob.sync()).rooms.leave[roomId];
    expect(left.timeline.events).toMatchObject([{ sender: bob.userId, content: { membership: 'leave' } }]);
    expect((await knock(bob, roomId)).status).toBe(200);
  });

  it('is taken back here also when the other server cannot be asked', async () => {
    const { bob, roomId } = await closedRoom();
    await knock(bob, roomId);
    await bob.sync();
    await alice.ok('POST', path(roomId, 'leave'), {});
    await bob.leave(roomId);
    expect(Object.keys((await bob.sync()).rooms)).toEqual(['leave']);
  });

  it.each([
    ['kick', 'leave'],
    ['ban', 'ban'],
  ])('is ended by a %s, of which whoever knocked hears, with its reason', async (action, membership) => {
    const { bob, roomId } = await closedRoom();
    await knock(bob, roomId);
    await bob.sync();
    await alice.ok('POST', path(roomId, action), { user_id: bob.userId, reason: 'not today' });
    await settle(a, b);
    const left = (await bob.sync()).rooms.leave[roomId];
    expect(left.timeline.events).toMatchObject([
      { sender: alice.userId, state_key: bob.userId, content: { membership, reason: 'not today' } },
    ]);
    expect((await knock(bob, roomId)).status).toBe(action === 'kick' ? 200 : 403);
  });

  it('stands when what ended an earlier one comes late', async () => {
    const { bob, roomId } = await closedRoom();
    await knock(bob, roomId);
    await alice.ok('POST', path(roomId, 'kick'), { user_id: bob.userId });
    expect((await knock(bob, roomId)).status).toBe(200);
    await settle(a, b);
    expect(await membershipOf(alice, roomId, bob.userId)).toBe('knock');
    expect(Object.keys((await bob.sync()).rooms)).toEqual(['knock']);
  });

  it('is refused by rooms that do not ask for it, and to the banned', async () => {
    for (const more of [
      { initial_state: [] },
      { preset: 'public_chat', initial_state: [] },
      { room_version: '6', initial_state: [] },
    ]) {
      const { bob, roomId } = await closedRoom('knock', more);
      expect(await knock(bob, roomId)).toMatchObject(refused);
      expect((await bob.sync()).rooms).toBeUndefined();
    }
    const { bob, roomId } = await closedRoom();
    await alice.ok('POST', path(roomId, 'ban'), { user_id: bob.userId });
    expect(await knock(bob, roomId)).toMatchObject(refused);
  });

  it('is not found where nobody knows the room, and says so where nobody answers', async () => {
    const { bob } = await closedRoom();
    expect(await knock(bob, `!none:${a.name}`)).toMatchObject({ status: 404, body: { errcode: 'M_NOT_FOUND' } });
    expect((await knock(bob, '!none:127.0.0.1:9', {}, '127.0.0.1:9')).status).toBe(502);
  });

  it('goes to the next server where one does not answer', async () => {
    const { bob, roomId } = await closedRoom();
    const both = `via=${encodeURIComponent('127.0.0.1:9')}&via=${encodeURIComponent(a.name)}`;
    const answer = await bob.call('POST', `/knock/${encodeURIComponent(roomId)}?${both}`, {});
    expect(answer.status).toBe(200);
  });
});
