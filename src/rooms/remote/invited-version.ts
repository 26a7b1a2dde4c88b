import type { JsonObject } from '../../matrix/pdu.ts';
import { findRoomVersion, type RoomVersion } from '../../matrix/room-versions.ts';

/** "MUST contain the m.room.create event", which names the version; "if the key does not exist", it is version 1. */
export function findInvitedVersion(strippedState: readonly JsonObject[]): RoomVersion | undefined {
  const create = strippedState.find((event) => event.type === 'm.room.create');
  const content = create?.content;
  if (typeof content !== 'object' || content === null) return undefined;
  return findRoomVersion('room_version' in content ? content.room_version : '1');
}
