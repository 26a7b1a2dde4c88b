import { LooseNumber } from '../base/json/loose-number.ts';
import { eventTypes } from '../matrix/event-types.ts';
import type { JsonObject, RoomEvent } from '../matrix/pdu.ts';
import type { RoomVersion } from '../matrix/room-versions.ts';
import { type AuthState, powerLevelsContentIn } from './auth-state.ts';
import { objectMember, ownMember } from './members.ts';

/** The actions that have a level of their own in `m.room.power_levels`. */
export type PowerAction = 'invite' | 'kick' | 'ban' | 'redact';

/** "The invite level defaults to 0 if unspecified. The kick level, ban level and redact level each default to 50." */
const actionDefaults: Readonly<Record<PowerAction, number>> = { invite: 0, kick: 50, ban: 50, redact: 50 };
const stateDefault = 50;
const notificationDefault = 50;
const creatorDefault = 100;

/** By what power is judged: the state, and the rules of the room. */
export interface PowerFacts {
  readonly state: AuthState;
  readonly version: RoomVersion;
}

/** What a power level should be in every version: an integer that survives canonical JSON. */
export function isPowerLevel(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

/**
 * A level as the rules of the version read it; undefined for what is none.
 *
 * Before room version 10 "each of the integer-valued properties … can be encoded as strings": "a single base 10 integer, no float
 * values or decimal points, optionally with any number of leading zeroes", "optionally prefixed with a single - or + character",
 * "optionally with any number of leading or trailing whitespace characters". And where the event format lets floats through (before
 * version 6), "the value is truncated at the decimal point", while "values outside the range represented by IEEE754 binary64" are
 * none. Levels beyond 2^53 are compared as such numbers too.
 */
export function readPowerLevel(value: unknown, version: RoomVersion): number | undefined {
  if (version.integerPowerLevels) return isPowerLevel(value) ? value : undefined;
  const isNumeric = value instanceof LooseNumber || (typeof value === 'string' && integerText.test(value));
  const number = isNumeric ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? Math.trunc(number) : undefined;
}

const integerText = /^\s*[+-]?[0-9]+\s*$/;

/**
 * The room's creators: the sender of the create event, or its `creator` in older versions; with privileged creators
 * also `additional_creators`.
 */
export function creatorsOf(create: RoomEvent, version: RoomVersion): ReadonlySet<string> {
  const { sender, content } = create.pdu;
  if (version.creatorFrom === 'content') {
    const creator = ownMember(content, 'creator');
    return new Set(typeof creator === 'string' ? [creator] : []);
  }
  const additional = version.privilegedCreators ? ownMember(content, 'additional_creators') : undefined;
  const others = Array.isArray(additional) ? additional.filter((user) => typeof user === 'string') : [];
  return new Set([sender, ...others]);
}

/** True for users whose power no power levels event can limit (room version 12). */
export function isPrivilegedCreator(userId: string, state: AuthState, version: RoomVersion): boolean {
  if (!version.privilegedCreators) return false;
  const create = state(eventTypes.create, '');
  return create !== undefined && creatorsOf(create, version).has(userId);
}

/** The user's power level in this state. Infinity for privileged creators. */
export function powerLevelOf(userId: string, state: AuthState, version: RoomVersion): number {
  // Room version 12: "Room creators have infinitely high power level".
  if (isPrivilegedCreator(userId, state, version)) return Number.POSITIVE_INFINITY;
  const levels = powerLevelsContentIn(state);
  if (levels)
    return levelAt(objectMember(levels, 'users'), userId, version) ?? levelAt(levels, 'users_default', version) ?? 0;
  // "If the room contains no m.room.power_levels event, the room's creator has a power level of 100, and all other users have a
  // power level of 0."
  const create = state(eventTypes.create, '');
  return create && creatorsOf(create, version).has(userId) ? creatorDefault : 0;
}

/** The *required power level* of an event type. Membership events are not judged by it. */
export function levelToSend(event: { type: string; isState: boolean }, { state, version }: PowerFacts): number {
  const levels = powerLevelsContentIn(state) ?? {};
  const ofType = levelAt(objectMember(levels, 'events'), event.type, version);
  if (ofType !== undefined) return ofType;
  return event.isState
    ? (levelAt(levels, 'state_default', version) ?? stateDefault)
    : (levelAt(levels, 'events_default', version) ?? 0);
}

/** The *invite level*, *kick level*, *ban level* or *redact level*. */
export function levelToAct(action: PowerAction, { state, version }: PowerFacts): number {
  return levelAt(powerLevelsContentIn(state) ?? {}, action, version) ?? actionDefaults[action];
}

/** The level that a notification such as `room` (for `@room`) takes. */
export function levelToNotify(key: string, { state, version }: PowerFacts): number {
  const levels = objectMember(powerLevelsContentIn(state) ?? {}, 'notifications');
  return levelAt(levels, key, version) ?? notificationDefault;
}

export function maySend(userId: string, event: { type: string; isState: boolean }, facts: PowerFacts): boolean {
  return powerLevelOf(userId, facts.state, facts.version) >= levelToSend(event, facts);
}

export function mayAct(userId: string, action: PowerAction, facts: PowerFacts): boolean {
  return powerLevelOf(userId, facts.state, facts.version) >= levelToAct(action, facts);
}

/** The `users` of a power levels content, those with a level. */
export function userLevelsOf(levels: JsonObject, version: RoomVersion): [string, number][] {
  const users = objectMember(levels, 'users');
  return Object.keys(users).flatMap((userId) => {
    const level = levelAt(users, userId, version);
    return level === undefined ? [] : [[userId, level] as [string, number]];
  });
}

/** The level that stands under a key; undefined where there is none that the version reads. */
export function levelAt(levels: JsonObject, key: string, version: RoomVersion): number | undefined {
  return readPowerLevel(ownMember(levels, key), version);
}
