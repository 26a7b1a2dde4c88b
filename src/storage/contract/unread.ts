import type { EventId, RoomId, UserId } from '../../matrix/ids.ts';
import type { PushAction } from '../../matrix/push-rules.ts';
import type { Position } from './numbers.ts';

/** A thread by its root; null: the main timeline. */
export type ThreadId = EventId | null;

/** What push rules make of an event. */
export interface PushVerdict {
  /** None where nobody is notified. */
  readonly actions: readonly PushAction[];
  readonly notifies: boolean;
  /** Only of what notifies. */
  readonly highlights: boolean;
}

export type UnreadTableRow =
  /** Of an accepted event of the timeline, in the same batch and at its position; or of an invite that is not stored as an event. */
  | {
      kind: 'notification';
      roomId: RoomId;
      eventId: EventId;
      sender: UserId;
      threadId: ThreadId;
      /** What it means to everybody but its sender and those named in `singly`. */
      everybody: PushVerdict;
      singly: readonly { readonly userId: UserId; readonly verdict: PushVerdict }[];
    }
  /** A local user has read the thread, or with null the whole room, up to the event. Only ever moves forward. */
  | { kind: 'read_place'; roomId: RoomId; userId: UserId; thread: EventId | 'main' | null; eventId: EventId }
  /** A local user came to the room with this event: nothing before it was ever for them. */
  | { kind: 'arrival'; roomId: RoomId; userId: UserId; eventId: EventId };

export interface Counts {
  readonly notifications: number;
  readonly highlights: number;
}

export interface ThreadUnread extends Counts {
  readonly threadId: ThreadId;
  /** What the default rules made of all events of the thread, for whoever counts on from here. */
  readonly total: Counts;
}

export interface NotificationRow {
  roomId: RoomId;
  eventId: EventId;
  position: Position;
  actions: readonly PushAction[];
  highlights: boolean;
  isRead: boolean;
}

export interface NotificationPage {
  after: Position;
  before: Position;
  limit: number;
  onlyHighlights: boolean;
  onlyUnread: boolean;
}

export interface UnreadReads {
  /**
   * What the user has not read in these rooms, by thread: those in which something may be unread, and of a room with any the main
   * timeline. Costs a look-up for each of them, not what is unread.
   */
  listCounts(userId: UserId, roomIds: ReadonlySet<RoomId>): Promise<Map<RoomId, ThreadUnread[]>>;
  /**
   * The newest of what the user was notified of with after < position < before: in these rooms since they came, and of invites. Newest
   * first. `next`: the `before` of the page behind it; null where there is none.
   */
  listNotifications(
    userId: UserId,
    roomIds: ReadonlySet<RoomId>,
    page: NotificationPage,
  ): Promise<{ notifications: NotificationRow[]; next: Position | null }>;
}
