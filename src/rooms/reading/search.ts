import type { Clock } from '../../base/clock.ts';
import { invalidParam } from '../../matrix/errors.ts';
import { acceptsRoom, type RoomEventFilter } from '../../matrix/filter.ts';
import type { EventId, RoomId, UserId } from '../../matrix/ids.ts';
import type { TimelineEvent } from '../../storage/contract/events.ts';
import type { SearchedKey } from '../../storage/contract/search.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import { type AggregationDeps, encodeWithAggregations, readIgnored } from '../aggregations.ts';
import { type EventViewer, encodeClientEvents } from '../client-event.ts';
import { type HistoryDeps, listFromBoundary } from '../history.ts';
import { boundaryAfter, encodeHistoryToken } from '../history-token.ts';
import { listMemberEventsOf, listStateAt } from '../members-at.ts';
import { filterVisible } from '../visible-history.ts';
import { acceptsEvent, listAccepted } from './accepts-event.ts';

export type SearchDeps = HistoryDeps &
  AggregationDeps & {
    readonly storage: Pick<Storage, 'search'>;
    readonly clock: Clock;
  };

export interface SearchRequest {
  readonly term: string;
  readonly keys: readonly SearchedKey[];
  readonly filter: RoomEventFilter;
  readonly order: 'recent' | 'rank';
  /** Undefined: the results come without their surroundings. */
  readonly context: { readonly before: number; readonly after: number; readonly withProfiles: boolean } | undefined;
  readonly withState: boolean;
  readonly groupBy: readonly ('room_id' | 'sender')[];
  /** `next_batch` of the page before. */
  readonly from: string | undefined;
}

/** Client-server API, "Server Side Search". */
export interface Search {
  /**
   * The body of `search_categories.room_events`, as JSON text. Only of rooms that the viewer is in, or left and has not forgotten, and only
   * what they may see there: the count too says nothing of anything else. Throws M_INVALID_PARAM for a token of nobody's.
   */
  searchEvents(viewer: EventViewer, request: SearchRequest): Promise<string>;
}

const limitDefault = 10;
const limitMax = 100;
/** Matches that are read together to see which of them may be shown. */
const windowMax = 500;
export const contextMax = 20;
const wordsMax = 20;

/** Where a page begins: in which window of the matches, how many of it were told, and how many were seen before it. */
interface Place {
  readonly newest: number | undefined;
  readonly window: number;
  readonly told: number;
  readonly seen: number;
}

interface Found {
  readonly event: TimelineEvent;
  readonly rank: number;
}

interface Page {
  readonly found: readonly Found[];
  readonly count: number;
  readonly next: Place | undefined;
}

export function createSearch(deps: SearchDeps): Search {
  const { storage } = deps;

  async function listRooms(viewer: UserId, filter: RoomEventFilter): Promise<RoomId[]> {
    const rooms = await storage.rooms.listMembershipsOfUser(viewer, ['join', 'leave', 'ban']);
    return rooms.filter((room) => !room.forgotten && acceptsRoom(filter, room.roomId)).map(({ roomId }) => roomId);
  }

  async function readPage(viewer: UserId, request: SearchRequest): Promise<Page> {
    const start = placeOf(request.from);
    const limit = Math.min(request.filter.limit ?? limitDefault, limitMax);
    const { found, newest } = await storage.search.searchMessages({
      terms: wordsOf(request.term),
      keys: request.keys,
      roomIds: await listRooms(viewer, request.filter),
      order: request.order,
      upTo: start.newest,
      offset: start.window * windowMax,
      limit: windowMax,
    });
    const ranks = new Map(found.map(({ eventId, rank }) => [eventId, rank]));
    const shown = await listShown(deps, viewer, [...ranks.keys()], request.filter);
    const page = shown.slice(start.told, start.told + limit);
    const count = start.seen + shown.length;
    const told = start.told + page.length;
    const next = { newest, window: start.window, told, seen: start.seen };
    if (page.length === limit && limit > 0) return { found: page.map(toFound), count, next };
    const isWindowFull = found.length === windowMax;
    const behind = { newest, window: start.window + 1, told: 0, seen: count };
    return { found: page.map(toFound), count, next: isWindowFull ? behind : undefined };

    function toFound(event: TimelineEvent): Found {
      return { event, rank: ranks.get(event.eventId) ?? 0 };
    }
  }

  const encode = (events: readonly TimelineEvent[], viewer: EventViewer) =>
    encodeWithAggregations(deps, events, viewer);

  async function contextOf(
    viewer: EventViewer,
    event: TimelineEvent,
    asked: NonNullable<SearchRequest['context']>,
  ): Promise<string> {
    const read = async (direction: 'backward' | 'forward', limit: number) => {
      const boundary = direction === 'backward' ? event : boundaryAfter(event);
      const events = limit > 0 ? await listFromBoundary(deps, event.roomId, { boundary, direction, limit }) : [];
      return filterVisible(deps, viewer.userId, events);
    };
    const before = await read('backward', asked.before);
    const after = await read('forward', asked.after);
    const texts = await encode([...before, ...after], viewer);
    const parts = [
      `"start":"${encodeHistoryToken(before.at(-1) ?? event)}"`,
      `"end":"${encodeHistoryToken(boundaryAfter(after.at(-1) ?? event))}"`,
      `"events_before":[${texts.slice(0, before.length).join(',')}]`,
      `"events_after":[${texts.slice(before.length).join(',')}]`,
    ];
    if (asked.withProfiles) {
      const profiles = await listProfiles(deps, event, [...before, event, ...after]);
      parts.push(`"profile_info":${JSON.stringify(profiles)}`);
    }
    return `{${parts.join(',')}}`;
  }

  async function statesOf(viewer: EventViewer, roomIds: readonly RoomId[]): Promise<string> {
    const options = { withRoomId: true, withMembership: false, nowMs: deps.clock.now() };
    const states: string[] = [];
    for (const roomId of roomIds) {
      const membership = await storage.rooms.findMembership(roomId, viewer.userId);
      const snapshot = await storage.state.findCurrentSnapshot(roomId);
      // "The current state" is nothing for who is not there now.
      if (membership?.membership !== 'join' || snapshot === undefined) continue;
      const texts = await encodeClientEvents(deps, await listStateAt(deps, snapshot), viewer, options);
      states.push(`${JSON.stringify(roomId)}:[${texts.join(',')}]`);
    }
    return `{${states.join(',')}}`;
  }

  return {
    async searchEvents(viewer, request) {
      const { found, count, next } = await readPage(viewer.userId, request);
      const events = found.map(({ event }) => event);
      const texts = await encode(events, viewer);
      const results: string[] = [];
      for (const [index, { event, rank }] of found.entries()) {
        const around = request.context ? `,"context":${await contextOf(viewer, event, request.context)}` : '';
        results.push(`{"rank":${rank},"result":${texts[index]}${around}}`);
      }
      const nextBatch = next && encodePlace(next);
      const parts = [
        `"count":${count}`,
        `"highlights":${JSON.stringify(wordsOf(request.term).map((word) => word.toLowerCase()))}`,
        `"results":[${results.join(',')}]`,
      ];
      if (nextBatch) parts.push(`"next_batch":"${nextBatch}"`);
      if (request.withState) parts.push(`"state":${await statesOf(viewer, roomsOf(events))}`);
      if (request.groupBy.length > 0) parts.push(`"groups":${JSON.stringify(groupsOf(events, request.groupBy))}`);
      return `{${parts.join(',')}}`;
    },
  };
}

