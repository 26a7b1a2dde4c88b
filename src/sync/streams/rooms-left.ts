import { breathe } from '../../base/breathe.ts';
import type { EventId, RoomId } from '../../matrix/ids.ts';
import type { StateKey } from '../../matrix/pdu.ts';
import { encodeArrivalToken } from '../../rooms/history-token.ts';
import { memberKey } from '../../rooms/state-reads.ts';
import { listLastStays, type Stay } from '../../rooms/visible-history.ts';
import type { TimelineEvent } from '../../storage/contract/events.ts';
import type { Position } from '../../storage/contract/numbers.ts';
import type { StoredMembership } from '../../storage/contract/rooms.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import type { LeftRoomPart } from '../answer.ts';
import { encodeRoomEvents, type RoomEvents } from '../encode-events.ts';
import { readRoomStates, type StateRequest } from '../state-delta.ts';
import { type LeftRoom, mayBeNews, type SyncScope, type SyncStream } from '../stream.ts';
import { readTimelines, type Timeline } from '../timeline.ts';

export interface RoomsLeftDeps {
  readonly storage: Pick<Storage, 'accounts' | 'accountData' | 'events' | 'relations' | 'state' | 'rooms'>;
}

/** Rooms that are read together; others get their turn between. */
const roomsPerTurn = 50;

/**
 * Rooms that the viewer left, was kicked or banned from, or whose invite they rejected: what they may see up to there and
 * nothing behind it. Told once; in an initial sync only where the filter asks for left rooms.
 */
export function createRoomsLeftStream(deps: RoomsLeftDeps): SyncStream {
  return {
    mayTell: (question) => mayBeNews(question, () => false),
    async read(scope, answer) {
      const { left } = scope.rooms;
      for (let start = 0; start < left.length; start += roomsPerTurn) {
        const parts = await readLeftRooms(deps, scope, left.slice(start, start + roomsPerTurn));
        for (const [roomId, part] of parts) answer.left.set(roomId, part);
        await breathe();
      }
    },
  };
}

/** A fixed number of queries, however many rooms. In the order given; rooms of which there is nothing to tell are left out. */
async function readLeftRooms(
  deps: RoomsLeftDeps,
  scope: SyncScope,
  rooms: readonly LeftRoom[],
): Promise<Map<RoomId, LeftRoomPart>> {
  const here = rooms.filter(({ membership }) => membership.outOfBand === null);
  const stays =
    here.length > 0
      ? await listLastStays(deps, new Set(here.map(({ membership }) => membership.roomId)), scope.viewer.userId)
      : new Map<RoomId, Stay>();
  const departures = await readDepartures(deps, here, stays);
  const told = await tellRooms(deps, scope, departures);
  const texts = await encodeRoomEvents(
    deps,
    scope,
    told.map(({ events }) => events),
  );
  const parts = new Map<RoomId, LeftRoomPart>();
  for (const { membership } of rooms) {
    // Out of band: the room is elsewhere, all we have is the event that ended the invite.
    if (membership.outOfBand !== null) parts.set(membership.roomId, fromElsewhere(membership));
    const index = told.findIndex(({ roomId }) => roomId === membership.roomId);
    const [room, text] = [told[index], texts[index]];
    if (room && text)
      parts.set(
        membership.roomId,
        partOf(text.state, text.timeline, { limited: room.events.limited, prevBatch: room.prevBatch }),
      );
  }
  return parts;
}

/** What ended it for the viewer. */
interface Departure {
  readonly room: LeftRoom;
  /** The member event; undefined where it is not stored. */
  readonly event: TimelineEvent | undefined;
  /** Where the viewer's stay ended; null for somebody who never was in the room. */
  readonly endedAt: Position | null;
}

async function readDepartures(
  deps: RoomsLeftDeps,
  rooms: readonly LeftRoom[],
  stays: ReadonlyMap<RoomId, Stay>,
): Promise<Departure[]> {
  const endOf = ({ membership }: LeftRoom): EventId => stays.get(membership.roomId)?.departure ?? membership.eventId;
  const ids = rooms.map(endOf);
  const events = new Map(
    (ids.length > 0 ? await deps.storage.events.listTimelineEventsByIds(ids) : []).map((event) => [
      event.eventId,
      event,
    ]),
  );
  return rooms.map((room) => {
    const stay = stays.get(room.membership.roomId);
    // A stay that lasts began behind this reading: here it counts that the one before ended.
    const endedAt = stay ? Math.min(stay.end, room.membership.position) : null;
    return { room, event: events.get(endOf(room)), endedAt };
  });
}

