import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { membershipOf, path, stateOf } from '../federation/rooms.ts';
import type { TestUser } from '../support/user.ts';
import { type Proxied, removeProxied, startProxied } from './proxied.ts';
import { idsOf, inGraphOrder, readBack, stateIdsOf, storedIn, untilOfOneMind } from './talking.ts';
import { until } from './until.ts';

let a: Proxied;
let b: Proxied;
let c: Proxied;
let alice: TestUser;
let anna: TestUser;
let bob: TestUser;
let bill: TestUser;
let cecil: TestUser;

beforeAll(async () => {
  [a, b, c] = await Promise.all([startProxied(), startProxied(), startProxied()]);
  [alice, anna] = [await a.server.register('alice'), await a.server.register('anna')];
  [bob, bill] = [await b.server.register('bob'), await b.server.register('bill')];
  cecil = await c.server.register('cecil');
});

afterAll(async () => {
  await removeProxied(a, b, c);
});

/** From now on these hear nobody outside, and nobody outside hears them. */
function cutOff(...side: readonly Proxied[]): void {
  const names = new Set(side.map(({ server }) => server.name));
  for (const { server, proxy } of [a, b, c]) {
    proxy.decide = ({ origin }) => ({ fault: names.has(origin) === names.has(server.name) ? 'none' : 'lost' });
  }
}

function heal(): void {
  for (const { proxy } of [a, b, c]) proxy.decide = () => ({ fault: 'none' });
}

/** Somebody of each server speaks until everybody has heard everybody: then there is one end of the graph, and one state. */
async function meetAgain(room: string): Promise<void> {
  for (const user of [alice, bob, cecil]) {
    await user.say(room, 'here again');
    await untilOfOneMind(room, alice, bob, cecil);
  }
}

const levels = (users: Record<string, number>) => ({
  users,
  events: { 'm.room.topic': 50, 'm.room.name': 50, 'm.room.power_levels': 50, 'm.room.join_rules': 50 },
  ban: 50,
  kick: 50,
});

async function contestedRoom(version: string): Promise<{ room: string; founder: Record<string, number> }> {
  const room = await alice.createRoom({ preset: 'public_chat', room_version: version });
  for (const user of [anna, bob, bill, cecil]) await user.join(room, a.server.name);
  const founder: Record<string, number> = version === '12' ? {} : { [alice.userId]: 100 };
  const users = { ...founder, [bob.userId]: 90, [anna.userId]: 50, [cecil.userId]: 80 };
  await alice.setState(room, 'm.room.power_levels', levels(users));
  await untilOfOneMind(room, alice, bob, cecil);
  return { room, founder };
}

describe.each(['2', '11', '12'])(
  'three servers of which one is cut off from the others, in a room of version %s',
  (version) => {
    it('and that fight for power on both sides come to the same state, in which the stronger has won', async () => {
      const { room, founder } = await contestedRoom(version);
      cutOff(a);
      await alice.setState(room, 'm.room.power_levels', levels({ ...founder, [anna.userId]: 50, [cecil.userId]: 50 }));
      await alice.ok('POST', path(room, 'ban'), { user_id: bob.userId });
      await anna.setState(room, 'm.room.topic', { topic: 'of a' });

      await bob.setState(room, 'm.room.power_levels', levels({ ...founder, [bob.userId]: 90, [cecil.userId]: 80 }));
      await bob.ok('POST', path(room, 'kick'), { user_id: anna.userId });
      await until(
        'the kick is heard on the same side',
        async () => (await membershipOf(cecil, room, anna.userId)) === 'leave',
      );
      await cecil.setState(room, 'm.room.topic', { topic: 'of c' });
      await cecil.setState(room, 'm.room.join_rules', { join_rule: 'invite' });
      await until(
        'both of the side agree',
        async () => (await stateOf(bob, room, 'm.room.join_rules')).join_rule === 'invite',
      );
      expect(await membershipOf(alice, room, anna.userId)).toBe('join');
      expect(await membershipOf(bob, room, bob.userId)).toBe('join');

      heal();
      await alice.say(room, 'who is there?');
      await cecil.say(room, 'we are');
      // What the other side did after it had lost its power is soft-failed here and was shown there: only the state is to be the same.
      const everybody = [alice, bill, cecil];
      for (const user of everybody) {
        const said = await user.say(room, 'here again');
        await until('all hear it and agree on the state', async () => {
          for (const other of everybody) await other.ok('GET', path(room, 'event', said));
          const states = await Promise.all(
            everybody.map(async (other) => JSON.stringify(await stateIdsOf(other, room))),
          );
          if (new Set(states).size > 1) throw new Error(`they have ${states.join(' and ')}`);
          return true;
        });
      }
      expect(await membershipOf(bill, room, bob.userId)).toBe('ban');
      expect(await membershipOf(alice, room, anna.userId)).toBe('join');
      expect((await stateOf(cecil, room, 'm.room.topic')).topic).toBe('of a');
      expect((await stateOf(cecil, room, 'm.room.power_levels')).users).toEqual({
        ...founder,
        [anna.userId]: 50,
        [cecil.userId]: 50,
      });
    });

    it('and that only speak and name things meanwhile come to the same history and state, all three', async () => {
      const { room } = await contestedRoom(version);
      cutOff(c);
      for (let turn = 0; turn < 15; turn += 1) {
        for (const user of [alice, bob, cecil]) await user.say(room, `${turn}`);
        const who = [alice, bob, cecil][turn % 3];
        await who?.setState(room, turn % 2 === 0 ? 'm.room.topic' : 'm.room.name', {
          topic: `${turn}`,
          name: `${turn}`,
        });
      }
      // A kill on either side of the split changes nothing about what follows.
      await Promise.all([b.server.kill(), c.server.kill()]);
      await Promise.all([b.server.startAgain(), c.server.startAgain()]);
      heal();
      await meetAgain(room);
      const shown = await Promise.all([alice, bob, cecil].map(async (user) => idsOf(await readBack(user, room))));
      await Promise.all([a, b, c].map(({ server }) => server.stop()));
      const orders: string[][] = [];
      const ends: (readonly string[])[] = [];
      for (const [index, { server }] of [a, b, c].entries()) {
        const ids = shown[index] ?? [];
        const stored = await storedIn(server, room, ids);
        orders.push(inGraphOrder(ids, stored.places));
        ends.push(stored.extremities);
        expect(server.errors()).toEqual([]);
      }
      await Promise.all([a, b, c].map(({ server }) => server.startAgain()));
      expect(orders[1]).toEqual(orders[0]);
      expect(orders[2]).toEqual(orders[0]);
      expect(ends[1]).toEqual(ends[0]);
      expect(ends[2]).toEqual(ends[0]);
    });
  },
);
