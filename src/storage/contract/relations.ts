import type { EventId, RoomId, UserId } from '../../matrix/ids.ts';
import type { HistoryPlace, TimelineEvent } from './events.ts';

/** Which events relate to a given one of the same room. Only accepted events that have their place are asked and told. */
export interface RelationReads {
  /** The page of what relates to an event, strictly before or behind a place of the history, nearest first. */
  listRelated(request: RelatedPage): Promise<TimelineEvent[]>;
  /**
   * What a client is told beside each of these events of what relates to it (client-server API, "Aggregations of child events"); events
   * with nothing to tell are left out. Who wants it of a page asks `EventReads.listRelatedTo` first: mostly nothing relates to anything.
   */
  listAggregations(eventIds: readonly EventId[], viewer: AggregationViewer): Promise<Map<EventId, StoredAggregation>>;
  /** The threads of a room, that with the newest event first, strictly before a place; `place` is that of the thread's newest event. */
  listThreads(
    roomId: RoomId,
    page: {
      readonly before: HistoryPlace;
      /** Only threads that this user wrote in or began. */
      readonly participant?: UserId | undefined;
      readonly limit: number;
    },
  ): Promise<{ readonly root: TimelineEvent; readonly place: HistoryPlace }[]>;
  /** Whether an event of this sender and type annotates the event with this key. */
  hasAnnotation(eventId: EventId, annotation: { sender: UserId; type: string; key: string }): Promise<boolean>;
  /** The relation type of a stored event's own relation; null where it has none or is not known. */
  findRelationType(eventId: EventId): Promise<string | null>;
}

export interface RelatedPage {
  readonly roomId: RoomId;
  readonly eventId: EventId;
  readonly relType?: string | undefined;
  readonly eventType?: string | undefined;
  /** 1: what relates to the event itself; 2: and what relates to that; and so on. All of it must be of the types asked for. */
  readonly levels: number;
  readonly from: HistoryPlace;
  readonly direction: 'backward' | 'forward';
  readonly limit: number;
}

export interface AggregationViewer {
  readonly userId: UserId;
  /** What these sent counts for nothing. */
  readonly ignored: ReadonlySet<UserId>;
}

export interface StoredAggregation {
  /** The newest valid replacement by the event's own sender. */
  readonly replacement: TimelineEvent | undefined;
  /** What refers to it, the newest `referencesMax`, oldest first. */
  readonly references: readonly TimelineEvent[];
  readonly thread: StoredThread | undefined;
}

export interface StoredThread {
  readonly newest: TimelineEvent;
  readonly count: number;
  /** Whether the viewer wrote in it or began it. */
  readonly participated: boolean;
}

/** Answers to a poll are references: more than these a client has to list. */
export const referencesMax = 1_000;
