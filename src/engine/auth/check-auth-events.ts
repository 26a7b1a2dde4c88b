import { eventTypes } from '../../matrix/event-types.ts';
import { authEventIdsOf, isStateEvent, type RoomEvent, type StateKey, stateKeyOf } from '../../matrix/pdu.ts';
import type { RoomVersion } from '../../matrix/room-versions.ts';
import { type AuthVerdict, allow, reject } from '../verdict.ts';
import { listAuthEventPlaces } from './needed-state.ts';

/** An event named in `auth_events`, and what became of it when it was received. */
export interface AuthEventEntry {
  readonly event: RoomEvent;
  readonly rejected: boolean;
}

/**
 * 2 (v12: 3). Considering the event's auth_events. `entries` are all of them: one that cannot be had is the caller's matter, for then
 * the event waits. Whether the event passes by them is `checkAuth` with the state they make.
 */
export function checkAuthEvents(
  event: RoomEvent,
  entries: readonly AuthEventEntry[],
  version: RoomVersion,
): AuthVerdict {
  // The create event needs nobody's permission: its auth_events are empty, by the selection that follows.
  const selected = new Set<StateKey>(
    listAuthEventPlaces(event.pdu, version).map(({ type, stateKey }) => stateKeyOf(type, stateKey)),
  );
  // 2.1, first half: one event named twice, which `entries` read from a store may hold once.
  const named = authEventIdsOf(event.pdu);
  if (new Set(named).size !== named.length) return reject('an auth event is named twice');
  const seen = new Set<StateKey>();
  for (const { event: authEvent, rejected } of entries) {
    if (!isStateEvent(authEvent)) return reject('an auth event is no state event');
    const key = stateKeyOf(authEvent.pdu.type, authEvent.pdu.state_key);
    // 2.1. If there are duplicate entries for a given type and state_key pair, reject.
    if (seen.has(key)) return reject(`two auth events are ${authEvent.pdu.type}`);
    seen.add(key);
    // 2.2. If there are entries whose type and state_key don't match those specified by the auth events selection algorithm
    // described in the server specification, reject. (v12: "In this room version, m.room.create MUST NOT be selected.")
    if (!selected.has(key)) return reject(`an auth event, ${authEvent.pdu.type}, is not needed`);
    // 2.3. If there are entries which were themselves rejected under the checks performed on receipt of a PDU, reject.
    if (rejected) return reject(`an auth event, ${authEvent.pdu.type}, was rejected`);
    // 2.5. If any event in auth_events has a room_id which does not match that of the event being authorised, reject.
    if (authEvent.roomId !== event.roomId) return reject(`an auth event, ${authEvent.pdu.type}, is of another room`);
  }
  // 2.4. If there is no m.room.create event among the entries, reject.
  const needsCreate = version.createIsAuthEvent && event.pdu.type !== eventTypes.create;
  if (needsCreate && !seen.has(stateKeyOf(eventTypes.create, '')))
    return reject('the auth events lack the create event');
  return allow;
}
