import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert } from '../../src/base/assert.ts';
import { systemClock } from '../../src/base/clock.ts';
import type { EventId, RoomId, UserId } from '../../src/matrix/ids.ts';
import type { Row } from '../../src/storage/contract/commit.ts';
import type { SearchQuery } from '../../src/storage/contract/search.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import { openSqliteStorage } from '../../src/storage/sqlite/open.ts';
import type { Measure } from '../support/report.ts';
import type { BenchPart } from '../support/run.ts';
import { elapsedMs, now } from '../support/stopwatch.ts';
import { watch } from '../support/watch.ts';

const messagesDefault = 1_000_000;
const rooms = 200;
const batch = 500;
/** The last ones are written as a server writes them, one by one; the others fill the room. */
const single = 10_000;
/** One message in so many holds the rare word. */
const rareEvery = 10_000;

/** Words as they occur: a few everywhere, most of them seldom. */
const vocabulary = Array.from({ length: 5_000 }, (_, index) => `word${index}`);

/** Searches in a million messages of two hundred rooms, and how long others have to wait meanwhile. */
export const millionMessagesPart: BenchPart = {
  name: 'a million messages',
  run: async ({ set }) => {
    const messages = set.get('messages') ?? messagesDefault;
    const folder = mkdtempSync(join(tmpdir(), 'lantern-bench-'));
    const storage = await openSqliteStorage({ file: join(folder, 'lantern.db'), clock: systemClock });
    try {
      await fill(storage, { from: 0, to: messages - single, perCommit: batch });
      const startedAt = now();
      await fill(storage, { from: messages - single, to: messages, perCommit: 1 });
      const perMessage = (1_000 * elapsedMs(startedAt, now())) / single;
      const every = Array.from({ length: rooms }, (_, index) => roomIdOf(index));
      const own = every.slice(0, 20);
      const recent = { order: 'recent' as const };
      return [
        { name: 'writing a message, the index included', unit: 'µs', value: perMessage },
        ...(await measure(storage, 'a rare word, in 20 rooms', { terms: ['rare'], roomIds: own, ...recent }, 100)),
        ...(await measure(
          storage,
          'a word of every message, in one room',
          { terms: ['common'], roomIds: own.slice(0, 1), ...recent },
          200,
        )),
        ...(await measure(
          storage,
          'the same by rank',
          { terms: ['common'], roomIds: own.slice(0, 1), order: 'rank' },
          500,
        )),
        ...(await measure(
          storage,
          'a word of every message, in all rooms',
          { terms: ['common'], roomIds: every, ...recent },
          1_000,
        )),
      ];
    } finally {
      await storage.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

function roomIdOf(index: number): RoomId {
  return `!room${index}:a.test` as RoomId;
}

async function fill(
  storage: Storage,
  { from, to, perCommit }: { readonly from: number; readonly to: number; readonly perCommit: number },
): Promise<void> {
  const sender = '@sender:a.test' as UserId;
  for (let start = from; start < to; start += batch) {
    const rows = Array.from({ length: Math.min(batch, to - start) }, (_, offset): Row => {
      const number = start + offset;
      const words = Array.from(
        { length: 8 },
        (_, place) => vocabulary[(number * 31 + place * place * 97) % vocabulary.length],
      );
      const body = ['common', ...words, ...(number % rareEvery === 0 ? ['rare'] : [])].join(' ');
      return {
        kind: 'event',
        event: {
          eventId: `$message${number}` as EventId,
          roomId: roomIdOf(number % rooms),
          roomVersion: '11',
          pdu: {
            type: 'm.room.message',
            sender,
            content: { msgtype: 'm.text', body },
            depth: number + 1,
            origin_server_ts: number,
            prev_events: [],
            auth_events: [],
            hashes: { sha256: '' },
            signatures: {},
          },
        },
        verdict: 'accepted',
        placement: 'timeline',
        snapshotBefore: null,
        snapshotAfter: null,
        receivedAtMs: number,
      };
    });
    const commits = [];
    for (let at = 0; at < rows.length; at += perCommit) {
      commits.push(storage.commit({ rows: rows.slice(at, at + perCommit), expect: [] }));
    }
    await Promise.all(commits);
  }
}

type Asked = Pick<SearchQuery, 'terms' | 'roomIds' | 'order'>;

async function measure(storage: Storage, name: string, asked: Asked, atMost: number): Promise<Measure[]> {
  const query: SearchQuery = { ...asked, keys: ['content.body'], offset: 0, limit: 500 };
  const search = async (): Promise<number> => (await storage.search.searchMessages(query)).found.length;
  assert((await search()) > 0, 'nothing was found');
  const runs = [await watch(search), await watch(search), await watch(search)];
  return [
    { name, unit: 'ms', value: Math.min(...runs.map((run) => run.elapsedMs)), bound: { atMost } },
    {
      name: `${name}: longest turn`,
      unit: 'ms',
      value: Math.min(...runs.map((run) => run.longestTurnMs)),
      bound: { atMost: 50 },
    },
  ];
}
