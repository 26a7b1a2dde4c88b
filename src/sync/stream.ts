import type { Typing } from '../ephemeral/typing.ts';
import type { RecentNews } from '../feed/recent-changes.ts';
import type { SyncFilter } from '../matrix/filter.ts';
import type { DeviceId, RoomId, UserId } from '../matrix/ids.ts';
import type { PresencePoll } from '../presence/types.ts';
import type { Position } from '../storage/contract/numbers.ts';
import type { StoredMembership } from '../storage/contract/rooms.ts';
import type { Answer } from './answer.ts';
import type { LazyMembers } from './lazy-members.ts';
import type { SyncToken } from './token.ts';

/** One kind of what `/sync` tells. Reads what is new in the scope and adds it to the answer. */
export interface SyncStream {
  /**
   * False: there is surely nothing to tell, and the stream need not be read. Asked at every wake and every poll of everybody, so it costs next to
   * nothing and waits for nothing. A stream without it is always read.
   */
  mayTell?(question: SyncQuestion): boolean;
  /** What `readNow` needs and memory lacks, brought once for all who wait for it. Undefined where there is nothing to wait for. */
  prepare?(question: SyncQuestion): Promise<unknown> | undefined;
  /**
   * As `read`, but at once and without a scope; asked first where memory knows all that may be new (`narrowNews`). False: it
   * cannot, `read` is asked, and what was added counts for nothing.
   */
  readNow?(question: SyncQuestion, answer: Answer): boolean;
  read(scope: SyncScope, answer: Answer): Promise<void>;
}

/** Who asks for what; the same for all streams, and known before anything is read. */
export interface SyncQuestion {
  readonly viewer: { readonly userId: UserId; readonly deviceId: DeviceId };
  /** Null: an initial sync. */
  readonly since: SyncToken | null;
  /** What is stored in after < position ≤ upTo is new. Zero in an initial sync; behind the position of `since` when earlier readings found nothing. */
  readonly after: Position;
  readonly upTo: Position;
  /** This sync, as presence has it; null for who asks for other streams alone. */
  readonly presence: Pick<PresencePoll, 'mayTell' | 'readNow'> | null;
  /** What was touched behind `after`, as far as memory goes back; undefined: anything may have been. */
  readonly news: RecentNews | undefined;
  /** Where typing stands. */
  readonly typing: { readonly epoch: string; readonly number: number };
  readonly filter: SyncFilter;
  readonly fullState: boolean;
  readonly useStateAfter: boolean;
  /** What this device was told before; null where it does not load members lazily. */
  readonly lazy: LazyMembers | null;
  readonly nowMs: number;
}

/** Whether there may be anything new in what is stored. */
export function asksStorage({ since, after, upTo, fullState }: SyncQuestion): boolean {
  return upTo > after || since === null || fullState;
}

/**
 * What memory says was touched, where that is all there can be: since then the viewer's rooms are the same, and no whole room is asked for. Undefined:
 * anything may have changed.
 */
export function narrowNews({ since, fullState, news, viewer }: SyncQuestion): RecentNews | undefined {
  return since === null || fullState || news?.membershipUsers.has(viewer.userId) ? undefined : news;
}

/** Whether there may be news for a stream: of narrow ones it says itself whether they concern it. */
export function mayBeNews(question: SyncQuestion, concerns: (news: RecentNews) => boolean): boolean {
  if (!asksStorage(question)) return false;
  const news = narrowNews(question);
  return news === undefined || concerns(news);
}

/** Whether any of the rooms is among the others. */
export function touches(news: ReadonlySet<RoomId>, rooms: ReadonlySet<RoomId>): boolean {
  const [few, many] = news.size < rooms.size ? [news, rooms] : [rooms, news];
  for (const roomId of few) if (many.has(roomId)) return true;
  return false;
}

/** The facts of one reading, the same for all streams. */
export interface SyncScope extends SyncQuestion {
  readonly ignored: ReadonlySet<UserId>;
  readonly rooms: ScopeRooms;
}

export interface ScopeRooms {
  /** All that the viewer is joined to, whatever the filter says. */
  readonly joined: ReadonlySet<RoomId>;
  /** Those of them that the client does not know as joined: told from their beginning. In an initial sync all. */
  readonly newlyJoined: ReadonlySet<RoomId>;
  /** Those that the client knows as joined and that the viewer is in no more, whatever the filter says. */
  readonly departed: ReadonlySet<RoomId>;
  /** The joined ones that pass the filter's lists of rooms. */
  readonly joinedShown: ReadonlySet<RoomId>;
  /** Those joined that the client knows as joined; and of them those that pass the filter. */
  readonly known: ReadonlySet<RoomId>;
  readonly knownShown: ReadonlySet<RoomId>;
  /** Invites and knocks to be told, the filter obeyed; not those by ignored users. */
  readonly pending: readonly StoredMembership[];
  /** Left rooms and bans to be told, the filter obeyed. */
  readonly left: readonly LeftRoom[];
}

export interface LeftRoom {
  readonly membership: StoredMembership;
  /** What the user was in the room when the client last heard; null in an initial sync or where there was nothing. */
  readonly before: StoredMembership | null;
}

/** Who types where, in memory. */
export type TypingReads = Pick<Typing, 'epoch' | 'number' | 'listTyping' | 'roomsChangedSince'>;
