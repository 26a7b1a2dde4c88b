import type { DeviceId, EventId, RoomId, UserId } from '../../matrix/ids.ts';
import type { Pdu, RoomEvent } from '../../matrix/pdu.ts';
import type { Position, SnapshotId } from './numbers.ts';

/**
 * accepted: part of the room. soft_failed: valid where it stands in the graph, refused by the room's current state; used by
 * the graph, never shown to clients. rejected: fails the auth rules; kept so that nothing that builds on it is trusted.
 */
export type EventVerdict = 'accepted' | 'soft_failed' | 'rejected';

/**
 * timeline: arrived live, takes the next position, `/sync` reports it. historical: fetched from the past, takes the next
 * *negative* position (going down), `/messages` shows it. outlier: known for its role in auth chains or state only, no position.
 */
export type EventPlacement = 'timeline' | 'historical' | 'outlier';

export type EventTableRow =
  /** A known outlier gets this place, as by `event_placed`; a known event asked for as an outlier stays as it is. */
  | {
      kind: 'event';
      event: RoomEvent;
      verdict: EventVerdict;
      placement: EventPlacement;
      /** State before and after the event; equal unless it is an accepted state event. Null for an outlier. */
      snapshotBefore: SnapshotId | null;
      snapshotAfter: SnapshotId | null;
      receivedAtMs: number;
      /** The device and transaction that sent it: its own echo carries `transaction_id`. */
      transaction?: { userId: UserId; deviceId: DeviceId; transactionId: string };
    }
  /** An outlier, rejected or soft-failed event gets its place after all (state learnt later, re-evaluation). */
  | {
      kind: 'event_placed';
      eventId: EventId;
      verdict: EventVerdict;
      placement: EventPlacement;
      snapshotBefore: SnapshotId | null;
      snapshotAfter: SnapshotId | null;
    }
  /**
   * The stored event, which came without all its content, gets it, and the membership that it made gets its profile; its verdict, its
   * place and its references stay. Without effect on an event that was redacted.
   */
  | {
      kind: 'event_content';
      event: RoomEvent;
      /** Of a member event. */
      profile: { displayname: string | null; avatarUrl: string | null } | null;
    }
  /** Rewrites the stored texts of `eventId` to `redacted` and remembers why; the membership that a member event made loses its profile. */
  | { kind: 'redaction'; eventId: EventId; redactedBy: EventId; redacted: Pdu }
  /** An accepted redaction whose target is not stored yet: it is asked for when that arrives. */
  | { kind: 'redaction_waiting'; redaction: EventId; target: EventId }
  | {
      kind: 'client_transaction';
      userId: UserId;
      deviceId: DeviceId;
      /** What the id is scoped to besides the device: method and path without the id. */
      scope: string;
      transactionId: string;
      /** Null where the request made none. */
      eventId: EventId | null;
      createdAtMs: number;
    };

export interface StoredEvent {
  event: RoomEvent;
  verdict: EventVerdict;
  placement: EventPlacement;
  /** Null for outliers. Negative for historical ones. */
  position: Position | null;
  snapshotBefore: SnapshotId | null;
  snapshotAfter: SnapshotId | null;
  redactedBy: EventId | null;
  receivedAtMs: number;
}

/** What readers for clients need, without parsing the event. Where a read gives outliers, it says how. */
export interface TimelineEvent {
  eventId: EventId;
  roomId: RoomId;
  type: string;
  stateKey: string | null;
  sender: UserId;
  depth: number;
  position: Position;
  originServerTs: number;
  snapshotBefore: SnapshotId;
  snapshotAfter: SnapshotId;
  /** JSON object in the client's form, without `room_id` and `unsigned`; always at least one field. */
  clientText: string;
  /** Event id of the redaction, whose client form stands in `unsigned.redacted_because`. */
  redactedBy: EventId | null;
  /** The state event this one replaced, for `unsigned.prev_content` and `replaces_state`; null if none or no state event. */
  replaces: EventId | null;
  /** Who sent it with which transaction id, if a local device did. */
  transaction: { userId: UserId; deviceId: DeviceId; transactionId: string } | null;
}

/** A place between two events in the order of the room's history: by depth, then position. */
export interface HistoryPlace {
  depth: number;
  position: Position;
}

/** Events of one room in after < position ≤ upTo. */
export interface TimelinePage {
  roomId: RoomId;
  after: Position;
  upTo: Position;
}

/** Events of one room strictly before a place of the history, with position ≤ upTo. */
export interface EndingPage {
  roomId: RoomId;
  before: HistoryPlace;
  upTo: Position;
}

