import { badJson } from './errors.ts';
import { compileEventFields } from './event-fields.ts';
import { isRoomId, isUserId, type RoomId, type UserId } from './ids.ts';
import type { JsonObject } from './pdu.ts';

/** Client-server API, "Filtering": EventFilter. A list that is absent excludes nothing. */
export interface EventFilter {
  readonly limit?: number;
  readonly types?: readonly string[];
  readonly notTypes: readonly string[];
  readonly senders?: ReadonlySet<string>;
  readonly notSenders: ReadonlySet<string>;
}

/** RoomEventFilter; the limit is the caller's to default. */
export interface RoomEventFilter extends EventFilter {
  readonly rooms?: ReadonlySet<string>;
  readonly notRooms: ReadonlySet<string>;
  readonly containsUrl?: boolean;
  readonly lazyLoadMembers: boolean;
  readonly includeRedundantMembers: boolean;
  /** Unread counts are told for each thread, and those of the room are without them. */
  readonly unreadThreadNotifications: boolean;
  /** `related_by_rel_types` and `related_by_senders`: only events to which some event of this kind, or by one of these, relates. */
  readonly relatedByTypes?: readonly string[];
  readonly relatedBySenders?: readonly string[];
  /** `rel_types` and `not_rel_types` (MSC3874): by the type of the event's own relation. */
  readonly relTypes?: readonly string[];
  readonly notRelTypes?: readonly string[];
}

/** The filter of `/sync`. */
export interface SyncFilter {
  readonly presence: EventFilter;
  readonly accountData: EventFilter;
  readonly rooms?: ReadonlySet<string>;
  readonly notRooms: ReadonlySet<string>;
  readonly includeLeave: boolean;
  readonly roomAccountData: RoomEventFilter;
  readonly roomEphemeral: RoomEventFilter;
  readonly roomState: RoomEventFilter;
  readonly roomTimeline: RoomEventFilter;
  readonly eventFormat: 'client' | 'federation';
  /** What of each event of a room is told, as its JSON text; absent: all. */
  readonly eventFields?: (eventText: string) => string;
}

/** Longer lists are refused: each event is held against each entry. */
export const filterEntriesMax = 1000;

/**
 * The filter that a client uploads or writes into its `/sync`. Unknown fields are ignored; a known one of the wrong type
 * throws M_BAD_JSON that names it.
 */
export function parseSyncFilter(value: unknown): SyncFilter {
  const filter = objectIn(value, 'filter');
  const room = objectIn(filter.room, 'room');
  const eventFields = stringsIn(filter.event_fields, 'event_fields');
  if (filter.event_format !== undefined && filter.event_format !== 'client' && filter.event_format !== 'federation') {
    throw badJson('event_format must be client or federation');
  }
  return {
    presence: parseEventFilter(filter.presence, 'presence'),
    accountData: parseEventFilter(filter.account_data, 'account_data'),
    ...roomsIn(room, 'room'),
    includeLeave: booleanIn(room.include_leave, 'room.include_leave') ?? false,
    roomAccountData: parseRoomEventFilter(room.account_data, 'room.account_data'),
    roomEphemeral: parseRoomEventFilter(room.ephemeral, 'room.ephemeral'),
    roomState: parseRoomEventFilter(room.state, 'room.state'),
    roomTimeline: parseRoomEventFilter(room.timeline, 'room.timeline'),
    eventFormat: filter.event_format === 'federation' ? 'federation' : 'client',
    ...(eventFields ? { eventFields: compileEventFields(eventFields) } : {}),
  };
}

/** The filter of `/messages`, `/context` and of the sections of a room. `name` is for the message of what is thrown. */
export function parseRoomEventFilter(value: unknown, name = 'filter'): RoomEventFilter {
  const filter = objectIn(value, name);
  const containsUrl = booleanIn(filter.contains_url, `${name}.contains_url`);
  const relatedByTypes = stringsIn(filter.related_by_rel_types, `${name}.related_by_rel_types`);
  const relatedBySenders = stringsIn(filter.related_by_senders, `${name}.related_by_senders`);
  const relTypes = stringsIn(filter['org.matrix.msc3874.rel_types'], `${name}.org.matrix.msc3874.rel_types`);
  const notRelTypes = stringsIn(filter['org.matrix.msc3874.not_rel_types'], `${name}.org.matrix.msc3874.not_rel_types`);
  return {
    ...parseEventFilter(filter, name),
    ...roomsIn(filter, name),
    ...(containsUrl === undefined ? {} : { containsUrl }),
    ...(relatedByTypes ? { relatedByTypes } : {}),
    ...(relatedBySenders ? { relatedBySenders } : {}),
    ...(relTypes ? { relTypes } : {}),
    ...(notRelTypes ? { notRelTypes } : {}),
    lazyLoadMembers: booleanIn(filter.lazy_load_members, `${name}.lazy_load_members`) ?? false,
    includeRedundantMembers: booleanIn(filter.include_redundant_members, `${name}.include_redundant_members`) ?? false,
    unreadThreadNotifications:
      booleanIn(filter.unread_thread_notifications, `${name}.unread_thread_notifications`) ?? false,
  };
}

