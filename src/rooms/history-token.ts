import type { HistoryPlace } from '../storage/contract/events.ts';
import type { Position } from '../storage/contract/numbers.ts';

/** A place of the history, and up to where in the order of arrival the walk back from it sees events. */
export interface HistoryBoundary extends HistoryPlace {
  /** Undefined: everything that is there. Fetched history counts as having arrived before everything. */
  readonly upTo?: Position | undefined;
}

/**
 * A token of `/messages`: `t<depth>_<position>`, the boundary directly before the event at that place of the history, and behind another
 * `_` up to where in the order of arrival.
 */
export function encodeHistoryToken({ depth, position, upTo }: HistoryBoundary): string {
  return `t${depth}_${position}${upTo === undefined ? '' : `_${upTo}`}`;
}

/** Undefined for anything else, such as a sync token. */
export function parseHistoryToken(token: string): HistoryBoundary | undefined {
  const match = /^t(\d{1,16})_(-?\d{1,16})(?:_(\d{1,16}))?$/.exec(token);
  if (!match?.[1] || !match[2]) return undefined;
  const place = { depth: Number(match[1]), position: Number(match[2]) };
  const upTo = match[3] === undefined ? undefined : Number(match[3]);
  const numbers = [place.depth, place.position, upTo ?? 0];
  if (!numbers.every(Number.isSafeInteger)) return undefined;
  return upTo === undefined ? place : { ...place, upTo };
}

/**
 * `prev_batch` of a timeline, `p<position>`: before the event that arrived at that position. `/sync` goes by arrival and `/messages` by the
 * graph; what arrived later, wherever it stands in the graph, was in the timeline already and must not come again.
 */
export function encodeArrivalToken(position: Position): string {
  return `p${position}`;
}

/** The position that an arrival token stands before; undefined for anything else. */
export function parseArrivalToken(token: string): Position | undefined {
  const match = /^p(\d{1,16})$/.exec(token);
  const position = Number(match?.[1] ?? Number.NaN);
  return Number.isSafeInteger(position) ? position : undefined;
}

/** Behind everything. */
export const historyEnd: HistoryPlace = { depth: Number.MAX_SAFE_INTEGER, position: Number.MAX_SAFE_INTEGER };
/** Before everything. */
export const historyStart: HistoryPlace = { depth: 0, position: Number.MIN_SAFE_INTEGER };

/** The boundary directly behind the event at `place`. */
export function boundaryAfter(place: HistoryPlace): HistoryPlace {
  return { depth: place.depth, position: place.position + 1 };
}

/** What storage is asked to list from: it looks strictly behind or before a place, the boundary lies before its event. */
export function placeToListFrom(boundary: HistoryBoundary, direction: 'backward' | 'forward'): HistoryBoundary {
  return direction === 'backward' ? boundary : { depth: boundary.depth, position: boundary.position - 1 };
}
