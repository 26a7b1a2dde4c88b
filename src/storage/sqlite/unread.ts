import type { EventId, RoomId, UserId } from '../../matrix/ids.ts';
import type { Position } from '../contract/numbers.ts';
import type { NotificationRow, ThreadUnread, UnreadReads } from '../contract/unread.ts';
import type { Connection } from './core/database.ts';
import type { Numbering } from './core/numbering.ts';
import type { Turn } from './core/turn.ts';

interface CountRecord {
  roomNo: number;
  threadNo: number;
  notifications: number;
  highlights: number;
  totalNotifications: number;
  totalHighlights: number;
}

interface NotificationRecord {
  roomNo: number;
  eventId: EventId;
  position: Position;
  actions: string;
  highlights: 0 | 1;
  isRead: 0 | 1;
}

interface PageParameters {
  user: UserId;
  /** JSON: room numbers. */
  rooms: string;
  after: Position;
  before: Position;
  onlyHighlights: 0 | 1;
  onlyUnread: 0 | 1;
}

/** Pieces that one page is put together of, where most of what is looked at is left out. */
const piecesMax = 20;

/** What is unread of one sum: all of it, less what it was at the place up to which the user has read. */
function unreadOf(sum: 'notification_sum' | 'highlight_sum', all: 'notifications' | 'highlights'): string {
  return `t.${all}
    - coalesce((SELECT ${sum} FROM notifications n
        WHERE n.room_no = t.room_no AND n.thread_no = t.thread_no AND n.position <= t.read
        ORDER BY n.position DESC LIMIT 1), 0)
    + coalesce((SELECT ${sum} FROM own_notifications n
        WHERE n.user_id = @user AND n.room_no = t.room_no AND n.thread_no = t.thread_no
        ORDER BY n.position DESC LIMIT 1), 0)
    - coalesce((SELECT ${sum} FROM own_notifications n
        WHERE n.user_id = @user AND n.room_no = t.room_no AND n.thread_no = t.thread_no AND n.position <= t.read
        ORDER BY n.position DESC LIMIT 1), 0)
    - coalesce((SELECT sum(${all}) FROM redacted_notifications r
        WHERE r.room_no = t.room_no AND r.user_id IN ('', @user) AND r.thread_no = t.thread_no AND r.position > t.read), 0)`;
}

const readPlace = (room: string, thread: string): string =>
  `coalesce((SELECT position FROM read_places p WHERE p.user_id = @user AND p.room_no = ${room} AND p.thread_no = ${thread}), 0)`;

const askedRooms = `(SELECT value AS room_no, ${readPlace('value', '-1')} AS read FROM json_each(@rooms)) a`;
const threadColumns = `t.room_no, t.thread_no, t.notifications, t.highlights,
  max(a.read, ${readPlace('t.room_no', 't.thread_no')}) AS read`;

const countsSql = `SELECT t.room_no AS roomNo, t.thread_no AS threadNo,
  t.notifications AS totalNotifications, t.highlights AS totalHighlights,
  ${unreadOf('notification_sum', 'notifications')} AS notifications,
  ${unreadOf('highlight_sum', 'highlights')} AS highlights
  FROM (
    SELECT ${threadColumns} FROM ${askedRooms}
      CROSS JOIN notified_threads t ON t.room_no = a.room_no AND t.thread_no = 0
    UNION ALL
    SELECT ${threadColumns} FROM ${askedRooms}
      CROSS JOIN notified_threads t INDEXED BY notified_threads_by_position
        ON t.room_no = a.room_no AND t.last_position > a.read AND t.thread_no <> 0
  ) t`;

/** Of each room, and of the user's own, the place of the row that fills a page; behind the highest of these all of them are looked at. */
const floorSql = `SELECT max(place) FROM (
    SELECT (SELECT n.position FROM notifications n
        WHERE n.room_no = j.value AND n.position < @before AND n.position > @after
        ORDER BY n.position DESC LIMIT 1 OFFSET @skipped) AS place
      FROM json_each(@rooms) j
    UNION ALL
    SELECT (SELECT n.position FROM own_notifications n
        WHERE n.user_id = @user AND n.notifies = 1 AND n.position < @before AND n.position > @after
        ORDER BY n.position DESC LIMIT 1 OFFSET @skipped)
  )`;

const pageColumns = `n.room_no AS roomNo, n.position, n.actions, n.highlights,
  (SELECT event_id FROM event_ids e WHERE e.event_no = n.event_no) AS eventId,
  n.position <= max(${readPlace('n.room_no', '-1')}, ${readPlace('n.room_no', 'n.thread_no')}) AS isRead`;
