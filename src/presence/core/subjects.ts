import type { UserId } from '../../matrix/ids.ts';
import type { Copy, Viewpoint } from './copies.ts';
import type { Span } from './past.ts';
import type { Shown } from './shown.ts';

/** A local user's presence, as everybody reads it. */
export interface LocalPresence {
  readonly shown: Shown;
  /** Monotonic; null: never. */
  readonly activeAt: number | null;
  /** Monotonic, of the last change of `shown`; -Infinity: never. */
  readonly changedAt: number;
}

/** The presence of our own users, kept by `own/tracker`. */
export interface LocalSubjects {
  /** Undefined for a user who never had a presence. */
  find(userId: UserId): LocalPresence | undefined;
  /** Everybody who has a record, offline or not. */
  subjects(): IterableIterator<UserId>;
  readonly size: number;
  /** Epoch milliseconds of the last activity, 0 for never. */
  lastActiveAtMs(presence: LocalPresence): number;
  /** Whether others may hold something of this user that is to be taken back: shown now, or so lately that it has not expired. */
  mayBeHeld(presence: LocalPresence, forMs: number): boolean;
}

/** What is held of subjects of other servers, kept by `receiving/copy-store`. */
export interface RemoteSubjects {
  /** Whether anything was ever told of this subject, also if nothing of it is left. */
  has(subject: UserId): boolean;
  /** Whether nothing had been told of this subject before that time, monotonic, and something was since. */
  isNewSince(subject: UserId, at: number): boolean;
  subjects(): IterableIterator<UserId>;
  readonly size: number;
  /** Whether anybody here may come to be given anything of the subject. */
  isNear(subject: UserId): boolean;
  copiesOf(subject: UserId): readonly Copy[];
  /** What this viewer may see of the subject now. */
  findVisible(subject: UserId, viewer: UserId): Copy | undefined;
  /** Whether what was held at some time of the span told this viewer anything; undefined when that is forgotten. */
  governedIn(subject: UserId, viewer: Viewpoint, span: Span): boolean | undefined;
  /** These viewers may be given nothing of the subject any more. */
  dropViewers(subject: UserId, viewers: readonly UserId[]): void;
  /** Nobody here may be given anything of the subject any more. */
  remove(subject: UserId): void;
  /** Nobody here wants the subject for now: what was told is held as a stranger's is. */
  letGo(subject: UserId): void;
  /** Somebody here may be given the subject now: what was told of them before is worth keeping. */
  keep(subject: UserId): void;
}
