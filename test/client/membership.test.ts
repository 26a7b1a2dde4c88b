import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { TestServer } from '../support/server.ts';
import type { Answer, TestUser } from '../support/user.ts';
import {
  encode,
  forbidden,
  getState,
  inRoom,
  membershipOf,
  newUser,
  newUsers,
  notFound,
  refusal,
} from './rooms-support.ts';

let server: TestServer;
let alice: TestUser;
let bob: TestUser;
let carol: TestUser;
let publicRoom: string;
let privateRoom: string;

beforeAll(async () => {
  server = await TestServer.start();
  [alice, bob, carol] = await newUsers(server, 'alice', 'bob', 'carol');
});
afterAll(() => server.stop());
beforeEach(async () => {
  publicRoom = await alice.createRoom({ preset: 'public_chat' });
  privateRoom = await alice.createRoom({ preset: 'private_chat' });
});

const join = (user: TestUser, room: string, body: unknown = {}) => user.call('POST', `/join/${encode(room)}`, body);
const act = (user: TestUser, action: string, roomId: string, body: unknown = {}): Promise<Answer> =>
  user.call('POST', inRoom(roomId, action), body);
const against = (target: TestUser, reason?: string) => ({ user_id: target.userId, ...(reason ? { reason } : {}) });
const ok = { status: 200, body: {} };
const joinedRooms = async (user: TestUser): Promise<string[]> => (await user.ok('GET', '/joined_rooms')).joined_rooms;

describe('joining', () => {
  it('a public room works by either path, with and without a body, and answers with the room', async () => {
    expect(await join(bob, publicRoom)).toEqual({ status: 200, body: { room_id: publicRoom } });
    expect(await act(carol, 'join', publicRoom, '')).toEqual({ status: 200, body: { room_id: publicRoom } });
    expect(await membershipOf(alice, publicRoom, bob.userId)).toBe('join');
    expect(await joinedRooms(carol)).toContain(publicRoom);
  });

  it('works by alias, with characters of any kind', async () => {
    const alias = `#老虎 & 100% ñ/ü:${server.name}`;
    await alice.ok('PUT', `/directory/room/${encode(alias)}`, { room_id: publicRoom });
    expect(await join(bob, alias)).toEqual({ status: 200, body: { room_id: publicRoom } });
  });

  it('twice does nothing the second time', async () => {
    await join(bob, publicRoom);
    const first = (await bob.ok('GET', `${inRoom(publicRoom, 'state', 'm.room.member', bob.userId)}?format=event`))
      .event_id;
    expect((await join(bob, publicRoom, { reason: 'again' })).status).toBe(200);
    const second = await bob.ok('GET', `${inRoom(publicRoom, 'state', 'm.room.member', bob.userId)}?format=event`);
    expect([second.event_id, second.content.reason]).toEqual([first, undefined]);
  });

  it('carries the reason, the profile and what else the client says, but not another membership', async () => {
    const dora = await newUser(server, 'dora');
    await dora.ok('PUT', `/profile/${dora.userId}/displayname`, { displayname: 'Dora' });
    await join(dora, publicRoom, { reason: 'hello', foo: 'bar', membership: 'ban' });
    const { body } = await getState(alice, publicRoom, 'm.room.member', dora.userId);
    expect(body).toEqual({ membership: 'join', displayname: 'Dora', reason: 'hello', foo: 'bar' });
  });

  it('a private room is refused without an invite and allowed with one', async () => {
    expect(refusal(await join(bob, privateRoom))).toEqual(forbidden);
    await alice.invite(privateRoom, bob.userId);
    expect((await join(bob, privateRoom)).status).toBe(200);
  });

  it('what does not exist is not found', async () => {
    expect(refusal(await join(bob, `#nothing:${server.name}`))).toEqual(notFound);
    expect(refusal(await join(bob, `!nothing:${server.name}`))).toEqual(notFound);
    expect(refusal(await act(bob, 'join', `!nothing:${server.name}`))).toEqual(notFound);
  });

  it('what is neither room nor alias is refused', async () => {
    for (const name of ['lounge', '@bob:here.test', '#lounge', '!a:b:c d', '$event']) {
      expect([name, ...refusal(await join(bob, name))]).toEqual([name, 400, 'M_INVALID_PARAM']);
    }
    expect(refusal(await act(bob, 'join', 'lounge'))).toEqual([400, 'M_INVALID_PARAM']);
  });

  it('is refused with a reason that is no text', async () => {
    expect(refusal(await join(bob, publicRoom, { reason: 7 }))).toEqual([400, 'M_BAD_JSON']);
    expect(refusal(await act(bob, 'join', publicRoom, { reason: {} }))).toEqual([400, 'M_BAD_JSON']);
    expect((await join(bob, publicRoom, { reason: null })).status).toBe(200);
    expect((await getState(alice, publicRoom, 'm.room.member', bob.userId)).body).toEqual({ membership: 'join' });
  });

  it('is refused with a list of servers that holds none', async () => {
    const answer = await bob.call('POST', `/join/${encode(publicRoom)}?via=not%20a%20server`, {});
    expect(refusal(answer)).toEqual([400, 'M_INVALID_PARAM']);
  });
});

