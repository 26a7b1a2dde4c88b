import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { newTexts } from '../federation/rooms.ts';
import type { TestUser } from '../support/user.ts';
import { Chance } from './chance.ts';
import { ServerProcess } from './server-process.ts';
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
import { pause, until } from './until.ts';

/** Fifty kills in all. A new room now and then: what is compared after each of them is all that was said in it. */
const rooms = ['first', 'second', 'third', 'fourth', 'fifth'];
const killsPerRoom = 10;
const sendersPerServer = 2;
const messagesPerRound = 6;

const chance = new Chance();
let accepted: Accepted;
/** What each reader's long chain of syncs has shown of the room so far. */
let synced: Map<TestUser, string[]>;
let a: ServerProcess;
let b: ServerProcess;
let speakers: TestUser[];
let readers: [TestUser, TestUser];
let room: string;

beforeAll(async () => {
  [a, b] = await Promise.all([ServerProcess.start(), ServerProcess.start()]);
  const register = (server: ServerProcess, name: string) =>
    Promise.all(Array.from({ length: sendersPerServer }, (_, index) => server.register(`${name}${index}`)));
  speakers = [...(await register(a, 'anna')), ...(await register(b, 'bert'))];
  readers = [await a.register('reader'), await b.register('reader')];
});

afterAll(async () => {
  await Promise.all([a.remove(), b.remove()]);
});

beforeEach(async () => {
  const [founder, ...others] = [...speakers, ...readers];
  if (!founder) throw new Error('nobody speaks');
  const levels = { users_default: 50, users: { [founder.userId]: 100 } };
  room = await founder.createRoom({ preset: 'public_chat', power_level_content_override: levels });
  for (const user of others) await user.join(room, a.name);
  await untilOfOneMind(room, ...readers);
  accepted = new Map();
  synced = new Map();
  for (const reader of readers) {
    await reader.sync();
    synced.set(reader, []);
  }
});

/** All speak at once, and name the room now and then; in the middle of it servers are killed and started again. */
async function talkThrough(round: number, victims: readonly ServerProcess[]): Promise<void> {
  const before = accepted.size;
  const all = speakers.length * messagesPerRound;
  const talks = speakers.map(async (user, index) => {
    for (let turn = 0; turn < messagesPerRound; turn += 1) {
      await insist(user, room, `${round}-${index}-${turn}`, accepted);
      // Whether this one is accepted does not matter: what counts is that both agree on it.
      if (turn === index)
        await user.setState(room, 'm.room.name', { name: `${round} ${index}` }).catch(() => undefined);
    }
  });
  // At least one message of every speaker stays for the time after the kill.
  const moment = before + chance.below(all - speakers.length * 2);
  await until('enough was said', () => accepted.size >= moment);
  // Somewhere between two steps of whatever the server is doing then.
  await pause(chance.below(25));
  await Promise.all(victims.map((victim) => victim.kill()));
  await Promise.all(victims.map((victim) => victim.startAgain()));
  await Promise.all(talks);
}

async function syncOn(reader: TestUser): Promise<void> {
  const filter = JSON.stringify({ room: { timeline: { limit: 1_000 } } });
  const answer = await reader.sync({ filter });
  expect(answer.rooms?.join?.[room]?.timeline.limited ?? false).toBe(false);
  synced.get(reader)?.push(...newTexts(answer, room));
}

describe(`two servers that are killed while they are talked to (SURVIVAL_SEED=${chance.seed})`, () => {
  it.each(rooms)(
    `${killsPerRoom} times in the %s room have every accepted message once, in the same order, and the same state`,
    async () => {
      let shownBefore: readonly string[][] = [[], []];
      for (let round = 0; round < killsPerRoom; round += 1) {
        await talkThrough(round, [[a], [b], [a, b]][round % 3] ?? []);
        await untilOfOneMind(room, ...readers);
        const histories = await Promise.all(readers.map((reader) => readBack(reader, room)));
        for (const history of histories) {
          const shown = messagesIn(history).map(({ content, event_id }) => [content.body, event_id]);
          expect(shown.sort(), `round ${round}`).toEqual([...accepted].sort());
        }
        // What was shown keeps its order, whatever came since.
        const shown = histories.map(idsOf);
        for (const [index, ids] of shown.entries()) {
          const known = new Set(shownBefore[index]);
          expect(
            ids.filter((id) => known.has(id)),
            `round ${round}`,
          ).toEqual(shownBefore[index]);
        }
        shownBefore = shown;
        for (const reader of readers) await syncOn(reader);
        for (const texts of synced.values())
          expect(texts.toSorted(), `round ${round}`).toEqual([...accepted.keys()].sort());
      }

      await Promise.all([a.stop(), b.stop()]);
      expect([...a.errors(), ...b.errors()]).toEqual([]);
      const [ofA = [], ofB = []] = shownBefore;
      const [inA, inB] = [await storedIn(a, room, ofA), await storedIn(b, room, ofB)];
      expect(inGraphOrder(ofB, inB.places)).toEqual(inGraphOrder(ofA, inA.places));
      expect(inB.extremities).toEqual(inA.extremities);
      expect([...inA.pending, ...inB.pending]).toEqual([]);
      await Promise.all([a.startAgain(), b.startAgain()]);
    },
  );
});
