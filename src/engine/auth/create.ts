import { findServerOfRoom, isUserId, serverOfUser } from '../../matrix/ids.ts';
import type { RoomEvent } from '../../matrix/pdu.ts';
import { findRoomVersion, type RoomVersion } from '../../matrix/room-versions.ts';
import { ownMember } from '../members.ts';
import { type AuthVerdict, allow, reject } from '../verdict.ts';

/** 1. If type is m.room.create. */
export function checkCreate(event: RoomEvent, version: RoomVersion): AuthVerdict {
  const { content, prev_events: prevEvents, room_id: roomId, sender } = event.pdu;
  // 1.1. If it has any prev_events, reject.
  if (prevEvents.length > 0) return reject('the create event has previous events');
  if (version.roomIdFormat === 'create_hash') {
    // v12, 1.2. If the event has a room_id, reject.
    if (roomId !== undefined) return reject('the create event has a room_id');
  } else if (findServerOfRoom(event.roomId) !== serverOfUser(sender)) {
    // 1.2. If the domain of the room_id does not match the domain of the sender, reject.
    return reject("the room id is not of the creator's server");
  }
  // 1.3. If content.room_version is present and is not a recognised version, reject.
  const claimed = ownMember(content, 'room_version');
  if (claimed !== undefined && !findRoomVersion(claimed)) return reject('the room version is not recognised');
  // v1 to v10, 1.4. If content has no creator property, reject.
  if (version.creatorFrom === 'content' && ownMember(content, 'creator') === undefined) {
    return reject('the create event names no creator');
  }
  // v12, 1.4. If additional_creators is present in content and is not an array of strings where each string passes the same user ID
  // validation applied to sender, reject.
  const additional = ownMember(content, 'additional_creators');
  if (version.privilegedCreators && additional !== undefined) {
    if (!Array.isArray(additional) || !additional.every(isUserId))
      return reject('additional_creators are not user ids');
  }
  // 1.4 (v12: 1.5). Otherwise, allow.
  return allow;
}
