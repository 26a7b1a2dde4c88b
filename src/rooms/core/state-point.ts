import { breathe } from '../../base/breathe.ts';
import { resolveState } from '../../engine/state-res/resolve.ts';
import { type Deviation, deviationFrom } from '../../engine/state-res/state-sets.ts';
import type { EventId, RoomId } from '../../matrix/ids.ts';
import {
  authEventIdsOf,
  isStateEvent,
  type RoomEvent,
  type StateKey,
  type StateMap,
  stateKeyOf,
} from '../../matrix/pdu.ts';
import type { RoomVersion } from '../../matrix/room-versions.ts';
import type { Row } from '../../storage/contract/commit.ts';
import type { SnapshotId } from '../../storage/contract/state.ts';
import type { Storage } from '../../storage/contract/storage.ts';

type Deps = { readonly storage: Pick<Storage, 'state' | 'events' | 'newSnapshotId'> };

/** The state at one place of a room, stored or about to be. */
export interface StatePoint {
  readonly snapshotId: SnapshotId;
  /** Rows to be written before anything refers to the snapshot; none for one that is stored. */
  readonly rows: readonly Row[];
  readMap(): Promise<StateMap>;
  /** Only these keys. */
  readKeys(keys: readonly StateKey[]): Promise<StateMap>;
  /** Where it differs from the state at another place of the room: what it has there. */
  deviationFrom(other: StatePoint): Promise<Deviation>;
}

/** A snapshot that is stored. */
export function storedPoint({ storage }: Deps, snapshotId: SnapshotId): StatePoint {
  return {
    snapshotId,
    rows: [],
    readMap: () => storage.state.getSnapshot(snapshotId),
    readKeys: (keys) => storage.state.getFromSnapshot(snapshotId, keys),
    deviationFrom: async (other) =>
      isStored(other)
        ? storage.state.getDeviation(snapshotId, other.snapshotId)
        : deviationFrom(await other.readMap(), await storage.state.getSnapshot(snapshotId)),
  };
}

function isStored({ rows }: StatePoint): boolean {
  return rows.length === 0;
}

/** The state behind a state event; the same state behind any other. */
export function pointAfter(deps: Deps, before: StatePoint, event: RoomEvent): StatePoint {
  if (!isStateEvent(event)) return before;
  const key = stateKeyOf(event.pdu.type, event.pdu.state_key);
  const set = new Map([[key, event.eventId]]);
  const snapshotId = deps.storage.newSnapshotId();
  const { roomId } = event;
  return {
    snapshotId,
    rows: [...before.rows, { kind: 'snapshot', snapshotId, roomId, parent: before.snapshotId, set, removed: [] }],
    readMap: async () => new Map([...(await before.readMap()), ...set]),
    readKeys: async (keys) => {
      const found = await before.readKeys(keys);
      return keys.includes(key) ? new Map([...found, ...set]) : found;
    },
    deviationFrom: async (other) => {
      const deviation = new Map([...(await before.deviationFrom(other)), ...set]);
      if ((await other.readKeys([key])).get(key) === event.eventId) deviation.delete(key);
      return deviation;
    },
  };
}

/** A state given whole, such as another server told it. */
export function newPoint(deps: Deps, roomId: RoomId, map: StateMap, parent?: StatePoint): StatePoint {
  return pointOfMap(deps, { roomId, map, difference: { set: map, removed: [] }, parent });
}

/** The same, kept as the difference to a state that is much like it; that state itself where they are equal. */
export async function pointLike(
  deps: Deps,
  roomId: RoomId,
  map: StateMap,
  parent: StatePoint | undefined,
): Promise<StatePoint> {
  if (!parent) return newPoint(deps, roomId, map);
  const change = await difference(await parent.readMap(), map);
  if (isEmpty(change)) return parent;
  return pointOfMap(deps, { roomId, map, difference: change, parent });
}

