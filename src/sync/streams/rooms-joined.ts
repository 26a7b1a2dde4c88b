import { breathe } from '../../base/breathe.ts';
import { Slots } from '../../base/tasks/slots.ts';
import type { RecentNow } from '../../feed/recent-reads.ts';
import { type EventId, isUserId, type RoomId, type UserId } from '../../matrix/ids.ts';
import type { StateKey } from '../../matrix/pdu.ts';
import type { Roster } from '../../roster/roster.ts';
import type { TimelineEvent } from '../../storage/contract/events.ts';
import type { Position } from '../../storage/contract/numbers.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import type { Answer } from '../answer.ts';
import { timelineLimitOf } from '../apply-filter.ts';
import { encodeRoomEvents } from '../encode-events.ts';
import { createSharedTimelines } from '../shared-timelines.ts';
import { readRoomStates, type StateRequest } from '../state-delta.ts';
import { mayBeNews, type SyncScope, type SyncStream, touches } from '../stream.ts';
import { changesSummary, type RoomSummary, readSummaries } from '../summary.ts';
import { readTimelines, type Timeline } from '../timeline.ts';

export interface RoomsJoinedDeps {
  readonly storage: Pick<Storage, 'accounts' | 'accountData' | 'events' | 'relations' | 'state' | 'rooms'>;
  readonly roster: Pick<Roster, 'usersIn' | 'roomsOf'>;
  readonly recent: Pick<RecentNow, 'bring' | 'findTimeline' | 'findCurrentSnapshot' | 'findIgnored'>;
}

/** What happened in rooms since the client last heard; nothing is asked about a room in which nothing did. */
interface RoomsNews {
  readonly changed: ReadonlySet<RoomId>;
  readonly states: ReadonlyMap<RoomId, ReadonlyMap<StateKey, EventId | null>>;
  readonly gaps: ReadonlyMap<RoomId, Position>;
}

interface RoomInScope {
  readonly roomId: RoomId;
  /** The client does not know the room as joined. */
  readonly isNew: boolean;
  /** All of its state and its summary are told. */
  readonly isWhole: boolean;
  readonly changes: ReadonlyMap<StateKey, EventId | null>;
  readonly gap: Position | undefined;
}

/** Events, about, of the rooms that are read together; others get their turn between. */
const eventsPerTurn = 1_000;
/** Beside the members: what tells what a room is. */
const stateOfRoom = 10;
/**
 * Answers of many rooms that are read at once. Others wait: they would all be ready late instead of one behind the other, and each
 * holds megabytes meanwhile.
 */
const largeAtOnceMax = 2;
const largeWaitingMax = 20_000;

/** Timeline, state and summary of the rooms that the viewer is joined to. */
export function createRoomsJoinedStream(deps: RoomsJoinedDeps): SyncStream {
  const shared = createSharedTimelines(deps);
  const large = new Slots({ runningMax: largeAtOnceMax, waitingMax: largeWaitingMax });
  return {
    mayTell: (question) =>
      mayBeNews(question, ({ eventRooms, stateRooms }) => {
        const rooms = deps.roster.roomsOf(question.viewer.userId);
        return touches(eventRooms, rooms) || touches(stateRooms, rooms);
      }),
    prepare: (question) => shared.prepare(question),
    readNow: (question, answer) => shared.read(question, answer),
    async read(scope, answer) {
      const slices = sliceRooms(deps, scope, await listRooms(deps, scope));
      const readAll = async (): Promise<void> => {
        for (const rooms of slices) {
          await readRooms({ deps, scope, answer }, rooms);
          await breathe();
        }
      };
      await (slices.length > 1 ? large.run(readAll) : readAll());
    },
  };
}

interface Reading {
  readonly deps: RoomsJoinedDeps;
  readonly scope: SyncScope;
  readonly answer: Answer;
}

/** In their order, so many rooms at a time as have few enough events to tell. */
function sliceRooms(deps: RoomsJoinedDeps, scope: SyncScope, rooms: readonly RoomInScope[]): RoomInScope[][] {
  const slices: RoomInScope[][] = [];
  const limit = timelineLimitOf(scope.filter.roomTimeline);
  let left = 0;
  for (const room of rooms) {
    const members = scope.lazy === null ? deps.roster.usersIn(room.roomId).size : 0;
    const events = limit + (room.isWhole ? stateOfRoom + members : room.changes.size);
    if (events > left || slices.length === 0) {
      slices.push([]);
      left = eventsPerTurn;
    }
    slices.at(-1)?.push(room);
    left -= events;
  }
  return slices;
}

async function listRooms(deps: RoomsJoinedDeps, scope: SyncScope): Promise<RoomInScope[]> {
  const news = await readNews(deps, scope);
  const { joinedShown, newlyJoined } = scope.rooms;
  const told = scope.fullState ? joinedShown : new Set([...newlyJoined, ...news.changed]);
  const shown = [...told].filter((roomId) => joinedShown.has(roomId));
  return shown.map((roomId) => {
    const isNew = newlyJoined.has(roomId);
    return {
      roomId,
      isNew,
      isWhole: isNew || scope.fullState,
      changes: news.states.get(roomId) ?? new Map<StateKey, EventId | null>(),
      gap: news.gaps.get(roomId),
    };
  });
}

