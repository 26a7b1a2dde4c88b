import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { settle, startPair, type TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';

/** The sharing config as rooms are left, forgotten and upgraded, through two whole servers. */

const type = 'm.presence_sharing_config';

let a: TestServer;
let b: TestServer;
let alice: TestUser;
let bob: TestUser;
let dave: TestUser;

beforeAll(async () => {
  [a, b] = await startPair();
  alice = await a.register('alice');
  bob = await a.register('bob');
  dave = await b.register('dave');
});

afterAll(async () => {
  await a.stop();
  await b.stop();
});

async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 500) {
    await a.clock.advance(Math.min(left, 500));
    await settle(a, b);
  }
}

const config = () => alice.ok('GET', `/user/${alice.userId}/account_data/${type}`);
const see = async (viewer: TestUser) => (await viewer.getPresence(alice.userId)).body.presence;

describe('a room of another server', () => {
  it('that she is kicked from is not allowed any more, stays denied until she forgets it, and its successor is denied', async () => {
    const room = await dave.createRoom({ preset: 'public_chat' });
    await alice.join(room, b.name);
    await settle(a, b);
    await alice.setAccountData(type, { allowed_users: [room], denied_users: ['@*'] });
    await alice.setPresence('online', 'here');
    await pass(2_000);
    expect(await see(dave)).toBe('online');

    await dave.ok('POST', `/rooms/${encodeURIComponent(room)}/kick`, { user_id: alice.userId });
    await settle(a, b);
    expect(await config()).toEqual({ allowed_users: [], denied_users: ['@*'] });
    await alice.join(room, b.name);
    await alice.setPresence('online', 'again');
    await pass(2_000);
    expect(await see(dave)).toBe('offline');

    await alice.setAccountData(type, { denied_users: [room] });
    await dave.ok('POST', `/rooms/${encodeURIComponent(room)}/kick`, { user_id: alice.userId });
    await settle(a, b);
    expect(await config()).toEqual({ denied_users: [room] });
    await alice.join(room, b.name);
    await pass(2_000);
    expect(await see(dave)).toBe('offline');

    const next = await dave.createRoom({
      preset: 'public_chat',
      creation_content: { predecessor: { room_id: room, event_id: '$x' } },
    });
    await bob.join(next, b.name);
    await alice.join(next, b.name);
    await alice.setPresence('online', 'in the next one');
    await pass(2_000);
    expect(await config()).toEqual({ denied_users: [room, next] });
    expect(await see(bob)).toBe('offline');
    expect(await see(dave)).toBe('offline');
    const { account_data } = await alice.sync();
    const sent = account_data.events.filter((event: { type: string }) =>
      event.type.endsWith('presence_sharing_config'),
    );
    expect(sent).toHaveLength(2);
    for (const { content } of sent) expect(content).toEqual({ denied_users: [room, next] });

    for (const left of [room, next]) {
      await alice.leave(left);
      await settle(a, b);
      await alice.ok('POST', `/rooms/${encodeURIComponent(left)}/forget`, {});
    }
    expect(await config()).toEqual({ denied_users: [] });
    const { account_data: after } = await alice.sync();
    expect(after.events).toContainEqual({ type, content: { denied_users: [] } });
  });
});

describe('a denied room that is upgraded', () => {
  const upgrade = async (user: TestUser, room: string): Promise<string> =>
    (await user.ok('POST', `/rooms/${encodeURIComponent(room)}/upgrade`, { new_version: '12' })).replacement_room;

  it('is denied in its replacement too, to her who upgrades it and to her who follows, and a room that is not denied is not', async () => {
    const emil = await a.register('emil');
    const frida = await b.register('frida');
    const [seen, seenFar] = [async () => (await emil.getPresence(alice.userId)).body, async () => see(frida)];
    const open = await alice.createRoom({ preset: 'public_chat' });
    const mine = await alice.createRoom({ preset: 'public_chat' });
    const theirs = await emil.createRoom({ preset: 'public_chat' });
    await alice.join(theirs);
    await alice.setAccountData(type, { denied_users: [mine, theirs] });
    await alice.setPresence('online', 'denied');

    const [nextMine, nextTheirs] = [await upgrade(alice, mine), await upgrade(emil, theirs)];
    await alice.join(nextTheirs);
    await emil.join(nextMine);
    await frida.join(nextMine, a.name);
    await settle(a, b);
    await pass(2_000);
    expect(await config()).toEqual({ denied_users: [mine, theirs, nextMine, nextTheirs] });
    expect((await seen()).status_msg).toBeUndefined();
    expect(await seenFar()).toBe('offline');

    const nextOpen = await upgrade(alice, open);
    await alice.setAccountData(type, { denied_users: [mine] });
    await alice.ok('POST', `/rooms/${encodeURIComponent(nextMine)}/leave`, {});
    await alice.leave(nextTheirs);
    await alice.leave(theirs);
    await emil.join(nextOpen);
    await frida.join(nextOpen, a.name);
    await settle(a, b);
    await alice.setPresence('online', 'open');
    await pass(2_000);
    expect(await config()).toEqual({ denied_users: [mine] });
    expect((await seen()).status_msg).toBe('open');
    expect((await frida.getPresence(alice.userId)).body.status_msg).toBe('open');
  });
});

describe('many edits at once', () => {
  it('leave on both servers what the last one says', async () => {
    const room = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(room);
    await dave.join(room, a.name);
    await settle(a, b);
    const edits = Array.from({ length: 20 }, (_, index) =>
      alice.setAccountData(
        index % 2 === 0 ? type : `events.matrix-community.presence_sharing_config`,
        index % 3 === 0 ? { denied_users: [bob.userId, dave.userId] } : {},
      ),
    );
    const changes = Array.from({ length: 20 }, (_, index) =>
      alice.setPresence(index % 2 === 0 ? 'online' : 'unavailable', `${index}`),
    );
    await Promise.all([...edits, ...changes]);
    await alice.setAccountData(type, { denied_users: [dave.userId] });
    await alice.setPresence('online', 'last');
    expect((await bob.getPresence(alice.userId)).body).toMatchObject({ presence: 'online', status_msg: 'last' });
    await pass(2_000);
    expect(await see(dave)).toBe('offline');
    await alice.setAccountData(type, { denied_users: [bob.userId] });
    expect(await see(bob)).toBe('offline');
    await pass(2_000);
    expect((await dave.getPresence(alice.userId)).body).toMatchObject({ presence: 'online', status_msg: 'last' });
  });
});
