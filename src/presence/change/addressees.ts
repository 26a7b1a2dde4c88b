import type { UserId } from '../../matrix/ids.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Narrowing } from '../../storage/contract/presence.ts';
import type { Marking } from '../core/marking.ts';
import type { PastChange } from '../core/past.ts';
import type { Shown } from '../core/shown.ts';

/** The inbox of a connected viewer, as those write to it who tell of changes. */
export interface ViewerInbox {
  /** Something about the subject waits to be fetched. */
  has(subject: UserId): boolean;
  /** False: it is known to the viewer already. `gained`: not a change of the subject but of who sees them. */
  putUpdate(subject: UserId, gained?: Shown): boolean;
  putLoss(subject: UserId): boolean;
}

export interface ViewerInboxes {
  /** Undefined for a viewer who is not connected. */
  find(viewer: UserId): ViewerInbox | undefined;
}

/** What application services are to be told, as those mark it who tell of changes. */
export interface ServiceMarks {
  /** The subject's state changed. */
  mark(subject: UserId): void;
  /** Who sees whom changed. */
  markChange(change: PastChange): void;
}

/** What other servers are to be told, as those mark it who tell of changes. */
export interface ServerMarks {
  mark(destination: ServerName, subject: UserId, how: Marking): void;
  isMarked(destination: ServerName, subject: UserId): boolean;
  /** The durable bit is set: whatever the destination holds of the subject is taken back first. `asOf`: as many changes of audience were made before. */
  narrow(narrowing: Narrowing, asOf: number): void;
  isNarrowed(destination: ServerName, subject: UserId): boolean;
  /** Whether a narrowing stands that came with the change of this number, or later. */
  isNarrowedSince(change: number, destination: ServerName, subject: UserId): boolean;
  /** Whether somebody who has just gained sight is covered by what the destination holds already. */
  covers(destination: ServerName, subject: UserId): boolean;
}
