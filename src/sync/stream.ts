import type { Typing } from '../ephemeral/typing.ts';
import type { SyncFilter } from '../matrix/filter.ts';
import type { DeviceId, RoomId, UserId } from '../matrix/ids.ts';
import type { Position } from '../storage/contract/numbers.ts';
import type { StoredMembership } from '../storage/contract/rooms.ts';
import type { Answer } from './answer.ts';
import type { LazyMembers } from './lazy-members.ts';
import type { SyncToken } from './token.ts';

/** One kind of what `/sync` tells. Reads what is new in the scope and adds it to the answer. */
export interface SyncStream {
  read(scope: SyncScope, answer: Answer): Promise<void>;
}

/** The facts of one reading, the same for all streams. */
export interface SyncScope {
  readonly viewer: { readonly userId: UserId; readonly deviceId: DeviceId };
  /** Null: an initial sync. */
  readonly since: SyncToken | null;
  /** What is stored in after < position ≤ upTo is new. Zero in an initial sync. */
  readonly after: Position;
  readonly upTo: Position;
  /** Where typing stands; taken before anything was read. */
  readonly typing: { readonly epoch: string; readonly number: number };
  readonly filter: SyncFilter;
  readonly fullState: boolean;
  readonly useStateAfter: boolean;
  readonly ignored: ReadonlySet<UserId>;
  readonly rooms: ScopeRooms;
  /** What this device was told before; null where it does not load members lazily. */
  readonly lazy: LazyMembers | null;
  readonly nowMs: number;
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
