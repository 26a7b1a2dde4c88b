import type { Typing } from '../ephemeral/typing.ts';
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
  /**
   * As `read`, but at once and without a scope; asked first where storage has nothing new (`asksStorage`). False: it cannot, and `read` is asked. Adds to
   * the answer only where it can.
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
