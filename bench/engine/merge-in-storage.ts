import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import type { RoomEvent, StateKey } from '../../src/matrix/pdu.ts';
import { extendRoom } from '../../src/rooms/core/extend-room.ts';
import type { RoomHead } from '../../src/rooms/core/room-head.ts';
import { resolvePoints, type StatePoint, storedPoint } from '../../src/rooms/core/state-point.ts';
import type { Row } from '../../src/storage/contract/commit.ts';
import type { SnapshotId } from '../../src/storage/contract/state.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import { openSqliteStorage } from '../../src/storage/sqlite/open.ts';
import type { Measure } from '../support/report.ts';
import type { BenchPart } from '../support/run.ts';
import { medianOf } from '../support/statistics.ts';
import { type Watched, watch } from '../support/watch.ts';
import { type Fork, idsOf, LargeRoom, moderator, splitWithConflicts } from './forked-room.ts';

/**
 * Two sides of a split of 10,000 members come together again in a database: the state is resolved, and the room gets what follows from
 * that. Watched is how long others have to wait meanwhile.
 */
export const mergeInStoragePart: BenchPart = {
  name: 'merge in storage',
  run: async ({ set }) => [
    ...(await measureMerge('12', set.get('conflicts') ?? 100)),
    ...(await measureMerge('12', 2_000)),
  ],
};

async function measureMerge(version: string, conflicts: number): Promise<Measure[]> {
  const large = new LargeRoom(version, 10_000);
  const [here, there] = splitWithConflicts(large, conflicts);
  const [lastHere, lastThere] = [endOf(large, 'here'), endOf(large, 'there')];
  const folder = mkdtempSync(join(tmpdir(), 'lantern-bench-'));
  const open = (): Promise<Storage> => openSqliteStorage({ file: join(folder, 'lantern.db'), clock: systemClock });
  try {
    const filled = await fill(await open(), large, { here, there, lastHere, lastThere });
    const name = `merge of 10 000 with ${conflicts} conflicts, v${version}`;
    const runs: Run[] = [];
    for (let run = 0; run < 5; run += 1)
      runs.push(await mergeOnce(await open(), { large, lastHere, lastThere, filled }));
    const median = (of: (run: Run) => number): number => medianOf(runs.map(of));
    // The smallest of all: what else the machine does, collecting garbage included, only adds.
    const least = (of: (run: Run) => number): number => Math.min(...runs.map(of));
    const turn = { unit: 'ms', bound: { atMost: 20 } };
    return [
      { name: `${name}: resolve`, unit: 'ms', value: median(({ resolved }) => resolved.elapsedMs) },
      { name: `${name}: longest turn`, value: least(({ resolved }) => resolved.longestTurnMs), ...turn },
      { name: `${name}: what follows for the room`, unit: 'ms', value: median(({ extended }) => extended.elapsedMs) },
      { name: `${name}: longest turn of that`, value: least(({ extended }) => extended.longestTurnMs), ...turn },
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Run {
  readonly resolved: Watched<StatePoint>;
  readonly extended: Watched<Row[]>;
}

/** In a storage that was just opened, so that nothing is at hand. */
async function mergeOnce(
  storage: Storage,
  given: {
    large: LargeRoom;
    lastHere: RoomEvent;
    lastThere: RoomEvent;
    filled: { here: SnapshotId; there: SnapshotId };
  },
): Promise<Run> {
  const { large, lastHere, lastThere, filled } = given;
  const room = { roomId: large.room.create.roomId, version: large.room.version };
  const [here, there] = [storedPoint({ storage }, filled.here), storedPoint({ storage }, filled.there)];
  const resolved = await watch(() => resolvePoints({ storage }, [here, there], room));
  const head: RoomHead = {
    ...room,
    extremities: [lastHere.eventId],
    prevEvents: [lastHere],
    depth: 3,
    snapshotId: filled.here,
    isNew: false,
  };
  const ports = { rowsForAudienceChange: async () => [] } as never; // the other ports are not asked here
  const extended = await watch(() => extendRoom({ storage, ports }, lastThere, { head, before: there, after: there }));
  await storage.stop();
  return { resolved, extended };
}

function endOf(large: LargeRoom, side: string): RoomEvent {
  const event = large.room.event({ type: 'm.room.message', sender: moderator, depth: 3, content: { body: side } });
  large.room.events.set(event.eventId, event);
  return event;
}

interface Sides {
  readonly here: Fork;
  readonly there: Fork;
  readonly lastHere: RoomEvent;
  readonly lastThere: RoomEvent;
}

async function fill(
  storage: Storage,
  large: LargeRoom,
  sides: Sides,
): Promise<{ here: SnapshotId; there: SnapshotId }> {
  const { roomId, roomVersion } = large.room.create;
  await storage.commit({ rows: [{ kind: 'room', roomId, version: roomVersion }] });
  const base = storage.newSnapshotId();
  await storage.commit({
    rows: [{ kind: 'snapshot', snapshotId: base, roomId, parent: null, set: idsOf(large.base), removed: [] }],
  });
  const snapshotOf = async (fork: Fork): Promise<SnapshotId> => {
    const snapshotId = storage.newSnapshotId();
    const set = idsOf(new Map([...fork].filter(([key, event]) => large.base.get(key as StateKey) !== event)));
    await storage.commit({ rows: [{ kind: 'snapshot', snapshotId, roomId, parent: base, set, removed: [] }] });
    return snapshotId;
  };
  const [here, there] = [await snapshotOf(sides.here), await snapshotOf(sides.there)];
  const events = [...large.room.events.values()];
  for (let at = 0; at < events.length; at += 500) {
    const rows = events.slice(at, at + 500).map((event): Row => {
      const snapshotId = event === sides.lastHere ? here : event === sides.lastThere ? there : null;
      return {
        kind: 'event',
        event,
        verdict: 'accepted',
        placement: snapshotId === null ? 'outlier' : 'timeline',
        snapshotBefore: snapshotId,
        snapshotAfter: snapshotId,
        receivedAtMs: 0,
      };
    });
    await storage.commit({ rows });
  }
  await storage.stop();
  return { here, there };
}
