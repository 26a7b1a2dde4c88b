import type { EventId, RoomId } from '../../matrix/ids.ts';
import { type StateKey, splitStateKey, stateKeyOf } from '../../matrix/pdu.ts';
import type { ImportReads, ImportTableRow } from '../contract/imports.ts';
import type { SnapshotId } from '../contract/numbers.ts';
import type { CurrentStates } from './core/current-states.ts';
import type { Connection } from './core/database.ts';
import type { Numbering } from './core/numbering.ts';
import type { SnapshotLayers } from './core/snapshot-layers.ts';
import type { Turn } from './core/turn.ts';
import type { Writes } from './core/writes.ts';
import type { RoomListings } from './room-listings.ts';

interface Deps {
  connection: Connection;
  rooms: Numbering<RoomId>;
  events: Numbering<EventId>;
  keys: Numbering<StateKey>;
  snapshots: SnapshotLayers;
  states: CurrentStates;
  listings: RoomListings;
}

/** Rows that one step of clearing up removes of each table. */
const pruneMax = 500;

export function createImportReads(connection: Connection, turn: Turn): ImportReads {
  const texts = connection.prepare<[string, SnapshotId], { number: number; text: string }>(
    `SELECT t.number, t.text FROM json_each(?) CROSS JOIN import_texts t ON t.import_no = ? AND t.number = value`,
  );
  const all = connection.prepare<[], SnapshotId>('SELECT import_no FROM imports ORDER BY import_no').pluck();
  return {
    listTexts: (importId, numbers) => turn.read(() => texts.all(JSON.stringify(numbers), importId)),
    list: () => turn.read(() => all.all()),
  };
}

export interface ImportWrites {
  readonly rows: Writes<ImportTableRow['kind']>;
  /** What was written was undone. */
  forget(): void;
}

export function createImportWrites(deps: Deps): ImportWrites {
  const { connection, rooms, events, keys, snapshots, states, listings } = deps;
  const start = connection.prepare<[number]>('INSERT OR IGNORE INTO imports (import_no) VALUES (?)');
  const addText = connection.prepare<[SnapshotId, number, string]>(
    'INSERT INTO import_texts (import_no, number, text) VALUES (?, ?, ?)',
  );
  const removeTexts = connection.prepare<[SnapshotId, string]>(
    'DELETE FROM import_texts WHERE import_no = ? AND number IN (SELECT value FROM json_each(?))',
  );
  const pruneTexts = connection.prepare<[SnapshotId, SnapshotId, number]>(
    `DELETE FROM import_texts WHERE import_no = ? AND number IN (
       SELECT number FROM import_texts WHERE import_no = ? LIMIT ?
     )`,
  );
  const end = connection.prepare<[SnapshotId]>('DELETE FROM imports WHERE import_no = ?');
  const setSnapshot = connection.prepare<[SnapshotId, number]>('UPDATE rooms SET snapshot_no = ? WHERE room_no = ?');

  /** Key number → event number of the states that are being put together: so that the snapshot of a large one does not begin by looking up all of it. */
  const entriesOf = new Map<SnapshotId, Map<number, number>>();

  const putState = (importId: SnapshotId, set: ReadonlyMap<StateKey, EventId>): void => {
    const keyNos = keys.putAll(set.keys());
    const eventNos = events.putAll(new Set(set.values()));
    const entries = entriesOf.get(importId);
    for (const [key, eventId] of set) {
      const { type, stateKey } = splitStateKey(key);
      const eventNo = eventNos.get(eventId) ?? 0;
      states.put(importId, type, stateKey, eventNo);
      entries?.set(keyNos.get(key) ?? 0, eventNo);
    }
  };

  const readEntries = (importId: SnapshotId): Map<number, number> => {
    const stored = states.list(importId).map((entry) => ({ ...entry, key: stateKeyOf(entry.type, entry.stateKey) }));
    const keyNos = keys.putAll(stored.map(({ key }) => key));
    return new Map(stored.map(({ key, eventNo }) => [keyNos.get(key) ?? 0, eventNo]));
  };

  const rows: Writes<ImportTableRow['kind']> = {
    import_started({ importId }) {
      start.run(importId);
      entriesOf.set(importId, new Map());
    },
    import_texts({ importId, first, texts }) {
      texts.forEach((text, index) => void addText.run(importId, first + index, text));
    },
    import_texts_removed({ importId, numbers }) {
      removeTexts.run(importId, JSON.stringify(numbers));
    },
    import_state({ importId, set }) {
      putState(importId, set);
    },
    import_snapshot({ importId, roomId, snapshotId }) {
      const entries = entriesOf.get(importId) ?? readEntries(importId);
      entriesOf.delete(importId);
      snapshots.put({ snapshotId, roomNo: rooms.put(roomId), parent: null }, entries);
    },
    import_state_adopted({ importId, roomId, snapshotId, set }, step) {
      const roomNo = rooms.put(roomId);
      putState(importId, set);
      const before = states.adopt(roomNo, importId);
      if (before !== undefined) start.run(before);
      setSnapshot.run(snapshotId, roomNo);
      listings.refresh(roomNo);
      step.change({ kind: 'current_state', roomId, types: states.listTypes(importId) });
    },
    import_pruned({ importId }) {
      const isRid = pruneTexts.run(importId, importId, pruneMax).changes < pruneMax;
      entriesOf.delete(importId);
      if (states.prune(importId, pruneMax) && isRid) end.run(importId);
    },
  };
  return { rows, forget: () => entriesOf.clear() };
}
