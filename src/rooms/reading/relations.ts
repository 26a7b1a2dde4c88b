import type { Clock } from '../../base/clock.ts';
import { invalidParam } from '../../matrix/errors.ts';
import type { EventId, RoomId, UserId } from '../../matrix/ids.ts';
import type { HistoryPlace, TimelineEvent } from '../../storage/contract/events.ts';
import { type AggregationDeps, encodeWithAggregations, readIgnored } from '../aggregations.ts';
import type { EventViewer } from '../client-event.ts';
import { readRedacted } from '../erased-events.ts';
import {
  boundaryOfToken,
  boundaryWithoutToken,
  type Direction,
  type HistoryDeps,
  isWithin,
  startOfWalkBack,
} from '../history.ts';
import {
  boundaryAfter,
  encodeHistoryToken,
  type HistoryBoundary,
  historyEnd,
  parseHistoryToken,
  placeToListFrom,
} from '../history-token.ts';
import { filterVisible } from '../visible-history.ts';
import { getRoomAccess } from './access.ts';
import { getVisibleEvent } from './visible-event.ts';

export type RelationsDeps = HistoryDeps & AggregationDeps & { readonly clock: Clock };

export interface RelationsRequest {
  readonly eventId: EventId;
  readonly relType: string | undefined;
  readonly eventType: string | undefined;
  readonly direction: Direction;
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly limit: number;
  /** Whether to list as well what relates to what relates to the event. */
  readonly recurse: boolean;
}

export interface ThreadsRequest {
  readonly participated: boolean;
  readonly from: string | undefined;
  readonly limit: number;
}

/** Client-server API, "Relationships API" and "Querying threads in a room". JSON texts of whole bodies. */
export interface Relations {
  /** Throws M_FORBIDDEN, M_NOT_FOUND for an event that the viewer may not see, M_INVALID_PARAM for a token of nobody's. */
  listRelations(viewer: EventViewer, roomId: RoomId, request: RelationsRequest): Promise<string>;
  /** Throws M_FORBIDDEN, M_INVALID_PARAM. */
  listThreads(viewer: EventViewer, roomId: RoomId, request: ThreadsRequest): Promise<string>;
}

export const relationsLimitMax = 100;
/** "It is recommended that … at least 3 levels". */
const levelsMax = 3;
/** Events that one request looks at to find some that the viewer may see; then the client asks again. */
const scannedMax = 500;

interface Page<Item> {
  readonly items: readonly Item[];
  readonly next: HistoryPlace | undefined;
}

export function createRelations(deps: RelationsDeps): Relations {
  const { storage } = deps;

  const encode = (events: readonly TimelineEvent[], viewer: EventViewer) =>
    encodeWithAggregations(deps, events, viewer);

  /** Those that the viewer may see and that nobody sent whom they ignore. */
  async function shown(viewer: UserId, events: readonly TimelineEvent[]): Promise<TimelineEvent[]> {
    const ignored = await readIgnored(deps, viewer);
    return (await filterVisible(deps, viewer, events)).filter((event) => !ignored.has(event.sender));
  }

  async function readRelated(viewer: UserId, roomId: RoomId, request: RelationsRequest): Promise<Page<TimelineEvent>> {
    const { direction, limit } = request;
    let boundary = await startOf(deps, roomId, request);
    const until = request.to === undefined ? undefined : await boundaryOfToken(deps, roomId, request.to);
    const items: TimelineEvent[] = [];
    for (let scanned = 0; scanned < scannedMax; ) {
      const wanted = limit - items.length;
      const raw = await storage.relations.listRelated({
        roomId,
        eventId: request.eventId,
        relType: request.relType,
        eventType: request.eventType,
        levels: request.recurse ? levelsMax : 1,
        from: placeToListFrom(boundary, direction),
        direction,
        limit: wanted,
      });
      scanned += wanted;
      const within = raw.filter((event) => isWithin(event, until, direction));
      items.push(...(await shown(viewer, within)));
      const last = within.at(-1);
      if (last === undefined || raw.length < wanted || within.length < raw.length) return { items, next: undefined };
      boundary = direction === 'backward' ? last : boundaryAfter(last);
      if (items.length === limit) break;
    }
    return { items, next: boundary };
  }

  async function readThreads(viewer: UserId, roomId: RoomId, request: ThreadsRequest): Promise<Page<TimelineEvent>> {
    let before: HistoryPlace = request.from === undefined ? historyEnd : placeOfToken(request.from);
    const participant = request.participated ? viewer : undefined;
    const items: TimelineEvent[] = [];
    for (let scanned = 0; scanned < scannedMax; ) {
      const limit = request.limit - items.length;
      const threads = await storage.relations.listThreads(roomId, { before, participant, limit });
      scanned += limit;
      items.push(
        ...(await filterVisible(
          deps,
          viewer,
          threads.map(({ root }) => root),
        )),
      );
      before = threads.at(-1)?.place ?? before;
      if (threads.length < limit) return { items, next: undefined };
      if (items.length === request.limit) break;
    }
    return { items, next: before };
  }

  return {
    async listRelations(viewer, roomId, request) {
      await getRoomAccess(deps, roomId, viewer.userId);
      await getVisibleEvent(deps, viewer.userId, { roomId, eventId: request.eventId });
      const { items, next } = await readRelated(viewer.userId, roomId, request);
      const parts = [`"chunk":[${(await encode(items, viewer)).join(',')}]`];
      if (next) parts.push(`"next_batch":"${encodeHistoryToken(next)}"`);
      if (request.from !== undefined) parts.push(`"prev_batch":${JSON.stringify(request.from)}`);
      if (request.recurse) parts.push(`"recursion_depth":${levelsMax}`);
      return `{${parts.join(',')}}`;
    },

    async listThreads(viewer, roomId, request) {
      await getRoomAccess(deps, roomId, viewer.userId);
      const { items, next } = await readThreads(viewer.userId, roomId, request);
      const ignored = await readIgnored(deps, viewer.userId);
      const hide = (root: TimelineEvent) => (ignored.has(root.sender) ? readRedacted(deps, root) : root);
      const texts = await encode(await Promise.all(items.map(hide)), viewer);
      return `{"chunk":[${texts.join(',')}]${next ? `,"next_batch":"${encodeHistoryToken(next)}"` : ''}}`;
    },
  };
}

async function startOf(
  deps: HistoryDeps,
  roomId: RoomId,
  { from, direction }: RelationsRequest,
): Promise<HistoryBoundary> {
  if (from === undefined) return boundaryWithoutToken(direction);
  const find = direction === 'backward' ? startOfWalkBack : boundaryOfToken;
  const { depth, position } = await find(deps, roomId, from);
  return { depth, position };
}

/** Throws M_INVALID_PARAM. */
function placeOfToken(token: string): HistoryPlace {
  const place = parseHistoryToken(token);
  if (!place) throw invalidParam('This pagination token is not known');
  return place;
}
