import { LRUCache } from 'lru-cache';
import type { EventId, RoomId, UserId } from '../matrix/ids.ts';
import { ignoredUsersType, parseIgnoredUsers } from '../matrix/ignored-users.ts';
import type { AccountDataReads } from '../storage/contract/account-data.ts';
import type { Change } from '../storage/contract/changes.ts';
import type { DeviceListReads } from '../storage/contract/device-lists.ts';
import type { EventReads, StoredEvent, TimelineEvent, TimelinePage } from '../storage/contract/events.ts';
import type { Position } from '../storage/contract/numbers.ts';
import type { ReceiptReads } from '../storage/contract/receipts.ts';
import type { RoomReads, StoredMembership } from '../storage/contract/rooms.ts';
import type { SnapshotId, StateReads } from '../storage/contract/state.ts';
import type { Storage } from '../storage/contract/storage.ts';
import { RecentChanges, type RecentNews } from './recent-changes.ts';
import { RoomTails } from './room-tails.ts';
import { WholeStates } from './whole-states.ts';

type Wrapped = Pick<
  Storage,
  'accounts' | 'accountData' | 'deviceLists' | 'events' | 'receipts' | 'relations' | 'rooms' | 'state' | 'position'
>;

const eventsMax = 4_096;
const accountDataMax = 10_000;
const membershipsMax = 10_000;
const roomsMax = 1_000;
/** Rooms whose tails are looked at one by one. */
const tailsAtOnceMax = 4;

/**
 * The storage as readers use it who are nearly up to date, all day, by the thousand: what the last commits did not touch is answered without
 * a query, and what many ask for is read once. The answers are the storage's, with one exception: the verdict and the place of an
 * event from `listByIds`, and its place in `listCurrentOfRooms`, are those of when it was first asked for.
 */
export interface RecentReads {
  readonly storage: Wrapped;
  readonly now: RecentNow;
  /** A listener for the feed, before all that wakes readers. */
  apply(changes: readonly Change[]): void;
}

/** The same without waiting, as far as memory has it; undefined: it has not. */
export interface RecentNow {
  /** What changed behind a position, up to this moment. */
  newsSince(after: Position): RecentNews | undefined;
  /** All events of the page. Undefined also where some are missing between them. */
  findTimeline(page: TimelinePage): readonly TimelineEvent[] | undefined;
  findCurrentSnapshot(roomId: RoomId): SnapshotId | undefined;
  findIgnored(userId: UserId): ReadonlySet<UserId> | undefined;
  /** Brings what these pages and their reader lack here, once for all who wait for it. Undefined where there is nothing to wait for. */
  bring(reader: UserId, pages: readonly TimelinePage[]): Promise<unknown> | undefined;
}

export function createRecentReads(storage: Wrapped): RecentReads {
  const recent = new RecentChanges(() => storage.position());
  const tails = new RoomTails(storage.events);
  const events = createEventReads(storage.events, recent, tails);
  const accountData = createAccountDataReads(storage.accountData, recent);
  const rooms = createRoomReads(storage.rooms, recent);
  const state = createStateReads(storage.state, recent);
  return {
    storage: {
      accounts: storage.accounts,
      accountData: accountData.reads,
      deviceLists: createDeviceListReads(storage.deviceLists, recent),
      events: events.reads,
      receipts: createReceiptReads(storage.receipts, recent),
      relations: storage.relations,
      rooms: rooms.reads,
      state: state.reads,
      position: () => storage.position(),
    },
    now: {
      newsSince: (after) => recent.since(after),
      findTimeline: (page) => tails.findNow(page),
      findCurrentSnapshot: state.peek,
      findIgnored: accountData.peekIgnored,
      bring(reader, pages) {
        const lacking: Promise<unknown>[] = [];
        if (accountData.peekIgnored(reader) === undefined)
          lacking.push(accountData.reads.find(reader, null, ignoredUsersType));
        for (const page of pages) {
          const tail = tails.bring(page);
          if (tail !== undefined) lacking.push(tail);
          if (state.peek(page.roomId) === undefined) lacking.push(state.reads.findCurrentSnapshot(page.roomId));
        }
        return lacking.length === 0 ? undefined : Promise.all(lacking);
      },
    },
    apply(changes) {
      recent.apply(changes);
      tails.apply(changes);
      events.apply(changes);
      accountData.apply(changes);
      rooms.apply(changes);
      state.apply(changes);
    },
  };
}