/** Those of the matches that the viewer is shown, in the order given. */
async function listShown(
  deps: SearchDeps,
  viewer: UserId,
  eventIds: readonly EventId[],
  filter: RoomEventFilter,
): Promise<TimelineEvent[]> {
  const read = await deps.storage.events.listTimelineEventsByIds(eventIds);
  const byId = new Map(read.map((event) => [event.eventId, event]));
  const events = eventIds.map((eventId) => byId.get(eventId)).filter((event) => event !== undefined);
  const ignored = await readIgnored(deps, viewer);
  const visible = await filterVisible(
    deps,
    viewer,
    events.filter((event) => acceptsEvent(filter, event) && !ignored.has(event.sender)),
  );
  return listAccepted(deps, filter, visible);
}

/** As they were in the room when the event was sent. */
async function listProfiles(
  deps: SearchDeps,
  at: TimelineEvent,
  events: readonly TimelineEvent[],
): Promise<Record<string, { displayname?: unknown; avatar_url?: unknown }>> {
  const members = await listMemberEventsOf(deps, at.snapshotAfter, [...new Set(events.map(({ sender }) => sender))]);
  return Object.fromEntries(
    members.map((member) => {
      const { content } = JSON.parse(member.clientText) as { content: Record<string, unknown> };
      return [member.stateKey ?? '', { displayname: content.displayname, avatar_url: content.avatar_url }];
    }),
  );
}

function groupsOf(events: readonly TimelineEvent[], keys: SearchRequest['groupBy']) {
  const groups: Record<string, Record<string, { order: number; results: EventId[] }>> = {};
  for (const key of keys) {
    const ofKey: Record<string, { order: number; results: EventId[] }> = {};
    for (const event of events) {
      const value = key === 'room_id' ? event.roomId : event.sender;
      ofKey[value] ??= { order: Object.keys(ofKey).length + 1, results: [] };
      ofKey[value].results.push(event.eventId);
    }
    groups[key] = ofKey;
  }
  return groups;
}

function roomsOf(events: readonly TimelineEvent[]): RoomId[] {
  return [...new Set(events.map(({ roomId }) => roomId))];
}

/** What stands in quotation marks is one, the words in their order. */
function wordsOf(term: string): string[] {
  const found = [...term.matchAll(/"([^"]*)"|\S+/g)].map(([whole, quoted]) => quoted ?? whole);
  return found.filter((word) => word.trim() !== '').slice(0, wordsMax);
}

function encodePlace({ newest, window, told, seen }: Place): string {
  return `s${newest ?? 0}_${window}_${told}_${seen}`;
}

/** Throws M_INVALID_PARAM. */
function placeOf(token: string | undefined): Place {
  if (token === undefined || token === '') return { newest: undefined, window: 0, told: 0, seen: 0 };
  const match = /^s(\d{1,15})_(\d{1,9})_(\d{1,9})_(\d{1,15})$/.exec(token);
  if (!match) throw invalidParam('This pagination token is not known');
  const [newest = 0, window = 0, told = 0, seen = 0] = match.slice(1).map(Number);
  return { newest, window, told, seen };
}
