import type { RoomEventFilter } from '../matrix/filter.ts';
import type { RoomId, UserId } from '../matrix/ids.ts';
import { encodeArrivalToken, encodeHistoryToken, historyEnd } from '../rooms/history-token.ts';
import { acceptsEvent } from '../rooms/reading/accepts-event.ts';
import { filterVisible } from '../rooms/visible-history.ts';
import type { TimelineEvent } from '../storage/contract/events.ts';
import type { Position } from '../storage/contract/numbers.ts';
import type { Storage } from '../storage/contract/storage.ts';
import { acceptsSection, letsAllThrough, timelineLimitOf } from './apply-filter.ts';

export interface TimelineDeps {
  readonly storage: Pick<Storage, 'events' | 'state' | 'rooms'>;
}

export interface TimelineRequest {
  readonly roomId: RoomId;
  readonly viewer: UserId;
  /** 0: from the beginning of the room, as for a client that does not know it. */
  readonly after: Position;
  readonly upTo: Position;
  /** Where we know that events are missing, the newest event with the gap before it: nothing older is shown. */
  readonly gap?: Position | undefined;
  readonly filter: RoomEventFilter;
  readonly ignored: ReadonlySet<UserId>;
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

/** How a timeline is read backwards. */
interface Walk {
  /** The next events before one of them, or from the end; oldest first. */
  list(before: TimelineEvent | undefined, limit: number): Promise<TimelineEvent[]>;
  /** For `/messages`: what lies before the event in this walk. */
  tokenBefore(event: TimelineEvent): string;
}

/** "Events are ordered in this API according to the arrival time of the event on the homeserver." */
function walkByArrival(deps: TimelineDeps, { roomId, upTo }: TimelineRequest, lowest: Position): Walk {
  return {
    list: (before, limit) =>
      deps.storage.events.listTimeline(roomId, lowest, before ? before.position - 1 : upTo, limit),
    tokenBefore: ({ position }) => encodeArrivalToken(position),
  };
}

function walkByGraph(deps: TimelineDeps, { roomId, upTo }: TimelineRequest): Walk {
  return {
    async list(before, limit) {
      const { depth, position } = before ?? historyEnd;
      return (await deps.storage.events.listHistory(roomId, { depth, position, upTo }, 'backward', limit)).reverse();
    },
    tokenBefore: ({ depth, position }) => encodeHistoryToken({ depth, position, upTo }),
  };
}

/**
 * The newest events of a room in after < position ≤ upTo that the viewer may see and asked for, at most as many as the
 * filter's limit. What ignored users sent is left out unless it is state ("Servers must still send state events sent by
 * ignored users"). The viewer's own membership events are always visible to them, or a rejected invite would stay.
 */
export async function readTimeline(deps: TimelineDeps, request: TimelineRequest): Promise<Timeline> {
  const { roomId, gap } = request;
  const limit = timelineLimitOf(request.filter);
  const lowest = gap === undefined ? request.after : Math.max(request.after, gap - 1);
  if (!acceptsSection(request.filter, roomId)) return { ...(await emptyTimeline(deps, request)), limited: false };
  if (limit === 0) return emptyTimeline(deps, request);
  const pageSize = letsAllThrough(request.filter) ? limit + 1 : Math.max(limit + 1, scanPage);
  const walk = lowest === 0 ? walkByGraph(deps, request) : walkByArrival(deps, request, lowest);
  let shown: TimelineEvent[] = [];
  let oldest: TimelineEvent | undefined;
  let complete = false;
  for (let scanned = 0; shown.length <= limit && scanned < scannedMax; ) {
    const page = await walk.list(oldest, pageSize);
    shown = [...(await listShown(deps, request, page)), ...shown];
    scanned += page.length;
    oldest = page[0] ?? oldest;
    complete = page.length < pageSize;
    if (complete) break;
  }
  const cut = shown.length > limit;
  if (cut) shown = shown.slice(shown.length - limit);
  const first = cut || complete ? (shown[0] ?? oldest) : oldest;
  return {
    events: shown,
    // Also where nothing of ours stands before the gap: the client has to learn that others may have said something there.
    limited: cut || !complete || gap !== undefined,
    prevBatch: first ? walk.tokenBefore(first) : (await emptyTimeline(deps, request)).prevBatch,
  };
}

async function listShown(
  deps: TimelineDeps,
  request: TimelineRequest,
  page: readonly TimelineEvent[],
): Promise<TimelineEvent[]> {
  const wanted = page.filter((event) => {
    if (event.stateKey === null && request.ignored.has(event.sender)) return false;
    return acceptsEvent(request.filter, event);
  });
  if (wanted.length === 0) return [];
  const visible = new Set((await filterVisible(deps, request.viewer, wanted)).map((event) => event.eventId));
  return wanted.filter((event) => visible.has(event.eventId) || isOwnMembership(event, request.viewer));
}

function isOwnMembership(event: TimelineEvent, viewer: UserId): boolean {
  return event.type === 'm.room.member' && event.stateKey === viewer;
}

/** What a client gets that asked for no events: where to go on from. */
async function emptyTimeline(deps: TimelineDeps, request: TimelineRequest): Promise<Timeline> {
  const newest = await deps.storage.events.findNewestPlace(request.roomId, request.upTo);
  return {
    events: [],
    limited: newest !== undefined && newest.position > request.after,
    prevBatch: newest ? encodeArrivalToken(newest.position + 1) : null,
  };
}
