import { eventTypes, findMembership, type MembershipState } from '../matrix/event-types.ts';
import type { JsonObject, RoomEvent, StateKey } from '../matrix/pdu.ts';
import { isStateEvent, stateKeyOf } from '../matrix/pdu.ts';
import type { RoomVersion } from '../matrix/room-versions.ts';

/** The state that an event is judged by: answers with the event that holds for (type, state key). */
export type AuthState = (type: string, stateKey: string) => RoomEvent | undefined;

/** A state made of events already at hand; of two for one key the last one counts. Events without a state key are passed over. */
export function authStateOfEvents(events: Iterable<RoomEvent>): AuthState {
  const byKey = new Map<StateKey, RoomEvent>();
  for (const event of events) {
    if (isStateEvent(event)) byKey.set(stateKeyOf(event.pdu.type, event.pdu.state_key), event);
  }
  return authStateOfMap(byKey);
}

export function authStateOfMap(events: ReadonlyMap<StateKey, RoomEvent>): AuthState {
  return (type, stateKey) => events.get(stateKeyOf(type, stateKey));
}

/** "leave" for whoever has no member event, or one that says nothing. */
export function membershipIn(state: AuthState, userId: string): MembershipState {
  const event = state(eventTypes.member, userId);
  return (event && findMembership(event.pdu.content)) ?? 'leave';
}

/** The join rules that say who gets in. `private` is reserved and says nothing. */
export type JoinRule = 'public' | 'invite' | 'knock' | 'restricted' | 'knock_restricted';

/** `invite`, as the client-server API has it, where the room says nothing; undefined for a rule that the room's version does not know. */
export function joinRuleIn(state: AuthState, version: RoomVersion): JoinRule | undefined {
  const content = state(eventTypes.joinRules, '')?.pdu.content;
  if (content === undefined || !Object.hasOwn(content, 'join_rule')) return 'invite';
  switch (content.join_rule) {
    case 'public':
    case 'invite':
      return content.join_rule;
    case 'knock':
      return version.knocking ? 'knock' : undefined;
    case 'restricted':
      return version.restrictedJoins ? 'restricted' : undefined;
    case 'knock_restricted':
      return version.knockRestrictedJoins ? 'knock_restricted' : undefined;
    default:
      return undefined;
  }
}

/** The content of the power levels event; undefined when the room has none. */
export function powerLevelsContentIn(state: AuthState): JsonObject | undefined {
  return state(eventTypes.powerLevels, '')?.pdu.content;
}