function createEventReads(events: EventReads, recent: RecentChanges, tails: RoomTails) {
  const byId = new LRUCache<EventId, StoredEvent>({ max: eventsMax });
  const gaps = new Map<string, Promise<Map<RoomId, Position>>>();
  let rewrites = 0;
  const listGapsOfAll = (news: RecentNews, after: Position, upTo: Position): Promise<Map<RoomId, Position>> => {
    const key = `${after} ${upTo}`;
    const known = gaps.get(key) ?? events.listGaps(news.eventRooms, after, upTo);
    gaps.set(key, known);
    return known;
  };
  const reads: EventReads = {
    ...events,
    async listRoomsChanged(roomIds, after, upTo) {
      const news = recent.since(after);
      return news ? common(news.eventRooms, roomIds) : events.listRoomsChanged(roomIds, after, upTo);
    },
    async listGaps(roomIds, after, upTo) {
      const news = recent.since(after);
      if (!news) return events.listGaps(roomIds, after, upTo);
      const ofAll = await listGapsOfAll(news, after, upTo);
      return ofAll.size === 0 ? ofAll : new Map([...ofAll].filter(([roomId]) => roomIds.has(roomId)));
    },
    listTimeline: (roomId, after, upTo, limit) =>
      recent.since(after) ? tails.list(roomId, after, upTo, limit) : events.listTimeline(roomId, after, upTo, limit),
    async listTimelines(pages, limit) {
      // Of many rooms one query is less than a look at the tail of each.
      if (pages.length > tailsAtOnceMax || pages.some(({ after }) => !recent.since(after))) {
        return events.listTimelines(pages, limit);
      }
      return Promise.all(pages.map(({ roomId, after, upTo }) => tails.list(roomId, after, upTo, limit)));
    },
    async listByIds(eventIds) {
      const asked = [...new Set(eventIds)];
      const known = asked.map((eventId) => byId.get(eventId)).filter((stored) => stored !== undefined);
      if (known.length === asked.length) return known;
      const rewritesBefore = rewrites;
      const read = await events.listByIds(asked.filter((eventId) => !byId.has(eventId)));
      // What was read may be older than a rewriting meanwhile.
      if (rewrites === rewritesBefore) for (const stored of read) byId.set(stored.event.eventId, stored);
      return [...known, ...read];
    },
  };
  const apply = (changes: readonly Change[]): void => {
    gaps.clear();
    for (const change of changes) {
      if (change.kind !== 'redaction' && change.kind !== 'event_rewritten') continue;
      rewrites += 1;
      byId.delete(change.eventId);
    }
  };
  return { reads, apply };
}

function createAccountDataReads(accountData: AccountDataReads, recent: RecentChanges) {
  type Found = Awaited<ReturnType<AccountDataReads['find']>>;
  const globals = new LRUCache<string, { found: Found }>({ max: accountDataMax });
  /** Read out of the above. */
  const ignored = new LRUCache<UserId, ReadonlySet<UserId>>({ max: accountDataMax });
  const keyOf = (userId: UserId, type: string): string => `${userId} ${type}`;
  let changed = 0;
  const reads: AccountDataReads = {
    ...accountData,
    async find(userId, roomId, type) {
      if (roomId !== null) return accountData.find(userId, roomId, type);
      const known = globals.get(keyOf(userId, type));
      if (known) return known.found;
      const before = changed;
      const found = await accountData.find(userId, roomId, type);
      if (changed === before) globals.set(keyOf(userId, type), { found });
      return found;
    },
    async listSince(userId, after, upTo) {
      const news = recent.since(after);
      return news && !news.accountDataUsers.has(userId) ? [] : accountData.listSince(userId, after, upTo);
    },
  };
  const apply = (changes: readonly Change[]): void => {
    for (const change of changes) {
      if (change.kind !== 'account_data') continue;
      changed += 1;
      if (change.roomId !== null) continue;
      globals.delete(keyOf(change.userId, change.type));
      ignored.delete(change.userId);
    }
  };
  const peekIgnored = (userId: UserId): ReadonlySet<UserId> | undefined => {
    const parsed = ignored.get(userId);
    if (parsed !== undefined) return parsed;
    const known = globals.get(keyOf(userId, ignoredUsersType));
    if (known === undefined) return undefined;
    const users = parseIgnoredUsers(known.found?.content);
    ignored.set(userId, users);
    return users;
  };
  return { reads, apply, peekIgnored };
}

function createDeviceListReads(deviceLists: DeviceListReads, recent: RecentChanges): DeviceListReads {
  return {
    ...deviceLists,
    async listChanged(viewer, after, upTo) {
      return recent.since(after)?.deviceListUsers.size === 0 ? [] : deviceLists.listChanged(viewer, after, upTo);
    },
  };
}

function createReceiptReads(receipts: ReceiptReads, recent: RecentChanges): ReceiptReads {
  return {
    ...receipts,
    async listSince(roomIds, after, upTo) {
      const news = recent.since(after);
      const asked = news ? new Set(common(news.receiptRooms, roomIds)) : roomIds;
      return asked.size === 0 ? [] : receipts.listSince(asked, after, upTo);
    },
  };
}