export interface EventReads {
  find(eventId: EventId): Promise<StoredEvent | undefined>;
  /** In no order; unknown ones are left out. */
  listByIds(eventIds: readonly EventId[]): Promise<StoredEvent[]>;
  /** Which of these are stored at all. */
  listKnown(eventIds: readonly EventId[]): Promise<Set<EventId>>;
  /**
   * Which of these ids storage has come upon at all: those of stored events, and those that something stored names. Nothing builds on any
   * other, and nothing waits for it.
   */
  listHeardOf(eventIds: readonly EventId[]): Promise<Set<EventId>>;
  /** The events as the federation sends them: canonical JSON of the stored PDU. In the order asked; unknown ones left out. */
  listPduTexts(eventIds: readonly EventId[]): Promise<string[]>;

  /** Not a rejected event. An outlier (state learnt by a join) has 0 for its position and both its snapshots. */
  findTimelineEvent(eventId: EventId): Promise<TimelineEvent | undefined>;
  /** In no order; unknown and rejected ones are left out. Outliers as `findTimelineEvent` gives them. */
  listTimelineEventsByIds(eventIds: readonly EventId[]): Promise<TimelineEvent[]>;
  /**
   * Accepted timeline events of a room with after < position ≤ upTo: the newest `limit` of them, oldest first.
   * Ask for one more than you show to learn whether there were more.
   */
  listTimeline(roomId: RoomId, after: Position, upTo: Position, limit: number): Promise<TimelineEvent[]>;
  /**
   * Accepted timeline and historical events strictly before / after a place of the history, nearest first. With `upTo`, only those
   * with position ≤ upTo, which historical ones always are.
   */
  listHistory(
    roomId: RoomId,
    from: HistoryPlace & { readonly upTo?: Position | undefined },
    direction: 'backward' | 'forward',
    limit: number,
  ): Promise<TimelineEvent[]>;
  /**
   * Accepted events that were sent at a moment (`origin_server_ts`, Unix milliseconds) or on the given side of it, nearest first; of those
   * of one moment the first of the history in front of it, the last behind it.
   */
  listNearMoment(
    roomId: RoomId,
    ts: number,
    direction: 'backward' | 'forward',
    limit: number,
  ): Promise<TimelineEvent[]>;
  /** `listTimeline` for many rooms at once: a list for each page, in the order of the pages. */
  listTimelines(pages: readonly TimelinePage[], limit: number): Promise<TimelineEvent[][]>;
  /** `listHistory` backward for many rooms at once: a list for each page, in the order of the pages; oldest first. */
  listEndings(pages: readonly EndingPage[], limit: number): Promise<TimelineEvent[][]>;
  /** Rooms among `roomIds` with an accepted timeline event in after < position ≤ upTo. Costs what happened since, not the number of rooms. */
  listRoomsChanged(roomIds: ReadonlySet<RoomId>, after: Position, upTo: Position): Promise<RoomId[]>;
  /**
   * Position of the newest timeline event of each room in after < position ≤ upTo that names a previous event which is
   * not stored in the room: what came before it has a gap. Rooms without one are left out. Costs what happened since.
   */
  listGaps(roomIds: ReadonlySet<RoomId>, after: Position, upTo: Position): Promise<Map<RoomId, Position>>;
  /**
   * For each of these rooms the highest place in the order of the history of a timeline event, not later than the position, that names a
   * previous event which is not stored in the room: what stands below it has a gap. Rooms without one are left out.
   */
  listGapPlaces(upTo: ReadonlyMap<RoomId, Position>): Promise<Map<RoomId, HistoryPlace>>;
  /** Place of the newest accepted timeline event of the room not later than `upTo`. */
  findNewestPlace(roomId: RoomId, upTo: Position): Promise<HistoryPlace | undefined>;
  /** The same for many rooms, each with its position; those without one are left out. */
  listNewestPlaces(upTo: ReadonlyMap<RoomId, Position>): Promise<Map<RoomId, HistoryPlace>>;

  /**
   * Which of these events some accepted event relates to, of one of these relation types and by one of these senders; undefined:
   * of any.
   */
  listRelatedTo(
    eventIds: readonly EventId[],
    by: { readonly types?: readonly string[] | undefined; readonly senders?: readonly string[] | undefined },
  ): Promise<Set<EventId>>;
  findClientTransaction(
    userId: UserId,
    deviceId: DeviceId,
    scope: string,
    transactionId: string,
  ): Promise<EventId | undefined>;
  /** Events that some known event names in `prev_events` and that are not stored in the timeline or the history: where backfill starts. */
  listBackwardExtremities(roomId: RoomId): Promise<{ eventId: EventId; depth: number }[]>;
  /** Accepted redactions that came before the event they name, in the order of their arrival; at most 100. */
  listWaitingRedactions(target: EventId): Promise<EventId[]>;
  /** Ids of events of the room that have `eventId` among their prev_events. */
  listSuccessors(eventId: EventId): Promise<EventId[]>;
  /**
   * Auth events of each event asked for: event → its auth event ids; unknown ones are left out. For walking auth chains level by level. Of
   * what lies below, up to `ahead` events (none if not given) may be told as well, nearest first.
   */
  listAuthEdges(eventIds: readonly EventId[], ahead?: number): Promise<Map<EventId, EventId[]>>;
}
