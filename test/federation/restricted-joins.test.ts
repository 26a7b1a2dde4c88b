import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { settle, startPair, TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { membershipOf, mindOf, stateOf } from './rooms.ts';

/** Has the room whose members may join, and who may invite. */
let a: TestServer;
/** Is in the restricted rooms, too, and cannot let anybody in. */
let b: TestServer;
let c: TestServer;
let alice: TestUser;
let bob: TestUser;
let carol: TestUser;

beforeAll(async () => {
  [a, b] = await startPair();
  c = await TestServer.start({ clock: a.clock });
  alice = await a.register('alice');
  bob = await b.register('bob');
  carol = await c.register('carol');
});

afterAll(async () => {
  for (const server of [a, b, c]) await server.stop();
});

const join = (user: TestUser, room: string, ...via: TestServer[]) =>
  user.call(
    'POST',
    `/join/${encodeURIComponent(room)}?${new URLSearchParams(via.map(({ name }): [string, string] => ['via', name]))}`,
    {},
  );

/** A room whose rule lets the members of another one in. Bob is in it because he was invited. */
async function restrictedTo(club: string): Promise<string> {
  const content = { join_rule: 'restricted', allow: [{ type: 'm.room_membership', room_id: club }] };
  const room = await alice.createRoom({
    preset: 'private_chat',
    power_level_content_override: { invite: 50 },
    initial_state: [{ type: 'm.room.join_rules', state_key: '', content }],
    invite: [bob.userId],
  });
  await bob.join(room, a.name);
  await settle(a, b, c);
  return room;
}

async function expectLetIn(room: string): Promise<void> {
  await settle(a, b, c);
  for (const user of [alice, bob, carol]) expect(await membershipOf(user, room, carol.userId)).toBe('join');
  const { join_authorised_via_users_server: voucher } = await stateOf(carol, room, 'm.room.member', carol.userId);
  expect(voucher).toBe(alice.userId);
  expect(await mindOf(c, room)).toEqual(await mindOf(a, room));
  expect(await mindOf(b, room)).toEqual(await mindOf(a, room));
}

describe('a join to a restricted room by a server that is in it', () => {
  it('and in which nobody may let others in is refused there, and goes on to one that can', async () => {
    const club = await alice.createRoom({ preset: 'public_chat' });
    for (const user of [bob, carol]) await user.join(club, a.name);
    const room = await restrictedTo(club);
    expect(await join(carol, room, b)).toMatchObject({ status: 400, body: { errcode: 'M_UNABLE_TO_GRANT_JOIN' } });
    expect(await membershipOf(alice, room, carol.userId)).toBeUndefined();
    expect((await join(carol, room, b, a)).status).toBe(200);
    await expectLetIn(room);
  });

  it('and does not see who is in the other room is refused there, and goes on to one that does', async () => {
    const club = await alice.createRoom({ preset: 'public_chat' });
    await carol.join(club, a.name);
    const room = await restrictedTo(club);
    expect(await join(carol, room, b)).toMatchObject({ status: 400, body: { errcode: 'M_UNABLE_TO_AUTHORISE_JOIN' } });
    expect((await join(carol, room, b, a)).status).toBe(200);
    await expectLetIn(room);
  });

  it('is refused for good to who is in none of the rooms, whoever is asked', async () => {
    const club = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(club, a.name);
    const room = await restrictedTo(club);
    for (const via of [[a], [b], [b, a]]) {
      expect(await join(carol, room, ...via)).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } });
    }
    await carol.join(club, a.name);
    await carol.leave(club);
    await settle(a, b, c);
    expect(await join(carol, room, a)).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } });
  });
});
