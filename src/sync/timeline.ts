import type { RoomEventFilter } from '../matrix/filter.ts';
import type { RoomId, UserId } from '../matrix/ids.ts';
import { comparePlaces } from '../rooms/history.ts';
import { encodeArrivalToken, encodeHistoryToken, historyEnd } from '../rooms/history-token.ts';
import { listAccepted } from '../rooms/reading/accepts-event.ts';
import { filterVisible } from '../rooms/visible-history.ts';
import type { HistoryPlace, TimelineEvent } from '../storage/contract/events.ts';
import type { Position } from '../storage/contract/numbers.ts';
import type { Storage } from '../storage/contract/storage.ts';
import { acceptsSection, letsAllThrough, timelineLimitOf } from './apply-filter.ts';

export interface TimelineDeps {
  readonly storage: Pick<Storage, 'events' | 'state' | 'rooms'>;
}

/** Who reads, and what they want to see; the same for all rooms. */
export interface TimelineReader {
  readonly viewer: UserId;
  readonly filter: RoomEventFilter;
  readonly ignored: ReadonlySet<UserId>;
}

export interface TimelineRequest {
  readonly roomId: RoomId;
  /** 0: from the beginning of the room, as for a client that does not know it. */
  readonly after: Position;
  readonly upTo: Position;
  /** Where we know that events are missing, the newest event with the gap before it: nothing older is shown. */
  readonly gap?: Position | undefined;
}

export interface Timeline {
  /**
   * Oldest first. What follows a token stands in order of arrival, the end of a whole room in the order of its graph: there, what came
   * late from a forgotten branch is not the newest.
   */
  readonly events: readonly TimelineEvent[];
  /** There is more between `after` and the first of them. */
  readonly limited: boolean;
  /** Where `/messages` goes on backwards; null only where the room has no events. */
  readonly prevBatch: string | null;
}

/** Behind so many events that the filter or the history visibility held back, a timeline ends as limited. */
const scannedMax = 500;
/** Page size where events may be held back: one page is usually enough. */
const scanPage = 100;

/**
 * For each room the newest events in after < position ≤ upTo that the viewer may see and asked for, at most as many as the
 * filter's limit. What ignored users sent is left out unless it is state ("Servers must still send state events sent by
 * ignored users"). The viewer's own membership events are always visible to them, or a rejected invite would stay. All rooms
 * are read together, a page of each at a time.
 */
export async function readTimelines(
  deps: TimelineDeps,
  reader: TimelineReader,
  requests: readonly TimelineRequest[],
): Promise<Map<RoomId, Timeline>> {
  const limit = timelineLimitOf(reader.filter);
  const isRead = ({ roomId }: TimelineRequest): boolean => limit > 0 && acceptsSection(reader.filter, roomId);
  const walks = await beginWalks(deps, requests.filter(isRead));
  const pageSize = letsAllThrough(reader.filter) ? limit + 1 : Math.max(limit + 1, scanPage);
  const isGoing = (walk: Walk): boolean => !walk.complete && walk.shown.length <= limit && walk.scanned < scannedMax;
  for (let going = walks; going.length > 0; going = going.filter(isGoing)) {
    const pages = await listPages(deps, going, pageSize);
    const shown = new Set(await listShown(deps, reader, pages.flat()));
    for (const [index, walk] of going.entries()) take(walk, pages[index] ?? [], { shown, pageSize });
  }
  const timelines = new Map(walks.map((walk) => [walk.request.roomId, finish(walk, limit)]));
  return completeEmpty(deps, requests, { timelines, filter: reader.filter });
}

/** The way back through one room. */
interface Walk {
  readonly request: TimelineRequest;
  /** By the graph: what arrived later than this is not seen, and nothing that stands below the floor. */
  readonly graph: { readonly upTo: Position; readonly floor: HistoryPlace | undefined } | undefined;
  /** By arrival: nothing up to here is seen. */
  readonly lowest: Position;
  shown: TimelineEvent[];
  oldest: TimelineEvent | undefined;
  scanned: number;
  /** Nothing is left before the oldest. */
  complete: boolean;
  /** It ended at a gap. */
  gapped: boolean;
}

async function beginWalks(deps: TimelineDeps, requests: readonly TimelineRequest[]): Promise<Walk[]> {
  const whole = new Map(requests.filter(isWhole).map(({ roomId, upTo }) => [roomId, upTo]));
  const { events } = deps.storage;
  const [newest, floors] =
    whole.size > 0
      ? await Promise.all([events.listNewestPlaces(whole), events.listGapPlaces(whole)])
      : [new Map<RoomId, HistoryPlace>(), new Map<RoomId, HistoryPlace>()];
  return requests.map((request) => {
    const { roomId, after, gap } = request;
    const lowest = gap === undefined ? after : Math.max(after, gap - 1);
    return {
      request,
      graph: isWhole(request) ? { upTo: newest.get(roomId)?.position ?? 0, floor: floors.get(roomId) } : undefined,
      lowest,
      shown: [],
      oldest: undefined,
      scanned: 0,
      complete: false,
      // Also where nothing of ours stands before the gap: the client has to learn that others may have said something there.
      gapped: gap !== undefined,
    };
  });
}

