import { breathe, filterInTurns } from '../base/breathe.ts';
import { acceptsType, type RoomEventFilter } from '../matrix/filter.ts';
import type { EventId, RoomId, UserId } from '../matrix/ids.ts';
import { type StateKey, type StateMap, splitStateKey, stateKeyOf } from '../matrix/pdu.ts';
import { acceptsEvent } from '../rooms/reading/accepts-event.ts';
import { memberKey } from '../rooms/state-reads.ts';
import type { TimelineEvent } from '../storage/contract/events.ts';
import type { Position } from '../storage/contract/numbers.ts';
import type { SnapshotId } from '../storage/contract/state.ts';
import type { Storage } from '../storage/contract/storage.ts';
import { acceptsSection } from './apply-filter.ts';
import type { Timeline } from './timeline.ts';

export interface StateDeps {
  readonly storage: Pick<Storage, 'events' | 'state'>;
}

/** What holds for all rooms of one answer. */
export interface StateReader {
  /** Tell the state at the end of the timeline instead of at its start (MSC4222). */
  readonly useStateAfter: boolean;
  readonly filter: RoomEventFilter;
}

export interface StateRequest {
  readonly roomId: RoomId;
  /** The state at the end of the timeline: the room's current one, or this. */
  readonly end: 'current' | SnapshotId;
  /** What differs at the end from what the client knows; null: it knows nothing, so all of it is told. */
  readonly changes: ReadonlyMap<StateKey, EventId | null> | null;
  /** How far the client knows the room; what a gap hid lies behind it. */
  readonly after: Position;
  readonly timeline: Timeline;
  /** Null: every member counts. Else members are told only if they changed or belong to these. The same for all rooms. */
  readonly lazy: { readonly wanted: ReadonlySet<UserId>; isKnown(userId: UserId, eventId: EventId): boolean } | null;
}

/**
 * For each room the state events that stand beside its timeline, so that a client which applies first them and then the timeline (or,
 * by MSC4222, them alone) arrives at the room's state. A change that state resolution brought without an event in the shown
 * timeline is among them, although it belongs to the timeline's end: else the client would never learn of it. All rooms are read
 * together.
 */
export async function readRoomStates(
  deps: StateDeps,
  reader: StateReader,
  requests: readonly StateRequest[],
): Promise<Map<RoomId, TimelineEvent[]>> {
  const rooms = requests
    .filter(({ roomId }) => acceptsSection(reader.filter, roomId))
    .map((request) => planRoom(reader, request));
  const wholes = await readWholes(deps, rooms);
  const parts = await readParts(deps, rooms);
  const states = new Map<RoomId, TimelineEvent[]>();
  for (const room of rooms) {
    const shown = new Set(reader.useStateAfter ? [] : room.request.timeline.events.map(({ eventId }) => eventId));
    const found = [...(wholes.get(room.request.roomId) ?? []), ...(parts.get(room.request.roomId) ?? [])];
    const wanted = new Map(found.map((event) => [event.eventId, event]));
    states.set(
      room.request.roomId,
      await filterInTurns(
        [...wanted.values()],
        (event) => !shown.has(event.eventId) && acceptsEvent(reader.filter, event),
      ),
    );
    await breathe();
  }
  return states;
}

/** Which keys are looked for where. */
interface RoomPlan {
  readonly request: StateRequest;
  /** Keys that the shown timeline sets itself, which matters only for the state at its start. */
  readonly shownKeys: ReadonlySet<StateKey>;
  isWanted(key: StateKey): boolean;
  /** In the state before the first event shown. */
  readonly atStart: readonly StateKey[];
  /** Members who are shown and whom this device was perhaps told of; key → who. */
  readonly lazyMembers: ReadonlyMap<StateKey, UserId>;
  /** Of these in the state at the end. */
  readonly atEnd: readonly StateKey[];
}

