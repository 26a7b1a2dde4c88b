import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { listAuthChain } from '../../src/engine/graph/auth-chain.ts';
import type { EventId } from '../../src/matrix/ids.ts';
import type { RoomEvent } from '../../src/matrix/pdu.ts';
import type { Row } from '../../src/storage/contract/commit.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import { openSqliteStorage } from '../../src/storage/sqlite/open.ts';
import type { Measure } from '../support/report.ts';
import type { BenchPart } from '../support/run.ts';
import { medianOf } from '../support/statistics.ts';
import { timeRuns } from '../support/timing.ts';
import { watch } from '../support/watch.ts';
import { LargeRoom, memberName } from './forked-room.ts';

const chainSize = 20_000;

/** Auth chains of 20,000 events, read from a database that was just opened. */
export const authChainPart: BenchPart = {
  name: 'auth chain',
  run: async () => [
    ...(await measureChain('20 000 events, ten each for 2 000 members', renamesOf(2_000))),
    ...(await measureChain('20 000 events, all of one member', renamesOf(1))),
  ],
};

/** A room in which so many members have renamed themselves, one after the other and again; with the newest event of each. */
function renamesOf(members: number): { events: readonly RoomEvent[]; ends: readonly EventId[] } {
  const large = new LargeRoom('11', members);
  for (let index = 0; large.room.events.size <= chainSize; index += 1) {
    large.member(large.base, memberName(index % members), { membership: 'join', displayname: `${index}` });
  }
  return {
    events: [...large.room.events.values()],
    ends: [...large.base.values()].map(({ eventId }) => eventId),
  };
}

async function measureChain(
  name: string,
  { events, ends }: { events: readonly RoomEvent[]; ends: readonly EventId[] },
): Promise<Measure[]> {
  const folder = mkdtempSync(join(tmpdir(), 'lantern-bench-'));
  const file = join(folder, 'lantern.db');
  const open = (): Promise<Storage> => openSqliteStorage({ file, clock: systemClock });
  try {
    const storage = await open();
    await fill(storage, events);
    await storage.stop();
    const walk = async (from: Storage): Promise<number> =>
      (await listAuthChain(ends, (ids, ahead) => from.events.listAuthEdges(ids, ahead))).size;
    const opened: Storage[] = [];
    const setUp = async (): Promise<Storage> => {
      for (const before of opened.splice(0)) await before.stop();
      opened.push(await open());
      return opened[0] as Storage; // pushed above
    };
    const samples = await timeRuns({ setUp, run: walk, warmUps: 2, runs: 7 });
    const storageOfWatch = await setUp();
    const { longestTurnMs, result } = await watch(() => walk(storageOfWatch));
    await storageOfWatch.stop();
    const found = `${result} events found`;
    return [
      { name, unit: 'ms', value: medianOf(samples), bound: { atMost: 200 }, note: found },
      { name: `${name}: longest turn of the loop`, unit: 'ms', value: longestTurnMs, bound: { atMost: 20 } },
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function fill(storage: Storage, events: readonly RoomEvent[]): Promise<void> {
  const [create] = events;
  if (create) await storage.commit({ rows: [{ kind: 'room', roomId: create.roomId, version: create.roomVersion }] });
  for (let at = 0; at < events.length; at += 500) {
    const rows = events.slice(at, at + 500).map(
      (event): Row => ({
        kind: 'event',
        event,
        verdict: 'accepted',
        placement: 'outlier',
        snapshotBefore: null,
        snapshotAfter: null,
        receivedAtMs: 0,
      }),
    );
    await storage.commit({ rows });
  }
}
