import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { supportedRoomVersions } from '../../src/matrix/room-versions.ts';
import { settle, startPair, TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { membershipOf, mindOf, path, type SeenEvent, stateOf, textsOf } from './rooms.ts';

let a: TestServer;
let b: TestServer;
let alice: TestUser;
let bob: TestUser;
let bill: TestUser;

beforeAll(async () => {
  [a, b] = await startPair();
  alice = await a.register('alice');
  bob = await b.register('bob');
  bill = await b.register('bill');
});

afterAll(async () => {
  await a.stop();
  await b.stop();
});

async function inviteOf(user: TestUser, room: string): Promise<SeenEvent[] | undefined> {
  const fresh = new URLSearchParams({ timeout: '0' });
  return (await user.ok('GET', `/sync?${fresh}`)).rooms?.invite?.[room]?.invite_state?.events;
}

describe.each(supportedRoomVersions)('an invite of a user of another server, room version %s', (version) => {
  it('comes with what helps to recognise the room, and lets them in', async () => {
    const room = await alice.createRoom({
      preset: 'private_chat',
      room_version: version,
      name: 'Ours',
      topic: 'plans',
    });
    await alice.ok('POST', path(room, 'invite'), { user_id: bob.userId, reason: 'come' });
    await settle(a, b);
    const stripped = (await inviteOf(bob, room)) ?? [];
    const byType = new Map(stripped.map((event) => [`${event.type} ${event.state_key}`, event]));
    expect(byType.get('m.room.name ')?.content).toEqual({ name: 'Ours' });
    expect(byType.get('m.room.create ')?.content.room_version).toBe(version);
    expect(byType.get('m.room.join_rules ')?.content).toEqual({ join_rule: 'invite' });
    expect(byType.get(`m.room.member ${alice.userId}`)?.content.membership).toBe('join');
    expect(byType.get(`m.room.member ${bob.userId}`)).toMatchObject({
      sender: alice.userId,
      content: { membership: 'invite', reason: 'come' },
    });
    for (const event of stripped) expect(Object.keys(event)).not.toContain('signatures');
    expect(await membershipOf(alice, room, bob.userId)).toBe('invite');
    await bob.join(room);
    await settle(a, b);
    expect(await mindOf(b, room)).toEqual(await mindOf(a, room));
    await bob.say(room, 'thanks');
    await settle(a, b);
    expect(await textsOf(alice, room)).toEqual(['thanks']);
    expect(await inviteOf(bob, room)).toBeUndefined();
  });

  it('can be rejected, which the room hears of', async () => {
    const room = await alice.createRoom({ preset: 'private_chat', room_version: version });
    await alice.invite(room, bob.userId);
    await settle(a, b);
    await bob.sync();
    await bob.ok('POST', path(room, 'leave'), { reason: 'no time' });
    await settle(a, b);
    expect(await stateOf(alice, room, 'm.room.member', bob.userId)).toMatchObject({
      membership: 'leave',
      reason: 'no time',
    });
    const sync = await bob.sync();
    expect(Object.keys(sync.rooms.leave)).toEqual([room]);
    expect(await inviteOf(bob, room)).toBeUndefined();
    expect((await bob.call('POST', `/join/${encodeURIComponent(room)}?via=${a.name}`, {})).status).toBe(403);
  });

  it('is accepted and rejected by member events too', async () => {
    const room = await alice.createRoom({ preset: 'private_chat', room_version: version });
    const own = path(room, 'state', 'm.room.member', bob.userId);
    for (const membership of ['leave', 'join', 'leave']) {
      if (membership !== 'leave' || (await membershipOf(alice, room, bob.userId)) !== 'join')
        await alice.ok('POST', path(room, 'invite'), { user_id: bob.userId });
      await settle(a, b);
      await bob.ok('PUT', own, { membership });
      await settle(a, b);
      expect(await membershipOf(alice, room, bob.userId)).toBe(membership);
      expect(await inviteOf(bob, room)).toBeUndefined();
    }
    expect((await mindOf(a, room)).joined).toEqual([alice.userId]);
  });

  it('can be taken back, by which it is gone on the other server', async () => {
    const room = await alice.createRoom({ preset: 'private_chat', room_version: version });
    await alice.invite(room, bob.userId);
    await settle(a, b);
    expect(await inviteOf(bob, room)).toBeDefined();
    await alice.ok('POST', path(room, 'kick'), { user_id: bob.userId });
    await settle(a, b);
    expect(await inviteOf(bob, room)).toBeUndefined();
    expect((await bob.call('POST', `/join/${encodeURIComponent(room)}?via=${a.name}`, {})).status).toBe(403);
  });
});

describe('inviting across servers', () => {
  it('goes the other way too, by a user whose server came into the room later', async () => {
    const room = await alice.createRoom({ preset: 'private_chat' });
    await alice.invite(room, bob.userId);
    await settle(a, b);
    await bob.join(room);
    await settle(a, b);
    const carl = await a.register('carl');
    await bob.invite(room, carl.userId);
    await settle(a, b);
    expect(await inviteOf(carl, room)).toBeDefined();
    expect(await mindOf(b, room)).toEqual(await mindOf(a, room));
    await carl.join(room);
    await settle(a, b);
    expect(await membershipOf(bob, room, carl.userId)).toBe('join');
  });

  it('of a user whose server is in the room already shows the invite, and only to them', async () => {
    const room = await alice.createRoom({ preset: 'private_chat', name: 'Both' });
    await alice.invite(room, bob.userId);
    await settle(a, b);
    await bob.join(room);
    await settle(a, b);
    await alice.invite(room, bill.userId);
    await settle(a, b);
    const stripped = (await inviteOf(bill, room)) ?? [];
    expect(stripped.find(({ type }) => type === 'm.room.name')?.content).toEqual({ name: 'Both' });
    expect(await membershipOf(bob, room, bill.userId)).toBe('invite');
    await bill.join(room);
    await settle(a, b);
    expect(await mindOf(b, room)).toEqual(await mindOf(a, room));
  });

  it('is not found for a user that the other server does not have, and changes nothing', async () => {
    const room = await alice.createRoom({ preset: 'private_chat' });
    const before = await mindOf(a, room);
    const answer = await alice.call('POST', path(room, 'invite'), { user_id: `@nobody:${b.name}` });
    expect(answer).toMatchObject({ status: 404, body: { errcode: 'M_NOT_FOUND' } });
    expect(await mindOf(a, room)).toEqual(before);
  });

  it('is refused for whoever is in the room or banned from it', async () => {
    const room = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(room, a.name);
    await settle(a, b);
    expect((await alice.call('POST', path(room, 'invite'), { user_id: bob.userId })).status).toBe(403);
    await alice.ok('POST', path(room, 'ban'), { user_id: bob.userId });
    await settle(a, b);
    expect((await alice.call('POST', path(room, 'invite'), { user_id: bob.userId })).status).toBe(403);
    expect(await inviteOf(bob, room)).toBeUndefined();
  });

  it('while creating the room reaches the invited, as a direct chat where it was asked for', async () => {
    const room = await alice.createRoom({ preset: 'trusted_private_chat', is_direct: true, invite: [bob.userId] });
    await settle(a, b);
    const own = ((await inviteOf(bob, room)) ?? []).find(({ state_key }) => state_key === bob.userId);
    expect(own?.content).toMatchObject({ membership: 'invite', is_direct: true });
    await bob.join(room);
    await settle(a, b);
    expect(await mindOf(b, room)).toEqual(await mindOf(a, room));
  });

  it('again after leaving lets them in again', async () => {
    const room = await alice.createRoom({ preset: 'private_chat' });
    for (let round = 0; round < 2; round++) {
      await alice.invite(room, bob.userId);
      await settle(a, b);
      expect(await inviteOf(bob, room)).toBeDefined();
      await bob.join(room);
      await settle(a, b);
      await bob.leave(room);
      await settle(a, b);
      expect(await membershipOf(alice, room, bob.userId)).toBe('leave');
    }
  });

  it('whose inviting server is gone can still be rejected here', async () => {
    const c = await TestServer.start({ clock: a.clock });
    const carol = await c.register('carol');
    const room = await carol.createRoom({ preset: 'private_chat' });
    await carol.invite(room, bob.userId);
    await settle(c, b);
    await c.stop();
    expect(await inviteOf(bob, room)).toBeDefined();
    await bob.leave(room);
    expect(await inviteOf(bob, room)).toBeUndefined();
  });
});
