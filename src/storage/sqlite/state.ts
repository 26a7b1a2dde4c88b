import { LRUCache } from 'lru-cache';
import type { EventId, RoomId } from '../../matrix/ids.ts';
import type { StateKey, StateMap } from '../../matrix/pdu.ts';
import type { StoredEvent } from '../contract/events.ts';
import type { Position, SnapshotId } from '../contract/numbers.ts';
import type { StateReads } from '../contract/state.ts';
import {
  type StoredEventRecord,
  storedEventColumns,
  type TimelineEventRecord,
  timelineEventColumns,
} from './core/event-records.ts';
import type { Numbering } from './core/numbering.ts';
import type { Layer, SnapshotLayers } from './core/snapshot-layers.ts';
import type { EventDeps } from './events.ts';

export interface StateDeps extends EventDeps {
  keys: Numbering<StateKey>;
  snapshots: SnapshotLayers;
}

/** Entries of the maps that are kept whole, and how many are made of numbers at a time. */
const entriesKeptMax = 300_000;
const chunkSize = 2_000;

export function createStateReads(deps: StateDeps): StateReads {
  return { ...createSnapshotReads(deps), ...createCurrentReads(deps) };
}

type SnapshotReads = Pick<StateReads, 'getSnapshot' | 'getFromSnapshot'>;

function createSnapshotReads({ turn, keys, events, snapshots }: StateDeps): SnapshotReads {
  const maps = new LRUCache<SnapshotId, StateMap>({
    maxSize: entriesKeptMax,
    sizeCalculation: ({ size }) => size + 16,
  });
  const building = new Map<SnapshotId, Promise<StateMap>>();

  /** The layers of a snapshot, newest first, down to the first of which the whole map is at hand. */
  const layersOf = (snapshotId: SnapshotId): { layers: Layer[]; base: StateMap | undefined } => {
    const layers: Layer[] = [];
    for (let next: SnapshotId | null = snapshotId; next !== null; ) {
      const base = maps.get(next);
      if (base !== undefined) return { layers, base };
      const layer = snapshots.get(next);
      layers.push(layer);
      next = layer.parent;
    }
    return { layers, base: undefined };
  };

  const build = async (snapshotId: SnapshotId): Promise<StateMap> => {
    const { layers, base } = await turn.read(() => layersOf(snapshotId));
    const merged = new Map<number, number>();
    for (const layer of layers.reverse()) {
      for (let index = 0; index < layer.keys.length; index += 1) {
        merged.set(layer.keys[index] ?? 0, layer.events[index] ?? 0);
      }
    }
    const map = new Map<StateKey, EventId>(base);
    const entries = [...merged];
    for (let start = 0; start < entries.length; start += chunkSize) {
      const chunk = entries.slice(start, start + chunkSize);
      await turn.read(() => {
        const keyTexts = keys.texts(chunk.map(([key]) => key));
        const eventTexts = events.texts(chunk.map(([, event]) => event));
        for (const [keyNo, eventNo] of chunk) {
          const key = keyTexts.get(keyNo);
          const event = eventTexts.get(eventNo);
          if (key === undefined) throw new Error(`no key has the number ${keyNo}`);
          if (event === undefined) map.delete(key);
          else map.set(key, event);
        }
      });
    }
    maps.set(snapshotId, map);
    return map;
  };

  return {
    getSnapshot: async (snapshotId) => {
      const known = maps.get(snapshotId);
      if (known !== undefined) return known;
      const begun = building.get(snapshotId);
      if (begun !== undefined) return begun;
      const map = build(snapshotId).finally(() => building.delete(snapshotId));
      building.set(snapshotId, map);
      return map;
    },
    getFromSnapshot: (snapshotId, wanted) =>
      turn.read(() => {
        const found = new Map<StateKey, EventId>();
        const whole = maps.get(snapshotId);
        if (whole === undefined) snapshots.get(snapshotId);
        for (const key of wanted) {
          const eventNo = whole === undefined ? snapshots.findEventNo(snapshotId, key) : undefined;
          const eventId = eventNo === undefined ? whole?.get(key) : events.text(eventNo);
          if (eventId !== undefined) found.set(key, eventId);
        }
        return found;
      }),
  };
}

type CurrentReads = Omit<StateReads, keyof SnapshotReads>;

function createCurrentReads({ connection, turn, rooms, keys, events, records }: StateDeps): CurrentReads {
  const snapshot = connection
    .prepare<[RoomId], SnapshotId | null>('SELECT snapshot_no FROM rooms WHERE room_id = ?')
    .pluck();
  const one = connection.prepare<[number, string, string], StoredEventRecord>(
    `SELECT ${storedEventColumns}
     FROM current_state s JOIN events e ON e.event_no = s.event_no JOIN event_ids i ON i.event_no = s.event_no
     WHERE s.room_no = ? AND s.type = ? AND s.state_key = ?`,
  );
  const all = connection.prepare<[number], TimelineEventRecord>(
    `SELECT ${timelineEventColumns}
     FROM current_state s JOIN events e ON e.event_no = s.event_no JOIN event_ids i ON i.event_no = s.event_no
     WHERE s.room_no = ? ORDER BY s.type, s.state_key`,
  );
  const ofType = connection.prepare<[number, string], TimelineEventRecord>(
    `SELECT ${timelineEventColumns}
     FROM current_state s JOIN events e ON e.event_no = s.event_no JOIN event_ids i ON i.event_no = s.event_no
     WHERE s.room_no = ? AND s.type = ? ORDER BY s.state_key`,
  );
  const ids = connection
    .prepare<[number], EventId>(
      'SELECT i.event_id FROM current_state s JOIN event_ids i ON i.event_no = s.event_no WHERE s.room_no = ?',
    )
    .pluck();
  const changes = connection.prepare<[Position, Position], { roomNo: number; keyNo: number; eventNo: number | null }>(
    `SELECT room_no AS roomNo, key_no AS keyNo, event_no AS eventNo FROM current_state_log
     WHERE position > ? AND position <= ? ORDER BY position`,
  );

  return {
    findCurrentSnapshot: (roomId) => turn.read(() => snapshot.get(roomId) ?? undefined),
    findCurrent: (roomId, type, stateKey) =>
      turn.read((): StoredEvent | undefined => {
        const record = one.get(rooms.find(roomId) ?? 0, type, stateKey);
        return record && records.stored(record);
      }),
    listCurrent: (roomId, type) =>
      turn.read(() => {
        const roomNo = rooms.find(roomId) ?? 0;
        const found = type === undefined ? all.all(roomNo) : ofType.all(roomNo, type);
        return found.map((record) => records.timeline(record));
      }),
    listCurrentIds: (roomId) => turn.read(() => ids.all(rooms.find(roomId) ?? 0)),
    listCurrentChanges: (roomIds, after, upTo) =>
      turn.read(() => {
        const found = new Map<RoomId, Map<StateKey, EventId | null>>();
        for (const { roomNo, keyNo, eventNo } of changes.all(after, upTo)) {
          const roomId = rooms.text(roomNo);
          if (!roomIds.has(roomId)) continue;
          const ofRoom = found.get(roomId) ?? new Map<StateKey, EventId | null>();
          found.set(roomId, ofRoom);
          ofRoom.set(keys.text(keyNo), eventNo === null ? null : events.text(eventNo));
        }
        return found;
      }),
  };
}
