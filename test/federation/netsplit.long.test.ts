import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EventId } from '../../src/matrix/ids.ts';
import { settle, startPair, type TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { membershipOf, mindOf, path, stateOf, textsOf } from './rooms.ts';

/** Longer than any server is left alone after its first failures. */
const minute = 60_000;

let a: TestServer;
let b: TestServer;
let alice: TestUser;
let carol: TestUser;
let bob: TestUser;
let bill: TestUser;

beforeAll(async () => {
  [a, b] = await startPair();
  [alice, carol] = [await a.register('alice'), await a.register('carol')];
  [bob, bill] = [await b.register('bob'), await b.register('bill')];
});

afterAll(async () => {
  await a.stop();
  await b.stop();
});

/** What both sides do while neither hears the other; then they meet again. */
async function apart(onA: () => Promise<void>, onB: () => Promise<void>): Promise<void> {
  await settle(a, b);
  await b.stop({ keepData: true });
  await onA();
  await settle(a);
  await a.stop({ keepData: true });
  b = await b.restart();
  for (const user of [bob, bill]) user.url = b.url;
  await onB();
  await settle(b);
  a = await a.restart();
  for (const user of [alice, carol]) user.url = a.url;
  await a.clock.advance(2 * minute);
  await settle(a, b);
}

/** The servers are of one mind, once somebody of each has said something that they both heard. */
async function meet(room: string, ...speakers: TestUser[]): Promise<void> {
  for (const user of speakers) {
    a.clock.step(1);
    await user.say(room, 'here again');
    await settle(a, b);
  }
  expect(await mindOf(b, room)).toEqual(await mindOf(a, room));
}

const levels = (users: Record<string, number>) => ({
  users,
  events: { 'm.room.topic': 50, 'm.room.name': 50, 'm.room.power_levels': 50, 'm.room.join_rules': 50 },
  ban: 50,
  kick: 50,
});

describe.each(['1', '2', '6', '10', '11', '12'])('a split of two servers in a room of version %s', (version) => {
  /** Alice made the room and is at 100 or above all, Bob at 90, Carol and Bill at 50; Alice's and Carol's is the one server. */
  async function contestedRoom(): Promise<{ room: string; founder: Record<string, number> }> {
    const room = await alice.createRoom({ preset: 'public_chat', room_version: version });
    await carol.join(room);
    await bob.join(room, a.name);
    await bill.join(room);
    await settle(a, b);
    const founder: Record<string, number> = version === '12' ? {} : { [alice.userId]: 100 };
    const users = { ...founder, [bob.userId]: 90, [carol.userId]: 50, [bill.userId]: 50 };
    await alice.setState(room, 'm.room.power_levels', levels(users));
    await settle(a, b);
    return { room, founder };
  }

  it('with a fight for power on both sides ends with the same state on both', async () => {
    const { room, founder } = await contestedRoom();
    await apart(
      async () => {
        a.clock.step(1);
        const users = { ...founder, [carol.userId]: 50, [bill.userId]: 50 };
        await alice.setState(room, 'm.room.power_levels', levels(users));
        await alice.ok('POST', path(room, 'ban'), { user_id: bill.userId });
        await carol.setState(room, 'm.room.topic', { topic: 'of a' });
      },
      async () => {
        b.clock.step(1);
        const users = { ...founder, [bob.userId]: 90, [bill.userId]: 50, [carol.userId]: 0 };
        await bob.setState(room, 'm.room.power_levels', levels(users));
        await bob.ok('POST', path(room, 'kick'), { user_id: carol.userId });
        await bob.setState(room, 'm.room.join_rules', { join_rule: 'invite' });
        await bob.setState(room, 'm.room.name', { name: 'of b' });
        await bill.setState(room, 'm.room.topic', { topic: 'of b' });
      },
    );
    await meet(room, alice, bob, alice);
    const seen = async (user: TestUser) => [
      (await stateOf(user, room, 'm.room.power_levels')).users,
      await membershipOf(user, room, carol.userId),
      await membershipOf(user, room, bill.userId),
      (await stateOf(user, room, 'm.room.join_rules')).join_rule,
      (await stateOf(user, room, 'm.room.topic'))?.topic,
      (await stateOf(user, room, 'm.room.name'))?.name,
    ];
    const ofAlice = await seen(alice);
    expect(await seen(bob)).toEqual(ofAlice);
    if (version === '1') return;
    // From version 2 on, the stronger sender's events come first, and Bob had no power left by them.
    const users = { ...founder, [carol.userId]: 50, [bill.userId]: 50 };
    expect(ofAlice).toEqual([users, 'join', 'ban', 'public', 'of a', undefined]);
    for (const user of [bob, bill]) {
      expect((await user.call('PUT', path(room, 'state', 'm.room.topic', ''), { topic: 'x' })).status).toBe(403);
    }
  });

  it('in which one side banned somebody of the other ends with the ban, and hides what they said meanwhile', async () => {
    const { room } = await contestedRoom();
    let said = '';
    await apart(
      async () => {
        a.clock.step(1);
        await alice.ok('POST', path(room, 'ban'), { user_id: bob.userId });
        await alice.say(room, 'bob is banned');
      },
      async () => {
        b.clock.step(1);
        said = await bob.say(room, 'nobody told me');
        await bob.setState(room, 'm.room.name', { name: 'of bob' });
        await bill.say(room, 'nor me');
      },
    );
    expect((await a.running.lantern.storage.events.find(said as EventId))?.verdict).toBe('soft_failed');
    await meet(room, bill, alice);
    for (const user of [alice, bill]) {
      expect(await membershipOf(user, room, bob.userId)).toBe('ban');
      // Version 1 keeps what only one side has.
      const name = await stateOf(user, room, 'm.room.name');
      expect(name).toEqual(version === '1' ? { name: 'of bob' } : undefined);
    }
    expect(await textsOf(alice, room)).not.toContain('nobody told me');
    expect(await textsOf(bill, room)).toEqual(expect.arrayContaining(['nobody told me', 'nor me', 'bob is banned']));
    expect(await textsOf(alice, room)).toEqual(expect.arrayContaining(['nor me', 'bob is banned']));
    expect((await bob.call('PUT', path(room, 'send', 'm.room.message', 't'), { body: 'x' })).status).toBe(403);
  });
});
