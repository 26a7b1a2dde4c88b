import type { EventId, RoomId } from '../../matrix/ids.ts';
import { depthOf, prevEventsMax, type RoomEvent } from '../../matrix/pdu.ts';
import { getRoomVersion, type RoomVersion } from '../../matrix/room-versions.ts';
import type { SnapshotId } from '../../storage/contract/state.ts';
import type { Storage } from '../../storage/contract/storage.ts';

/** Where a room stands: what a new event is built on. */
export interface RoomHead {
  readonly roomId: RoomId;
  readonly version: RoomVersion;
  /** All forward extremities. */
  readonly extremities: readonly EventId[];
  /** Those that a new event names, the deepest: "at most 20". */
  readonly prevEvents: readonly RoomEvent[];
  /** Depth of the deepest extremity. */
  readonly depth: number;
  /** The resolved current state. */
  readonly snapshotId: SnapshotId;
  /** The room is being made: nothing of it is stored, its first snapshot is empty. */
  readonly isNew: boolean;
}

/** Undefined for a room that is unknown or whose import is not complete. */
export async function findRoomHead(storage: Storage, roomId: RoomId): Promise<RoomHead | undefined> {
  const room = await storage.rooms.find(roomId);
  const snapshotId = await storage.state.findCurrentSnapshot(roomId);
  if (!room || snapshotId === undefined) return undefined;
  const extremities = await storage.rooms.listExtremities(roomId);
  const events = (await storage.events.listByIds(extremities)).sort(
    (a, b) => depthOf(b.event.pdu) - depthOf(a.event.pdu),
  );
  return {
    roomId,
    version: getRoomVersion(room.version),
    extremities,
    prevEvents: events.slice(0, prevEventsMax).map((stored) => stored.event),
    depth: events[0] ? depthOf(events[0].event.pdu) : 0,
    snapshotId,
    isNew: false,
  };
}

/** The place before the first event of a room that is being made. */
export function newRoomHead(storage: Storage, roomId: RoomId, version: RoomVersion): RoomHead {
  const snapshotId = storage.newSnapshotId();
  return { roomId, version, extremities: [], prevEvents: [], depth: 0, snapshotId, isNew: true };
}