describe('an invite', () => {
  it('is seen by both sides, with its reason', async () => {
    expect(await act(alice, 'invite', privateRoom, against(bob, 'come in'))).toEqual(ok);
    expect((await getState(alice, privateRoom, 'm.room.member', bob.userId)).body).toEqual({
      membership: 'invite',
      reason: 'come in',
    });
    expect((await bob.sync()).rooms.invite[privateRoom]).toBeDefined();
  });

  it('by somebody who is not in the room is refused, in rooms that exist and in rooms that do not', async () => {
    expect(refusal(await act(bob, 'invite', privateRoom, against(carol)))).toEqual(forbidden);
    expect(refusal(await act(bob, 'invite', `!none:${server.name}`, against(carol)))).toEqual(forbidden);
    await alice.invite(privateRoom, bob.userId);
    expect(refusal(await act(bob, 'invite', privateRoom, against(carol)))).toEqual(forbidden);
  });

  it('takes the power that the room asks for', async () => {
    await join(bob, publicRoom);
    expect(refusal(await act(bob, 'invite', publicRoom, against(carol)))).toEqual(forbidden);
    await alice.invite(privateRoom, bob.userId);
    await join(bob, privateRoom);
    expect(await act(bob, 'invite', privateRoom, against(carol))).toEqual(ok);
  });

  it('of oneself, of a member or of somebody who is banned is refused', async () => {
    expect(refusal(await act(alice, 'invite', publicRoom, against(alice)))).toEqual(forbidden);
    await join(bob, publicRoom);
    expect(refusal(await act(alice, 'invite', publicRoom, against(bob)))).toEqual(forbidden);
    await act(alice, 'ban', publicRoom, against(carol));
    expect(refusal(await act(alice, 'invite', publicRoom, against(carol)))).toEqual(forbidden);
  });

  it('may be repeated', async () => {
    expect(await act(alice, 'invite', privateRoom, against(bob))).toEqual(ok);
    expect(await act(alice, 'invite', privateRoom, against(bob))).toEqual(ok);
    expect(await membershipOf(alice, privateRoom, bob.userId)).toBe('invite');
  });

  it('can be sent as state, too', async () => {
    await alice.setState(privateRoom, 'm.room.member', { membership: 'invite' }, bob.userId);
    expect((await bob.sync()).rooms.invite[privateRoom]).toBeDefined();
    expect((await join(bob, privateRoom)).status).toBe(200);
  });

  it('that names nobody is refused', async () => {
    expect(refusal(await act(alice, 'invite', privateRoom, {}))).toEqual([400, 'M_MISSING_PARAM']);
    expect(refusal(await act(alice, 'invite', privateRoom, { user_id: 'bob' }))).toEqual([400, 'M_BAD_JSON']);
    expect(refusal(await act(alice, 'invite', privateRoom, { user_id: 7 }))).toEqual([400, 'M_BAD_JSON']);
  });

  it('can be rejected, also when whoever sent it has left', async () => {
    await alice.invite(privateRoom, bob.userId);
    expect(await act(bob, 'leave', privateRoom, { reason: 'no' })).toEqual(ok);
    expect((await getState(alice, privateRoom, 'm.room.member', bob.userId)).body).toEqual({
      membership: 'leave',
      reason: 'no',
    });
    expect(refusal(await join(bob, privateRoom))).toEqual(forbidden);
    await alice.invite(privateRoom, carol.userId);
    await alice.leave(privateRoom);
    expect(await act(carol, 'leave', privateRoom)).toEqual(ok);
    expect((await carol.sync()).rooms?.invite?.[privateRoom]).toBeUndefined();
  });

  it('is withdrawn by a kick', async () => {
    await alice.invite(privateRoom, bob.userId);
    expect(await act(alice, 'kick', privateRoom, against(bob))).toEqual(ok);
    expect(refusal(await join(bob, privateRoom))).toEqual(forbidden);
  });
});

