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

/** What a power level may be: an integer that survives canonical JSON. */
export function isPowerLevel(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

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
    return levelOr(ownMember(objectMember(levels, 'users'), userId), levelOr(ownMember(levels, 'users_default'), 0));
  // "If the room contains no m.room.power_levels event, the room's creator has a power level of 100, and all other users have a
  // power level of 0."
  const create = state(eventTypes.create, '');
  return create && creatorsOf(create, version).has(userId) ? creatorDefault : 0;
}

/** The *required power level* of an event type. Membership events are not judged by it. */
export function levelToSend(event: { type: string; isState: boolean }, state: AuthState): number {
  const levels = powerLevelsContentIn(state) ?? {};
  const fallback = event.isState
    ? levelOr(ownMember(levels, 'state_default'), stateDefault)
    : levelOr(ownMember(levels, 'events_default'), 0);
  return levelOr(ownMember(objectMember(levels, 'events'), event.type), fallback);
}

/** The *invite level*, *kick level*, *ban level* or *redact level*. */
export function levelToAct(action: PowerAction, state: AuthState): number {
  return levelOr(ownMember(powerLevelsContentIn(state) ?? {}, action), actionDefaults[action]);
}

/** The level that a notification such as `room` (for `@room`) takes. */
export function levelToNotify(key: string, state: AuthState): number {
  return levelOr(ownMember(objectMember(powerLevelsContentIn(state) ?? {}, 'notifications'), key), notificationDefault);
}

export function maySend(
  userId: string,
  event: { type: string; isState: boolean },
  facts: { state: AuthState; version: RoomVersion },
): boolean {
  return powerLevelOf(userId, facts.state, facts.version) >= levelToSend(event, facts.state);
}

export function mayAct(
  userId: string,
  action: PowerAction,
  facts: { state: AuthState; version: RoomVersion },
): boolean {
  return powerLevelOf(userId, facts.state, facts.version) >= levelToAct(action, facts.state);
}

/** The `users` of a power levels content, those with a level. */
export function userLevelsOf(levels: JsonObject): [string, number][] {
  return Object.entries(objectMember(levels, 'users')).filter((entry): entry is [string, number] =>
    isPowerLevel(entry[1]),
  );
}

function levelOr(value: unknown, fallback: number): number {
  return isPowerLevel(value) ? value : fallback;
}
