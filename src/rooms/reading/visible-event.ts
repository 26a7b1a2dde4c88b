import { notFound } from '../../matrix/errors.ts';
import type { EventId, RoomId, UserId } from '../../matrix/ids.ts';
import type { TimelineEvent } from '../../storage/contract/events.ts';
import { isEventVisible, type VisibilityDeps } from '../visible-history.ts';

/**
 * The event of this room, if the viewer may see it. Throws M_NOT_FOUND for one that is not there, for one of another room and for one that
 * they may not see, all alike.
 */
export async function getVisibleEvent(
  deps: VisibilityDeps,
  viewer: UserId,
  { roomId, eventId }: { readonly roomId: RoomId; readonly eventId: EventId },
): Promise<TimelineEvent> {
  const stored = await deps.storage.events.find(eventId);
  if (stored?.verdict !== 'accepted' || stored.event.roomId !== roomId) throw notFound('There is no such event');
  const [event] = await deps.storage.events.listTimelineEventsByIds([eventId]);
  const visible =
    event !== undefined &&
    (stored.placement === 'outlier'
      ? await isInVisibleState(deps, viewer, event)
      : await isEventVisible(deps, viewer, event));
  if (!visible) throw notFound('There is no such event');
  return event;
}

/** An event known only as part of the state: whoever is in the room sees what holds now. */
async function isInVisibleState(deps: VisibilityDeps, viewer: UserId, event: TimelineEvent): Promise<boolean> {
  if (event.stateKey === null) return false;
  const membership = await deps.storage.rooms.findMembership(event.roomId, viewer);
  if (membership?.membership !== 'join') return false;
  const current = await deps.storage.state.findCurrent(event.roomId, event.type, event.stateKey);
  return current?.event.eventId === event.eventId;
}
