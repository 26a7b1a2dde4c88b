import { isObject } from '../../engine/members.ts';
import { badJson, invalidParam, MatrixError } from '../../matrix/errors.ts';
import { isRoomAlias, isUserId, type RoomAlias, type UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { RoomVersion } from '../../matrix/room-versions.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import { checkLevelShapes } from './level-shapes.ts';
import { defaultPowerLevels, type Preset, presetState, presets, tombstonePower } from './presets.ts';

/** The body of `POST /createRoom`, its fields of the right types; absent ones may be undefined. */
export interface CreateRoomRequest {
  readonly visibility?: 'public' | 'private' | undefined;
  readonly room_alias_name?: string | undefined;
  readonly name?: string | undefined;
  readonly topic?: string | undefined;
  readonly invite?: readonly UserId[] | undefined;
  readonly invite_3pid?: readonly unknown[] | undefined;
  readonly room_version?: string | undefined;
  readonly creation_content?: JsonObject | undefined;
  readonly initial_state?: readonly InitialState[] | undefined;
  readonly preset?: Preset | undefined;
  readonly is_direct?: boolean | undefined;
  readonly power_level_content_override?: JsonObject | undefined;
}

export interface InitialState {
  readonly type: string;
  readonly state_key?: string | undefined;
  readonly content: JsonObject;
}

export interface PlannedState {
  readonly type: string;
  readonly stateKey: string;
  readonly content: JsonObject;
}

/** What a new room will hold, in the order of the specification. */
export interface RoomPlan {
  readonly createContent: JsonObject;
  readonly alias: RoomAlias | undefined;
  readonly visibility: 'public' | 'private';
  /** Behind the create event and the creator's join. */
  readonly state: readonly PlannedState[];
  readonly invites: readonly UserId[];
  readonly isDirect: boolean;
}

const invitesMax = 500;

/** Decides what the request asks for. Throws M_BAD_JSON, M_INVALID_PARAM, M_THREEPID_DENIED. */
export function planRoom(
  request: CreateRoomRequest,
  facts: { readonly creator: UserId; readonly version: RoomVersion; readonly serverName: ServerName },
): RoomPlan {
  const { creator, version } = facts;
  if (request.invite_3pid && request.invite_3pid.length > 0) {
    throw new MatrixError(403, 'M_THREEPID_DENIED', 'This server invites people by their user ids only');
  }
  const visibility = request.visibility ?? 'private';
  const preset = request.preset ?? (visibility === 'public' ? 'public_chat' : 'private_chat');
  const rules = presets[preset];
  const invites = [...new Set(request.invite ?? [])].filter((userId) => userId !== creator);
  if (invites.length > invitesMax) throw badJson(`A room is created with at most ${invitesMax} invites`);
  const alias = planAlias(request.room_alias_name, facts.serverName);
  const sharePower = rules.inviteesShareCreatorPower ? invites : [];
  const defaults = defaultPowerLevels({
    admins: [creator, ...sharePower],
    rules,
    privilegedCreators: version.privilegedCreators,
  });
  const overridden = { ...defaults, ...request.power_level_content_override };
  const powerLevels = version.privilegedCreators ? withTombstoneLevel(overridden) : overridden;
  const createContent = planCreateContent(request, { creator, version, sharePower });
  refuseListedCreators(powerLevels, createContent, { creator, version });
  const state: PlannedState[] = [{ type: 'm.room.power_levels', stateKey: '', content: powerLevels }];
  if (alias) state.push({ type: 'm.room.canonical_alias', stateKey: '', content: { alias } });
  const initial = planInitialState(request);
  for (const { type, content } of presetState(rules)) {
    const isReplaced = initial.some((entry) => entry.type === type && entry.stateKey === '');
    if (!isReplaced) state.push({ type, stateKey: '', content });
  }
  state.push(...initial);
  for (const { type, content } of state) if (type === 'm.room.power_levels') checkLevelShapes(content);
  if (request.name !== undefined) state.push({ type: 'm.room.name', stateKey: '', content: { name: request.name } });
  if (request.topic !== undefined) {
    state.push({ type: 'm.room.topic', stateKey: '', content: topicContent(request.topic) });
  }
  return { createContent, alias, visibility, state, invites, isDirect: request.is_direct === true };
}

/**
 * "If the room's version is 12 or higher, the power level for sending `m.room.tombstone` events MUST explicitly be higher than
 * `state_default`": who upgrades such a room becomes the creator of the next.
 */
function withTombstoneLevel(levels: JsonObject): JsonObject {
  const { events, state_default: stateDefault = 50 } = levels;
  if (typeof stateDefault !== 'number' || (events !== undefined && !isObject(events))) return levels;
  const level: unknown = events?.['m.room.tombstone'];
  if (level !== undefined && !(typeof level === 'number' && level <= stateDefault)) return levels;
  return { ...levels, events: { ...events, 'm.room.tombstone': Math.max(tombstonePower, stateDefault + 1) } };
}

/** "An m.room.topic event with a text/plain mimetype": the plain field and the rich one say the same. */
function topicContent(topic: string): JsonObject {
  return { topic, 'm.topic': { 'm.text': [{ body: topic }] } };
}

/** `name` and `topic` "overwrite" what `initial_state` says of them, and nobody may make a second create event. */
function planInitialState(request: CreateRoomRequest): PlannedState[] {
  const overwritten = new Set(['m.room.create']);
  if (request.name !== undefined) overwritten.add('m.room.name');
  if (request.topic !== undefined) overwritten.add('m.room.topic');
  return (request.initial_state ?? [])
    .map(({ type, state_key: stateKey = '', content }) => ({ type, stateKey, content }))
    .filter(({ type, stateKey }) => stateKey !== '' || !overwritten.has(type));
}

function planAlias(name: string | undefined, serverName: ServerName): RoomAlias | undefined {
  if (name === undefined) return undefined;
  const alias = `#${name}:${serverName}`;
  if (name === '' || name.includes(':') || /\s/.test(name) || !isRoomAlias(alias)) {
    throw invalidParam('room_alias_name is not the local part of a room alias');
  }
  return alias;
}

/** "The server will overwrite the following keys: creator, room_version." */
function planCreateContent(
  request: CreateRoomRequest,
  facts: { creator: UserId; version: RoomVersion; sharePower: readonly UserId[] },
): JsonObject {
  const { version } = facts;
  const given = Object.entries(request.creation_content ?? {}).filter(([key]) => key !== 'creator');
  const content: JsonObject = Object.fromEntries([...given, ['room_version', version.id]]);
  if (version.creatorFrom === 'content') content.creator = facts.creator;
  if (!version.privilegedCreators) return content;
  const additional = content.additional_creators ?? [];
  if (!Array.isArray(additional) || !additional.every(isUserId)) {
    throw badJson("'additional_creators' is not a list of user ids");
  }
  const all = new Set<UserId>([...additional, ...facts.sharePower]);
  all.delete(facts.creator);
  if (all.size > 0) content.additional_creators = [...all];
  return content;
}

/** Room version 12: creators "cannot be specified in the `users` field of m.room.power_levels". */
function refuseListedCreators(
  powerLevels: JsonObject,
  createContent: JsonObject,
  facts: { creator: UserId; version: RoomVersion },
): void {
  if (!facts.version.privilegedCreators) return;
  const { users } = powerLevels;
  if (typeof users !== 'object' || users === null) return;
  const additional = createContent.additional_creators;
  const creators = [facts.creator, ...(Array.isArray(additional) ? additional : [])];
  if (creators.some((userId) => Object.hasOwn(users, String(userId)))) {
    throw badJson('power_level_content_override names a creator of the room, whose power is not a number');
  }
}
