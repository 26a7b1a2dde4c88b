import { acceptsRoom, acceptsSender, acceptsType, type RoomEventFilter } from '../../matrix/filter.ts';
import type { TimelineEvent } from '../../storage/contract/events.ts';
import type { Storage } from '../../storage/contract/storage.ts';

/** Those of the events that pass the filter, in the order given; also by what relates to them, for which storage is asked. */
export async function listAccepted(
  deps: { readonly storage: Pick<Storage, 'events'> },
  filter: RoomEventFilter,
  events: readonly TimelineEvent[],
): Promise<TimelineEvent[]> {
  const accepted = events.filter((event) => acceptsEvent(filter, event));
  const { relatedByTypes: types, relatedBySenders: senders } = filter;
  if ((types === undefined && senders === undefined) || accepted.length === 0) return accepted;
  const related = await deps.storage.events.listRelatedTo(
    accepted.map((event) => event.eventId),
    { types, senders },
  );
  return accepted.filter((event) => related.has(event.eventId));
}

/** Whether an event passes a RoomEventFilter (client-server API, "Filtering") by itself. */
export function acceptsEvent(filter: RoomEventFilter, event: TimelineEvent): boolean {
  if (!acceptsRoom(filter, event.roomId)) return false;
  if (!acceptsType(filter, event.type) || !acceptsSender(filter, event.sender)) return false;
  return filter.containsUrl === undefined || filter.containsUrl === hasUrl(event);
}

/** "If true, includes only events with a url key in their content." */
function hasUrl(event: TimelineEvent): boolean {
  if (!event.clientText.includes('"url"')) return false;
  const { content } = JSON.parse(event.clientText) as { content: Record<string, unknown> };
  return typeof content.url === 'string';
}