interface ToldRoom {
  readonly roomId: RoomId;
  readonly events: RoomEvents;
  readonly prevBatch: string | null;
}

async function tellRooms(deps: RoomsLeftDeps, scope: SyncScope, departures: readonly Departure[]): Promise<ToldRoom[]> {
  // Nothing of a room in which the viewer never was but how it ended for them.
  const strange = departures.flatMap(({ room: { membership }, event, endedAt }): ToldRoom[] => {
    if (endedAt !== null || !event) return [];
    const prevBatch = encodeArrivalToken(event.position);
    return [{ roomId: membership.roomId, events: { state: [], timeline: [event], limited: false }, prevBatch }];
  });
  const known = departures.flatMap(({ room, event, endedAt }) => {
    if (endedAt === null) return [];
    const knewJoined = room.before?.membership === 'join';
    // Joined and left since the client last heard: the whole stay is news, and what is told of it begins anew.
    return [{ room, event, endedAt, knewJoined, isNew: endedAt > scope.after && !knewJoined }];
  });
  if (known.length === 0) return strange;
  const reader = { viewer: scope.viewer.userId, filter: scope.filter.roomTimeline, ignored: scope.ignored };
  const timelines = await readTimelines(
    deps,
    reader,
    known.map(({ room: { membership }, isNew }) => ({
      roomId: membership.roomId,
      after: isNew ? 0 : scope.after,
      upTo: membership.position,
    })),
  );
  const states = await readStates(deps, scope, known, timelines);
  const seen = known.map(
    ({
      room: {
        membership: { roomId },
      },
      isNew,
    }): ToldRoom => {
      const timeline = timelines.get(roomId);
      return {
        roomId,
        events: {
          state: states.get(roomId) ?? [],
          timeline: timeline?.events ?? [],
          limited: timeline?.limited === true || (isNew && scope.since !== null),
        },
        prevBatch: timeline?.prevBatch ?? null,
      };
    },
  );
  return [...strange, ...seen];
}

/** Each room's state as the departure left it, or, to a client that knew the room as joined, what changed of it. */
async function readStates(
  deps: RoomsLeftDeps,
  scope: SyncScope,
  rooms: readonly (Departure & { readonly endedAt: Position; readonly knewJoined: boolean })[],
  timelines: ReadonlyMap<RoomId, Timeline>,
): Promise<Map<RoomId, TimelineEvent[]>> {
  const ended = rooms.filter(({ endedAt }) => endedAt > scope.after);
  const changing = scope.fullState ? [] : ended.filter(({ knewJoined }) => knewJoined);
  const changes =
    changing.length > 0
      ? await deps.storage.state.listCurrentChangesUpTo(
          new Map(changing.map(({ room: { membership }, endedAt }) => [membership.roomId, endedAt])),
          scope.after,
        )
      : new Map<RoomId, Map<StateKey, EventId | null>>();
  const requests = ended.flatMap(
    ({
      room: {
        membership: { roomId },
      },
      event,
      knewJoined,
    }): StateRequest[] => {
      const timeline = timelines.get(roomId);
      if (!event || !timeline) return [];
      // The state changes behind the departure, which is why it is not among those up to it.
      const departure = [memberKey(scope.viewer.userId), event.eventId] as const;
      return [
        {
          roomId,
          end: event.snapshotAfter,
          changes: knewJoined && !scope.fullState ? new Map([...(changes.get(roomId) ?? []), departure]) : null,
          after: scope.after,
          timeline,
          lazy: lazyRequest(scope, timeline),
        },
      ];
    },
  );
  return readRoomStates(deps, { useStateAfter: scope.useStateAfter, filter: scope.filter.roomState }, requests);
}

/** Of a room that is left nothing is remembered, so no member is redundant. */
function lazyRequest(scope: SyncScope, timeline: Timeline): StateRequest['lazy'] {
  if (scope.lazy === null) return null;
  const wanted = new Set([...timeline.events.map((event) => event.sender), scope.viewer.userId]);
  return { wanted, isKnown: () => false };
}

function fromElsewhere(membership: StoredMembership): LeftRoomPart {
  const event = membership.outOfBand?.event;
  return partOf([], event ? [JSON.stringify(event)] : [], { limited: false, prevBatch: null });
}

function partOf(
  state: readonly string[],
  events: readonly string[],
  { limited, prevBatch }: { limited: boolean; prevBatch: string | null },
): LeftRoomPart {
  return { state, timeline: { events, limited, prevBatch }, accountData: [] };
}
