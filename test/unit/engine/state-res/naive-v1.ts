import { createHash } from 'node:crypto';
import { checkAuth } from '../../../../src/engine/auth/check.ts';
import type { EventId } from '../../../../src/matrix/ids.ts';
import { depthOf, type RoomEvent, type StateKey, type StateMap, stateKeyOf } from '../../../../src/matrix/pdu.ts';
import type { RoomVersion } from '../../../../src/matrix/room-versions.ts';

/** State resolution of room version 1 read off the specification with no thought of cost. The oracle of the property test. */
export function resolveNaivelyByDepth(
  version: RoomVersion,
  states: readonly StateMap[],
  events: ReadonlyMap<EventId, RoomEvent>,
): StateMap {
  const keys = new Set(states.flatMap((state) => [...state.keys()]));
  const idsAt = (key: StateKey): EventId[] => [
    ...new Set(states.map((state) => state.get(key)).filter((id) => id !== undefined)),
  ];
  // "Start by setting R to the union of the states to be resolved, excluding any conflicting events."
  const r = new Map<StateKey, EventId>();
  for (const key of keys) {
    const [only, ...others] = idsAt(key);
    if (only !== undefined && others.length === 0) r.set(key, only);
  }
  const conflicting = [...keys].filter((key) => !r.has(key));

  // "Sort the list by ascending depth then descending sha1(event_id)."
  const listAt = (key: StateKey): RoomEvent[] =>
    idsAt(key)
      .flatMap((id) => events.get(id) ?? [])
      .sort((x, y) => depthOf(x.pdu) - depthOf(y.pdu) || Buffer.compare(sha1(y.eventId), sha1(x.eventId)));
  const isAllowed = (event: RoomEvent, state: StateMap): boolean =>
    checkAuth(
      event,
      (type, stateKey) => {
        const id = state.get(stateKeyOf(type, stateKey));
        return id === undefined ? undefined : events.get(id);
      },
      version,
    ).allowed;
  const typeOf = (key: StateKey): string => listAt(key)[0]?.pdu.type ?? '';

  const isLast = (key: StateKey): boolean =>
    key !== powerLevelsKey && !['m.room.join_rules', 'm.room.member'].includes(typeOf(key));
  for (const isOfRound of [
    (key: StateKey) => key === powerLevelsKey,
    (key: StateKey) => typeOf(key) === 'm.room.join_rules',
    (key: StateKey) => typeOf(key) === 'm.room.member',
  ]) {
    const before = new Map(r);
    for (const key of conflicting.filter(isOfRound)) {
      // "Add the first event in the list to R. For each subsequent event in the list, …": each place by itself, on R before the round.
      const ofPlace = new Map(before);
      for (const event of listAt(key)) {
        if (ofPlace.has(key) && !isAllowed(event, ofPlace)) break;
        ofPlace.set(key, event.eventId);
      }
      const winner = ofPlace.get(key);
      if (winner !== undefined) r.set(key, winner);
    }
  }
  // "For all other conflicts, just pick the event with the highest depth and lowest sha1(event_id) that passes authentication in R."
  const before = new Map(r);
  for (const key of conflicting.filter(isLast)) {
    const list = listAt(key);
    const winner = list.reverse().find((event) => isAllowed(event, before)) ?? list.at(-1);
    if (winner) r.set(key, winner.eventId);
  }
  return r;
}

const powerLevelsKey = stateKeyOf('m.room.power_levels', '');

function sha1(text: string): Buffer {
  return createHash('sha1').update(text).digest();
}
