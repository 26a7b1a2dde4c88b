import { acceptsRoom, acceptsSender, acceptsType, type RoomEventFilter } from '../../matrix/filter.ts';
import type { TimelineEvent } from '../../storage/contract/events.ts';

/** Whether an event passes a RoomEventFilter (client-server API, "Filtering"). */
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
