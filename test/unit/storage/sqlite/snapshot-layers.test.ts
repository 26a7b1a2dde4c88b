import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type StateKey, stateKeyOf } from '../../../../src/matrix/pdu.ts';
import type { SnapshotId } from '../../../../src/storage/contract/numbers.ts';
import { defaultMigrationsDir, migrate } from '../../../../src/storage/sqlite/core/migrations.ts';
import { Numbering } from '../../../../src/storage/sqlite/core/numbering.ts';
import { SnapshotLayers } from '../../../../src/storage/sqlite/core/snapshot-layers.ts';

describe('the layers of snapshots', () => {
  let connection: Database.Database;
  let layers: SnapshotLayers;
  let keys: Numbering<StateKey>;
  let last = 0;
  beforeEach(() => {
    connection = new Database(':memory:');
    migrate(connection, defaultMigrationsDir, 0);
    connection.exec("INSERT INTO rooms (room_no, room_id) VALUES (1, '!room:here.test')");
    keys = new Numbering(connection, { table: 'state_keys', number: 'key_no', text: 'key', cacheMax: 100 });
    layers = new SnapshotLayers(connection, keys);
    last = 0;
  });
  afterEach(() => connection.close());

  const put = (parent: SnapshotId | null, entries: [number, number][]): SnapshotId => {
    last += 1;
    const snapshotId = last as SnapshotId;
    layers.put({ snapshotId, roomNo: 1, parent }, new Map(entries));
    return snapshotId;
  };
  const range = (count: number): [number, number][] =>
    Array.from({ length: count }, (_, index) => [index + 1, 1_000 + index]);
  const chainOf = (snapshotId: SnapshotId): number[] => {
    const sizes: number[] = [];
    for (let next: SnapshotId | null = snapshotId; next !== null; ) {
      const layer = layers.get(next);
      sizes.push(layer.keys.length);
      next = layer.parent;
    }
    return sizes;
  };

  it('stand on a parent that is at least twice as large', () => {
    const large = put(null, range(100));
    const small = put(large, [[1, 5]]);
    expect(chainOf(small)).toEqual([1, 100]);
  });

  it('merge with a parent that is smaller than that', () => {
    const large = put(null, range(100));
    const one = put(large, [[1, 5]]);
    const two = put(one, [[2, 6]]);
    expect(chainOf(two)).toEqual([2, 100]);
    const all = put(large, range(80));
    expect(chainOf(all)).toEqual([100]);
  });

  it('make short chains of many single changes, each of which is cheap', () => {
    let parent = put(null, range(4_000));
    let written = 0;
    let longest = 0;
    for (let index = 0; index < 3_000; index += 1) {
      parent = put(parent, [[(index % 4_000) + 1, 9_000 + index]]);
      written += layers.get(parent).keys.length;
      longest = Math.max(longest, chainOf(parent).length);
    }
    expect(longest).toBeLessThanOrEqual(32);
    expect(written / 3_000).toBeLessThan(200);
  });

  it('never pile up empty layers', () => {
    let parent = put(null, []);
    for (let index = 0; index < 40; index += 1) parent = put(parent, []);
    expect(chainOf(parent)).toEqual([0]);
  });

  it('hide what they remove, and carry no trace of it in a whole state', () => {
    const key = stateKeyOf('m.room.name', '');
    const keyNo = keys.put(key);
    const base = put(null, [[keyNo, 7], ...range(10).map(([at, event]): [number, number] => [at + 100, event])]);
    const removed = put(base, [[keyNo, 0]]);
    expect(layers.findEventNo(base, key)).toBe(7);
    expect(layers.findEventNo(removed, key)).toBeUndefined();
    const whole = put(removed, range(10));
    expect([...layers.get(whole).keys]).not.toContain(0);
    expect([...layers.get(whole).events]).not.toContain(0);
  });

  it('are read without their room being built', () => {
    const base = put(null, range(1_000));
    const key = stateKeyOf('m.room.name', '');
    expect(layers.findEventNo(base, key)).toBeUndefined();
  });
});
