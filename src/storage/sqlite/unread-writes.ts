import type { EventId, RoomId, UserId } from '../../matrix/ids.ts';
import type { Position } from '../contract/numbers.ts';
import type { Counts, PushVerdict, ThreadId, UnreadTableRow } from '../contract/unread.ts';
import type { Connection } from './core/database.ts';
import type { Numbering } from './core/numbering.ts';
import { positionOf, type Writes } from './core/writes.ts';

/** Thread numbers that stand for no root. */
const wholeRoom = -1;
const mainTimeline = 0;

interface Deps {
  connection: Connection;
  rooms: Numbering<RoomId>;
  events: Numbering<EventId>;
}

export interface UnreadWrites {
  readonly rows: Writes<UnreadTableRow['kind']>;
  /** Nobody was notified of the event that stands here. */
  redact(roomNo: number, position: Position): void;
}

/** A place in a thread. */
interface Place {
  roomNo: number;
  threadNo: number;
  position: Position;
}

interface Told extends Place, Counts {
  eventNo: number;
  sender: UserId;
  actions: string;
  isHighlight: 0 | 1;
}

export function createUnreadWrites({ connection, rooms, events }: Deps): UnreadWrites {
  const sql = prepareStatements(connection);
  const threadNoOf = (threadId: ThreadId): number => (threadId === null ? mainTimeline : events.put(threadId));

  return {
    rows: {
      notification({ roomId, eventId, sender, threadId, everybody, singly }, step) {
        const [notifications, highlights] = weightOf(everybody);
        const place = { roomNo: rooms.put(roomId), threadNo: threadNoOf(threadId), position: positionOf(step) };
        const eventNo = events.put(eventId);
        const weight = { notifications, highlights };
        const total = sql.count.get({ ...place, ...weight });
        if (total === undefined) throw new Error('an upsert returns its row');
        if (everybody.notifies) {
          const actions = JSON.stringify(everybody.actions);
          sql.tellEverybody.run({ ...place, ...total, eventNo, sender, actions, isHighlight: highlights });
        }
        if (singly.length > 0) {
          const own = singly.map(({ userId, verdict }) => ownValues(userId, verdict, weight));
          sql.tellSingly.run({ ...place, eventNo, own: JSON.stringify(own) });
        }
        const users = singly.map(({ userId }) => userId);
        const forEverybody = everybody.notifies;
        step.change({ kind: 'notification', roomId, eventId, threadId, forEverybody, total, singly: users });
      },
      read_place({ roomId, userId, thread, eventId }, step) {
        const eventNo = events.find(eventId);
        if (eventNo === undefined) return;
        const threadNo = thread === null ? wholeRoom : threadNoOf(thread === 'main' ? null : thread);
        const moved = sql.read.run({ userId, roomNo: rooms.put(roomId), threadNo, eventNo }).changes > 0;
        if (moved) step.change({ kind: 'read_place', roomId, userId });
      },
      arrival({ roomId, userId, eventId }, step) {
        const eventNo = events.find(eventId);
        if (eventNo === undefined) return;
        const roomNo = rooms.put(roomId);
        sql.forgetReads.run(userId, roomNo);
        sql.arrive.run({ userId, roomNo, eventNo });
        sql.read.run({ userId, roomNo, threadNo: wholeRoom, eventNo });
        step.change({ kind: 'read_place', roomId, userId });
      },
    },
    redact(roomNo, position) {
      if (sql.takeFromEverybody.run(roomNo, position).changes > 0) sql.redact.run(roomNo, position);
      if (sql.takeSingly.run(roomNo, position).changes > 0) sql.redactOwn.run(roomNo, position);
    },
  };
}

function weightOf({ notifies, highlights }: PushVerdict): [notifications: 0 | 1, highlights: 0 | 1] {
  return [notifies ? 1 : 0, notifies && highlights ? 1 : 0];
}

