import { breathe } from '../../base/breathe.ts';
import type { EventId } from '../../matrix/ids.ts';
import { isStateEvent, type RoomEvent, type StateKey, stateKeyOf } from '../../matrix/pdu.ts';
import type { RoomVersion } from '../../matrix/room-versions.ts';
import { checkAuth } from '../auth/check.ts';
import { listNeededKeys } from '../auth/needed-state.ts';
import type { AuthState } from '../auth-state.ts';
import { type EventCache, listCited } from './sources.ts';

/** A state as it is asked; what it is made of does not matter. */
export interface StateLookUp {
  get(key: StateKey): EventId | undefined;
}

export interface IterativeAuthFacts {
  readonly cache: EventCache;
  readonly version: RoomVersion;
  readonly isRejected: (eventId: EventId) => boolean;
}

/**
 * The *iterative auth checks algorithm*: "constructs a new room state by iterating through the event list and applying the state
 * event to the room state if the state event is allowed by the authorisation rules. If the state event is not allowed, then the
 * event is ignored." The new state is `start` with `changes` on top; the events are put into `changes`. They must be loaded; all
 * else is read in one go before the loop.
 */
export async function applyAllowed(
  events: readonly RoomEvent[],
  { start, changes }: { readonly start: StateLookUp; readonly changes: Map<StateKey, EventId> },
  facts: IterativeAuthFacts,
): Promise<void> {
  const state: StateLookUp = { get: (key) => changes.get(key) ?? start.get(key) };
  await loadNeeded(events, state, facts);
  let looked = 0;
  for (const event of events) {
    if (isStateEvent(event) && checkAuth(event, authStateFor(event, state, facts), facts.version).allowed) {
      changes.set(stateKeyOf(event.pdu.type, event.pdu.state_key), event.eventId);
    }
    looked += 1;
    if (looked % 100 === 0) await breathe();
  }
}

/** The state can change in the loop only to events of the list, so what it holds now and the auth events are all that is missing. */
async function loadNeeded(
  events: readonly RoomEvent[],
  state: StateLookUp,
  { cache, version }: IterativeAuthFacts,
): Promise<void> {
  const wanted = new Set<EventId>();
  let looked = 0;
  for (const event of events) {
    for (const authEvent of listCited(event, version)) wanted.add(authEvent);
    for (const key of listNeededKeys(event.pdu, version)) {
      const holder = state.get(key);
      if (holder !== undefined) wanted.add(holder);
    }
    looked += 1;
    if (looked % 100 === 0) await breathe();
  }
  await cache.load(wanted);
}

/**
 * "If a (event_type, state_key) key that is required for checking the authorisation rules is not present in the state, then the
 * appropriate state event from the event's auth_events is used if the auth event is not rejected." Of events in the state that is
 * not asked: that they "have been rejected due to failing auth based on the state at the event" does not matter here.
 */
function authStateFor(event: RoomEvent, state: StateLookUp, facts: IterativeAuthFacts): AuthState {
  const { cache, version, isRejected } = facts;
  return (type, stateKey) => {
    const holder = state.get(stateKeyOf(type, stateKey));
    const held = holder === undefined ? undefined : cache.find(holder);
    if (held) return held;
    return listCited(event, version)
      .filter((id) => !isRejected(id))
      .map((id) => cache.find(id))
      .findLast((cited) => cited?.pdu.type === type && cited.pdu.state_key === stateKey);
  };
}
