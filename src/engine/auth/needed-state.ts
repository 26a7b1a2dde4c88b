import { eventTypes, findMembership } from '../../matrix/event-types.ts';
import { type JsonObject, type RoomEvent, type StateKey, stateKeyOf } from '../../matrix/pdu.ts';
import type { RoomVersion } from '../../matrix/room-versions.ts';
import type { AuthState } from '../auth-state.ts';
import { authorisedViaKey } from '../event/verify.ts';
import { isObject, ownMember } from '../members.ts';

/** What of an event decides which state authorises it; a template has it before it is an event. */
export interface AuthSubject {
  readonly type: string;
  readonly sender: string;
  readonly state_key?: string;
  readonly content: JsonObject;
}

/** A place in the room state. */
export interface StatePlace {
  readonly type: string;
  readonly stateKey: string;
}

/**
 * The places of the state whose events, as far as there are any, stand in `auth_events` (server-server API, "Auth events
 * selection"). No place twice.
 */
export function listAuthEventPlaces(subject: AuthSubject, version: RoomVersion): StatePlace[] {
  if (subject.type === eventTypes.create) return [];
  const places = new Map<StateKey, StatePlace>();
  const add = (type: string, stateKey: string): void => {
    places.set(stateKeyOf(type, stateKey), { type, stateKey });
  };
  // Depending on the room version, the m.room.create event.
  if (version.createIsAuthEvent) add(eventTypes.create, '');
  // The current m.room.power_levels event, if any.
  add(eventTypes.powerLevels, '');
  // The sender's current m.room.member event, if any.
  add(eventTypes.member, subject.sender);
  if (subject.type === eventTypes.member) addForMember(subject, version, add);
  return [...places.values()];
}

function addForMember(subject: AuthSubject, version: RoomVersion, add: (type: string, stateKey: string) => void): void {
  const membership = findMembership(subject.content);
  // The target's current m.room.member event, if any.
  if (subject.state_key !== undefined) add(eventTypes.member, subject.state_key);
  // If membership is join, invite or knock, the current m.room.join_rules event, if any.
  if (membership === 'join' || membership === 'invite' || membership === 'knock') add(eventTypes.joinRules, '');
  // If membership is invite and content contains a third_party_invite property, the current m.room.third_party_invite event with
  // state_key matching content.third_party_invite.signed.token, if any.
  if (membership === 'invite') {
    const token = findInviteToken(subject.content);
    if (token !== undefined) add(eventTypes.thirdPartyInvite, token);
  }
  // If membership is join, content.join_authorised_via_users_server is present, and the room version supports restricted rooms,
  // then the m.room.member event with state_key matching content.join_authorised_via_users_server.
  const authoriser = ownMember(subject.content, authorisedViaKey);
  if (membership === 'join' && version.restrictedJoins && typeof authoriser === 'string')
    add(eventTypes.member, authoriser);
}

function findInviteToken(content: JsonObject): string | undefined {
  const invite = ownMember(content, 'third_party_invite');
  const signed = isObject(invite) ? ownMember(invite, 'signed') : undefined;
  const token = isObject(signed) ? ownMember(signed, 'token') : undefined;
  return typeof token === 'string' ? token : undefined;
}

/**
 * The places that `checkAuth` reads: those above, and always the create event, which a room version may leave out of
 * `auth_events` but not out of the rules.
 */
export function listNeededPlaces(subject: AuthSubject, version: RoomVersion): StatePlace[] {
  if (subject.type === eventTypes.create) return [];
  const places = listAuthEventPlaces(subject, version);
  return version.createIsAuthEvent ? places : [{ type: eventTypes.create, stateKey: '' }, ...places];
}

/** `listNeededPlaces` as keys of a state map, to read them from a snapshot in one go. */
export function listNeededKeys(subject: AuthSubject, version: RoomVersion): StateKey[] {
  return listNeededPlaces(subject, version).map(({ type, stateKey }) => stateKeyOf(type, stateKey));
}

/** The events for `auth_events` of a new event, from the state before it. */
export function selectAuthEvents(subject: AuthSubject, state: AuthState, version: RoomVersion): RoomEvent[] {
  return listAuthEventPlaces(subject, version)
    .map(({ type, stateKey }) => state(type, stateKey))
    .filter((event) => event !== undefined);
}