/** As `tellSingly` takes them. */
function ownValues(userId: UserId, verdict: PushVerdict, everybody: Counts) {
  const [notifies, highlights] = weightOf(verdict);
  const deltas = [notifies - everybody.notifications, highlights - everybody.highlights];
  return [userId, JSON.stringify(notifies === 1 ? verdict.actions : []), notifies, highlights, ...deltas];
}

function prepareStatements(connection: Connection) {
  const sumSoFar = (sum: string): string =>
    `coalesce((SELECT o.${sum} FROM own_notifications o
       WHERE o.user_id = j.value ->> 0 AND o.room_no = @roomNo AND o.thread_no = @threadNo
       ORDER BY o.position DESC LIMIT 1), 0)`;
  return {
    count: connection.prepare<[Place & Counts], Counts>(
      `INSERT INTO notified_threads (room_no, thread_no, last_position, notifications, highlights)
       VALUES (@roomNo, @threadNo, @position, @notifications, @highlights)
       ON CONFLICT DO UPDATE SET last_position = excluded.last_position,
         notifications = notifications + excluded.notifications, highlights = highlights + excluded.highlights
       RETURNING notifications, highlights`,
    ),
    tellEverybody: connection.prepare<[Told]>(
      `INSERT INTO notifications (room_no, thread_no, position, event_no, sender, actions, highlights, notification_sum,
         highlight_sum)
       VALUES (@roomNo, @threadNo, @position, @eventNo, @sender, @actions, @isHighlight, @notifications, @highlights)`,
    ),
    tellSingly: connection.prepare<[Place & { eventNo: number; own: string }]>(
      `INSERT INTO own_notifications (user_id, room_no, thread_no, position, event_no, actions, notifies, highlights,
         notification_delta, highlight_delta, notification_sum, highlight_sum)
       SELECT j.value ->> 0, @roomNo, @threadNo, @position, @eventNo, j.value ->> 1, j.value ->> 2, j.value ->> 3,
         j.value ->> 4, j.value ->> 5,
         ${sumSoFar('notification_sum')} + (j.value ->> 4), ${sumSoFar('highlight_sum')} + (j.value ->> 5)
       FROM json_each(@own) j`,
    ),
    read: connection.prepare<[{ userId: UserId; roomNo: number; threadNo: number; eventNo: number }]>(
      `INSERT INTO read_places (user_id, room_no, thread_no, position)
       SELECT @userId, @roomNo, @threadNo, position FROM events
       WHERE event_no = @eventNo AND room_no = @roomNo AND position > 0
       ON CONFLICT DO UPDATE SET position = excluded.position WHERE excluded.position > position`,
    ),
    forgetReads: connection.prepare<[UserId, number]>('DELETE FROM read_places WHERE user_id = ? AND room_no = ?'),
    arrive: connection.prepare<[{ userId: UserId; roomNo: number; eventNo: number }]>(
      `INSERT OR REPLACE INTO arrivals (user_id, room_no, position)
       SELECT @userId, @roomNo, position FROM events WHERE event_no = @eventNo AND room_no = @roomNo AND position > 0`,
    ),
    takeFromEverybody: connection.prepare<[number, Position]>(
      `INSERT INTO redacted_notifications (room_no, user_id, thread_no, position, notifications, highlights)
       SELECT room_no, '', thread_no, position, 1, highlights FROM notifications
       WHERE room_no = ? AND position = ? AND redacted = 0`,
    ),
    redact: connection.prepare<[number, Position]>(
      'UPDATE notifications SET redacted = 1 WHERE room_no = ? AND position = ?',
    ),
    takeSingly: connection.prepare<[number, Position]>(
      `INSERT INTO redacted_notifications (room_no, user_id, thread_no, position, notifications, highlights)
       SELECT room_no, user_id, thread_no, position, notification_delta, highlight_delta FROM own_notifications
       WHERE room_no = ? AND position = ? AND redacted = 0`,
    ),
    redactOwn: connection.prepare<[number, Position]>(
      'UPDATE own_notifications SET redacted = 1 WHERE room_no = ? AND position = ?',
    ),
  };
}