function pointOfMap(
  deps: Deps,
  given: { roomId: RoomId; map: StateMap; difference: StateDifference; parent: StatePoint | undefined },
): StatePoint {
  const { roomId, map, difference, parent } = given;
  const snapshotId = deps.storage.newSnapshotId();
  return {
    snapshotId,
    rows: [
      ...(parent?.rows ?? []),
      { kind: 'snapshot', snapshotId, roomId, parent: parent?.snapshotId ?? null, ...difference },
    ],
    readMap: async () => map,
    readKeys: async (keys) => {
      const found = new Map<StateKey, EventId>();
      for (const key of keys) {
        const eventId = map.get(key);
        if (eventId !== undefined) found.set(key, eventId);
      }
      return found;
    },
    deviationFrom: async (other) => deviationFrom(await other.readMap(), map),
  };
}

/**
 * The resolution of the states at several places: one of them where they agree, else a new one, kept as the difference to
 * the first. `pending`: events that are not stored yet.
 */
export async function resolvePoints(
  deps: Deps,
  points: readonly StatePoint[],
  room: { readonly roomId: RoomId; readonly version: RoomVersion; readonly pending?: readonly RoomEvent[] },
): Promise<StatePoint> {
  const distinct = [...new Map(points.map((point) => [point.snapshotId, point])).values()];
  // The others are told by how they deviate from the first, which storage knows of what is stored.
  const ordered = [...distinct.filter(isStored), ...distinct.filter((point) => !isStored(point))];
  const [first, ...others] = ordered;
  if (!first) return newPoint(deps, room.roomId, new Map());
  if (others.length === 0) return first;
  const sources = sourcesOf(deps, room.pending ?? []);
  const stateSets = { first: await first.readMap(), others: deviationsFrom(first, others) };
  const resolution = await resolveState({ version: room.version, stateSets, ...sources });
  const same = resolution.sameAs === undefined ? undefined : ordered[resolution.sameAs];
  if (same) return same;
  return pointOfMap(deps, { roomId: room.roomId, map: resolution.state, difference: resolution, parent: first });
}

/** One after the other, so that not all of them are in memory at once. */
async function* deviationsFrom(first: StatePoint, others: readonly StatePoint[]): AsyncGenerator<Deviation> {
  for (const point of others) yield point.deviationFrom(first);
}

function sourcesOf({ storage }: Deps, pending: readonly RoomEvent[]) {
  const rejected = new Set<EventId>();
  const waiting = new Map(pending.map((event) => [event.eventId, event]));
  return {
    async load(eventIds: readonly EventId[]) {
      const events = new Map<EventId, RoomEvent>();
      for (const stored of await storage.events.listByIds(eventIds)) {
        events.set(stored.event.eventId, stored.event);
        if (stored.verdict === 'rejected') rejected.add(stored.event.eventId);
      }
      for (const eventId of eventIds) {
        const event = waiting.get(eventId);
        if (event) events.set(eventId, event);
      }
      return events;
    },
    async listAuthEdges(eventIds: readonly EventId[], ahead: number) {
      const edges = new Map<EventId, readonly EventId[]>(await storage.events.listAuthEdges(eventIds, ahead));
      for (const eventId of eventIds) {
        const event = waiting.get(eventId);
        if (event) edges.set(eventId, authEventIdsOf(event.pdu));
      }
      return edges;
    },
    isRejected: (eventId: EventId) => rejected.has(eventId),
  };
}

export interface StateDifference {
  readonly set: ReadonlyMap<StateKey, EventId>;
  readonly removed: readonly StateKey[];
}

/** What has to be set and removed to come from one state to the other. */
export async function difference(from: StateMap, to: StateMap): Promise<StateDifference> {
  const set = new Map<StateKey, EventId>();
  const removed: StateKey[] = [];
  let looked = 0;
  for (const [key, eventId] of to) {
    if (from.get(key) !== eventId) set.set(key, eventId);
    looked += 1;
    if (looked % 1000 === 0) await breathe();
  }
  for (const key of from.keys()) if (!to.has(key)) removed.push(key);
  return { set, removed };
}

export function isEmpty({ set, removed }: StateDifference): boolean {
  return set.size === 0 && removed.length === 0;
}