function isWhole({ after, gap }: TimelineRequest): boolean {
  return after === 0 && gap === undefined;
}

/** "Events are ordered in this API according to the arrival time of the event on the homeserver", but for whole rooms. */
async function listPages(deps: TimelineDeps, walks: readonly Walk[], limit: number): Promise<TimelineEvent[][]> {
  const { events } = deps.storage;
  const byGraph = walks.flatMap(({ request: { roomId }, graph, oldest }) =>
    graph ? [{ roomId, before: oldest ?? historyEnd, upTo: graph.upTo }] : [],
  );
  const byArrival = walks.flatMap(({ request: { roomId, upTo }, graph, oldest, lowest }) =>
    graph ? [] : [{ roomId, after: lowest, upTo: oldest ? oldest.position - 1 : upTo }],
  );
  const endings = byGraph.length > 0 ? await events.listEndings(byGraph, limit) : [];
  const timelines = byArrival.length > 0 ? await events.listTimelines(byArrival, limit) : [];
  return walks.map((walk) => (walk.graph ? endings.shift() : timelines.shift()) ?? []);
}

async function listShown(
  deps: TimelineDeps,
  { viewer, filter, ignored }: TimelineReader,
  events: readonly TimelineEvent[],
): Promise<TimelineEvent[]> {
  const heard = events.filter((event) => event.stateKey !== null || !ignored.has(event.sender));
  const wanted = await listAccepted(deps, filter, heard);
  if (wanted.length === 0) return [];
  const visible = new Set((await filterVisible(deps, viewer, wanted)).map((event) => event.eventId));
  return wanted.filter((event) => visible.has(event.eventId) || isOwnMembership(event, viewer));
}

function isOwnMembership(event: TimelineEvent, viewer: UserId): boolean {
  return event.type === 'm.room.member' && event.stateKey === viewer;
}

function take(
  walk: Walk,
  page: readonly TimelineEvent[],
  { shown, pageSize }: { shown: ReadonlySet<TimelineEvent>; pageSize: number },
): void {
  const floor = walk.graph?.floor;
  const above = floor ? page.filter((event) => comparePlaces(event, floor) >= 0) : page;
  walk.shown = [...above.filter((event) => shown.has(event)), ...walk.shown];
  walk.scanned += page.length;
  walk.oldest = above[0] ?? walk.oldest;
  walk.gapped ||= above.length < page.length;
  walk.complete = page.length < pageSize || above.length < page.length;
}

function finish(walk: Walk, limit: number): Timeline {
  const { oldest, complete, gapped } = walk;
  const cut = walk.shown.length > limit;
  const events = cut ? walk.shown.slice(walk.shown.length - limit) : walk.shown;
  const first = cut || complete ? (events[0] ?? oldest) : oldest;
  const floor = walk.graph?.floor;
  // Where nothing was shown down to a gap, what comes next lies below it.
  return {
    events,
    limited: cut || !complete || gapped || floor !== undefined,
    prevBatch: first ? tokenBefore(walk, first) : null,
  };
}

/** For `/messages`: what lies before the event in this walk. */
function tokenBefore({ graph }: Walk, { depth, position }: TimelineEvent): string {
  return graph ? encodeHistoryToken({ depth, position, upTo: graph.upTo }) : encodeArrivalToken(position);
}

/** Rooms of which nothing is shown: where to go on from, for those that have any events. */
async function completeEmpty(
  deps: TimelineDeps,
  requests: readonly TimelineRequest[],
  { timelines, filter }: { timelines: Map<RoomId, Timeline>; filter: RoomEventFilter },
): Promise<Map<RoomId, Timeline>> {
  const empty = requests.filter(({ roomId }) => (timelines.get(roomId)?.prevBatch ?? null) === null);
  if (empty.length === 0) return timelines;
  const newest = await deps.storage.events.listNewestPlaces(new Map(empty.map(({ roomId, upTo }) => [roomId, upTo])));
  for (const { roomId, after } of empty) {
    const place = newest.get(roomId);
    timelines.set(roomId, {
      events: [],
      // A client that wants no events is told that there are some; one that does not want this room's is told nothing.
      limited: timelines.get(roomId)?.limited ?? (acceptsSection(filter, roomId) && (place?.position ?? 0) > after),
      prevBatch: place ? encodeArrivalToken(place.position + 1) : null,
    });
  }
  return timelines;
}