describe('leaving', () => {
  it('ends the membership, and doing it again does nothing', async () => {
    await join(bob, publicRoom);
    expect(await act(bob, 'leave', publicRoom, { reason: 'bye' })).toEqual(ok);
    expect((await getState(alice, publicRoom, 'm.room.member', bob.userId)).body).toEqual({
      membership: 'leave',
      reason: 'bye',
    });
    expect(await act(bob, 'leave', publicRoom)).toEqual(ok);
    expect(await joinedRooms(bob)).not.toContain(publicRoom);
  });

  it('a room that one was never in is refused, be it there or not', async () => {
    expect(refusal(await act(bob, 'leave', publicRoom))).toEqual(forbidden);
    expect(refusal(await act(bob, 'leave', `!none:${server.name}`))).toEqual(forbidden);
  });

  it('and joining again makes one a member again', async () => {
    for (let round = 0; round < 3; round += 1) {
      expect((await join(bob, publicRoom)).status).toBe(200);
      expect(await membershipOf(alice, publicRoom, bob.userId)).toBe('join');
      expect((await act(bob, 'leave', publicRoom)).status).toBe(200);
      expect(await membershipOf(alice, publicRoom, bob.userId)).toBe('leave');
    }
  });

  it('as the last member leaves a room that nobody can join any more, or that anybody public can', async () => {
    await alice.leave(privateRoom);
    expect((await join(alice, privateRoom)).status).toBe(403);
    await alice.leave(publicRoom);
    expect((await join(bob, publicRoom)).status).toBe(200);
  });

  it('takes sending along', async () => {
    await join(bob, publicRoom);
    await bob.leave(publicRoom);
    const path = inRoom(publicRoom, 'send', 'm.room.message', 't');
    expect(refusal(await bob.call('PUT', path, { msgtype: 'm.text', body: 'x' }))).toEqual(forbidden);
  });
});

describe('a kick', () => {
  it('makes a member leave, with the reason; they may join again', async () => {
    await join(bob, publicRoom);
    expect(await act(alice, 'kick', publicRoom, against(bob, 'noise'))).toEqual(ok);
    expect((await getState(alice, publicRoom, 'm.room.member', bob.userId)).body).toEqual({
      membership: 'leave',
      reason: 'noise',
    });
    expect((await join(bob, publicRoom)).status).toBe(200);
  });

  it('is refused without the power, and against one’s equals', async () => {
    await join(bob, publicRoom);
    await join(carol, publicRoom);
    expect(refusal(await act(bob, 'kick', publicRoom, against(carol)))).toEqual(forbidden);
    expect(refusal(await act(bob, 'kick', publicRoom, against(alice)))).toEqual(forbidden);
    const levels = (await getState(alice, publicRoom, 'm.room.power_levels')).body;
    const users = { ...levels.users, [bob.userId]: 50, [carol.userId]: 50 };
    await alice.setState(publicRoom, 'm.room.power_levels', { ...levels, users });
    expect(refusal(await act(bob, 'kick', publicRoom, against(carol)))).toEqual(forbidden);
    expect(refusal(await act(bob, 'kick', publicRoom, against(alice)))).toEqual(forbidden);
    expect(await act(alice, 'kick', publicRoom, against(carol))).toEqual(ok);
  });

  it('of somebody who is not in the room, or not any more, is refused', async () => {
    expect(refusal(await act(alice, 'kick', publicRoom, against(bob)))).toEqual(forbidden);
    await join(bob, publicRoom);
    await bob.leave(publicRoom);
    expect(refusal(await act(alice, 'kick', publicRoom, against(bob)))).toEqual(forbidden);
    await act(alice, 'ban', publicRoom, against(bob));
    expect(refusal(await act(alice, 'kick', publicRoom, against(bob)))).toEqual(forbidden);
  });

  it('by somebody who is not in the room is refused', async () => {
    await join(bob, publicRoom);
    expect(refusal(await act(carol, 'kick', publicRoom, against(bob)))).toEqual(forbidden);
    expect(refusal(await act(carol, 'kick', `!none:${server.name}`, against(bob)))).toEqual(forbidden);
  });
});

