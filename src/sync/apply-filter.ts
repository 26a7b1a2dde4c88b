import { RecentlyUsed } from '../base/recently-used.ts';
import { invalidParam, MatrixError } from '../matrix/errors.ts';
import { acceptsRoom, parseSyncFilter, type RoomEventFilter, type SyncFilter } from '../matrix/filter.ts';
import type { UserId } from '../matrix/ids.ts';
import type { Storage } from '../storage/contract/storage.ts';

/** Client-server API, "Filtering", leaves both to the server. */
const timelineLimitDefault = 10;
const timelineLimitMax = 100;

/** Parsed filters that are kept; a filter id of a user stands for one definition for ever, and JSON for itself whoever sends it. */
const parsedFiltersMax = 1000;

export function timelineLimitOf(filter: RoomEventFilter): number {
  return Math.min(filter.limit ?? timelineLimitDefault, timelineLimitMax);
}

/** Whether a filter of a room's events can hold any of them back, the room being one that it accepts. */
export function letsAllThrough(filter: RoomEventFilter): boolean {
  return (
    filter.types === undefined &&
    filter.notTypes.length === 0 &&
    filter.senders === undefined &&
    filter.notSenders.size === 0 &&
    filter.containsUrl === undefined &&
    filter.relatedByTypes === undefined &&
    filter.relatedBySenders === undefined &&
    filter.relTypes === undefined &&
    filter.notRelTypes === undefined
  );
}

/** Whether a section of this room can hold anything at all. */
export function acceptsSection(filter: RoomEventFilter, roomId: string): boolean {
  return acceptsRoom(filter, roomId) && filter.types?.length !== 0 && !filter.notTypes.includes('*');
}

export interface FilterResolver {
  /** The parameter of `/sync`: JSON if it begins with `{`, else the id of an uploaded one. Throws or rejects with M_INVALID_PARAM. No promise where it is known. */
  resolve(userId: UserId, parameter: string | null): SyncFilter | Promise<SyncFilter>;
}

export function createFilterResolver(deps: { readonly storage: Pick<Storage, 'accounts'> }): FilterResolver {
  const parsed = new RecentlyUsed<string, SyncFilter>({ max: parsedFiltersMax });
  const everything = parseSyncFilter({});

  // "whether it is an ID or a JSON object by whether the first character is a `{`"
  const isInline = (parameter: string): boolean => parameter.startsWith('{');

  async function read(userId: UserId, parameter: string): Promise<SyncFilter> {
    if (isInline(parameter)) return parseInline(parameter);
    const stored = await deps.storage.accounts.findFilter(userId, parameter);
    if (!stored) throw invalidParam('You have no filter with this id');
    return parseSyncFilter(stored.definition);
  }

  return {
    resolve(userId, parameter) {
      if (parameter === null) return everything;
      // No user id begins with a brace.
      const key = isInline(parameter) ? parameter : `${userId} ${parameter}`;
      return (
        parsed.get(key) ??
        read(userId, parameter).then((filter) => {
          parsed.set(key, filter);
          return filter;
        })
      );
    },
  };
}

function parseInline(text: string): SyncFilter {
  try {
    return parseSyncFilter(JSON.parse(text));
  } catch (error) {
    if (error instanceof MatrixError) throw invalidParam(`The filter: ${error.message}`);
    throw invalidParam('The filter is not valid JSON');
  }
}
