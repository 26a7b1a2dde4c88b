import { LRUCache } from 'lru-cache';
import type { StateKey } from '../../../matrix/pdu.ts';
import type { SnapshotId } from '../../contract/numbers.ts';
import type { Connection } from './database.ts';
import type { Numbering } from './numbering.ts';
import { findPacked, type PackedEntries, pack, unpack } from './snapshot-packing.ts';

export interface Layer extends PackedEntries {
  parent: SnapshotId | null;
}

/** Entries kept unpacked, at 16 bytes each. */
const entriesKeptMax = 1_000_000;

/**
 * Snapshots as layers of numbers. A layer holds at most half as many entries as its parent (else the two are merged when
 * it is written), so that a chain is as long as the logarithm of the state's size and never more than 32 layers.
 */
export class SnapshotLayers {
  readonly #keys: Numbering<StateKey>;
  readonly #select;
  readonly #selectAll;
  readonly #insert;
  readonly #layers = new LRUCache<SnapshotId, Layer>({
    maxSize: entriesKeptMax,
    sizeCalculation: ({ keys }) => keys.length + 16,
  });

  constructor(connection: Connection, keys: Numbering<StateKey>) {
    this.#keys = keys;
    this.#select = connection.prepare<[SnapshotId], { parent: SnapshotId | null; entries: Buffer }>(
      'SELECT parent_no AS parent, entries FROM snapshots WHERE snapshot_no = ?',
    );
    this.#selectAll = connection.prepare<
      [string],
      { snapshotId: SnapshotId; parent: SnapshotId | null; entries: Buffer }
    >(
      `SELECT s.snapshot_no AS snapshotId, s.parent_no AS parent, s.entries
       FROM json_each(?) j CROSS JOIN snapshots s ON s.snapshot_no = j.value`,
    );
    this.#insert = connection.prepare<[SnapshotId, number, SnapshotId | null, Buffer]>(
      'INSERT INTO snapshots (snapshot_no, room_no, parent_no, entries) VALUES (?, ?, ?, ?)',
    );
  }

  /** One layer. Throws for an unknown snapshot. */
  get(snapshotId: SnapshotId): Layer {
    const kept = this.#layers.get(snapshotId);
    if (kept !== undefined) return kept;
    const stored = this.#select.get(snapshotId);
    if (stored === undefined) throw new Error(`there is no snapshot ${snapshotId}`);
    const layer = { parent: stored.parent, ...unpack(stored.entries) };
    this.#layers.set(snapshotId, layer);
    return layer;
  }

  /** Gets these and all below them at hand, by one query for each layer of depth. */
  load(snapshotIds: readonly SnapshotId[]): void {
    let missing = this.#listMissing(snapshotIds);
    while (missing.size > 0) {
      const parents: SnapshotId[] = [];
      for (const { snapshotId, parent, entries } of this.#selectAll.all(JSON.stringify([...missing]))) {
        this.#layers.set(snapshotId, { parent, ...unpack(entries) });
        if (parent !== null) parents.push(parent);
      }
      missing = this.#listMissing(parents);
    }
  }

  /** Of each chain the first layer that is not at hand. */
  #listMissing(snapshotIds: readonly SnapshotId[]): Set<SnapshotId> {
    const missing = new Set<SnapshotId>();
    for (const snapshotId of snapshotIds) {
      let next: SnapshotId | null = snapshotId;
      for (let layer = this.#layers.get(next); layer !== undefined; layer = this.#layers.get(next)) {
        next = layer.parent;
        if (next === null) break;
      }
      if (next !== null) missing.add(next);
    }
    return missing;
  }

  /** Writes a snapshot that differs from its parent in `entries`: key number → event number, 0 to remove the key. */
  put(
    snapshot: { snapshotId: SnapshotId; roomNo: number; parent: SnapshotId | null },
    entries: Map<number, number>,
  ): void {
    let { parent } = snapshot;
    while (parent !== null) {
      const below = this.get(parent);
      if (below.keys.length > 0 && entries.size * 2 <= below.keys.length) break;
      for (let index = 0; index < below.keys.length; index += 1) {
        const key = below.keys[index] ?? 0;
        if (!entries.has(key)) entries.set(key, below.events[index] ?? 0);
      }
      parent = below.parent;
    }
    if (parent === null) {
      for (const [key, event] of entries) if (event === 0) entries.delete(key);
    }
    this.#insert.run(snapshot.snapshotId, snapshot.roomNo, parent, pack(entries));
  }

  /** The number of the event at one key. */
  findEventNo(snapshotId: SnapshotId, key: StateKey): number | undefined {
    const keyNo = this.#keys.find(key);
    return keyNo === undefined ? undefined : this.findEventNoOf(snapshotId, keyNo);
  }

  /** The same for the number of a key. */
  findEventNoOf(snapshotId: SnapshotId, keyNo: number): number | undefined {
    return this.findEventAt(snapshotId, keyNo);
  }

  /** The numbers of the keys of which two snapshots may say different things; of all others they say the same. */
  listKeysBetween(one: SnapshotId, other: SnapshotId): number[] {
    const [ofOne, ofOther] = [this.#layersOf(one), this.#layersOf(other)];
    const keys = new Set<number>();
    for (const [above, below] of [
      [ofOne, ofOther],
      [ofOther, ofOne],
    ] as const) {
      for (const [snapshotId, layer] of above) if (!below.has(snapshotId)) for (const key of layer.keys) keys.add(key);
    }
    return [...keys];
  }

  /** By its number; undefined where there is none. */
  findEventAt(snapshotId: SnapshotId, keyNo: number): number | undefined {
    for (let next: SnapshotId | null = snapshotId; next !== null; ) {
      const layer = this.get(next);
      const event = findPacked(layer, keyNo);
      if (event !== undefined) return event === 0 ? undefined : event;
      next = layer.parent;
    }
    return undefined;
  }

  #layersOf(snapshotId: SnapshotId): Map<SnapshotId, Layer> {
    const layers = new Map<SnapshotId, Layer>();
    for (let next: SnapshotId | null = snapshotId; next !== null; ) {
      const layer = this.get(next);
      layers.set(next, layer);
      next = layer.parent;
    }
    return layers;
  }

  /** Drops what was remembered of snapshots whose writing was undone. */
  forget(): void {
    this.#layers.clear();
  }
}
