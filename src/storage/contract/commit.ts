import type { DeviceId, EventId, RoomId, UserId } from '../../matrix/ids.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { AccountDataTableRow } from './account-data.ts';
import type { AccountRow, AccountTableRow } from './accounts.ts';
import type { Change } from './changes.ts';
import type { CrossSigningTableRow } from './cross-signing.ts';
import type { DeviceKeyTableRow } from './device-keys.ts';
import type { DeviceListTableRow } from './device-lists.ts';
import type { DirectoryTableRow } from './directory.ts';
import type { EventTableRow } from './events.ts';
import type { FederationTableRow } from './federation.ts';
import type { ImportTableRow } from './imports.ts';
import type { KeyBackupTableRow } from './key-backups.ts';
import type { MediaAddress, MediaTableRow } from './media.ts';
import type { Position as PositionNumber } from './numbers.ts';
import type { OneTimeKeyTableRow } from './one-time-keys.ts';
import type { OutgoingTableRow } from './outgoing.ts';
import type { PresenceTableRow } from './presence.ts';
import type { PushTableRow } from './push.ts';
import type { ReceiptTableRow } from './receipts.ts';
import type { ReportTableRow } from './reports.ts';
import type { RoomTableRow } from './rooms.ts';
import type { ServiceTableRow } from './services.ts';
import type { StateTableRow } from './state.ts';
import type { ToDeviceTableRow } from './to-device.ts';
import type { UnreadTableRow } from './unread.ts';
import type { WaitingEventTableRow } from './waiting-events.ts';

/**
 * One durable number orders everything that is stored and that `/sync` reports. A commit takes one position for each
 * of its rows that asks for one, in the order of the rows. A position becomes visible only when all below it are.
 */
export type Position = PositionNumber;

/** Everything that can be written, each row a plain value that says which table it is for by its `kind`. */
export type Row =
  | AccountTableRow
  | AccountDataTableRow
  | CrossSigningTableRow
  | DeviceKeyTableRow
  | DeviceListTableRow
  | DirectoryTableRow
  | EventTableRow
  | FederationTableRow
  | ImportTableRow
  | OneTimeKeyTableRow
  | MediaTableRow
  | KeyBackupTableRow
  | OutgoingTableRow
  | PresenceTableRow
  | PushTableRow
  | ReportTableRow
  | ReceiptTableRow
  | RoomTableRow
  | ServiceTableRow
  | StateTableRow
  | UnreadTableRow
  | ToDeviceTableRow
  | WaitingEventTableRow
  | { kind: 'reaction_cursor'; name: string; position: Position };

/** What the batch was decided on. If one of these no longer holds, nothing is written and the writer decides again. */
export type Expectation =
  | { kind: 'account_unused'; userId: AccountRow['userId'] }
  | { kind: 'access_token_known'; tokenHash: string }
  | { kind: 'refresh_token_known'; tokenHash: string }
  | { kind: 'alias_unused'; alias: string }
  | { kind: 'room_unknown'; roomId: RoomId }
  /** The room's forward extremities are exactly these, in any order. */
  | { kind: 'extremities'; roomId: RoomId; eventIds: readonly string[] }
  /** None of them is stored. */
  | { kind: 'events_unknown'; eventIds: readonly EventId[] }
  /** The address is given out, and no content has come. */
  | { kind: 'media_awaited'; address: MediaAddress }
  | { kind: 'client_transaction_unused'; userId: UserId; deviceId: string; scope: string; transactionId: string }
  /** The keys of a backup that is there did not change since. */
  | { kind: 'key_backup_revision'; userId: UserId; version: number; etag: number }
  /** No higher version of a backup was ever given; 0: none. */
  | { kind: 'key_backup_last'; userId: UserId; version: number }
  /** The other server's message was not taken in yet. */
  | { kind: 'to_device_unseen'; origin: ServerName; messageId: string }
  | { kind: 'device_known'; userId: UserId; deviceId: DeviceId }
  /** Nobody got any of these keys. */
  | { kind: 'one_time_keys_unclaimed'; keyNos: readonly number[] }
  /** Nothing was told of the user's devices behind this position. */
  | { kind: 'device_list_unchanged'; userId: UserId; since: PositionNumber }
  /** The account data was last written at this position; null: never. */
  | { kind: 'account_data_revision'; userId: UserId; roomId: RoomId | null; type: string; position: Position | null };

export interface Batch {
  rows: readonly Row[];
  expect?: readonly Expectation[];
  /** Synced to the disk before the answer, also where the database is otherwise set to survive only a crash of the process. */
  durable?: boolean;
}

export type CommitResult =
  | {
      outcome: 'committed';
      /** The last position given to a row of this batch; the highest visible position when no row asked for one. */
      position: Position;
      /** Position of each row, by its index in the batch; null where the row takes none. */
      positions: readonly (Position | null)[];
    }
  | { outcome: 'conflict'; expectation: Expectation };

/** Told of every commit, in order, before the committing call resolves. Must not throw, wait or write. */
export type CommitListener = (changes: readonly Change[]) => void;
