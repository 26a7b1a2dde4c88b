import type { EventId, RoomAlias, RoomId, UserId } from '../../matrix/ids.ts';
import type { Position } from './numbers.ts';
import type { ReceiptRow } from './receipts.ts';
import type { OutOfBandMembership } from './rooms.ts';
import type { DeviceName } from './to-device.ts';

/** A transaction as a service gets it, however often. */
export interface ServiceTransaction {
  readonly serviceId: string;
  readonly transactionId: string;
  /** The JSON text of the request. */
  readonly body: string;
  /** Where the service stands once it has taken it. */
  readonly upTo: Position;
  /** Devices whose messages it holds, all of them up to a place. */
  readonly collected: readonly (DeviceName & { readonly upTo: Position })[];
}

export type ServiceTableRow =
  /** What happened up to here was told to the service, or is none of its business. */
  | { kind: 'service_progress'; serviceId: string; position: Position }
  /** Stored before the first attempt; one per service, which has its progress. */
  | ({ kind: 'service_transaction' } & ServiceTransaction)
  /** The service took the transaction: it stands behind it, and the messages that it held leave their inboxes. Without effect on another one. */
  | { kind: 'service_delivered'; serviceId: string; transactionId: string }
  /** Nothing is kept of services other than these. */
  | { kind: 'services_kept'; serviceIds: readonly string[] };

/** An accepted event of the timeline, as far as it says who may want it. */
export interface ArrivedEvent {
  readonly position: Position;
  readonly eventId: EventId;
  readonly roomId: RoomId;
  readonly sender: UserId;
  readonly type: string;
  readonly stateKey: string | null;
}

/** What another server told of the membership of one of our users in a room that none of us is in. */
export interface ArrivedOutOfBand {
  readonly position: Position;
  readonly roomId: RoomId;
  readonly userId: UserId;
  readonly outOfBand: OutOfBandMembership;
}

/** Somebody became joined to a room, or stopped being it. */
export interface JoinChange {
  readonly position: Position;
  readonly roomId: RoomId;
  readonly userId: UserId;
  readonly joined: boolean;
}

/** What application services are told of, in the order in which it happened in all rooms together. */
export interface ServiceReads {
  findProgress(serviceId: string): Promise<Position | undefined>;
  findTransaction(serviceId: string): Promise<ServiceTransaction | undefined>;
  /**
   * Events behind `after`, oldest first, and how far this has looked: up to `upTo` or to a place before it, so that it holds at most
   * `arrivedMax` events. Costs what happened since, not the number of rooms.
   */
  listArrived(after: Position, upTo: Position): Promise<{ events: ArrivedEvent[]; upTo: Position }>;
  /** Receipts of all rooms with after < position ≤ upTo, oldest first. */
  listReceipts(after: Position, upTo: Position, limit: number): Promise<(ReceiptRow & { position: Position })[]>;
  /** Memberships that other servers told of, of rooms that no local user is in, with after < position ≤ upTo, oldest first. */
  listOutOfBand(after: Position, upTo: Position, limit: number): Promise<ArrivedOutOfBand[]>;
  /** Who joined these rooms, or went from them, behind `after`, newest first; at most `limit`. */
  listJoinChanges(roomIds: ReadonlySet<RoomId>, after: Position, limit: number): Promise<JoinChange[]>;
  /** Aliases of these rooms; rooms without one are left out. */
  listAliases(roomIds: ReadonlySet<RoomId>): Promise<Map<RoomId, RoomAlias[]>>;
  /** Devices for which messages wait, in the order of users and devices behind `after`. */
  listWaitingDevices(after: DeviceName | null, limit: number): Promise<DeviceName[]>;
  /** The oldest messages that wait for these devices, oldest first; at most `limit`. */
  listMessages(
    devices: readonly DeviceName[],
    limit: number,
  ): Promise<(DeviceName & { position: Position; text: string })[]>;
}

export const arrivedMax = 1_000;
