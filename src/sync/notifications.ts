import type { Clock } from '../base/clock.ts';
import { invalidParam } from '../matrix/errors.ts';
import type { DeviceId, EventId, UserId } from '../matrix/ids.ts';
import { encodeClientEvents } from '../rooms/client-event.ts';
import type { Roster } from '../roster/roster.ts';
import type { Position } from '../storage/contract/numbers.ts';
import type { Storage } from '../storage/contract/storage.ts';
import type { NotificationRow } from '../storage/contract/unread.ts';

export interface NotificationListDeps {
  readonly storage: Pick<Storage, 'accounts' | 'events' | 'rooms' | 'state' | 'unread' | 'position'>;
  readonly roster: Pick<Roster, 'snapshotOfRooms'>;
  readonly clock: Clock;
}

export interface NotificationRequest {
  /** `next_token` of an earlier answer. */
  readonly from: string | undefined;
  readonly limit: number;
  readonly onlyHighlights: boolean;
}

/**
 * What a user was notified of, the newest first (client-server API, "Listing Notifications"), as the JSON text of the body. Throws M_INVALID_PARAM
 * for a `from` that is none.
 */
export type ListNotifications = (
  requester: { readonly userId: UserId; readonly deviceId: DeviceId },
  request: NotificationRequest,
) => Promise<string>;

export function createNotificationList(deps: NotificationListDeps): ListNotifications {
  const { storage, roster } = deps;

  return async (requester, { from, limit, onlyHighlights }) => {
    const before = from === undefined ? storage.position() + 1 : parseToken(from);
    const rooms = roster.snapshotOfRooms(requester.userId);
    const page = { after: 0, before, limit, onlyHighlights, onlyUnread: false };
    const { notifications, next } = await storage.unread.listNotifications(requester.userId, rooms, page);
    const events = await readEvents(deps, requester, notifications);
    const texts = notifications.flatMap((notification) => {
      const event = events.get(notification.eventId);
      return event === undefined ? [] : [encode(notification, event)];
    });
    const nextToken = next === null ? '' : `,"next_token":${JSON.stringify(`n${next}`)}`;
    return `{"notifications":[${texts.join(',')}]${nextToken}}`;
  };
}

function parseToken(from: string): Position {
  const [, digits] = /^n(\d{1,16})$/.exec(from) ?? [];
  const position = Number(digits);
  if (digits === undefined || !Number.isSafeInteger(position)) throw invalidParam('from is no token of this server');
  return position;
}

interface NotifiedEvent {
  readonly text: string;
  readonly receivedAtMs: number;
}

/** Invites to rooms that we are not in are no events here; they stand in `/sync` as long as they do. */
async function readEvents(
  deps: NotificationListDeps,
  requester: Parameters<ListNotifications>[0],
  notifications: readonly NotificationRow[],
): Promise<Map<EventId, NotifiedEvent>> {
  const ids = notifications.map(({ eventId }) => eventId);
  if (ids.length === 0) return new Map();
  const events = await deps.storage.events.listTimelineEventsByIds(ids);
  const options = { withRoomId: false, withMembership: true, nowMs: deps.clock.now() };
  const texts = await encodeClientEvents(deps, events, requester, options);
  const stored = await deps.storage.events.listByIds(ids);
  const receivedAt = new Map(stored.map(({ event, receivedAtMs }) => [event.eventId, receivedAtMs]));
  return new Map(
    events.map(({ eventId, originServerTs }, index) => {
      const receivedAtMs = receivedAt.get(eventId) ?? originServerTs;
      return [eventId, { text: texts[index] ?? '{}', receivedAtMs }];
    }),
  );
}

function encode(notification: NotificationRow, { text, receivedAtMs }: NotifiedEvent): string {
  const { actions, isRead, roomId } = notification;
  const facts = JSON.stringify({ actions, read: isRead, room_id: roomId, ts: receivedAtMs });
  return `${facts.slice(0, -1)},"event":${text}}`;
}