function createRoomReads(rooms: RoomReads, recent: RecentChanges) {
  type Found = Awaited<ReturnType<RoomReads['findMembership']>>;
  const memberships = new LRUCache<string, { found: Found }>({ max: membershipsMax });
  const keyOf = (roomId: RoomId, userId: UserId): string => `${roomId} ${userId}`;
  let changed = 0;
  const reads: RoomReads = {
    ...rooms,
    async findMembership(roomId, userId) {
      const known = memberships.get(keyOf(roomId, userId));
      if (known) return known.found;
      const changedBefore = changed;
      const found = await rooms.findMembership(roomId, userId);
      if (changed === changedBefore) memberships.set(keyOf(roomId, userId), { found });
      return found;
    },
    async listMembershipsIn(userId, roomIds) {
      const answer = new Map<RoomId, StoredMembership>();
      const missing = new Set<RoomId>();
      for (const roomId of roomIds) {
        const known = memberships.get(keyOf(roomId, userId));
        if (!known) missing.add(roomId);
        else if (known.found) answer.set(roomId, known.found);
      }
      if (missing.size === 0) return answer;
      const changedBefore = changed;
      const read = await rooms.listMembershipsIn(userId, missing);
      for (const roomId of missing) {
        const found = read.get(roomId);
        if (changed === changedBefore) memberships.set(keyOf(roomId, userId), { found });
        if (found) answer.set(roomId, found);
      }
      return answer;
    },
    async listMembershipChanges(userId, after, upTo) {
      const news = recent.since(after);
      return news && !news.membershipUsers.has(userId) ? [] : rooms.listMembershipChanges(userId, after, upTo);
    },
    async listNewlyJoined(roomIds, after, upTo) {
      const news = recent.since(after);
      const asked = news ? new Set(common(news.joinRooms, roomIds)) : roomIds;
      return asked.size === 0 ? [] : rooms.listNewlyJoined(asked, after, upTo);
    },
    async listDepartures(roomIds, after, upTo) {
      const news = recent.since(after);
      const asked = news ? new Set(common(news.departureRooms, roomIds)) : roomIds;
      return asked.size === 0 ? [] : rooms.listDepartures(asked, after, upTo);
    },
  };
  const apply = (changes: readonly Change[]): void => {
    for (const change of changes) {
      switch (change.kind) {
        case 'membership':
        case 'room_forgotten':
          memberships.delete(keyOf(change.roomId, change.userId));
          changed += 1;
          break;
        // Whose profile a rewritten member event changed is not said: these are rare.
        case 'redaction':
        case 'event_rewritten':
          memberships.clear();
          changed += 1;
          break;
      }
    }
  };
  return { reads, apply };
}

function createStateReads(state: StateReads, recent: RecentChanges) {
  const current = new LRUCache<RoomId, SnapshotId>({ max: roomsMax });
  const wholes = new WholeStates(state);
  let changed = 0;
  const reads: StateReads = {
    ...state,
    listCurrentOfRooms: (roomIds, members) =>
      members === 'all' ? wholes.list(roomIds) : state.listCurrentOfRooms(roomIds, members),
    async listCurrentChanges(roomIds, after, upTo) {
      const news = recent.since(after);
      const asked = news ? new Set(common(news.stateRooms, roomIds)) : roomIds;
      return asked.size === 0 ? new Map() : state.listCurrentChanges(asked, after, upTo);
    },
    async listCurrentSnapshots(roomIds) {
      const answer = new Map<RoomId, SnapshotId>();
      for (const roomId of roomIds) {
        const known = current.get(roomId);
        if (known !== undefined) answer.set(roomId, known);
      }
      const missing = new Set([...roomIds].filter((roomId) => !answer.has(roomId)));
      if (missing.size === 0) return answer;
      const changedBefore = changed;
      for (const [roomId, found] of await state.listCurrentSnapshots(missing)) {
        if (changed === changedBefore) current.set(roomId, found);
        answer.set(roomId, found);
      }
      return answer;
    },
    async findCurrentSnapshot(roomId) {
      const known = current.get(roomId);
      if (known !== undefined) return known;
      const changedBefore = changed;
      const found = await state.findCurrentSnapshot(roomId);
      if (found !== undefined && changed === changedBefore) current.set(roomId, found);
      return found;
    },
  };
  const apply = (changes: readonly Change[]): void => {
    wholes.apply(changes);
    for (const change of changes) {
      if (change.kind !== 'current_state') continue;
      changed += 1;
      current.delete(change.roomId);
    }
  };
  return { reads, apply, peek: (roomId: RoomId) => current.get(roomId) };
}

/** Those of the few that are among the many. */
function common(few: RecentNews['eventRooms'], many: ReadonlySet<RoomId>): RoomId[] {
  return [...few].filter((roomId) => many.has(roomId));
}
