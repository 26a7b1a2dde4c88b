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
  if (!acceptsRelation(filter, event)) return false;
  return filter.containsUrl === undefined || filter.containsUrl === hasUrl(event);
}

/** MSC3874; an event without a relation is of no type. */
function acceptsRelation({ relTypes, notRelTypes }: RoomEventFilter, event: TimelineEvent): boolean {
  if (relTypes === undefined && notRelTypes === undefined) return true;
  const type = relationType(event);
  if (type !== undefined && notRelTypes?.includes(type)) return false;
  return relTypes === undefined || (type !== undefined && relTypes.includes(type));
}

function relationType(event: TimelineEvent): string | undefined {
  if (!event.clientText.includes('"m.relates_to"')) return undefined;
  const { content } = JSON.parse(event.clientText) as { content: Record<string, unknown> };
  const relation = content['m.relates_to'];
  const type: unknown =
    typeof relation === 'object' && relation !== null ? Reflect.get(relation, 'rel_type') : undefined;
  return typeof type === 'string' ? type : undefined;
}

/** "If true, includes only events with a url key in their content." */
function hasUrl(event: TimelineEvent): boolean {
  if (!event.clientText.includes('"url"')) return false;
  const { content } = JSON.parse(event.clientText) as { content: Record<string, unknown> };
  return typeof content.url === 'string';
}
