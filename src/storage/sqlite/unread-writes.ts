import type { EventId, RoomId, UserId } from '../../matrix/ids.ts';
import type { Position } from '../contract/numbers.ts';
import type { Counts, PushVerdict, ThreadId, UnreadTableRow } from '../contract/unread.ts';
import type { Connection } from './core/database.ts';
import { prepareInsertMany, type Value } from './core/many-rows.ts';
import type { Numbering } from './core/numbering.ts';
import { type Entry, type ManyWrites, positionOf, type Writes } from './core/writes.ts';

/** Thread numbers that stand for no root. */
const wholeRoom = -1;
const mainTimeline = 0;

interface Deps {
  connection: Connection;
  rooms: Numbering<RoomId>;
  events: Numbering<EventId>;
}

export interface UnreadWrites {
  readonly rows: Writes<Exclude<UnreadTableRow['kind'], 'notification'>>;
  readonly many: ManyWrites<'notification'>;
  /** Nobody was notified of the event that stands here. */
  redact(roomNo: number, position: Position): void;
}

/** A place in a thread. */
interface Place {
  roomNo: number;
  threadNo: number;
  position: Position;
}

/** What the events of a thread add up to by the default rules. */
interface Thread {
  readonly roomNo: number;
  readonly threadNo: number;
  lastPosition: Position;
  notifications: number;
  highlights: number;
}

/** One user's part of an event, as `sumsOfUsers` and `tellSingly` take it. */
interface Own extends Place {
  readonly userId: UserId;
  readonly eventNo: number;
  readonly actions: string;
  readonly notifies: 0 | 1;
  readonly highlights: 0 | 1;
  readonly delta: Counts;
}