const arrivalOf = '(SELECT position FROM arrivals a WHERE a.user_id = @user AND a.room_no = n.room_no)';

const pageSql = `SELECT * FROM (
    SELECT ${pageColumns} FROM json_each(@rooms) j CROSS JOIN notifications n
      ON n.room_no = j.value AND n.position > @after AND n.position < @before
    WHERE n.redacted = 0 AND n.sender <> @user AND n.position > coalesce(${arrivalOf}, 0) AND NOT EXISTS (
      SELECT 1 FROM own_notifications o
      WHERE o.user_id = @user AND o.room_no = n.room_no AND o.thread_no = n.thread_no AND o.position = n.position)
    UNION ALL
    SELECT ${pageColumns} FROM own_notifications n
    WHERE n.user_id = @user AND n.notifies = 1 AND n.position > @after AND n.position < @before AND n.redacted = 0 AND (
      (n.room_no IN (SELECT value FROM json_each(@rooms)) AND n.position > coalesce(${arrivalOf}, 0))
      OR EXISTS (
        SELECT 1 FROM memberships m JOIN event_ids e ON e.event_id = m.event_id
        WHERE m.room_no = n.room_no AND m.user_id = @user AND m.membership = 'invite' AND e.event_no = n.event_no))
  ) WHERE (highlights = 1 OR @onlyHighlights = 0) AND (isRead = 0 OR @onlyUnread = 0) ORDER BY position DESC`;

export function createUnreadReads(deps: {
  connection: Connection;
  turn: Turn;
  rooms: Numbering<RoomId>;
  events: Numbering<EventId>;
}): UnreadReads {
  const { connection, turn, rooms, events } = deps;
  const counts = connection.prepare<[{ user: UserId; rooms: string }], CountRecord>(countsSql);
  const floor = connection
    .prepare<[Omit<PageParameters, 'onlyHighlights' | 'onlyUnread'> & { skipped: number }], Position | null>(floorSql)
    .pluck();
  const page = connection.prepare<[PageParameters], NotificationRecord>(pageSql);

  function parse(record: NotificationRecord): NotificationRow {
    const { roomNo, eventId, position, actions, highlights, isRead } = record;
    const known = { roomId: rooms.text(roomNo), eventId, position, actions: JSON.parse(actions) };
    return { ...known, highlights: highlights === 1, isRead: isRead === 1 };
  }

  return {
    listCounts: (user, roomIds) =>
      turn.read(() => {
        const found = counts.all({ user, rooms: JSON.stringify([...rooms.findAll(roomIds).values()]) });
        rooms.texts(new Set(found.map(({ roomNo }) => roomNo)));
        events.texts(new Set(found.map(({ threadNo }) => threadNo).filter((threadNo) => threadNo !== 0)));
        const byRoom = new Map<RoomId, ThreadUnread[]>();
        for (const { roomNo, threadNo, notifications, highlights, totalNotifications, totalHighlights } of found) {
          const threadId = threadNo === 0 ? null : events.text(threadNo);
          const total = { notifications: totalNotifications, highlights: totalHighlights };
          const thread: ThreadUnread = { threadId, notifications, highlights, total };
          const roomId = rooms.text(roomNo);
          const ofRoom = byRoom.get(roomId);
          if (ofRoom) ofRoom.push(thread);
          else byRoom.set(roomId, [thread]);
        }
        return byRoom;
      }),

    async listNotifications(user, roomIds, { after, before, limit, onlyHighlights, onlyUnread }) {
      const asked = await turn.read(() => JSON.stringify([...rooms.findAll(roomIds).values()]));
      const choice = {
        onlyHighlights: onlyHighlights ? (1 as const) : (0 as const),
        onlyUnread: onlyUnread ? (1 as const) : (0 as const),
      };
      const notifications: NotificationRow[] = [];
      let end = before;
      for (let piece = 0; piece < piecesMax && notifications.length <= limit; piece += 1) {
        const wanted = { user, rooms: asked, after, before: end };
        const lowest = await turn.read(() => floor.get({ ...wanted, skipped: limit }) ?? null);
        const found = await turn.read(() => page.all({ ...wanted, ...choice, after: lowest ?? after }));
        notifications.push(...found.map(parse));
        end = lowest === null ? after : lowest + 1;
        if (lowest === null) break;
      }
      const last = notifications[limit - 1];
      if (notifications.length > limit && last) {
        return { notifications: notifications.slice(0, limit), next: last.position };
      }
      return { notifications, next: end > after ? end : null };
    },
  };
}
