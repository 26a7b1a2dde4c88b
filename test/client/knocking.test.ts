import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { encode, forbidden, inRoom, type Json, membershipOf, newUsers, notFound, refusal } from './rooms-support.ts';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());

function knock(user: TestUser, room: string, body: Json = {}) {
  return user.call('POST', `/knock/${encode(room)}`, body);
}

async function closedRoom(more: Json = {}): Promise<{ alice: TestUser; bob: TestUser; roomId: string }> {
  const [alice, bob] = await newUsers(server, 'alice', 'bob');
  const roomId = await alice.createRoom({
    initial_state: [{ type: 'm.room.join_rules', content: { join_rule: 'knock' } }],
    name: 'Closed',
    ...more,
  });
  return { alice, bob, roomId };
}

describe('a knock', () => {
  it('is heard inside, with its reason and the profile, and shown to whoever knocked with what the room says of itself', async () => {
    const { alice, bob, roomId } = await closedRoom();
    await bob.ok('PUT', `/profile/${encode(bob.userId)}/displayname`, { displayname: 'Bob' });
    await alice.sync();
    await bob.sync();
    expect((await knock(bob, roomId, { reason: 'hello?' })).body).toEqual({ room_id: roomId });
    const { timeline } = (await alice.sync()).rooms.join[roomId];
    expect(timeline.events.at(-1)).toMatchObject({
      type: 'm.room.member',
      state_key: bob.userId,
      content: { membership: 'knock', reason: 'hello?', displayname: 'Bob' },
    });
    const { rooms } = await bob.sync();
    expect(Object.keys(rooms)).toEqual(['knock']);
    const state: Json[] = rooms.knock[roomId].knock_state.events;
    expect(state.find(({ type }) => type === 'm.room.name')?.content).toEqual({ name: 'Closed' });
    expect(state.at(-1)).toMatchObject({ type: 'm.room.member', state_key: bob.userId });
    expect(state.some(({ type }) => type === 'm.room.power_levels')).toBe(false);
    bob.since = undefined;
    expect(Object.keys((await bob.sync()).rooms.knock)).toEqual([roomId]);
    expect(refusal(await bob.call('GET', inRoom(roomId, 'state')))).toEqual(forbidden);
  });

  it('works by alias, and a second time', async () => {
    const { alice, bob, roomId } = await closedRoom({ room_alias_name: 'closed' });
    for (let time = 0; time < 2; time += 1) expect((await knock(bob, `#closed:${server.name}`)).status).toBe(200);
    expect(await membershipOf(alice, roomId, bob.userId)).toBe('knock');
  });

  it('is answered by an invite, and then the way is open', async () => {
    const { alice, bob, roomId } = await closedRoom();
    await bob.sync();
    await knock(bob, roomId);
    expect(refusal(await bob.call('POST', `/join/${encode(roomId)}`, {}))).toEqual(forbidden);
    await bob.sync();
    await alice.ok('POST', inRoom(roomId, 'invite'), { user_id: bob.userId, reason: 'welcome' });
    expect(Object.keys((await bob.sync()).rooms)).toEqual(['invite']);
    await bob.join(roomId);
    expect(Object.keys((await bob.sync()).rooms)).toEqual(['join']);
  });

  it('is taken back by leaving, and refused by a kick with a reason', async () => {
    const { alice, bob, roomId } = await closedRoom();
    await bob.sync();
    await knock(bob, roomId);
    await bob.sync();
    await bob.leave(roomId);
    const taken = (await bob.sync()).rooms.leave[roomId];
    expect(taken.timeline.events.map(({ content }: Json) => content.membership)).toEqual(['leave']);
    await knock(bob, roomId);
    await bob.sync();
    await alice.ok('POST', inRoom(roomId, 'kick'), { user_id: bob.userId, reason: 'not today' });
    const [refused] = (await bob.sync()).rooms.leave[roomId].timeline.events;
    expect(refused).toMatchObject({ sender: alice.userId, content: { membership: 'leave', reason: 'not today' } });
    await bob.ok('POST', inRoom(roomId, 'forget'));
    expect((await knock(bob, roomId)).status).toBe(200);
  });

  it('is refused by rooms that do not ask for it, and to members, the invited and the banned', async () => {
    const { alice, bob, roomId } = await closedRoom();
    for (const room of [
      await alice.createRoom(),
      await alice.createRoom({ preset: 'public_chat' }),
      await alice.createRoom({ room_version: '6' }),
    ]) {
      expect(refusal(await knock(bob, room))).toEqual(forbidden);
    }
    expect(refusal(await knock(alice, roomId))).toEqual(forbidden);
    await alice.invite(roomId, bob.userId);
    expect(refusal(await knock(bob, roomId))).toEqual(forbidden);
    await alice.ok('POST', inRoom(roomId, 'ban'), { user_id: bob.userId });
    expect(refusal(await knock(bob, roomId))).toEqual(forbidden);
    await alice.ok('POST', inRoom(roomId, 'unban'), { user_id: bob.userId });
    expect((await knock(bob, roomId)).status).toBe(200);
  });

  it('is for those whom no other room lets in, where the rule is knock_restricted, and for nobody where it is restricted', async () => {
    const [club] = await newUsers(server, 'club');
    const other = await club.createRoom({ preset: 'public_chat' });
    const roomOf = async (rule: string) => {
      const content = { join_rule: rule, allow: [{ type: 'm.room_membership', room_id: other }] };
      return closedRoom({ initial_state: [{ type: 'm.room.join_rules', content }] });
    };
    const { alice, bob, roomId } = await roomOf('knock_restricted');
    const [carol] = await newUsers(server, 'carol');
    for (const user of [alice, carol]) await user.join(other);
    expect(refusal(await bob.call('POST', `/join/${encode(roomId)}`, {}))).toEqual(forbidden);
    expect((await knock(bob, roomId)).status).toBe(200);
    expect(await membershipOf(alice, roomId, bob.userId)).toBe('knock');
    expect((await carol.call('POST', `/join/${encode(roomId)}`, {})).status).toBe(200);
    // Who knocked and then comes to be let in need not wait for an answer.
    await bob.join(other);
    expect((await bob.call('POST', `/join/${encode(roomId)}`, {})).status).toBe(200);
    const restricted = await roomOf('restricted');
    expect(refusal(await knock(restricted.bob, restricted.roomId))).toEqual(forbidden);
  });

  it('on what this server does not know is not found, and on what is no room is refused', async () => {
    const { bob } = await closedRoom();
    expect(refusal(await knock(bob, `!nowhere:${server.name}`))).toEqual(notFound);
    expect(refusal(await knock(bob, `#nowhere:${server.name}`))).toEqual(notFound);
    expect(refusal(await knock(bob, 'nothing'))).toEqual([400, 'M_INVALID_PARAM']);
    expect((await knock(bob, `!nowhere:${server.name}`, { reason: 7 })).status).toBe(400);
  });
});

describe('the reason of a kick, a ban and what lifts it', () => {
  it('stands in the member event, and nothing does where none was given', async () => {
    const [alice, bob] = await newUsers(server, 'alice', 'bob');
    const roomId = await alice.createRoom({ preset: 'public_chat' });
    const contentOf = async () =>
      (await alice.ok('GET', `${inRoom(roomId, 'state', 'm.room.member', bob.userId)}`)) as Json;
    for (const reason of ['spam', undefined]) {
      await bob.join(roomId);
      for (const [action, membership] of [
        ['kick', 'leave'],
        ['ban', 'ban'],
        ['unban', 'leave'],
      ]) {
        const body = { user_id: bob.userId, ...(reason === undefined ? {} : { reason }) };
        await alice.ok('POST', inRoom(roomId, action ?? ''), body);
        expect(await contentOf()).toEqual({ membership, ...(reason === undefined ? {} : { reason }) });
      }
    }
  });
});
