import type { AccountDataReads } from './account-data.ts';
import type { AccountReads } from './accounts.ts';
import type { ChangeReads } from './changes.ts';
import type { Batch, CommitListener, CommitResult } from './commit.ts';
import type { CrossSigningReads } from './cross-signing.ts';
import type { DeviceKeyReads } from './device-keys.ts';
import type { DeviceListReads } from './device-lists.ts';
import type { DirectoryReads } from './directory.ts';
import type { EventReads } from './events.ts';
import type { FederationReads } from './federation.ts';
import type { ImportReads } from './imports.ts';
import type { KeyBackupReads } from './key-backups.ts';
import type { MediaReads } from './media.ts';
import type { Position, SnapshotId } from './numbers.ts';
import type { OneTimeKeyReads } from './one-time-keys.ts';
import type { OutgoingReads } from './outgoing.ts';
import type { PresenceReads } from './presence.ts';
import type { PushReads } from './push.ts';
import type { ReceiptReads } from './receipts.ts';
import type { RelationReads } from './relations.ts';
import type { ReportReads } from './reports.ts';
import type { RoomReads } from './rooms.ts';
import type { SearchReads } from './search.ts';
import type { ServiceReads } from './services.ts';
import type { StateReads } from './state.ts';
import type { ToDeviceReads } from './to-device.ts';
import type { UnreadReads } from './unread.ts';
import type { WaitingEventReads } from './waiting-events.ts';

/**
 * All that Lantern keeps. Reads are by noun; there is one way to write. `find…` may be undefined, `get…` must exist
 * (a missing row is a bug and throws), `list…` is bounded by an argument or by nature.
 */
export interface Storage {
  readonly accounts: AccountReads;
  readonly accountData: AccountDataReads;
  readonly changes: ChangeReads;
  readonly crossSigning: CrossSigningReads;
  readonly deviceKeys: DeviceKeyReads;
  readonly deviceLists: DeviceListReads;
  readonly directory: DirectoryReads;
  readonly events: EventReads;
  readonly federation: FederationReads;
  readonly imports: ImportReads;
  readonly keyBackups: KeyBackupReads;
  readonly media: MediaReads;
  readonly oneTimeKeys: OneTimeKeyReads;
  readonly outgoing: OutgoingReads;
  /** Only src/presence and app/wiring.ts may touch this one. */
  readonly presence: PresenceReads;
  readonly push: PushReads;
  readonly receipts: ReceiptReads;
  readonly relations: RelationReads;
  readonly reports: ReportReads;
  readonly rooms: RoomReads;
  readonly search: SearchReads;
  readonly services: ServiceReads;
  readonly state: StateReads;
  readonly toDevice: ToDeviceReads;
  readonly unread: UnreadReads;
  readonly waitingEvents: WaitingEventReads;

  /**
   * Applies the batch whole or answers `conflict`. Commits of one tick share a transaction, each in a savepoint, so a
   * refused one never spoils its neighbours. Resolves after the listener was told.
   */
  commit(batch: Batch): Promise<CommitResult>;

  /** The highest position below which everything is visible. */
  position(): Position;

  /** A number for a `snapshot` row, or for an import, never given twice. Numbers that end unused are no loss. */
  newSnapshotId(): SnapshotId;

  /** The one listener, given once, before the first commit. */
  onCommit(listener: CommitListener): void;

  /** Waits for what was handed to `commit`, then closes the database. */
  stop(): Promise<void>;
}

/** A look at a database that another process may be writing. */
export interface StorageReading extends Pick<Storage, 'accountData' | 'presence' | 'rooms'> {
  stop(): Promise<void>;
}
