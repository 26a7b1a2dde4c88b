import { eventTypes, findMembership, type MembershipState } from '../matrix/event-types.ts';
import type { JsonObject, RoomEvent, StateKey } from '../matrix/pdu.ts';
import { isStateEvent, stateKeyOf } from '../matrix/pdu.ts';

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

/** `invite`, as the client-server API has it, where the room says nothing; undefined for something that is no string. */
export function joinRuleIn(state: AuthState): string | undefined {
  const content = state(eventTypes.joinRules, '')?.pdu.content;
  if (content === undefined || !Object.hasOwn(content, 'join_rule')) return 'invite';
  return typeof content.join_rule === 'string' ? content.join_rule : undefined;
}

/** The content of the power levels event; undefined when the room has none. */
export function powerLevelsContentIn(state: AuthState): JsonObject | undefined {
  return state(eventTypes.powerLevels, '')?.pdu.content;
}
