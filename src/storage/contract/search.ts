import type { EventId, RoomId } from '../../matrix/ids.ts';

export type SearchedKey = 'content.body' | 'content.name' | 'content.topic';

export interface SearchQuery {
  /** All of them must occur, in whatever order; each is a word or, where it holds several, these in this order. */
  readonly terms: readonly string[];
  readonly keys: readonly SearchedKey[];
  readonly roomIds: readonly RoomId[];
  /** recent: the latest sent first. rank: what fits best first. */
  readonly order: 'recent' | 'rank';
  /** As `newest` of the first page said, so that later pages go on in the same list; undefined for the first. */
  readonly upTo?: number | undefined;
  readonly offset: number;
  readonly limit: number;
}

export interface SearchAnswer {
  readonly found: readonly { readonly eventId: EventId; readonly rank: number }[];
  readonly newest: number;
}

/**
 * Accepted messages, names and topics by their words, without regard to case and accents; redacted ones are not found. Takes as long as
 * there are matches, beside the process's loop. By `recent` the newest 20,000 matches are looked at.
 */
export interface SearchReads {
  searchMessages(query: SearchQuery): Promise<SearchAnswer>;
}