async function readNews(deps: RoomsJoinedDeps, scope: SyncScope): Promise<RoomsNews> {
  const { after, upTo, rooms } = scope;
  const known = rooms.knownShown;
  if (known.size === 0 || upTo <= after) return { changed: new Set(), states: new Map(), gaps: new Map() };
  const { events, state } = deps.storage;
  const [withEvents, states] = await Promise.all([
    events.listRoomsChanged(known, after, upTo),
    state.listCurrentChanges(known, after, upTo),
  ]);
  const changed = new Set([...withEvents, ...states.keys()]);
  const gaps = changed.size > 0 ? await events.listGaps(changed, after, upTo) : new Map<RoomId, Position>();
  return { changed, states, gaps };
}

/** A fixed number of queries, however many rooms. */
async function readRooms({ deps, scope, answer }: Reading, rooms: readonly RoomInScope[]): Promise<void> {
  const timelines = await readRoomTimelines(deps, scope, rooms);
  const summed = rooms.filter(({ isWhole, changes }) => isWhole || changesSummary(changes.keys()));
  const summaries = await readSummaries(deps, new Set(summed.map(({ roomId }) => roomId)), scope.viewer.userId);
  const timelineOf = (room: RoomInScope): Timeline => {
    const timeline = timelines.get(room.roomId) ?? { events: [], limited: false, prevBatch: null };
    // What a client may hold of a room that it was in before does not reach up to this timeline.
    return room.isNew && scope.since !== null ? { ...timeline, limited: true } : timeline;
  };
  const requests = rooms.map((room) => {
    const { roomId, isNew, isWhole, changes } = room;
    const timeline = timelineOf(room);
    const summary = summaries.get(roomId);
    return {
      roomId,
      end: 'current' as const,
      changes: isWhole ? null : changes,
      after: isNew ? 0 : scope.after,
      timeline,
      lazy: lazyRequest(scope, roomId, { timeline, summary, isWhole }),
    };
  });
  const states = await readRoomStates(
    deps,
    { useStateAfter: scope.useStateAfter, filter: scope.filter.roomState },
    requests,
  );
  const told = rooms
    .map((room, index) => ({
      room,
      timeline: requests[index]?.timeline ?? timelineOf(room),
      state: states.get(room.roomId) ?? [],
    }))
    .filter(({ room, timeline, state }) => {
      if (room.isWhole || summaries.has(room.roomId)) return true;
      return state.length > 0 || timeline.events.length > 0 || timeline.limited;
    });
  const texts = await encodeRoomEvents(
    deps,
    scope,
    told.map(({ state, timeline }) => ({ state, timeline: timeline.events, limited: timeline.limited })),
  );
  for (const [index, { room, timeline, state }] of told.entries()) {
    if (scope.lazy !== null) {
      noteMembers(answer, room.roomId, state);
      noteMembers(answer, room.roomId, timeline.events);
    }
    const part = answer.joinedRoom(room.roomId);
    part.summary = summaries.get(room.roomId)?.text ?? null;
    part.state = texts[index]?.state ?? [];
    part.timeline = { events: texts[index]?.timeline ?? [], limited: timeline.limited, prevBatch: timeline.prevBatch };
  }
}

function readRoomTimelines(
  deps: RoomsJoinedDeps,
  scope: SyncScope,
  rooms: readonly RoomInScope[],
): Promise<Map<RoomId, Timeline>> {
  const reader = { viewer: scope.viewer.userId, filter: scope.filter.roomTimeline, ignored: scope.ignored };
  return readTimelines(
    deps,
    reader,
    rooms.map(({ roomId, isNew, gap }) => ({ roomId, after: isNew ? 0 : scope.after, upTo: scope.upTo, gap })),
  );
}

function lazyRequest(
  scope: SyncScope,
  roomId: RoomId,
  room: { timeline: Timeline; summary: RoomSummary | undefined; isWhole: boolean },
): StateRequest['lazy'] {
  const { lazy } = scope;
  if (lazy === null) return null;
  const wanted = new Set<UserId>(room.timeline.events.map((event) => event.sender));
  for (const hero of room.summary?.heroes ?? []) wanted.add(hero);
  // "servers MUST include the syncing user's own membership event when they join a room, or when the full state of rooms is requested"
  if (room.isWhole) wanted.add(scope.viewer.userId);
  const redundant = scope.filter.roomState.includeRedundantMembers;
  return { wanted, isKnown: (userId, eventId) => !redundant && lazy.isKnown(roomId, userId, eventId) };
}

/** The last of each member wins when they are remembered, so state before timeline. */
function noteMembers(answer: Answer, roomId: RoomId, events: readonly TimelineEvent[]): void {
  for (const { type, stateKey, eventId } of events) {
    if (type === 'm.room.member' && isUserId(stateKey)) answer.membersTold.push({ roomId, userId: stateKey, eventId });
  }
}