describe('a ban', () => {
  it('keeps a member out until it is lifted', async () => {
    await join(bob, publicRoom);
    expect(await act(alice, 'ban', publicRoom, against(bob, 'spam'))).toEqual(ok);
    expect((await getState(alice, publicRoom, 'm.room.member', bob.userId)).body).toEqual({
      membership: 'ban',
      reason: 'spam',
    });
    expect(refusal(await join(bob, publicRoom))).toEqual(forbidden);
    expect(refusal(await act(bob, 'leave', publicRoom))).toEqual(forbidden);
    expect(await membershipOf(alice, publicRoom, bob.userId)).toBe('ban');
    expect(await act(alice, 'unban', publicRoom, against(bob))).toEqual(ok);
    expect(await membershipOf(alice, publicRoom, bob.userId)).toBe('leave');
    expect((await join(bob, publicRoom)).status).toBe(200);
  });

  it('may be laid on somebody who was never there, and on who is invited', async () => {
    expect(await act(alice, 'ban', publicRoom, against(bob))).toEqual(ok);
    expect(refusal(await join(bob, publicRoom))).toEqual(forbidden);
    await alice.invite(privateRoom, carol.userId);
    expect(await act(alice, 'ban', privateRoom, against(carol))).toEqual(ok);
    expect(refusal(await join(carol, privateRoom))).toEqual(forbidden);
  });

  it('is refused without the power, and by whoever is not in the room', async () => {
    await join(bob, publicRoom);
    await join(carol, publicRoom);
    expect(refusal(await act(bob, 'ban', publicRoom, against(carol)))).toEqual(forbidden);
    await carol.leave(publicRoom);
    expect(refusal(await act(carol, 'ban', publicRoom, against(bob)))).toEqual(forbidden);
  });

  it('is lifted only where there is one', async () => {
    await join(bob, publicRoom);
    expect(refusal(await act(alice, 'unban', publicRoom, against(bob)))).toEqual([400, 'M_BAD_STATE']);
    expect(await membershipOf(alice, publicRoom, bob.userId)).toBe('join');
    await act(alice, 'ban', publicRoom, against(carol));
    expect(refusal(await act(bob, 'unban', publicRoom, against(carol)))).toEqual(forbidden);
    expect(refusal(await act(carol, 'unban', publicRoom, against(carol)))).toEqual(forbidden);
  });
});

describe('forgetting', () => {
  const messagesOf = (user: TestUser, roomId: string) => user.call('GET', `${inRoom(roomId, 'messages')}?dir=b`);

  it('a room that one is in or invited to is refused', async () => {
    expect(refusal(await act(alice, 'forget', publicRoom))).toEqual([400, 'M_UNKNOWN']);
    await alice.invite(privateRoom, bob.userId);
    expect(refusal(await act(bob, 'forget', privateRoom))).toEqual([400, 'M_UNKNOWN']);
  });

  it('hides the room’s past from whoever left', async () => {
    await join(bob, publicRoom);
    await bob.leave(publicRoom);
    expect((await messagesOf(bob, publicRoom)).status).toBe(200);
    expect(await act(bob, 'forget', publicRoom)).toEqual(ok);
    expect(refusal(await messagesOf(bob, publicRoom))).toEqual(forbidden);
    expect(refusal(await bob.call('GET', inRoom(publicRoom, 'state')))).toEqual(forbidden);
    expect(refusal(await bob.call('GET', inRoom(publicRoom, 'members')))).toEqual(forbidden);
    expect(await act(bob, 'forget', publicRoom)).toEqual(ok);
  });

  it('works after a kick, after a ban and after rejecting an invite', async () => {
    await join(bob, publicRoom);
    await act(alice, 'kick', publicRoom, against(bob));
    expect(await act(bob, 'forget', publicRoom)).toEqual(ok);
    await act(alice, 'ban', publicRoom, against(carol));
    expect(await act(carol, 'forget', publicRoom)).toEqual(ok);
    await alice.invite(privateRoom, bob.userId);
    await bob.leave(privateRoom);
    expect(await act(bob, 'forget', privateRoom)).toEqual(ok);
  });

  it('a room that one was never in is refused', async () => {
    const answer = await act(bob, 'forget', publicRoom);
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(500);
  });

  it('ends when one joins again, and the past is back', async () => {
    await alice.invite(privateRoom, bob.userId);
    await bob.join(privateRoom);
    const eventId = await alice.say(privateRoom, 'before');
    await bob.leave(privateRoom);
    await act(bob, 'forget', privateRoom);
    expect(refusal(await join(bob, privateRoom))).toEqual(forbidden);
    await alice.invite(privateRoom, bob.userId);
    await bob.join(privateRoom);
    expect((await bob.call('GET', inRoom(privateRoom, 'event', eventId))).status).toBe(200);
    expect(await joinedRooms(bob)).toContain(privateRoom);
  });
});

