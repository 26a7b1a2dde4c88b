import type { EndSignal } from '../base/tasks/ending.ts';
import type { UserId } from '../matrix/ids.ts';
import type { Change, LoggedChange } from '../storage/contract/changes.ts';
import type { Row } from '../storage/contract/commit.ts';

/**
 * What happens after a commit. A *wake* may be lost with the process and is called synchronously, in commit order, before
 * the committing call resolves. A *reaction* is a named reader of the stored change log with a durable cursor.
 */
export interface Feed {
  /** Must not throw, wait or write. */
  onChanges(listener: (changes: readonly Change[]) => void): void;
  addReaction(reaction: Reaction): void;
  /** Starts the reactions where their cursors stand. */
  start(): Promise<void>;
  /** Resolves when no reaction has anything left to do; for tests and for the stop. */
  idle(): Promise<void>;
  stop(): Promise<void>;
}

export interface Reaction {
  /** Stable: the cursor is stored under it. */
  readonly name: string;
  readonly kinds: readonly LoggedChange['kind'][];
  /** Which changes of these kinds set it going; all where it is not given. Others cost it nothing. Cheap, and never throws. */
  concerns?(change: LoggedChange): boolean;
  /**
   * Called once for each change, in order; again after a crash, so idempotent, and it checks that its fact still holds.
   * The rows it returns are committed together with the cursor. What it throws is logged and the change is tried again
   * with back-off, at most a bounded number of times.
   */
  react(change: LoggedChange): Promise<readonly Row[]>;
}

/** Long-polls that wait for something to tell. */
export interface Waiters {
  /** Take a ticket *before* reading; a wake behind the ticket ends the wait at once, so nothing falls between. */
  ticket(userId: UserId): WaitTicket;
  /** Resolves true when the user was woken since the ticket, false at the time-out or when `signal` is aborted. */
  wait(ticket: WaitTicket, until: WaitEnd): Promise<boolean>;
  wake(userId: UserId): void;
  /** Ends all waits (with false), for the stop. */
  stop(): void;
}

export interface WaitEnd {
  readonly timeoutMs: number;
  readonly signal: EndSignal;
  /** A wake before this moment of the monotonic clock ends the wait then, or a few milliseconds later. */
  readonly notBeforeMs?: number | undefined;
  /** There is something to tell already: as if the user had been woken since the ticket. */
  readonly isWoken?: boolean;
}

export interface WaitTicket {
  readonly userId: UserId;
  readonly generation: number;
}
