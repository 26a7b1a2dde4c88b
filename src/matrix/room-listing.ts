import { isRoomAlias, type RoomAlias } from './ids.ts';
import type { JsonObject } from './pdu.ts';

/** What a room says of itself to those who are not in it (client-server API, "Published room directory"). */
export interface RoomListing {
  readonly name: string | null;
  /** As plain text. */
  readonly topic: string | null;
  readonly canonicalAlias: RoomAlias | null;
  readonly avatarUrl: string | null;
  /** `type` of the create event. */
  readonly roomType: string | null;
  /** Null: the room does not say, so that nobody gets in but by invitation. */
  readonly joinRule: string | null;
  readonly worldReadable: boolean;
  readonly guestCanJoin: boolean;
}

/** The state that a listing is made of, each with an empty state key. */
export const listingStateTypes = [
  'm.room.create',
  'm.room.name',
  'm.room.topic',
  'm.room.canonical_alias',
  'm.room.avatar',
  'm.room.join_rules',
  'm.room.history_visibility',
  'm.room.guest_access',
] as const;

const ofListing: ReadonlySet<string> = new Set(listingStateTypes);

export function isListingState(type: string, stateKey: string): boolean {
  return stateKey === '' && ofListing.has(type);
}

/** The listing of a room with these contents by event type. What somebody wrote in a wrong shape counts as not said. */
export function listingOf(contents: ReadonlyMap<string, JsonObject>): RoomListing {
  const field = (type: string, key: string): unknown => contents.get(type)?.[key];
  const alias = field('m.room.canonical_alias', 'alias');
  return {
    name: textOf(field('m.room.name', 'name')),
    topic: plainTopicOf(contents.get('m.room.topic') ?? {}),
    canonicalAlias: isRoomAlias(alias) ? alias : null,
    avatarUrl: mxcOf(field('m.room.avatar', 'url')),
    roomType: textOf(field('m.room.create', 'type')),
    joinRule: textOf(field('m.room.join_rules', 'join_rule')),
    worldReadable: field('m.room.history_visibility', 'history_visibility') === 'world_readable',
    guestCanJoin: field('m.room.guest_access', 'guest_access') === 'can_join',
  };
}

/** Rules by which somebody who is told of the room may come in, or ask to. */
const approachable: ReadonlySet<string> = new Set(['public', 'knock', 'restricted', 'knock_restricted']);

/** Whether a list for everybody may show the room: one that takes members by invitation only says nothing to strangers. */
export function isListable({ joinRule, worldReadable }: Pick<RoomListing, 'joinRule' | 'worldReadable'>): boolean {
  return worldReadable || (joinRule !== null && approachable.has(joinRule));
}

/** Whether anybody may come in or look in, so that the members are known to everybody ("User directory"). */
export function isOpenRoom({ joinRule, worldReadable }: Pick<RoomListing, 'joinRule' | 'worldReadable'>): boolean {
  return worldReadable || joinRule === 'public';
}

/** "The plain text topic of the room": the first plain text of `m.topic`, or the older field. */
function plainTopicOf(content: JsonObject): string | null {
  const block = content['m.topic'];
  const texts: unknown = isObject(block) ? block['m.text'] : undefined;
  if (Array.isArray(texts)) {
    for (const text of texts) {
      if (!isObject(text)) continue;
      if (text.mimetype === undefined || text.mimetype === 'text/plain') {
        const body = textOf(text.body);
        if (body !== null) return body;
      }
    }
  }
  return textOf(content.topic);
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

function mxcOf(value: unknown): string | null {
  return typeof value === 'string' && value.startsWith('mxc://') ? value : null;
}
