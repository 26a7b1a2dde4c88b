import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { settle, startPair, TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { encode, membershipOf, newUsers, refusal } from './rooms-support.ts';

let here: TestServer;
let there: TestServer;
let alice: TestUser;
let bob: TestUser;
let carol: TestUser;

beforeAll(async () => {
  [here, there] = await startPair();
});
afterAll(() => Promise.all([here.stop(), there.stop()]));
beforeEach(async () => {
  [alice, bob] = await newUsers(here, 'alice', 'bob');
  [carol] = await newUsers(there, 'carol');
});

const auth = (user: TestUser) => ({
  type: 'm.login.password',
  identifier: { type: 'm.id.user', user: user.userId },
  password: 'correct horse',
});
const deactivate = (user: TestUser, more = {}) => user.ok('POST', '/account/deactivate', { auth: auth(user), ...more });

describe('a deactivated user', () => {
  it('leaves every room, here and elsewhere', async () => {
    const own = await alice.createRoom({ preset: 'public_chat' });
    const others = await bob.createRoom({ preset: 'public_chat' });
    const remote = await carol.createRoom({ preset: 'public_chat' });
    await bob.join(own);
    await alice.join(others);
    await alice.join(remote, there.name);
    await deactivate(alice);
    await settle(here, there);
    expect(await membershipOf(bob, own, alice.userId)).toBe('leave');
    expect(await membershipOf(bob, others, alice.userId)).toBe('leave');
    expect(await membershipOf(carol, remote, alice.userId)).toBe('leave');
  });

  it('gives back the invites of both servers', async () => {
    const local = await bob.createRoom();
    const remote = await carol.createRoom();
    await bob.invite(local, alice.userId);
    await carol.invite(remote, alice.userId);
    await deactivate(alice);
    await settle(here, there);
    expect(await membershipOf(bob, local, alice.userId)).toBe('leave');
    expect(await membershipOf(carol, remote, alice.userId)).toBe('leave');
  });

  it('stays banned where they were, and has no profile any more', async () => {
    const roomId = await bob.createRoom({ preset: 'public_chat' });
    await alice.join(roomId);
    await bob.ok('POST', `/rooms/${encode(roomId)}/ban`, { user_id: alice.userId });
    await deactivate(alice);
    await settle(here);
    expect(await membershipOf(bob, roomId, alice.userId)).toBe('ban');
    expect(refusal(await bob.call('GET', `/profile/${alice.userId}`))).toEqual([404, 'M_NOT_FOUND']);
    expect(refusal(await carol.call('GET', `/profile/${alice.userId}`))).toEqual([404, 'M_NOT_FOUND']);
  });

  it('keeps what was stored unless they ask for its erasure', async () => {
    const { storage } = here.running.lantern;
    const stored = async (user: TestUser) => [
      (await storage.accountData.listSince(user.userId as never, 0, storage.position())).length,
      (await storage.accounts.findProfile(user.userId as never))?.displayname,
      storage.accounts.erasedAt(user.userId as never) !== undefined,
    ];
    for (const user of [alice, bob]) {
      await user.setAccountData('test.type', { a: 1 });
      await user.ok('PUT', `/profile/${user.userId}/displayname`, { displayname: 'Name' });
    }
    await deactivate(alice);
    await deactivate(bob, { erase: true });
    expect(await stored(alice)).toEqual([1, 'Name', false]);
    expect(await stored(bob)).toEqual([0, null, true]);
  });

  it('is refused what they erase as other than yes or no, and nothing happens', async () => {
    const body = { auth: auth(alice), erase: 'all' };
    expect(refusal(await alice.call('POST', '/account/deactivate', body))).toEqual([400, 'M_BAD_JSON']);
    expect((await alice.call('GET', '/account/whoami')).status).toBe(200);
  });
});

describe('a departure that a stop interrupted', () => {
  it('is taken up by the next start', async () => {
    const server = await TestServer.start();
    const [leaver, stayer] = await newUsers(server, 'leaver', 'stayer');
    const roomId = await stayer.createRoom({ preset: 'public_chat' });
    await leaver.join(roomId);
    // As the commit left it, the moment before the process ended.
    await server.running.lantern.storage.commit({
      rows: [
        { kind: 'account', userId: leaver.userId as never, passwordHash: null, createdAtMs: 0, deactivatedAtMs: 1 },
      ],
    });
    const again = await server.restart();
    stayer.url = again.url;
    await again.settle();
    expect(await membershipOf(stayer, roomId, leaver.userId)).toBe('leave');
    expect(await membershipOf(stayer, roomId, stayer.userId)).toBe('join');
    await again.stop();
  });
});
