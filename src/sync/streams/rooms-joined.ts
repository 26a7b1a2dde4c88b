import { breathe } from '../../base/breathe.ts';
import { type EventId, isUserId, type RoomId, type UserId } from '../../matrix/ids.ts';
import type { StateKey } from '../../matrix/pdu.ts';
import type { Roster } from '../../roster/roster.ts';
import type { TimelineEvent } from '../../storage/contract/events.ts';
import type { Position } from '../../storage/contract/numbers.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import type { Answer } from '../answer.ts';
import { encodeRoomEvents } from '../encode-events.ts';
import { readRoomState, type StateRequest } from '../state-delta.ts';
import type { SyncScope, SyncStream } from '../stream.ts';
import { changesSummary, type RoomSummary, readSummary } from '../summary.ts';
import { readTimeline, type Timeline } from '../timeline.ts';

export interface RoomsJoinedDeps {
  readonly storage: Pick<Storage, 'accounts' | 'events' | 'state' | 'rooms'>;
  readonly roster: Pick<Roster, 'usersIn'>;
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
  readonly news: RoomsNews;
}

/** Timeline, state and summary of the rooms that the viewer is joined to. */
export function createRoomsJoinedStream(deps: RoomsJoinedDeps): SyncStream {
  return {
    async read(scope, answer) {
      const news = await readNews(deps, scope);
      const { joinedShown, newlyJoined } = scope.rooms;
      for (const roomId of scope.fullState ? joinedShown : new Set([...newlyJoined, ...news.changed])) {
        if (!joinedShown.has(roomId)) continue;
        const isNew = newlyJoined.has(roomId);
        await readRoom({ deps, scope, answer }, { roomId, isNew, news });
        await breathe();
      }
    },
  };
}

interface Reading {
  readonly deps: RoomsJoinedDeps;
  readonly scope: SyncScope;
  readonly answer: Answer;
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

async function readRoom({ deps, scope, answer }: Reading, room: RoomInScope): Promise<void> {
  const { roomId, isNew, news } = room;
  const whole = isNew || scope.fullState;
  const changes = news.states.get(roomId) ?? new Map<StateKey, EventId | null>();
  const timeline = await readRoomTimeline(deps, scope, room);
  const wantsSummary = whole || changesSummary(changes.keys());
  const summary = wantsSummary ? await readSummary(deps, roomId, scope.viewer.userId) : null;
  const state = await readRoomState(deps, {
    roomId,
    end: await deps.storage.state.findCurrentSnapshot(roomId),
    changes: whole ? null : changes,
    after: isNew ? 0 : scope.after,
    timeline,
    useStateAfter: scope.useStateAfter,
    filter: scope.filter.roomState,
    lazy: lazyRequest(scope, roomId, { timeline, summary, whole }),
  });
  if (!whole && summary === null && state.length === 0 && timeline.events.length === 0 && !timeline.limited) return;
  const texts = await encodeRoomEvents(deps, scope, { state, timeline: timeline.events });
  if (scope.lazy !== null) {
    noteMembers(answer, roomId, state);
    noteMembers(answer, roomId, timeline.events);
  }
  const part = answer.joinedRoom(roomId);
  part.summary = summary?.text ?? null;
  part.state = texts.state;
  part.timeline = { events: texts.timeline, limited: timeline.limited, prevBatch: timeline.prevBatch };
}

async function readRoomTimeline(deps: RoomsJoinedDeps, scope: SyncScope, room: RoomInScope): Promise<Timeline> {
  const timeline = await readTimeline(deps, {
    roomId: room.roomId,
    viewer: scope.viewer.userId,
    after: room.isNew ? 0 : scope.after,
    upTo: scope.upTo,
    gap: room.news.gaps.get(room.roomId),
    filter: scope.filter.roomTimeline,
    ignored: scope.ignored,
  });
  // What a client may hold of a room that it was in before does not reach up to this timeline.
  return room.isNew && scope.since !== null ? { ...timeline, limited: true } : timeline;
}

function lazyRequest(
  scope: SyncScope,
  roomId: RoomId,
  room: { timeline: Timeline; summary: RoomSummary | null; whole: boolean },
): StateRequest['lazy'] {
  const { lazy } = scope;
  if (lazy === null) return null;
  const wanted = new Set<UserId>(room.timeline.events.map((event) => event.sender));
  for (const hero of room.summary?.heroes ?? []) wanted.add(hero);
  // "servers MUST include the syncing user's own membership event when they join a room, or when the full state of rooms is requested"
  if (room.whole) wanted.add(scope.viewer.userId);
  const redundant = scope.filter.roomState.includeRedundantMembers;
  return { wanted, isKnown: (userId, eventId) => !redundant && lazy.isKnown(roomId, userId, eventId) };
}

/** The last of each member wins when they are remembered, so state before timeline. */
function noteMembers(answer: Answer, roomId: RoomId, events: readonly TimelineEvent[]): void {
  for (const { type, stateKey, eventId } of events) {
    if (type === 'm.room.member' && isUserId(stateKey)) answer.membersTold.push({ roomId, userId: stateKey, eventId });
  }
}
