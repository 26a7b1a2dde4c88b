import type { Clock } from '../../base/clock.ts';
import type { RoomEventFilter } from '../../matrix/filter.ts';
import type { EventId, RoomId, UserId } from '../../matrix/ids.ts';
import type { TimelineEvent } from '../../storage/contract/events.ts';
import { type AggregationDeps, encodeWithAggregations } from '../aggregations.ts';
import type { EventViewer } from '../client-event.ts';
import {
  boundaryOfToken,
  boundaryWithoutToken,
  type Direction,
  type HistoryDeps,
  isWithin,
  listFromBoundary,
  startOfWalkBack,
} from '../history.ts';
import { boundaryAfter, encodeHistoryToken, type HistoryBoundary } from '../history-token.ts';
import { listMemberEventsOf, listStateAt } from '../members-at.ts';
import { filterVisible } from '../visible-history.ts';
import { acceptsEvent, listAccepted } from './accepts-event.ts';
import { getRoomAccess, type RoomAccess } from './access.ts';
import { getVisibleEvent } from './visible-event.ts';

export type RoomHistoryDeps = HistoryDeps &
  AggregationDeps & {
    readonly clock: Clock;
    /**
     * Fetches what lies before the boundary from other servers when our own history has a gap there. True if something came.
     * Bounded in time; never throws for what other servers do.
     */
    readonly fillGap: (roomId: RoomId, boundary: HistoryBoundary, lowestDepth: number) => Promise<boolean>;
  };

export interface MessagesRequest {
  readonly direction: Direction;
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly limit: number;
  readonly filter: RoomEventFilter;
}

/** Client-server API, "Room event context" and pagination. JSON texts of whole bodies. */
export interface RoomHistory {
  /** Throws M_FORBIDDEN, M_INVALID_PARAM for a token of nobody's. */
  listMessages(viewer: EventViewer, roomId: RoomId, request: MessagesRequest): Promise<string>;
  /** Throws M_NOT_FOUND when the event is not there for this user, whatever the reason. */
  getContext(
    viewer: EventViewer,
    roomId: RoomId,
    request: { eventId: EventId; limit: number; filter: RoomEventFilter },
  ): Promise<string>;
  getEvent(viewer: EventViewer, roomId: RoomId, eventId: EventId): Promise<string>;
}

/** "The server may impose a limit"; larger ones count as this. */
export const messagesLimitMax = 1000;
/** How many events one request looks at to find some that pass the filter and may be seen; then the client asks again. */
const scannedMax = 3000;
const gapRoundsMax = 3;

export function createRoomHistory(deps: RoomHistoryDeps): RoomHistory {
  const { storage } = deps;

  const encode = (events: readonly TimelineEvent[], viewer: EventViewer) =>
    encodeWithAggregations(deps, events, viewer);

  async function startOf(access: RoomAccess, roomId: RoomId, request: MessagesRequest): Promise<HistoryBoundary> {
    if (request.from !== undefined) {
      const find = request.direction === 'backward' ? startOfWalkBack : boundaryOfToken;
      return find(deps, roomId, request.from);
    }
    if (access.until === 'departure' && !access.open && request.direction === 'backward') {
      const departure = await storage.events.findTimelineEvent(access.eventId);
      if (departure) return boundaryAfter(departure);
    }
    return boundaryWithoutToken(request.direction);
  }

  return {
    async listMessages(viewer, roomId, request) {
      const access = await getRoomAccess(deps, roomId, viewer.userId);
      const start = await startOf(access, roomId, request);
      const until = request.to === undefined ? undefined : await boundaryOfToken(deps, roomId, request.to);
      const page = await readPage(deps, { viewer: viewer.userId, roomId, start, until, request });
      const state = request.filter.lazyLoadMembers ? await membersFor(deps, page.events) : [];
      const texts = await encode([...page.events, ...state], viewer);
      const chunk = texts.slice(0, page.events.length).join(',');
      const end = page.end ? `,"end":"${encodeHistoryToken(page.end)}"` : '';
      const stateText = state.length > 0 ? `,"state":[${texts.slice(page.events.length).join(',')}]` : '';
      return `{"chunk":[${chunk}],"start":"${encodeHistoryToken(start)}"${end}${stateText}}`;
    },

    async getContext(viewer, roomId, { eventId, limit, filter }) {
      await getRoomAccess(deps, roomId, viewer.userId);
      const event = await getVisibleEvent(deps, viewer.userId, { roomId, eventId });
      const half = Math.floor(Math.min(limit, messagesLimitMax) / 2);
      const walk = (direction: Direction, boundary: HistoryBoundary) =>
        readPage(deps, {
          viewer: viewer.userId,
          roomId,
          start: boundary,
          until: undefined,
          request: { direction, from: undefined, to: undefined, limit: half, filter },
        });
      const before = await walk('backward', event);
      const after = await walk('forward', boundaryAfter(event));
      const last = after.events.at(-1) ?? event;
      const around = [...before.events, event, ...after.events];
      const state = filter.lazyLoadMembers
        ? await membersFor(deps, around, last)
        : (await listStateAt(deps, last.snapshotAfter)).filter((entry) => acceptsEvent(filter, entry));
      const texts = await encode([...around, ...state], viewer);
      const [beforeEnd, afterEnd] = [before.events.length, around.length];
      const body = [
        `"start":"${encodeHistoryToken(before.events.at(-1) ?? event)}"`,
        `"end":"${encodeHistoryToken(boundaryAfter(last))}"`,
        `"events_before":[${texts.slice(0, beforeEnd).join(',')}]`,
        `"event":${texts[beforeEnd]}`,
        `"events_after":[${texts.slice(beforeEnd + 1, afterEnd).join(',')}]`,
        `"state":[${texts.slice(afterEnd).join(',')}]`,
      ];
      return `{${body.join(',')}}`;
    },

    async getEvent(viewer, roomId, eventId) {
      const [text = '{}'] = await encode([await getVisibleEvent(deps, viewer.userId, { roomId, eventId })], viewer);
      return text;
    },
  };
}

