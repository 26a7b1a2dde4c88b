import { checkAuth } from '../../../../src/engine/auth/check.ts';
import { authStateOfEvents } from '../../../../src/engine/auth-state.ts';
import { powerLevelOf } from '../../../../src/engine/power.ts';
import type { EventId } from '../../../../src/matrix/ids.ts';
import {
  authEventIdsOf,
  type RoomEvent,
  type StateKey,
  type StateMap,
  stateKeyOf,
} from '../../../../src/matrix/pdu.ts';
import type { RoomVersion } from '../../../../src/matrix/room-versions.ts';
import { resolveNaivelyByDepth } from './naive-v1.ts';

/**
 * State resolution read off the specification with no thought of cost: recursion, whole chains, sorting by taking the smallest again and
 * again. The oracle of the property test.
 */
export function resolveNaively(
  version: RoomVersion,
  states: readonly StateMap[],
  events: ReadonlyMap<EventId, RoomEvent>,
  rejected: ReadonlySet<EventId> = new Set(),
): StateMap {
  if (version.stateResolution === 'v1') return resolveNaivelyByDepth(version, states, events);
  const get = (id: EventId): RoomEvent => {
    const event = events.get(id);
    if (!event) throw new Error(`no event ${id}`);
    return event;
  };
  const chainOf = (id: EventId): Set<EventId> => {
    const chain = new Set<EventId>([id]);
    for (const parent of authEventIdsOf(get(id).pdu)) for (const below of chainOf(parent)) chain.add(below);
    return chain;
  };
  const keyOf = (event: RoomEvent): StateKey => stateKeyOf(event.pdu.type, event.pdu.state_key ?? '');

  const unconflicted = new Map<StateKey, EventId>();
  const conflicted = new Set<EventId>();
  for (const key of new Set(states.flatMap((state) => [...state.keys()]))) {
    const holders = states.map((state) => state.get(key));
    const [first] = holders;
    if (first !== undefined && holders.every((holder) => holder === first)) unconflicted.set(key, first);
    else for (const holder of holders) if (holder !== undefined) conflicted.add(holder);
  }
  const fullChains = states.map((state) => new Set([...state.values()].flatMap((id) => [...chainOf(id)])));
  const full = new Set(conflicted);
  for (const chain of fullChains) {
    for (const id of chain) if (!fullChains.every((other) => other.has(id))) full.add(id);
  }
  if (version.stateResolution === 'v2.1') {
    for (const id of events.keys()) {
      const reaches = [...chainOf(id)].some((below) => conflicted.has(below));
      const reached = [...conflicted].some((above) => chainOf(above).has(id));
      if (reaches && reached) full.add(id);
    }
  }

  const isPower = ({ pdu }: RoomEvent): boolean =>
    (['m.room.create', 'm.room.power_levels', 'm.room.join_rules'].includes(pdu.type) && pdu.state_key === '') ||
    (pdu.type === 'm.room.member' &&
      (pdu.content.membership === 'leave' || pdu.content.membership === 'ban') &&
      pdu.sender !== pdu.state_key);
  const selected = new Set<EventId>();
  const select = (id: EventId): void => {
    if (!full.has(id) || selected.has(id)) return;
    selected.add(id);
    authEventIdsOf(get(id).pdu).forEach(select);
  };
  for (const id of full) if (isPower(get(id))) select(id);

  const createOf = (event: RoomEvent): RoomEvent[] =>
    version.createIsAuthEvent ? [] : [get(`$${event.roomId.slice(1)}` as EventId)];
  const cited = (event: RoomEvent): RoomEvent[] => [...authEventIdsOf(event.pdu).map(get), ...createOf(event)];
  const powerOf = (event: RoomEvent): number =>
    powerLevelOf(event.pdu.sender, authStateOfEvents(cited(event)), version);
  const byTime = (x: RoomEvent, y: RoomEvent): boolean =>
    x.pdu.origin_server_ts !== y.pdu.origin_server_ts
      ? x.pdu.origin_server_ts < y.pdu.origin_server_ts
      : Buffer.compare(Buffer.from(x.eventId), Buffer.from(y.eventId)) < 0;
  const smallest = (candidates: RoomEvent[], isLess: (x: RoomEvent, y: RoomEvent) => boolean): RoomEvent =>
    candidates.reduce((best, other) => (isLess(other, best) ? other : best));

  const byPower: RoomEvent[] = [];
  const left = new Set([...selected].map(get));
  while (left.size > 0) {
    const ready = [...left].filter(
      (event) => ![...left].some((other) => authEventIdsOf(event.pdu).includes(other.eventId)),
    );
    const next = smallest(ready, (x, y) => (powerOf(x) !== powerOf(y) ? powerOf(x) > powerOf(y) : byTime(x, y)));
    byPower.push(next);
    left.delete(next);
  }

  const apply = (list: readonly RoomEvent[], initial: StateMap): Map<StateKey, EventId> => {
    const state = new Map(initial);
    for (const event of list) {
      const fallback = authStateOfEvents(cited(event).filter(({ eventId }) => !rejected.has(eventId)));
      const lookUp = (type: string, stateKey: string): RoomEvent | undefined => {
        const id = state.get(stateKeyOf(type, stateKey));
        return id === undefined ? fallback(type, stateKey) : get(id);
      };
      if (checkAuth(event, lookUp, version).allowed) state.set(keyOf(event), event.eventId);
    }
    return state;
  };
  const partial = apply(byPower, version.stateResolution === 'v2.1' ? new Map() : unconflicted);

  const powerBefore = (event: RoomEvent): RoomEvent | undefined =>
    authEventIdsOf(event.pdu)
      .map(get)
      .find(({ pdu }) => pdu.type === 'm.room.power_levels');
  const mainline: EventId[] = [];
  const resolvedPower = partial.get(stateKeyOf('m.room.power_levels', ''));
  for (let at = resolvedPower && get(resolvedPower); at; at = powerBefore(at)) mainline.push(at.eventId);
  const positionOf = (event: RoomEvent): number => {
    for (let at = powerBefore(event); at; at = powerBefore(at)) {
      if (mainline.includes(at.eventId)) return mainline.indexOf(at.eventId);
    }
    return Number.POSITIVE_INFINITY;
  };
  const rest = new Set([...full].filter((id) => !selected.has(id)).map(get));
  const byMainline: RoomEvent[] = [];
  while (rest.size > 0) {
    const next = smallest([...rest], (x, y) =>
      positionOf(x) !== positionOf(y) ? positionOf(x) > positionOf(y) : byTime(x, y),
    );
    byMainline.push(next);
    rest.delete(next);
  }
  return new Map([...apply(byMainline, partial), ...unconflicted]);
}
