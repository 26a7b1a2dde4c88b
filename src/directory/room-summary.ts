import { isObject } from '../engine/members.ts';
import { isRoomId, isUserId, type RoomId, type UserId } from '../matrix/ids.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import { isServerName, type ServerName } from '../matrix/server-name.ts';
import type { RoomFacts } from '../storage/contract/directory.ts';
import { type PublicRoom, parseRoom, presentRoom, textOf } from './listed-room.ts';
import { restrictedRooms } from './room-access.ts';

/** A room as it is shown to those who are not in it (client-server API, "RoomSummary"). */
export interface RoomSummary extends PublicRoom {
  readonly room_version?: string;
  readonly encryption?: string;
  readonly allowed_room_ids?: readonly RoomId[];
}

/** An `m.space.child` event, stripped, with its time. */
export interface SpaceChild {
  readonly type: 'm.space.child';
  readonly state_key: RoomId;
  readonly sender: UserId;
  readonly content: JsonObject;
  readonly origin_server_ts: number;
}

export const spaceType = 'm.space';
export const childType = 'm.space.child';
const allowedRoomsMax = 100;

export function summaryOf(room: RoomFacts): RoomSummary {
  const allowed = restrictedRooms(room).slice(0, allowedRoomsMax);
  const algorithm = room.encryption?.algorithm;
  return {
    ...presentRoom(room),
    join_rule: room.joinRule ?? 'invite',
    room_version: room.version,
    ...(typeof algorithm === 'string' ? { encryption: algorithm } : {}),
    ...(allowed.length === 0 ? {} : { allowed_room_ids: allowed }),
  };
}

/** What another server says of a room, as far as it has the right shape; undefined without an id. */
export function parseSummary(said: unknown): RoomSummary | undefined {
  const room = isObject(said) ? parseRoom(said) : undefined;
  if (!isObject(said) || !room) return undefined;
  const { allowed_room_ids: allowed } = said;
  const allowedRooms = Array.isArray(allowed) ? allowed.filter(isRoomId).slice(0, allowedRoomsMax) : [];
  return {
    ...room,
    ...textOf(said, 'room_version'),
    ...textOf(said, 'encryption'),
    ...(allowedRooms.length === 0 ? {} : { allowed_room_ids: allowedRooms }),
  };
}

/** Undefined for what is no child: "Invalid child rooms … are not covered", and one without `via` is none ("Managing rooms/spaces included in a space"). */
export function parseChild(event: unknown): SpaceChild | undefined {
  if (!isObject(event)) return undefined;
  const { type, state_key: child, sender, content, origin_server_ts: time } = event;
  if (type !== childType || !isRoomId(child) || !isUserId(sender) || !isObject(content)) return undefined;
  if (viaOf(content).length === 0) return undefined;
  const at = typeof time === 'number' && Number.isSafeInteger(time) ? time : 0;
  return { type: childType, state_key: child, sender, content, origin_server_ts: at };
}

const viaMax = 20;

export function viaOf({ via }: JsonObject): ServerName[] {
  return Array.isArray(via) ? via.slice(0, viaMax).filter(isServerName) : [];
}

export function isSuggested({ content }: SpaceChild): boolean {
  return content.suggested === true;
}

/**
 * "Ordering of children within a space": those with a valid `order` first, by it; then by time, then by room id.
 */
export function inOrder(children: readonly SpaceChild[]): SpaceChild[] {
  return [...children].sort((one, other) => {
    const [a, b] = [orderOf(one), orderOf(other)];
    if (a !== b) return a === undefined ? 1 : b === undefined || a < b ? -1 : 1;
    const byTime = one.origin_server_ts - other.origin_server_ts;
    return byTime !== 0 ? byTime : one.state_key < other.state_key ? -1 : 1;
  });
}

/** "ASCII characters … \x20 (space) to \x7E (~)", at most 50 of them; anything else is as if it were not there. */
function orderOf({ content: { order } }: SpaceChild): string | undefined {
  return typeof order === 'string' && /^[\x20-\x7e]{1,50}$/.test(order) ? order : undefined;
}
