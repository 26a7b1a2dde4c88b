import type { EventId, RoomId, UserId } from '../../matrix/ids.ts';
import type { StateKey, StateMap } from '../../matrix/pdu.ts';
import type { StoredEvent, TimelineEvent } from './events.ts';
import type { Position, SnapshotId as SnapshotNumber } from './numbers.ts';

/** The state of a room at one place. Immutable once written. */
export type SnapshotId = SnapshotNumber;

export type StateTableRow =
  | {
      kind: 'snapshot';
      snapshotId: SnapshotId;
      roomId: RoomId;
      /** The snapshot this one differs from, or null when `set` is the whole state. */
      parent: SnapshotId | null;
      set: StateMap;
      removed: readonly StateKey[];
    }
  /**
   * The room's resolved current state becomes this snapshot. `set` and `removed` are the difference to the one before.
   * Takes a position unless both are empty: `listCurrentChanges` reports the difference from there on.
   */
  | { kind: 'current_state'; roomId: RoomId; snapshotId: SnapshotId; set: StateMap; removed: readonly StateKey[] };

export interface StateReads {
  /** The whole map; shared and cached, so never changed. Throws for an unknown snapshot. */
  getSnapshot(snapshotId: SnapshotId): Promise<StateMap>;
  /** The same for many at once. */
  getSnapshots(snapshotIds: readonly SnapshotId[]): Promise<Map<SnapshotId, StateMap>>;
  /** Only these keys of a snapshot; absent keys are left out. */
  getFromSnapshot(snapshotId: SnapshotId, keys: readonly StateKey[]): Promise<StateMap>;
  /** The same for many snapshots at once, each with its keys; every snapshot that was asked for is in the answer. */
  getFromSnapshots(wanted: ReadonlyMap<SnapshotId, readonly StateKey[]>): Promise<Map<SnapshotId, StateMap>>;
  /**
   * Where the state of a snapshot differs from that of another one of its room: what it has there, undefined for nothing. Costs what changed
   * since they parted.
   */
  getDeviation(snapshotId: SnapshotId, from: SnapshotId): Promise<ReadonlyMap<StateKey, EventId | undefined>>;
  /** Undefined when the room is unknown or has no state yet. */
  findCurrentSnapshot(roomId: RoomId): Promise<SnapshotId | undefined>;
  /** The same for many rooms; those without are left out. */
  listCurrentSnapshots(roomIds: ReadonlySet<RoomId>): Promise<Map<RoomId, SnapshotId>>;
  findCurrent(roomId: RoomId, type: string, stateKey: string): Promise<StoredEvent | undefined>;
  /** Current state events of the room as clients see them, outliers as `findTimelineEvent` gives them; of one type if given. */
  listCurrent(roomId: RoomId, type?: string): Promise<TimelineEvent[]>;
  /**
   * `listCurrent` for many rooms at once: all members, or only these of each room (`members`), and all other state. Rooms without
   * state are left out.
   */
  listCurrentOfRooms(
    roomIds: ReadonlySet<RoomId>,
    members: 'all' | ReadonlyMap<RoomId, Iterable<UserId>>,
  ): Promise<Map<RoomId, TimelineEvent[]>>;
  /** Event ids of the current state. */
  listCurrentIds(roomId: RoomId): Promise<EventId[]>;
  /**
   * What changed in the current state of these rooms in after < position ≤ upTo: for each key the event that holds at
   * `upTo`, null where the key was removed. Rooms without a change are left out. Costs what changed, not the number of rooms.
   */
  listCurrentChanges(
    roomIds: ReadonlySet<RoomId>,
    after: Position,
    upTo: Position,
  ): Promise<Map<RoomId, Map<StateKey, EventId | null>>>;
  /** The same, up to a position of its own for each room. */
  listCurrentChangesUpTo(
    upTo: ReadonlyMap<RoomId, Position>,
    after: Position,
  ): Promise<Map<RoomId, Map<StateKey, EventId | null>>>;
}