function planRoom(reader: StateReader, request: StateRequest): RoomPlan {
  const { changes, lazy, timeline } = request;
  const shownKeys = new Set(
    reader.useStateAfter
      ? []
      : timeline.events.flatMap(({ type, stateKey }) => (stateKey === null ? [] : [stateKeyOf(type, stateKey)])),
  );
  const wantedMembers = new Set([...(lazy?.wanted ?? [])].map(memberKey));
  const isWanted = (key: StateKey): boolean => {
    const { type } = splitStateKey(key);
    if (!acceptsType(reader.filter, type)) return false;
    return lazy === null || type !== 'm.room.member' || wantedMembers.has(key);
  };
  if (changes === null) {
    const atStart = [...shownKeys].filter(isWanted);
    return { request, shownKeys, isWanted, atStart, lazyMembers: new Map(), atEnd: [] };
  }
  const lazyMembers = new Map([...(lazy?.wanted ?? [])].map((userId) => [memberKey(userId), userId]));
  const membersAtStart = [...lazyMembers.keys()].filter((key) => shownKeys.has(key));
  return {
    request,
    shownKeys,
    isWanted,
    // "When a sync is `limited`, the server MUST return membership events for events in the gap": and any other state.
    atStart: timeline.limited ? [...shownKeys] : membersAtStart,
    lazyMembers,
    atEnd: [...lazyMembers.keys()].filter((key) => !shownKeys.has(key) && !changes.has(key)),
  };
}

/** Rooms of which the client knows nothing: their state at the end, without the keys that the timeline sets. */
async function readWholes(deps: StateDeps, rooms: readonly RoomPlan[]): Promise<Map<RoomId, TimelineEvent[]>> {
  const whole = rooms.filter(({ request }) => request.changes === null);
  const current = whole.filter(({ request }) => request.end === 'current');
  const found = new Map<RoomId, TimelineEvent[]>();
  if (current.length > 0) {
    const roomIds = new Set(current.map(({ request }) => request.roomId));
    const isLazy = current.some(({ request }) => request.lazy !== null);
    const members = new Map(current.map(({ request }) => [request.roomId, request.lazy?.wanted ?? []]));
    const states = await deps.storage.state.listCurrentOfRooms(roomIds, isLazy ? members : 'all');
    for (const { request, shownKeys, isWanted } of current) {
      const events = states.get(request.roomId) ?? [];
      found.set(
        request.roomId,
        await filterInTurns(events, ({ type, stateKey }) => {
          const key = stateKeyOf(type, stateKey ?? '');
          return !shownKeys.has(key) && isWanted(key);
        }),
      );
      await breathe();
    }
  }
  const past = whole.filter(({ request }) => request.end !== 'current');
  const snapshots = await deps.storage.state.getSnapshots(
    past.flatMap(({ request: { end } }) => (end === 'current' ? [] : [end])),
  );
  const ids = past.map(({ request: { roomId, end }, shownKeys, isWanted }) => {
    const state = end === 'current' ? undefined : snapshots.get(end);
    const wanted = [...(state ?? [])].filter(([key]) => !shownKeys.has(key) && isWanted(key));
    return { roomId, eventIds: wanted.map(([, eventId]) => eventId) };
  });
  for (const [roomId, events] of await readByRoom(deps, ids)) found.set(roomId, events);
  return found;
}

