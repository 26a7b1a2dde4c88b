import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../support/manual-clock.ts';
import { settle, TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { membershipOf, mindOf, newTexts, path } from './rooms.ts';

const minute = 60_000;

let clock: ManualClock;
let a: TestServer;
let b: TestServer;
let c: TestServer;
let alice: TestUser;
let bob: TestUser;
let carol: TestUser;

beforeEach(async () => {
  clock = new ManualClock();
  [a, b, c] = [await TestServer.start({ clock }), await TestServer.start({ clock }), await TestServer.start({ clock })];
  alice = await a.register('alice');
  bob = await b.register('bob');
  carol = await c.register('carol');
});
afterEach(async () => {
  for (const server of [a, b, c]) await server.stop();
});

async function back(server: TestServer, user: TestUser): Promise<TestServer> {
  const started = await server.restart();
  user.url = started.url;
  return started;
}

async function hearEachOther(): Promise<void> {
  for (let round = 0; round < 4; round++) {
    await clock.advance(minute);
    await settle(a, b, c);
  }
}

/** Alice's server does something that Bob's does not hear of, and then cannot be reached. */
async function meanwhile(act: () => Promise<unknown>): Promise<void> {
  await b.stop({ keepData: true });
  await act();
  await settle(a, c);
  await a.stop({ keepData: true });
  b = await back(b, bob);
  await settle(b, c);
}

const isIn = (server: TestServer, room: string, name: string) =>
  server.running.lantern.roster.usersOfServerIn(room as never, name as never).size > 0;

describe('a server that was let into a room by one that had not heard why it must not be', () => {
  it.each(['9', '11', '12'])('learns of the ban, and is out of the room, version %s', async (version) => {
    const room = await alice.createRoom({ preset: 'public_chat', room_version: version });
    await bob.join(room, a.name);
    await settle(a, b);
    await meanwhile(() => alice.ok('POST', path(room, 'ban'), { user_id: carol.userId, reason: 'no' }));
    await carol.join(room, b.name);
    await settle(b, c);
    expect(isIn(c, room, c.name)).toBe(true);
    await carol.sync();
    a = await back(a, alice);
    await hearEachOther();
    for (const server of [a, b, c]) expect(isIn(server, room, c.name)).toBe(false);
    expect(await membershipOf(bob, room, carol.userId)).toBe('ban');
    const sync = await carol.sync();
    expect(Object.keys(sync.rooms?.leave ?? {})).toContain(room);
    expect((await carol.call('PUT', path(room, 'send', 'm.room.message', 'x'), { body: 'x' })).status).toBe(403);
    expect((await mindOf(c, room)).state).toEqual((await mindOf(a, room)).state);
  });

  it('learns of the change that closed the room', async () => {
    const room = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(room, a.name);
    await alice.ok('GET', `/profile/${carol.userId}`);
    await settle(a, b);
    // Of two changes of the same moment chance decides which comes last.
    await clock.advance(1_000);
    await meanwhile(() => alice.setState(room, 'm.room.join_rules', { join_rule: 'invite' }));
    await carol.join(room, b.name);
    await settle(b, c);
    a = await back(a, alice);
    await hearEachOther();
    await alice.say(room, 'among us');
    await hearEachOther();
    for (const server of [a, b, c]) expect(isIn(server, room, c.name)).toBe(false);
    expect(newTexts(await bob.sync(), room)).toContain('among us');
  });
});

describe('a server that left a room', () => {
  it('may ask for what stood before, and for nothing that came after', async () => {
    const room = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(room, a.name);
    await settle(a, b);
    const early = await alice.say(room, 'early');
    await settle(a, b);
    await bob.leave(room);
    await settle(a, b);
    const late = await alice.say(room, 'late');
    const requests = b.running.lantern.outgoing.requests;
    const ids = (eventId: string) => requests.getStateIds(a.name as never, room as never, eventId as never);
    expect((await ids(early)).pduIds.length).toBeGreaterThan(3);
    await expect(ids(late)).rejects.toMatchObject({ status: 403 });
    await expect(requests.getEvent(a.name as never, late as never)).rejects.toMatchObject({ status: 403 });
  });
});
