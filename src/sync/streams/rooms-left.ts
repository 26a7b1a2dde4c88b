import { breathe } from '../../base/breathe.ts';
import type { EventId, RoomId } from '../../matrix/ids.ts';
import type { StateKey } from '../../matrix/pdu.ts';
import { encodeArrivalToken } from '../../rooms/history-token.ts';
import { memberKey } from '../../rooms/state-reads.ts';
import { findLastStay } from '../../rooms/visible-history.ts';
import type { TimelineEvent } from '../../storage/contract/events.ts';
import type { Position } from '../../storage/contract/numbers.ts';
import type { StoredMembership } from '../../storage/contract/rooms.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import type { LeftRoomPart } from '../answer.ts';
import { encodeRoomEvents } from '../encode-events.ts';
import { readRoomState } from '../state-delta.ts';
import type { LeftRoom, SyncScope, SyncStream } from '../stream.ts';
import { readTimeline, type Timeline } from '../timeline.ts';

export interface RoomsLeftDeps {
  readonly storage: Pick<Storage, 'accounts' | 'events' | 'state' | 'rooms'>;
}

/**
 * Rooms that the viewer left, was kicked or banned from, or whose invite they rejected: what they may see up to there and
 * nothing behind it. Told once; in an initial sync only where the filter asks for left rooms.
 */
export function createRoomsLeftStream(deps: RoomsLeftDeps): SyncStream {
  return {
    async read(scope, answer) {
      for (const room of scope.rooms.left) {
        const part = await readLeftRoom(deps, scope, room);
        if (part) answer.left.set(room.membership.roomId, part);
        await breathe();
      }
    },
  };
}

async function readLeftRoom(deps: RoomsLeftDeps, scope: SyncScope, room: LeftRoom): Promise<LeftRoomPart | null> {
  const { membership } = room;
  // Out of band: the room is elsewhere, all we have is the event that ended the invite.
  if (membership.outOfBand !== null) return fromElsewhere(membership);
  const stay = await findLastStay(deps, membership.roomId, scope.viewer.userId);
  if (!stay) return neverJoined(deps, scope, membership);
  // A stay that lasts began behind this reading: here it counts that the one before ended.
  const end = { position: Math.min(stay.end, membership.position), eventId: stay.departure ?? membership.eventId };
  return wasJoined(deps, scope, room, end);
}

function fromElsewhere(membership: StoredMembership): LeftRoomPart {
  const event = membership.outOfBand?.event;
  return partOf([], event ? [JSON.stringify(event)] : [], { limited: false, prevBatch: null });
}

/** Nothing of the room but how it ended for the viewer. */
async function neverJoined(
  deps: RoomsLeftDeps,
  scope: SyncScope,
  membership: StoredMembership,
): Promise<LeftRoomPart | null> {
  const event = await deps.storage.events.findTimelineEvent(membership.eventId);
  if (!event) return null;
  const { timeline } = await encodeRoomEvents(deps, scope, { state: [], timeline: [event] });
  return partOf([], timeline, { limited: false, prevBatch: encodeArrivalToken(event.position) });
}

/** Where the viewer's stay ended, and the member event that ended it. */
interface Departure {
  readonly position: Position;
  readonly eventId: EventId;
}

async function wasJoined(
  deps: RoomsLeftDeps,
  scope: SyncScope,
  { membership, before }: LeftRoom,
  end: Departure,
): Promise<LeftRoomPart> {
  const { roomId } = membership;
  const knewJoined = before?.membership === 'join';
  // Joined and left since the client last heard: the whole stay is news, and what is told of it begins anew.
  const isNew = end.position > scope.after && !knewJoined;
  const timeline = await readTimeline(deps, {
    roomId,
    viewer: scope.viewer.userId,
    after: isNew ? 0 : scope.after,
    upTo: membership.position,
    filter: scope.filter.roomTimeline,
    ignored: scope.ignored,
  });
  const knows = knewJoined && !scope.fullState;
  const state = end.position > scope.after ? await readStateAtEnd(deps, scope, { roomId, knows, end, timeline }) : [];
  const texts = await encodeRoomEvents(deps, scope, { state, timeline: timeline.events });
  return partOf(texts.state, texts.timeline, {
    limited: timeline.limited || (isNew && scope.since !== null),
    prevBatch: timeline.prevBatch,
  });
}

/** The room's state as the departure left it, or, to a client that knew the room as joined, what changed of it. */
async function readStateAtEnd(
  deps: RoomsLeftDeps,
  scope: SyncScope,
  room: { roomId: RoomId; knows: boolean; end: Departure; timeline: Timeline },
): Promise<TimelineEvent[]> {
  const { roomId, end } = room;
  const last = await deps.storage.events.findTimelineEvent(end.eventId);
  if (!last) return [];
  let changes: Map<StateKey, EventId | null> | null = null;
  if (room.knows) {
    const found = await deps.storage.state.listCurrentChanges(new Set([roomId]), scope.after, end.position);
    changes = new Map(found.get(roomId));
    // The state changes behind the departure, which is why it is not among those up to it.
    changes.set(memberKey(scope.viewer.userId), end.eventId);
  }
  return readRoomState(deps, {
    roomId,
    end: last.snapshotAfter,
    changes,
    after: scope.after,
    timeline: room.timeline,
    useStateAfter: scope.useStateAfter,
    filter: scope.filter.roomState,
    lazy: lazyRequest(scope, room.timeline),
  });
}

/** Of a room that is left nothing is remembered, so no member is redundant. */
function lazyRequest(scope: SyncScope, timeline: Timeline) {
  if (scope.lazy === null) return null;
  const wanted = new Set([...timeline.events.map((event) => event.sender), scope.viewer.userId]);
  return { wanted, isKnown: () => false };
}

function partOf(
  state: readonly string[],
  events: readonly string[],
  { limited, prevBatch }: { limited: boolean; prevBatch: string | null },
): LeftRoomPart {
  return { state, timeline: { events, limited, prevBatch }, accountData: [] };
}
