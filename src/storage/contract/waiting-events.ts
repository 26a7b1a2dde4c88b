import type { EventId, RoomId } from '../../matrix/ids.ts';
import type { ServerName } from '../../matrix/server-name.ts';

/** An event of another server that cannot be judged yet. Each server's copy of it stands alone: none can take another's place. */
export interface WaitingEventKey {
  eventId: EventId;
  /** Who brought it. */
  origin: ServerName;
}

/** What came of the last attempt. */
export interface WaitingEventAttempt extends WaitingEventKey {
  /** Its signatures were found good; else their keys are still to be had. */
  isVerified: boolean;
  /** Events that it needs and that are not stored, as far as is known. */
  missing: readonly EventId[];
  /** How often other servers were asked in vain. */
  attempts: number;
  retryAtMs: number;
}

export type WaitingEventTableRow =
  /** A copy that the same server brought before is replaced. */
  | ({ kind: 'waiting_event'; roomId: RoomId; pduText: string; receivedAtMs: number } & WaitingEventAttempt)
  /** Without effect where it does not wait any more. */
  | ({ kind: 'waiting_event_tried' } & WaitingEventAttempt)
  | ({ kind: 'waiting_event_removed' } & WaitingEventKey);

export interface WaitingEvent extends WaitingEventKey {
  roomId: RoomId;
  /** JSON of the PDU as it came. */
  pduText: string;
  isVerified: boolean;
  attempts: number;
  receivedAtMs: number;
  retryAtMs: number;
}

export interface WaitingEventReads {
  /** All, in the order of their arrival, behind the one with this number (0: from the first). */
  list(after: number, limit: number): Promise<(WaitingEvent & { readonly number: number })[]>;
  listByKeys(keys: readonly WaitingEventKey[]): Promise<WaitingEvent[]>;
  /** Copies of these events themselves, and all that wait for one of them. */
  listAwaiting(eventIds: readonly EventId[], limit: number): Promise<WaitingEvent[]>;
  listOfRoom(roomId: RoomId, limit: number): Promise<WaitingEvent[]>;
  /** To be tried again at this time or before, the longest due first. */
  listDue(nowMs: number, limit: number): Promise<WaitingEvent[]>;
  /** When the next is due; undefined when nothing waits. */
  findNextRetry(): Promise<number | undefined>;
  /** How many each server has waiting, in a room or in all; the most first. */
  countByOrigin(roomId: RoomId | null): Promise<{ origin: ServerName; count: number }[]>;
  /** The first that came of this server, in a room or in all. */
  listOldest(origin: ServerName, roomId: RoomId | null, limit: number): Promise<WaitingEventKey[]>;
}
