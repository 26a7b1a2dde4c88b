import type { EventId, RoomId } from '../../matrix/ids.ts';
import { type StateKey, splitStateKey } from '../../matrix/pdu.ts';
import { isListingState } from '../../matrix/room-listing.ts';
import type { Position, SnapshotId } from '../contract/numbers.ts';
import type { StateTableRow } from '../contract/state.ts';
import type { CurrentStates } from './core/current-states.ts';
import type { Connection } from './core/database.ts';
import type { Numbering } from './core/numbering.ts';
import type { SnapshotLayers } from './core/snapshot-layers.ts';
import { positionOf, type RowOf, type Step, type Writes } from './core/writes.ts';
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

/** A difference in numbers; event 0: the key is removed. */
function numberEntries({ events, keys }: Deps, row: RowOf<'snapshot' | 'current_state'>): Map<number, number> {
  const keyNos = keys.putAll([...row.set.keys(), ...row.removed]);
  const eventNos = events.putAll(new Set(row.set.values()));
  const entries = new Map<number, number>();
  for (const key of row.removed) entries.set(keyNos.get(key) ?? 0, 0);
  for (const [key, eventId] of row.set) entries.set(keyNos.get(key) ?? 0, eventNos.get(eventId) ?? 0);
  return entries;
}

export function createStateWrites(deps: Deps): Writes<StateTableRow['kind']> {
  const { connection, rooms, snapshots, states, listings } = deps;
  const setSnapshot = connection.prepare<[SnapshotId, number]>('UPDATE rooms SET snapshot_no = ? WHERE room_no = ?');
  const log = connection.prepare<[Position, number, number, number | null]>(
    'INSERT INTO current_state_log (position, key_no, room_no, event_no) VALUES (?, ?, ?, ?)',
  );

  const putCurrent = (row: RowOf<'current_state'>, step: Step): void => {
    const roomNo = rooms.put(row.roomId);
    setSnapshot.run(row.snapshotId, roomNo);
    const entries = numberEntries(deps, row);
    if (entries.size === 0) return;
    const position = positionOf(step);
    const stateNo = states.ofRoom(roomNo);
    const keyTexts = deps.keys.texts(entries.keys());
    const types = new Set<string>();
    let changesListing = false;
    for (const [keyNo, eventNo] of entries) {
      const key = keyTexts.get(keyNo);
      if (key === undefined) throw new Error(`no key has the number ${keyNo}`);
      const { type, stateKey } = splitStateKey(key);
      types.add(type);
      changesListing ||= isListingState(type, stateKey);
      if (eventNo === 0) states.remove(stateNo, type, stateKey);
      else states.put(stateNo, type, stateKey, eventNo);
      log.run(position, keyNo, roomNo, eventNo === 0 ? null : eventNo);
    }
    if (changesListing) listings.refresh(roomNo);
    step.change({ kind: 'current_state', roomId: row.roomId, types: [...types] });
  };

  return {
    snapshot(row) {
      const { snapshotId, roomId, parent } = row;
      snapshots.put({ snapshotId, roomNo: rooms.put(roomId), parent }, numberEntries(deps, row));
    },
    current_state: putCurrent,
  };
}
