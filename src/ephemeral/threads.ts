import { type EventId, isEventId, type RoomId } from '../matrix/ids.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import { relationOf } from '../matrix/relation.ts';
import type { TimelineEvent } from '../storage/contract/events.ts';
import type { Storage } from '../storage/contract/storage.ts';

/** Client-server API, "Threaded read receipts": "a maximum of 3 hops is recommended to cover indirect relationships". */
const hopsMax = 3;

/**
 * Whether a receipt of this event may name this thread. An event is in the thread that it, or within three hops an event it
 * relates to, names with `m.thread`; all others, roots included, are in `main`. A root may also be read within its own
 * thread, as clients do that open one.
 */
export async function isInThread(
  events: Pick<Storage['events'], 'findTimelineEvent'>,
  event: TimelineEvent,
  threadId: string,
): Promise<boolean> {
  if (event.eventId === threadId) return true;
  return ((await findThread(events, { roomId: event.roomId, content: contentOf(event) })) ?? 'main') === threadId;
}

/** The root of the thread that an event with this content is in; undefined: the main timeline. */
export async function findThread(
  events: Pick<Storage['events'], 'findTimelineEvent'>,
  event: { readonly roomId: RoomId; readonly content: JsonObject | undefined },
): Promise<EventId | undefined> {
  let { content } = event;
  for (let hop = 0; hop <= hopsMax; hop += 1) {
    const relation = relationOf(content);
    if (!relation || !isEventId(relation.eventId)) return undefined;
    if (relation.type === 'm.thread') return relation.eventId;
    const parent = hop < hopsMax ? await events.findTimelineEvent(relation.eventId) : undefined;
    if (parent?.roomId !== event.roomId) return undefined;
    content = contentOf(parent);
  }
  return undefined;
}

function contentOf(event: TimelineEvent): JsonObject | undefined {
  return (JSON.parse(event.clientText) as { content?: JsonObject }).content;
}