describe('a member event sent as state', () => {
  it('of oneself may join, leave and change the profile in one room', async () => {
    await bob.setState(publicRoom, 'm.room.member', { membership: 'join', displayname: 'Here Bob' }, bob.userId);
    expect((await getState(alice, publicRoom, 'm.room.member', bob.userId)).body.displayname).toBe('Here Bob');
    await bob.setState(publicRoom, 'm.room.member', { membership: 'leave' }, bob.userId);
    expect(await membershipOf(alice, publicRoom, bob.userId)).toBe('leave');
    expect(await joinedRooms(bob)).not.toContain(publicRoom);
  });

  it('cannot make somebody else join', async () => {
    const path = inRoom(publicRoom, 'state', 'm.room.member', bob.userId);
    expect(refusal(await alice.call('PUT', path, { membership: 'join' }))).toEqual(forbidden);
    expect(refusal(await alice.call('PUT', path, { membership: 'party' }))).toEqual([400, 'M_BAD_JSON']);
    expect(refusal(await alice.call('PUT', path, {}))).toEqual([400, 'M_BAD_JSON']);
    const nobody = inRoom(publicRoom, 'state', 'm.room.member', 'nobody');
    expect(refusal(await alice.call('PUT', nobody, { membership: 'invite' }))).toEqual([400, 'M_BAD_JSON']);
  });
});

it('rules of a room are obeyed by whoever joins: knock, restricted', async () => {
  const parent = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(parent);
  const child = await alice.createRoom({
    initial_state: [
      {
        type: 'm.room.join_rules',
        content: { join_rule: 'restricted', allow: [{ type: 'm.room_membership', room_id: parent }] },
      },
    ],
  });
  expect((await join(bob, child)).status).toBe(200);
  const { body } = await getState(alice, child, 'm.room.member', bob.userId);
  expect(body.join_authorised_via_users_server).toBe(alice.userId);
  expect(refusal(await join(carol, child))).toEqual(forbidden);
  // Nobody vouches for themselves.
  const vouched = { join_authorised_via_users_server: alice.userId };
  expect(refusal(await join(carol, child, vouched))).toEqual(forbidden);
  const own = inRoom(child, 'state', 'm.room.member', carol.userId);
  expect(refusal(await carol.call('PUT', own, { membership: 'join', ...vouched }))).toEqual(forbidden);
  await alice.setState(child, 'm.room.join_rules', { join_rule: 'knock' });
  expect(refusal(await join(carol, child))).toEqual(forbidden);
});

it('two who change the same membership at once leave one clear state', async () => {
  const answers = await Promise.all([
    ...Array.from({ length: 5 }, () => join(bob, publicRoom)),
    ...Array.from({ length: 5 }, () => act(alice, 'invite', publicRoom, against(carol))),
  ]);
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 200));
  expect(await membershipOf(alice, publicRoom, bob.userId)).toBe('join');
  expect(await membershipOf(alice, publicRoom, carol.userId)).toBe('invite');
});
