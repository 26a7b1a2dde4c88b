import { canonicalJson } from '../../base/json/canonical-json.ts';
import { eventTypes } from '../../matrix/event-types.ts';
import type { JsonObject, Pdu } from '../../matrix/pdu.ts';
import type { RoomVersion } from '../../matrix/room-versions.ts';
import { isObject } from '../members.ts';

/** What a redaction keeps: fields of the event, and of its content by type. */
interface RedactionList {
  fields: ReadonlySet<string>;
  content: Readonly<Record<string, readonly string[] | 'all'>>;
  /** "It allows the `signed` key of the `third_party_invite` key" of member events. */
  keepsSignedInvite: boolean;
}

// Room versions 1 to 5, "Redactions".
const v1: RedactionList = {
  fields: new Set([
    'event_id',
    'type',
    'room_id',
    'sender',
    'state_key',
    'content',
    'hashes',
    'signatures',
    'depth',
    'prev_events',
    'prev_state',
    'auth_events',
    'origin',
    'origin_server_ts',
    'membership',
  ]),
  content: {
    [eventTypes.member]: ['membership'],
    [eventTypes.create]: ['creator'],
    [eventTypes.joinRules]: ['join_rule'],
    [eventTypes.powerLevels]: [
      'ban',
      'events',
      'events_default',
      'kick',
      'redact',
      'state_default',
      'users',
      'users_default',
    ],
    [eventTypes.aliases]: ['aliases'],
    [eventTypes.historyVisibility]: ['history_visibility'],
  },
  keepsSignedInvite: false,
};

// Room version 6: "All significant meaning for m.room.aliases has been removed from the redaction algorithm."
const v6: RedactionList = { ...v1, content: { ...v1.content, [eventTypes.aliases]: [] } };

// Room version 8: "The m.room.join_rules event now keeps `allow` in addition to other keys in content when being redacted."
const v8: RedactionList = { ...v6, content: { ...v6.content, [eventTypes.joinRules]: ['join_rule', 'allow'] } };

// Room version 9: "The m.room.member event now keeps `join_authorised_via_users_server` in addition to other keys in content when being
// redacted."
const v9: RedactionList = {
  ...v8,
  content: { ...v8.content, [eventTypes.member]: ['membership', 'join_authorised_via_users_server'] },
};

// Room version 11: "The top-level `origin`, `membership`, and `prev_state` properties are no longer protected from redaction. The
// m.room.create event now keeps the entire content property. The m.room.redaction event keeps the redacts property under
// content. The m.room.power_levels event keeps the invite property under content."
const v11: RedactionList = {
  fields: new Set([...v9.fields].filter((field) => !['origin', 'membership', 'prev_state'].includes(field))),
  content: {
    ...v9.content,
    [eventTypes.create]: 'all',
    [eventTypes.powerLevels]: [...(v9.content[eventTypes.powerLevels] ?? []), 'invite'],
    [eventTypes.redaction]: ['redacts'],
  },
  keepsSignedInvite: true,
};

const lists: Readonly<Record<RoomVersion['redaction'], RedactionList>> = { v1, v6, v8, v9, v11 };

/**
 * The event with nothing left but what its room version protects (room versions, "Redactions"). Its id, its signatures and its
 * meaning for the room's rules stay the same. A copy; what is kept is shared by reference.
 */
export function redact(pdu: Readonly<Pdu>, version: RoomVersion): Pdu {
  // A checked PDU keeps every field that the type demands, since each list holds them all.
  return redactJson(pdu, version) as Pdu;
}

/** The same for an event that is still being built. Whatever has another type than it should is kept as it is or dropped. */
export function redactJson(event: Readonly<JsonObject>, version: RoomVersion): JsonObject {
  const list = lists[version.redaction];
  const kept = pick(event, list.fields);
  if (isObject(kept.content)) kept.content = redactContent(String(event.type), kept.content, list);
  return kept;
}

/**
 * The canonical form of the redacted event by its members. `members`: the form of the whole event's, of which those are taken that a redaction
 * leaves as they are.
 */
export function redactMembers(
  event: Readonly<JsonObject>,
  members: ReadonlyMap<string, string>,
  version: RoomVersion,
): ReadonlyMap<string, string> {
  const list = lists[version.redaction];
  const kept = new Map<string, string>();
  for (const [key, text] of members) if (list.fields.has(key)) kept.set(key, text);
  const content = Object.hasOwn(event, 'content') ? event.content : undefined;
  if (!isObject(content)) return kept;
  const redacted = redactContent(String(event.type), content, list);
  if (redacted !== content) kept.set('content', `"content":${canonicalJson(redacted)}`);
  return kept;
}

function redactContent(type: string, content: JsonObject, list: RedactionList): JsonObject {
  const keys = Object.hasOwn(list.content, type) ? (list.content[type] ?? []) : [];
  if (keys === 'all') return content;
  const kept = pick(content, keys);
  const invite = Object.hasOwn(content, 'third_party_invite') ? content.third_party_invite : undefined;
  // The emptied object stays where there was no `signed`, as other servers do it: the event's id depends on it.
  if (list.keepsSignedInvite && type === eventTypes.member && isObject(invite)) {
    kept.third_party_invite = pick(invite, ['signed']);
  }
  return kept;
}

/** None of the lists holds `__proto__`, so assignment is safe here. */
function pick(object: Readonly<JsonObject>, keys: Iterable<string>): JsonObject {
  const picked: JsonObject = {};
  for (const key of keys) if (Object.hasOwn(object, key)) picked[key] = object[key];
  return picked;
}