function parseEventFilter(value: unknown, name: string): EventFilter {
  const filter = objectIn(value, name);
  const limit = limitIn(filter.limit, `${name}.limit`);
  const types = stringsIn(filter.types, `${name}.types`);
  const senders = usersIn(filter.senders, `${name}.senders`);
  return {
    ...(limit === undefined ? {} : { limit }),
    ...(types ? { types } : {}),
    notTypes: stringsIn(filter.not_types, `${name}.not_types`) ?? [],
    ...(senders ? { senders: new Set<string>(senders) } : {}),
    notSenders: new Set<string>(usersIn(filter.not_senders, `${name}.not_senders`) ?? []),
  };
}

function roomsIn(filter: JsonObject, name: string): { rooms?: ReadonlySet<string>; notRooms: ReadonlySet<string> } {
  const rooms = roomIdsIn(filter.rooms, `${name}.rooms`);
  return {
    ...(rooms ? { rooms: new Set<string>(rooms) } : {}),
    notRooms: new Set<string>(roomIdsIn(filter.not_rooms, `${name}.not_rooms`) ?? []),
  };
}

/** Null counts as absent: clients write it for a field that they leave out. */
function objectIn(value: unknown, name: string): JsonObject {
  if (value === undefined || value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value)) throw badJson(`${name} must be an object`);
  return value as JsonObject;
}

function booleanIn(value: unknown, name: string): boolean | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'boolean') throw badJson(`${name} must be a boolean`);
  return value;
}

/** Zero, which the specification does not provide for, asks for no events at all. */
function limitIn(value: unknown, name: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw badJson(`${name} must be an integer that is not negative`);
  }
  return value;
}

function stringsIn(value: unknown, name: string): string[] | undefined {
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value) || value.length > filterEntriesMax) {
    throw badJson(`${name} must be a list of at most ${filterEntriesMax} strings`);
  }
  return value.map((entry, index) => {
    if (typeof entry !== 'string') throw badJson(`${name}[${index}] must be a string`);
    return entry;
  });
}

function usersIn(value: unknown, name: string): UserId[] | undefined {
  return stringsIn(value, name)?.map((entry, index) => {
    if (!isUserId(entry)) throw badJson(`${name}[${index}] is not a user id`);
    return entry;
  });
}

function roomIdsIn(value: unknown, name: string): RoomId[] | undefined {
  return stringsIn(value, name)?.map((entry, index) => {
    if (!isRoomId(entry)) throw badJson(`${name}[${index}] is not a room id`);
    return entry;
  });
}

/** "A `*` can be used as a wildcard to match any sequence of characters." Takes time linear in both for each wildcard. */
export function matchesType(pattern: string, type: string): boolean {
  const parts = pattern.split('*');
  const first = parts[0] ?? '';
  if (parts.length === 1) return pattern === type;
  const last = parts[parts.length - 1] ?? '';
  if (!type.startsWith(first) || !type.endsWith(last) || type.length < first.length + last.length) return false;
  const end = type.length - last.length;
  let at = first.length;
  for (const part of parts.slice(1, -1)) {
    const found = type.indexOf(part, at);
    if (found === -1 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}

/** "A matching type will be excluded even if it is listed in the `types` filter." */
export function acceptsType(filter: EventFilter, type: string): boolean {
  if (filter.notTypes.some((pattern) => matchesType(pattern, type))) return false;
  return filter.types === undefined || filter.types.some((pattern) => matchesType(pattern, type));
}

/** "A matching sender will be excluded even if it is listed in the `senders` filter." */
export function acceptsSender(filter: EventFilter, sender: string): boolean {
  if (filter.notSenders.has(sender)) return false;
  return filter.senders === undefined || filter.senders.has(sender);
}

export function acceptsRoom(
  filter: { readonly rooms?: ReadonlySet<string>; readonly notRooms: ReadonlySet<string> },
  roomId: string,
): boolean {
  if (filter.notRooms.has(roomId)) return false;
  return filter.rooms === undefined || filter.rooms.has(roomId);
}
