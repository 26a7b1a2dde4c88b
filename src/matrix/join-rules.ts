import { isRoomId, type RoomId } from './ids.ts';
import type { JsonObject } from './pdu.ts';
import type { RoomVersion } from './room-versions.ts';

/** The rooms whose members `m.room.join_rules` lets in: those of its conditions of type `m.room_membership`. */
export function allowedRoomsOf(content: JsonObject | null | undefined): RoomId[] {
  const allow: unknown = content?.allow;
  if (!Array.isArray(allow)) return [];
  return allow.flatMap((condition: unknown) => {
    if (typeof condition !== 'object' || condition === null) return [];
    const { type, room_id: roomId } = condition as JsonObject;
    return type === 'm.room_membership' && isRoomId(roomId) ? [roomId] : [];
  });
}

/** What a join rule lets somebody do who is not in the room; a rule that the version does not know lets nobody in. */
export interface Approach {
  /** Anybody may join. */
  readonly isPublic: boolean;
  readonly mayKnock: boolean;
  /** Members of certain rooms may join. */
  readonly isRestricted: boolean;
}

export function approachOf(joinRule: unknown, version: RoomVersion): Approach {
  return {
    isPublic: joinRule === 'public',
    mayKnock:
      (joinRule === 'knock' && version.knocking) || (joinRule === 'knock_restricted' && version.knockRestrictedJoins),
    isRestricted:
      (joinRule === 'restricted' && version.restrictedJoins) ||
      (joinRule === 'knock_restricted' && version.knockRestrictedJoins),
  };
}