/** What is told besides: what changed, what a gap hid, and members who were not told before. */
async function readParts(deps: StateDeps, rooms: readonly RoomPlan[]): Promise<Map<RoomId, TimelineEvent[]>> {
  const { atStart, atEnd } = await readKeys(deps, rooms);
  const hidden = new Set<EventId>();
  const ids = rooms.map(({ request, shownKeys, lazyMembers }) => {
    const { roomId, changes, lazy, timeline } = request;
    const starting = atStart.get(roomId) ?? new Map<StateKey, EventId>();
    if (changes === null) return { roomId, eventIds: [...starting.values()] };
    const eventIds: EventId[] = [];
    for (const [key, eventId] of changes) {
      // A key that was removed cannot be told: the protocol has no word for it.
      if (eventId !== null && !shownKeys.has(key)) eventIds.push(eventId);
    }
    for (const [key, eventId] of [...starting, ...(atEnd.get(roomId) ?? [])]) {
      const userId = lazyMembers.get(key);
      if (userId !== undefined && lazy && !lazy.isKnown(userId, eventId)) eventIds.push(eventId);
      else if (timeline.limited && shownKeys.has(key)) {
        eventIds.push(eventId);
        hidden.add(eventId);
      }
    }
    return { roomId, eventIds };
  });
  const found = await readByRoom(deps, ids);
  for (const { request } of rooms) {
    const events = found.get(request.roomId) ?? [];
    const isNews = (event: TimelineEvent): boolean => !hidden.has(event.eventId) || event.position > request.after;
    if (request.changes !== null) found.set(request.roomId, events.filter(isNews));
  }
  return found;
}

async function readKeys(
  deps: StateDeps,
  rooms: readonly RoomPlan[],
): Promise<{ atStart: ReadonlyMap<RoomId, StateMap>; atEnd: ReadonlyMap<RoomId, StateMap> }> {
  const asking = rooms.filter(({ atEnd, request }) => atEnd.length > 0 && request.end === 'current');
  const current =
    asking.length > 0
      ? await deps.storage.state.listCurrentSnapshots(new Set(asking.map(({ request }) => request.roomId)))
      : new Map<RoomId, SnapshotId>();
  const endOf = ({ request: { roomId, end } }: RoomPlan) => (end === 'current' ? current.get(roomId) : end);
  const startOf = ({ request: { timeline } }: RoomPlan) => {
    const first = timeline.events[0];
    return first && first.snapshotBefore > 0 ? first.snapshotBefore : undefined;
  };
  const wanted = new Map<SnapshotId, StateKey[]>();
  const ask = (snapshotId: SnapshotId | undefined, keys: readonly StateKey[]): void => {
    if (snapshotId !== undefined && keys.length > 0)
      wanted.set(snapshotId, [...(wanted.get(snapshotId) ?? []), ...keys]);
  };
  for (const room of rooms) {
    ask(startOf(room), room.atStart);
    ask(endOf(room), room.atEnd);
  }
  const found: ReadonlyMap<SnapshotId, StateMap> =
    wanted.size > 0 ? await deps.storage.state.getFromSnapshots(wanted) : new Map();
  const pick = (of: (room: RoomPlan) => SnapshotId | undefined, keysOf: (room: RoomPlan) => readonly StateKey[]) =>
    new Map(
      rooms.map((room) => {
        const snapshotId = of(room);
        const state = snapshotId === undefined ? undefined : found.get(snapshotId);
        return [room.request.roomId, pickKeys(state, keysOf(room))];
      }),
    );
  return { atStart: pick(startOf, (room) => room.atStart), atEnd: pick(endOf, (room) => room.atEnd) };
}

function pickKeys(state: StateMap | undefined, keys: readonly StateKey[]): StateMap {
  const picked = new Map<StateKey, EventId>();
  for (const key of keys) {
    const eventId = state?.get(key);
    if (eventId !== undefined) picked.set(key, eventId);
  }
  return picked;
}

/** The events of each room in the order given. */
async function readByRoom(
  deps: StateDeps,
  rooms: readonly { readonly roomId: RoomId; readonly eventIds: readonly EventId[] }[],
): Promise<Map<RoomId, TimelineEvent[]>> {
  const ids = rooms.flatMap(({ eventIds }) => eventIds);
  if (ids.length === 0) return new Map();
  const found = new Map(
    (await deps.storage.events.listTimelineEventsByIds(ids)).map((event) => [event.eventId, event]),
  );
  return new Map(
    rooms.map(({ roomId, eventIds }) => [
      roomId,
      eventIds.map((eventId) => found.get(eventId)).filter((event) => event !== undefined),
    ]),
  );
}
