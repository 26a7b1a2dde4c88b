import type { Edu } from '../../matrix/edu.ts';
import type { EventId, RoomId } from '../../matrix/ids.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Position } from './numbers.ts';

/** Rows of the outgoing log that are kept, about, for destinations that do not take them. */
export const keptMax = 10_000;

/**
 * EDUs that are kept, about, for a destination that does not take them: the newest of those without a series. Beyond as many of series, one
 * that comes takes the place of all of its series.
 */
export const edusKeptMax = 10_000;

export type OutgoingTableRow =
  /**
   * One row a sent event: the log that destinations read behind their cursors. Takes the position of its event. The log has a bound: of what
   * it no longer holds, a destination that has not got it keeps the newest event of each room.
   */
  | { kind: 'outgoing_pdu'; eventId: EventId; roomId: RoomId; destinations: readonly ServerName[] }
  /**
   * A durable EDU for one destination. `key`: a later one with the same key replaces it. `series`: who gets a later one of it finds out that
   * something is missing, and asks; what is of none is lost when too many wait.
   */
  | { kind: 'outgoing_edu'; destination: ServerName; edu: Edu; key: string | null; series?: string }
  | ({ kind: 'destination' } & DestinationRow)
  /** Changes how a destination fares and leaves its cursor alone. Without effect where the destination has no row. */
  | ({ kind: 'destination_health' } & DestinationHealthRow)
  /** Stored before the first attempt; a retry repeats exactly this. One per destination. */
  | ({ kind: 'outgoing_transaction' } & OutgoingTransactionRow)
  /** The transaction will not be repeated; what it carried waits to be sent in others. */
  | { kind: 'outgoing_withdrawn'; destination: ServerName; transactionId: string }
  /** A 200: the transaction and the EDU rows it carried are removed, the cursor moves to `cursor`. */
  | { kind: 'outgoing_delivered'; destination: ServerName; transactionId: string; cursor: Position };

export interface DestinationRow {
  destination: ServerName;
  /** PDUs up to here were delivered. A new destination starts right before the first thing that waits for it. */
  cursor: Position;
  failingSinceMs: number | null;
  retryAtMs: number | null;
  failures: number;
}

export type DestinationHealthRow = Omit<DestinationRow, 'cursor'>;

export interface OutgoingTransactionRow {
  destination: ServerName;
  transactionId: string;
  eventIds: readonly EventId[];
  /** Numbers of the EDU rows it carries. */
  eduIds: readonly number[];
  edus: readonly Edu[];
  /** Where the cursor stands once this is delivered. */
  cursor: Position;
}

export interface OutgoingReads {
  findDestination(destination: ServerName): Promise<DestinationRow | undefined>;
  /** Destinations that are in back-off, those that failed last first. */
  listFailingDestinations(limit: number): Promise<DestinationHealthRow[]>;
  /** Destinations with something durable waiting, for the start. */
  listPendingDestinations(): Promise<ServerName[]>;
  findTransaction(destination: ServerName): Promise<OutgoingTransactionRow | undefined>;
  /** The next events for a destination behind `after`, oldest first; of what is behind the kept log the newest of each room. */
  listPdus(
    destination: ServerName,
    after: Position,
    limit: number,
  ): Promise<{ position: Position; eventId: EventId; roomId: RoomId }[]>;
  listEdus(destination: ServerName, limit: number): Promise<{ eduId: number; edu: Edu }[]>;
}
