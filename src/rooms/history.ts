import { invalidParam } from '../matrix/errors.ts';
import type { RoomId } from '../matrix/ids.ts';
import type { Position } from '../storage/contract/commit.ts';
import type { HistoryPlace, TimelineEvent } from '../storage/contract/events.ts';
import type { SnapshotId } from '../storage/contract/state.ts';
import type { Storage } from '../storage/contract/storage.ts';
import {
  boundaryAfter,
  type HistoryBoundary,
  historyEnd,
  historyStart,
  parseArrivalToken,
  parseHistoryToken,
  placeToListFrom,
} from './history-token.ts';

export type Direction = 'backward' | 'forward';

export interface HistoryDeps {
  readonly storage: Pick<Storage, 'accounts' | 'events' | 'state' | 'rooms' | 'position'>;
  /** The durable position a sync token stands for; undefined for anything else. `/sync` owns the format. */
  readonly positionOfSyncToken: (token: string) => Position | undefined;
}

/** Accepted events from a boundary on, nearest first. */
export function listFromBoundary(
  deps: HistoryDeps,
  roomId: RoomId,
  page: { boundary: HistoryBoundary; direction: Direction; limit: number },
): Promise<TimelineEvent[]> {
  const place = placeToListFrom(page.boundary, page.direction);
  return deps.storage.events.listHistory(roomId, place, page.direction, page.limit);
}

/** The boundary behind the newest event up to a position; the start of the history where there is none. */
export async function boundaryAtPosition(deps: HistoryDeps, roomId: RoomId, upTo: Position): Promise<HistoryPlace> {
  const newest = await deps.storage.events.findNewestPlace(roomId, upTo);
  return newest ? boundaryAfter(newest) : historyStart;
}

/**
 * The boundary that a token stands for, be it one of `/messages` or of `/sync`; for one of `/sync` behind the newest event that it knew
 * of. Nothing that arrived later is hidden from it. Throws M_INVALID_PARAM.
 */
export async function boundaryOfToken(deps: HistoryDeps, roomId: RoomId, token: string): Promise<HistoryBoundary> {
  const boundary = parseHistoryToken(token);
  if (!boundary) return boundaryAtPosition(deps, roomId, arrivalOfToken(deps, token));
  return { depth: boundary.depth, position: boundary.position };
}

/** Where a walk back from a token begins: like the walks of `/sync` before it, it sees nothing of what arrived later. */
export async function startOfWalkBack(deps: HistoryDeps, roomId: RoomId, token: string): Promise<HistoryBoundary> {
  return parseHistoryToken(token) ?? boundaryByArrival(deps, roomId, arrivalOfToken(deps, token));
}

function arrivalOfToken(deps: HistoryDeps, token: string): Position {
  const before = parseArrivalToken(token);
  const position = before === undefined ? deps.positionOfSyncToken(token) : before - 1;
  if (position === undefined) throw invalidParam('This pagination token is not known');
  return position;
}

/** How many events are looked at for the deepest of them: branches that crossed are not longer apart than this. */
const crossedMax = 50;

/** Behind all that had arrived at a position, and blind for what came later. */
async function boundaryByArrival(deps: HistoryDeps, roomId: RoomId, upTo: Position): Promise<HistoryBoundary> {
  // The event behind the position is looked at too: where there is a gap before it, what fills that stands right below it.
  const arrived = await deps.storage.events.listTimeline(roomId, 0, upTo + 1, crossedMax);
  const [first, ...others] = arrived;
  if (!first) return { ...historyStart, upTo };
  const deepest = others.reduce((best, event) => (comparePlaces(event, best) > 0 ? event : best), first);
  return { ...boundaryAfter(deepest), upTo };
}

/** Negative where `a` stands before `b`. */
export function comparePlaces(a: HistoryPlace, b: HistoryPlace): number {
  return a.depth - b.depth || a.position - b.position;
}

/** Whether the event lies before the place where the client told us to stop. */
export function isWithin(event: TimelineEvent, until: HistoryPlace | undefined, direction: Direction): boolean {
  if (!until) return true;
  const order = comparePlaces(event, until);
  return direction === 'backward' ? order >= 0 : order < 0;
}

/** Where a walk without a token begins: at the end of what there is for one going back, at the start for one going forward. */
export function boundaryWithoutToken(direction: Direction): HistoryPlace {
  return direction === 'backward' ? historyEnd : historyStart;
}

/** The last event before a boundary; undefined when nothing stands before it. */
export async function findEventBefore(
  deps: HistoryDeps,
  roomId: RoomId,
  boundary: HistoryBoundary,
): Promise<TimelineEvent | undefined> {
  const [last] = await listFromBoundary(deps, roomId, { boundary, direction: 'backward', limit: 1 });
  return last;
}

/**
 * The state at the very start of what we have of a room: before its first event, or, where that is the create event, behind the
 * join of the creator, since a room without members is of no use to who asks about its start.
 */
export async function findFirstSnapshot(deps: HistoryDeps, roomId: RoomId): Promise<SnapshotId | undefined> {
  const oldest = await listFromBoundary(deps, roomId, { boundary: historyStart, direction: 'forward', limit: 2 });
  const [first] = oldest;
  if (first === undefined || first.type === 'm.room.create') return oldest.at(-1)?.snapshotAfter;
  return first.snapshotBefore > 0 ? first.snapshotBefore : first.snapshotAfter;
}
