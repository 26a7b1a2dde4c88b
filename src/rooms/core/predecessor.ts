import { isRoomId, type RoomId } from '../../matrix/ids.ts';
import type { RoomEvent } from '../../matrix/pdu.ts';

/** The room that this one replaces (`m.room.create`, `predecessor`), as far as its create event can be believed. */
export function predecessorOf(create: RoomEvent | undefined): RoomId | null {
  const predecessor = create?.pdu.content.predecessor;
  if (typeof predecessor !== 'object' || predecessor === null || !('room_id' in predecessor)) return null;
  return isRoomId(predecessor.room_id) ? predecessor.room_id : null;
}
