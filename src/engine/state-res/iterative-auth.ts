import { breathe } from '../../base/breathe.ts';
import type { EventId } from '../../matrix/ids.ts';
import {
  authEventIdsOf,
  isStateEvent,
  type RoomEvent,
  type StateKey,
  type StateMap,
  stateKeyOf,
} from '../../matrix/pdu.ts';
import type { RoomVersion } from '../../matrix/room-versions.ts';
import { checkAuth } from '../auth/check.ts';
import { listNeededKeys } from '../auth/needed-state.ts';
import { type AuthState, authStateOfEvents } from '../auth-state.ts';
import { createEventIdOfRoom } from '../event/event-id.ts';
import type { EventCache } from './sources.ts';

export interface IterativeAuthFacts {
  readonly cache: EventCache;
  readonly version: RoomVersion;
  readonly isRejected: (eventId: EventId) => boolean;
}

/**
 * The *iterative auth checks algorithm*: "constructs a new room state by iterating through the event list and applying the state
 * event to the room state if the state event is allowed by the authorisation rules. If the state event is not allowed, then the
 * event is ignored." The events must be loaded; reads all else in two goes before the loop.
 */
export async function applyAllowed(
  events: readonly RoomEvent[],
  initial: StateMap,
  facts: IterativeAuthFacts,
): Promise<Map<StateKey, EventId>> {
  await loadNeeded(events, initial, facts);
  const state = new Map(initial);
  let looked = 0;
  for (const event of events) {
    if (isStateEvent(event) && checkAuth(event, authStateFor(event, state, facts), facts.version).allowed) {
      state.set(stateKeyOf(event.pdu.type, event.pdu.state_key), event.eventId);
    }
    looked += 1;
    if (looked % 100 === 0) await breathe();
  }
  return state;
}

/** The state can change in the loop only to events of the list, so what `initial` holds and the auth events are all that is missing. */
async function loadNeeded(
  events: readonly RoomEvent[],
  initial: StateMap,
  { cache, version }: IterativeAuthFacts,
): Promise<void> {
  const wanted = new Set<EventId>();
  let looked = 0;
  for (const event of events) {
    for (const authEvent of authEventIdsOf(event.pdu)) wanted.add(authEvent);
    if (!version.createIsAuthEvent) wanted.add(createEventIdOfRoom(event.roomId));
    for (const key of listNeededKeys(event.pdu, version)) {
      const holder = initial.get(key);
      if (holder !== undefined) wanted.add(holder);
    }
    looked += 1;
    if (looked % 100 === 0) await breathe();
  }
  await cache.load(wanted);
}

/**
 * "If a (event_type, state_key) key that is required for checking the authorisation rules is not present in the state, then the
 * appropriate state event from the event's auth_events is used if the auth event is not rejected." The room id of version 12
 * cites the create event as `auth_events` do in the versions before.
 */
function authStateFor(event: RoomEvent, state: StateMap, facts: IterativeAuthFacts): AuthState {
  const { cache, version, isRejected } = facts;
  const cited = [
    ...authEventIdsOf(event.pdu),
    ...(version.createIsAuthEvent ? [] : [createEventIdOfRoom(event.roomId)]),
  ];
  const fallback = authStateOfEvents(
    cited
      .filter((id) => !isRejected(id))
      .map((id) => cache.find(id))
      .filter((authEvent) => authEvent !== undefined),
  );
  return (type, stateKey) => {
    const holder = state.get(stateKeyOf(type, stateKey));
    return (holder === undefined ? undefined : cache.find(holder)) ?? fallback(type, stateKey);
  };
}