export function createUnreadWrites({ connection, rooms, events }: Deps): UnreadWrites {
  const sql = prepareStatements(connection);
  const threadNoOf = (threadId: ThreadId): number => (threadId === null ? mainTimeline : events.put(threadId));

  /** A thread as it stands before the first of these events, and then as they add to it. */
  const threadAt = (threads: Map<string, Thread>, { roomNo, threadNo, position }: Place): Thread => {
    const key = `${roomNo} ${threadNo}`;
    const known = threads.get(key);
    if (known) {
      known.lastPosition = position;
      return known;
    }
    const sums = sql.sums.get(roomNo, threadNo) ?? { notifications: 0, highlights: 0 };
    const thread: Thread = { roomNo, threadNo, lastPosition: position, ...sums };
    threads.set(key, thread);
    return thread;
  };

  const tellSingly = (own: readonly Own[]): void => {
    if (own.length === 0) return;
    const sums = new Map<string, Counts>();
    const keyOf = ({ userId, roomNo, threadNo }: Own): string => `${roomNo} ${threadNo} ${userId}`;
    const threads = new Map(own.map((one) => [keyOf(one), [one.userId, one.roomNo, one.threadNo]]));
    for (const { userId, roomNo, threadNo, ...sum } of sql.sumsOfUsers.all(JSON.stringify([...threads.values()])))
      sums.set(`${roomNo} ${threadNo} ${userId}`, sum);
    sql.tellSingly(
      own.map((one): Value[] => {
        const { notifications = 0, highlights = 0 } = sums.get(keyOf(one)) ?? {};
        const sum = {
          notifications: notifications + one.delta.notifications,
          highlights: highlights + one.delta.highlights,
        };
        sums.set(keyOf(one), sum);
        const { userId, roomNo, threadNo, position, eventNo, actions, notifies, delta } = one;
        const deltas = [delta.notifications, delta.highlights, sum.notifications, sum.highlights];
        return [userId, roomNo, threadNo, position, eventNo, actions, notifies, one.highlights, ...deltas];
      }),
    );
  };

  const notify = (entries: readonly Entry<'notification'>[]): void => {
    const threads = new Map<string, Thread>();
    const toEverybody: Value[][] = [];
    const own: Own[] = [];
    for (const { row, step } of entries) {
      const { roomId, eventId, sender, threadId, everybody, singly } = row;
      const place = { roomNo: rooms.put(roomId), threadNo: threadNoOf(threadId), position: positionOf(step) };
      const eventNo = events.put(eventId);
      const [notifications, highlights] = weightOf(everybody);
      const thread = threadAt(threads, place);
      thread.notifications += notifications;
      thread.highlights += highlights;
      const total: Counts = { notifications: thread.notifications, highlights: thread.highlights };
      if (everybody.notifies) {
        const { roomNo, threadNo, position } = place;
        const actions = JSON.stringify(everybody.actions);
        const sums = [total.notifications, total.highlights];
        toEverybody.push([roomNo, threadNo, position, eventNo, sender, actions, highlights, ...sums]);
      }
      for (const { userId, verdict } of singly) {
        own.push({ ...place, userId, eventNo, ...ownVerdict(verdict, { notifications, highlights }) });
      }
      const users = singly.map(({ userId }) => userId);
      const forEverybody = everybody.notifies;
      step.change({ kind: 'notification', roomId, eventId, threadId, forEverybody, total, singly: users });
    }
    sql.count(
      [...threads.values()].map((thread) => [
        thread.roomNo,
        thread.threadNo,
        thread.lastPosition,
        thread.notifications,
        thread.highlights,
      ]),
    );
    sql.tellEverybody(toEverybody);
    tellSingly(own);
  };

  return {
    rows: {
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
    many: { notification: notify },
    redact(roomNo, position) {
      if (sql.takeFromEverybody.run(roomNo, position).changes > 0) sql.redact.run(roomNo, position);
      if (sql.takeSingly.run(roomNo, position).changes > 0) sql.redactOwn.run(roomNo, position);
    },
  };
}

function weightOf({ notifies, highlights }: PushVerdict): [notifications: 0 | 1, highlights: 0 | 1] {
  return [notifies ? 1 : 0, notifies && highlights ? 1 : 0];
}

function ownVerdict(verdict: PushVerdict, everybody: Counts) {
  const [notifies, highlights] = weightOf(verdict);
  const delta = { notifications: notifies - everybody.notifications, highlights: highlights - everybody.highlights };
  return { actions: JSON.stringify(notifies === 1 ? verdict.actions : []), notifies, highlights, delta };
}

function prepareStatements(connection: Connection) {
  return {
    sums: connection.prepare<[number, number], Counts>(
      'SELECT notifications, highlights FROM notified_threads WHERE room_no = ? AND thread_no = ?',
    ),
    count: prepareInsertMany(
      connection,
      'notified_threads (room_no, thread_no, last_position, notifications, highlights)',
      { insert: 'INSERT OR REPLACE' },
    ),
    tellEverybody: prepareInsertMany(
      connection,
      `notifications (room_no, thread_no, position, event_no, sender, actions, highlights, notification_sum,
         highlight_sum)`,
    ),
    sumsOfUsers: connection.prepare<[string], { userId: UserId; roomNo: number; threadNo: number } & Counts>(
      `SELECT o.user_id AS userId, o.room_no AS roomNo, o.thread_no AS threadNo, o.notification_sum AS notifications,
         o.highlight_sum AS highlights
       FROM json_each(?) j CROSS JOIN own_notifications o
         ON o.user_id = j.value ->> 0 AND o.room_no = j.value ->> 1 AND o.thread_no = j.value ->> 2
       WHERE o.position = (SELECT max(p.position) FROM own_notifications p
         WHERE p.user_id = j.value ->> 0 AND p.room_no = j.value ->> 1 AND p.thread_no = j.value ->> 2)`,
    ),
    tellSingly: prepareInsertMany(
      connection,
      `own_notifications (user_id, room_no, thread_no, position, event_no, actions, notifies, highlights,
         notification_delta, highlight_delta, notification_sum, highlight_sum)`,
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