interface PageRequest {
  readonly viewer: UserId;
  readonly roomId: RoomId;
  readonly start: HistoryBoundary;
  readonly until: HistoryBoundary | undefined;
  readonly request: MessagesRequest;
}

interface Page {
  readonly events: TimelineEvent[];
  /** Where the next page begins; undefined when there is nothing further. */
  readonly end: HistoryBoundary | undefined;
}

async function readPage(deps: RoomHistoryDeps, page: PageRequest): Promise<Page> {
  const { direction, filter } = page.request;
  const limit = Math.min(page.request.limit, messagesLimitMax);
  const events: TimelineEvent[] = [];
  let boundary = page.start;
  let scanned = 0;
  let isFiltered = false;
  while (events.length < limit && scanned < scannedMax) {
    const wanted = Math.min(limit - events.length, scannedMax - scanned);
    const raw = await readRaw(deps, page, { boundary, wanted });
    const within = page.until ? raw.filter((event) => isWithin(event, page.until, direction)) : raw;
    scanned += raw.length;
    const visible = await filterVisible(deps, page.viewer, within);
    const accepted = await listAccepted(deps, filter, visible);
    isFiltered ||= accepted.length < visible.length;
    events.push(...accepted);
    const last = within.at(-1);
    if (last) boundary = { ...placeOf(direction === 'backward' ? last : boundaryAfter(last)), upTo: page.start.upTo };
    if (raw.length < wanted || within.length < raw.length) {
      // At the live end a client may ask again later; at the beginning there is nothing further for ever. Where the filter left
      // something out, clients expect to be led on to an empty page.
      const leadsOn = direction === 'forward' || isFiltered;
      return { events, end: leadsOn && events.length > 0 ? boundary : undefined };
    }
  }
  return { events, end: boundary };
}

function placeOf({ depth, position }: HistoryBoundary): HistoryBoundary {
  return { depth, position };
}

/** The next events as they are stored, after asking other servers for what is missing between them. */
async function readRaw(
  deps: RoomHistoryDeps,
  page: PageRequest,
  at: { boundary: HistoryBoundary; wanted: number },
): Promise<TimelineEvent[]> {
  const { direction } = page.request;
  const read = () => listFromBoundary(deps, page.roomId, { boundary: at.boundary, direction, limit: at.wanted });
  let raw = await read();
  if (direction === 'forward') return raw;
  for (let round = 0; round < gapRoundsMax; round++) {
    const lowestDepth = raw.length < at.wanted ? 0 : (raw.at(-1)?.depth ?? 0);
    if (!(await deps.fillGap(page.roomId, at.boundary, lowestDepth))) return raw;
    raw = await read();
  }
  return raw;
}

/** Member events of the senders, as of the newest place of the chunk. */
async function membersFor(
  deps: RoomHistoryDeps,
  events: readonly TimelineEvent[],
  at: TimelineEvent | undefined = events[0],
): Promise<TimelineEvent[]> {
  if (!at) return [];
  return listMemberEventsOf(deps, at.snapshotAfter, [...new Set(events.map((event) => event.sender))]);
}
