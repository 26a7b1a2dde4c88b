import { isObject, objectMember, withMembers, without } from '../../engine/members.ts';
import { levelAt, readPowerLevel } from '../../engine/power.ts';
import { isUserId, type UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { RoomVersion } from '../../matrix/room-versions.ts';
import type { PlannedState } from './create-plan.ts';
import { creatorPower, tombstonePower } from './presets.ts';

/** What of a room is looked at when it is replaced. */
export interface RoomToReplace {
  readonly version: RoomVersion;
  /** By type; of the state with an empty state key. */
  readonly contents: ReadonlyMap<string, JsonObject>;
  /** By state key; of `m.space.child`. */
  readonly children: ReadonlyMap<string, JsonObject>;
  readonly bans: readonly { readonly userId: UserId; readonly content: JsonObject }[];
  /** Those whose power is no number (room version 12). */
  readonly privilegedCreators: ReadonlySet<string>;
}

export interface Replacement {
  readonly version: RoomVersion;
  readonly upgrader: UserId;
  readonly additionalCreators: readonly UserId[];
}

/** The room to come. */
export interface ReplacementPlan {
  /** Without `predecessor`. */
  readonly createContent: JsonObject;
  /** What the creator can send as long as the room has no power levels. */
  readonly state: readonly PlannedState[];
  /** The same; may be many. */
  readonly bans: readonly PlannedState[];
  /** At last: who may come in, and then what the creator may no longer do, all at once. */
  readonly ending: readonly PlannedState[];
}

/** "the recommended state events to transfer" (client-server API, "Room Upgrades"), but for those that come at last. */
export const transferredTypes = [
  'm.room.server_acl',
  'm.room.encryption',
  'm.room.name',
  'm.room.avatar',
  'm.room.topic',
  'm.room.guest_access',
  'm.room.history_visibility',
] as const;

/** What else is read of the old room. */
export const readTypes = [...transferredTypes, 'm.room.create', 'm.room.join_rules', 'm.room.power_levels'] as const;

/** Decides what the replacement begins with. */
export function planReplacement(
  old: RoomToReplace,
  { version, upgrader, additionalCreators }: Replacement,
): ReplacementPlan {
  const oldCreate = old.contents.get('m.room.create') ?? {};
  const others = version.privilegedCreators ? additionalCreators.filter((userId) => userId !== upgrader) : [];
  const creators = version.privilegedCreators ? new Set<string>([upgrader, ...others]) : new Set<string>();
  const createContent: JsonObject = {
    // "a `type` field which is copied from the predecessor room"; and a room that other servers may not enter stays one.
    ...(typeof oldCreate.type === 'string' ? { type: oldCreate.type } : {}),
    ...(oldCreate['m.federate'] === false ? { 'm.federate': false } : {}),
    room_version: version.id,
    ...(version.creatorFrom === 'content' ? { creator: upgrader } : {}),
    ...(others.length > 0 ? { additional_creators: [...new Set(others)] } : {}),
  };
  const state: PlannedState[] = [];
  for (const type of transferredTypes) {
    const content = old.contents.get(type);
    if (content) state.push({ type, stateKey: '', content });
  }
  // A space is its list of rooms.
  for (const [stateKey, content] of old.children) {
    if (Array.isArray(content.via)) state.push({ type: 'm.space.child', stateKey, content });
  }
  const bans = old.bans
    .filter(({ userId }) => !creators.has(userId) && userId !== upgrader)
    .map(({ userId, content }) => ({ type: 'm.room.member', stateKey: userId, content: banOf(content) }));
  return {
    createContent,
    state,
    bans,
    ending: [
      {
        type: 'm.room.join_rules',
        stateKey: '',
        content: joinRulesFor(old.contents.get('m.room.join_rules'), version),
      },
      { type: 'm.room.power_levels', stateKey: '', content: powerLevelsFor(old, { version, creators }) },
    ],
  };
}

function banOf({ reason }: JsonObject): JsonObject {
  return { membership: 'ban', ...(typeof reason === 'string' ? { reason } : {}) };
}

/** A rule that the version does not know lets nobody in but the invited. */
function joinRulesFor(content: JsonObject | undefined, version: RoomVersion): JsonObject {
  const isKnown: Record<string, boolean> = {
    public: true,
    invite: true,
    private: true,
    knock: version.knocking,
    restricted: version.restrictedJoins,
    knock_restricted: version.knockRestrictedJoins,
  };
  const rule = content?.join_rule;
  return content && typeof rule === 'string' && isKnown[rule] === true ? content : { join_rule: 'invite' };
}

const singleLevels = ['users_default', 'events_default', 'state_default', 'ban', 'redact', 'kick', 'invite'];
const levelMaps = ['users', 'events', 'notifications'];

/**
 * The levels of the old room, as numbers that every version reads. Creators whose power is above all are not listed, and those of the
 * old room, where the new version has none such, get the highest there is.
 */
function powerLevelsFor(
  old: RoomToReplace,
  { version, creators }: { version: RoomVersion; creators: ReadonlySet<string> },
): JsonObject {
  const levels = readLevels(old.contents.get('m.room.power_levels') ?? {}, old.version);
  const users = Object.entries(objectMember(levels, 'users')).filter(
    ([userId]) => isUserId(userId) && !creators.has(userId),
  );
  if (version.privilegedCreators) {
    const events = objectMember(levels, 'events');
    const least = Math.max(tombstonePower, (levelAt(levels, 'state_default', version) ?? 50) + 1);
    const tombstone = Math.max(levelAt(events, 'm.room.tombstone', version) ?? 0, least);
    return withMembers(levels, {
      users: Object.fromEntries(users),
      events: withMembers(events, { 'm.room.tombstone': tombstone }),
    });
  }
  const highest = Math.max(creatorPower, ...listLevels(levels));
  const raised = [...old.privilegedCreators].map((userId) => [userId, highest]);
  return withMembers(levels, { users: Object.fromEntries([...users, ...raised]) });
}

function readLevels(content: JsonObject, version: RoomVersion): JsonObject {
  const entries: [string, unknown][] = [];
  for (const key of singleLevels) {
    const level = safeLevel(content[key], version);
    if (level !== undefined) entries.push([key, level]);
  }
  for (const key of levelMaps) {
    if (!isObject(content[key])) continue;
    const levels = Object.entries(objectMember(content, key)).flatMap(([name, value]): [string, number][] => {
      const level = safeLevel(value, version);
      return level === undefined ? [] : [[name, level]];
    });
    entries.push([key, Object.fromEntries(levels)]);
  }
  return Object.fromEntries(entries);
}

function safeLevel(value: unknown, version: RoomVersion): number | undefined {
  const level = readPowerLevel(value, version);
  if (level === undefined) return undefined;
  return Math.min(Math.max(level, Number.MIN_SAFE_INTEGER), Number.MAX_SAFE_INTEGER);
}

function listLevels(levels: JsonObject): number[] {
  return Object.values(levels)
    .flatMap((value): unknown[] => (isObject(value) ? Object.values(value) : [value]))
    .filter((value) => typeof value === 'number');
}

/**
 * "the power levels in the old room should also be modified to prevent sending of events and inviting new users. For example, setting
 * `events_default` and `invite` to the greater of 50 and `users_default + 1`." Undefined where they say so already.
 */
export function restrictedPowerLevels(content: JsonObject, version: RoomVersion): JsonObject | undefined {
  const least = Math.max(50, (levelAt(content, 'users_default', version) ?? 0) + 1);
  const raised = ['events_default', 'invite'].filter((key) => (levelAt(content, key, version) ?? 0) < least);
  if (raised.length === 0) return undefined;
  return withMembers(content, Object.fromEntries(raised.map((key) => [key, least])));
}

/** The canonical aliases without those that went to the new room, and the new room's; undefined where nothing changes. */
export function splitCanonicalAlias(
  content: JsonObject | undefined,
  moved: ReadonlySet<string>,
): { readonly old: JsonObject; readonly replacement: JsonObject } | undefined {
  if (!content) return undefined;
  const { alias, alt_aliases: others } = content;
  const alternatives: unknown[] = Array.isArray(others) ? others : [];
  const isMoved = (entry: unknown): boolean => typeof entry === 'string' && moved.has(entry);
  if (![alias, ...alternatives].some(isMoved)) return undefined;
  const keys = new Set(['alias', 'alt_aliases']);
  const withAliases = (wanted: (entry: unknown) => boolean): JsonObject => {
    const kept = alternatives.filter(wanted);
    return withMembers(without(content, keys), {
      ...(alias !== undefined && wanted(alias) ? { alias } : {}),
      ...(kept.length > 0 ? { alt_aliases: kept } : {}),
    });
  };
  return { old: withAliases((entry) => !isMoved(entry)), replacement: withAliases(isMoved) };
}
