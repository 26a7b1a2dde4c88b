import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestUser } from '../support/user.ts';
import { Chance } from './chance.ts';
import type { Fault } from './fault-proxy.ts';
import { type Proxied, removeProxied, startProxied } from './proxied.ts';
import {
  type Accepted,
  idsOf,
  inGraphOrder,
  insist,
  messagesIn,
  readBack,
  storedIn,
  untilOfOneMind,
} from './talking.ts';
import { until } from './until.ts';

const messagesPerSpeaker = 40;
const faults: readonly Fault['fault'][] = [
  'lost',
  'answer_lost',
  'truncated',
  'late',
  'doubled',
  'replayed',
  'gateway',
];
const lateMaxMs = 300;

const chance = new Chance();
let a: Proxied;
let b: Proxied;
let alice: TestUser;
let anna: TestUser;
let bob: TestUser;
let bert: TestUser;

beforeAll(async () => {
  [a, b] = await Promise.all([startProxied(), startProxied()]);
  [alice, anna] = [await a.server.register('alice'), await a.server.register('anna')];
  [bob, bert] = [await b.server.register('bob'), await b.server.register('bert')];
});

afterAll(async () => {
  await removeProxied(a, b);
});

async function sharedRoom(): Promise<string> {
  const levels = { users_default: 50, users: { [alice.userId]: 100 } };
  const room = await alice.createRoom({ preset: 'public_chat', power_level_content_override: levels });
  for (const user of [anna, bob, bert]) await user.join(room, a.server.name);
  await untilOfOneMind(room, alice, bob);
  return room;
}

const heal = (): void => {
  for (const { proxy } of [a, b]) proxy.decide = () => ({ fault: 'none' });
};

let deck: Fault['fault'][] = [];

/** Dealt like cards, so that every fault comes about however little is sent: half of the deck lets through. */
function mishap(): Fault {
  if (deck.length === 0) deck = faults.flatMap((fault) => [fault, 'none']);
  const [fault] = deck.splice(chance.below(deck.length), 1);
  if (fault === 'late') return { fault, ms: chance.below(lateMaxMs) };
  if (fault === 'replayed') return { fault, which: chance.below(1_000) };
  return { fault: fault ?? 'none' };
}

/** Attempts to deliver to the server behind the proxy. */
const attempts = ({ proxy }: Proxied) => proxy.seen.filter(({ url }) => url.includes('/v1/send/'));

describe(`between two servers, a network (SURVIVAL_SEED=${chance.seed})`, () => {
  it('that loses, delays, doubles, replays and cuts off delivers every message once, to the same state', async () => {
    const room = await sharedRoom();
    const accepted: Accepted = new Map();
    const met = new Set<string>();
    for (const { proxy } of [a, b]) {
      proxy.decide = () => {
        const decision = mishap();
        met.add(decision.fault);
        return decision;
      };
    }
    const talks = [alice, anna, bob, bert].map(async (user) => {
      for (let turn = 0; turn < messagesPerSpeaker; turn += 1) {
        await insist(user, room, `${user.userId} ${turn}`, accepted);
        if (turn % 10 === 0) await user.setState(room, 'm.room.topic', { topic: `${user.userId} ${turn}` });
        // What is said all at once goes out in one transaction, and meets one mishap.
        const arrived = [a, b].map((side) => attempts(side).length);
        await until('something is sent', () =>
          [a, b].some((side, index) => attempts(side).length > (arrived[index] ?? 0)),
        );
      }
    });
    await Promise.all(talks);
    expect([...met].sort()).toEqual([...faults, 'none'].sort());
    heal();
    await untilOfOneMind(room, alice, bob);
    const histories = await Promise.all([alice, bob].map((user) => readBack(user, room)));
    for (const history of histories) {
      const shown = messagesIn(history).map(({ content, event_id }) => [content.body, event_id]);
      expect(shown.sort()).toEqual([...accepted].sort());
    }
    await Promise.all([a.server.stop(), b.server.stop()]);
    expect([...a.server.errors(), ...b.server.errors()]).toEqual([]);
    const [ofA = [], ofB = []] = histories.map(idsOf);
    const [inA, inB] = [await storedIn(a.server, room, ofA), await storedIn(b.server, room, ofB)];
    expect(inGraphOrder(ofB, inB.places)).toEqual(inGraphOrder(ofA, inA.places));
    expect(inB.extremities).toEqual(inA.extremities);
    await Promise.all([a.server.startAgain(), b.server.startAgain()]);
  });

  it('that was gone is used again at once when the other side is heard, with the same transaction, also after a kill', async () => {
    const room = await sharedRoom();
    const accepted: Accepted = new Map();
    const before = attempts(b).length;
    b.proxy.decide = () => ({ fault: 'lost' });
    await insist(alice, room, 'into the void', accepted);
    const tried = () => attempts(b).slice(before);
    const failures = () =>
      a.server.log().filter(({ msg, destination }) => msg === 'a transaction failed' && destination === b.server.name);
    const known = failures().length;
    // The third wait is of eight seconds at least: time enough to tell whether it was waited out.
    await until('three attempts failed', () => failures().length >= known + 3);
    await a.server.kill();
    await a.server.startAgain();
    const failed = failures().at(-1);
    const retryAtMs = (failed?.time ?? 0) + Number(failed?.retryInMs);
    expect(Number(failed?.retryInMs)).toBeGreaterThanOrEqual(8_000);
    const tries = tried().length;
    heal();
    await insist(bob, room, 'here I am', accepted);
    const next = await until('the next attempt', () => tried()[tries]);
    expect(next.atMs).toBeLessThan(retryAtMs);
    expect(
      new Set(
        tried()
          .slice(0, tries + 1)
          .map(({ url }) => url),
      ).size,
    ).toBe(1);
    await untilOfOneMind(room, alice, bob);
    const texts = messagesIn(await readBack(bob, room)).map(({ content }) => content.body);
    expect(texts.sort()).toEqual([...accepted.keys()].sort());
  });
});
