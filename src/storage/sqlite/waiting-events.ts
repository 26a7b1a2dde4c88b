import type { EventId, RoomId } from '../../matrix/ids.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type {
  WaitingEvent,
  WaitingEventAttempt,
  WaitingEventKey,
  WaitingEventReads,
  WaitingEventTableRow,
} from '../contract/waiting-events.ts';
import type { Connection } from './core/database.ts';
import type { Turn } from './core/turn.ts';
import type { Writes } from './core/writes.ts';

interface Record extends Omit<WaitingEvent, 'isVerified'> {
  number: number;
  isVerified: 0 | 1;
}

type Written = Omit<Record, 'number'>;

type Tried = Pick<Written, 'eventId' | 'origin' | 'isVerified' | 'attempts' | 'retryAtMs'>;

const columns = `w.waiting_no AS number, w.event_id AS eventId, w.origin, w.room_id AS roomId, w.pdu_text AS pduText,
  w.verified AS isVerified, w.attempts, w.received_at_ms AS receivedAtMs,
  w.retry_at_ms AS retryAtMs`;

function waitingOf({ number: _, isVerified, ...record }: Record): WaitingEvent {
  return { ...record, isVerified: isVerified === 1 };
}

export function createWaitingEventReads(connection: Connection, turn: Turn): WaitingEventReads {
  const after = connection.prepare<[number, number], Record>(
    `SELECT ${columns} FROM waiting_events w WHERE w.waiting_no > ? ORDER BY w.waiting_no LIMIT ?`,
  );
  const byKey = connection.prepare<[EventId, ServerName], Record>(
    `SELECT ${columns} FROM waiting_events w WHERE w.event_id = ? AND w.origin = ?`,
  );
  const awaiting = connection.prepare<{ eventIds: string; limit: number }, Record>(
    `SELECT ${columns} FROM waiting_events w WHERE w.waiting_no IN (
       SELECT m.waiting_no FROM json_each(@eventIds) CROSS JOIN waiting_events_missing m ON m.missing_id = value
       UNION SELECT o.waiting_no FROM json_each(@eventIds) CROSS JOIN waiting_events o ON o.event_id = value
       LIMIT @limit
     )`,
  );
  const ofRoom = connection.prepare<[RoomId, number], Record>(
    `SELECT ${columns} FROM waiting_events w WHERE w.room_id = ? ORDER BY w.waiting_no LIMIT ?`,
  );
  const due = connection.prepare<[number, number], Record>(
    `SELECT ${columns} FROM waiting_events w WHERE w.retry_at_ms <= ? ORDER BY w.retry_at_ms LIMIT ?`,
  );
  const nextRetry = connection.prepare<[], number | null>('SELECT min(retry_at_ms) FROM waiting_events').pluck();
  const countInAll = connection.prepare<[], { origin: ServerName; count: number }>(
    'SELECT origin, count(*) AS count FROM waiting_events GROUP BY origin ORDER BY count DESC, origin',
  );
  const countInRoom = connection.prepare<[RoomId], { origin: ServerName; count: number }>(
    'SELECT origin, count(*) AS count FROM waiting_events WHERE room_id = ? GROUP BY origin ORDER BY count DESC, origin',
  );
  const oldestInAll = connection.prepare<[ServerName, number], WaitingEventKey>(
    'SELECT event_id AS eventId, origin FROM waiting_events WHERE origin = ? ORDER BY waiting_no LIMIT ?',
  );
  const oldestInRoom = connection.prepare<[RoomId, ServerName, number], WaitingEventKey>(
    `SELECT event_id AS eventId, origin FROM waiting_events WHERE room_id = ? AND origin = ? ORDER BY waiting_no LIMIT ?`,
  );

  return {
    list: (number, limit) =>
      turn.read(() => after.all(number, limit).map((record) => ({ ...waitingOf(record), number: record.number }))),
    listByKeys: (keys) =>
      turn.read(() =>
        keys.flatMap(({ eventId, origin }) => {
          const record = byKey.get(eventId, origin);
          return record ? [waitingOf(record)] : [];
        }),
      ),
    listAwaiting: (eventIds, limit) =>
      turn.read(() => awaiting.all({ eventIds: JSON.stringify(eventIds), limit }).map(waitingOf)),
    listOfRoom: (roomId, limit) => turn.read(() => ofRoom.all(roomId, limit).map(waitingOf)),
    listDue: (nowMs, limit) => turn.read(() => due.all(nowMs, limit).map(waitingOf)),
    findNextRetry: () => turn.read(() => nextRetry.get() ?? undefined),
    countByOrigin: (roomId) => turn.read(() => (roomId === null ? countInAll.all() : countInRoom.all(roomId))),
    listOldest: (origin, roomId, limit) =>
      turn.read(() => (roomId === null ? oldestInAll.all(origin, limit) : oldestInRoom.all(roomId, origin, limit))),
  };
}

export interface WaitingEventWrites {
  readonly rows: Writes<WaitingEventTableRow['kind']>;
  /** Those of the events, which are being stored, that wait themselves or are waited for. Inside the transaction. */
  listAwaited(eventIds: readonly EventId[]): ReadonlySet<EventId>;
  /** What was written was undone. */
  forget(): void;
}

export function createWaitingEventWrites(connection: Connection): WaitingEventWrites {
  const put = connection.prepare<[Written]>(
    `INSERT INTO waiting_events (event_id, origin, room_id, pdu_text, verified, attempts, received_at_ms, retry_at_ms)
     VALUES (@eventId, @origin, @roomId, @pduText, @isVerified, @attempts, @receivedAtMs, @retryAtMs)
     ON CONFLICT DO UPDATE SET pdu_text = excluded.pdu_text, verified = excluded.verified, attempts = excluded.attempts,
       retry_at_ms = excluded.retry_at_ms`,
  );
  const tried = connection.prepare<[Tried]>(
    `UPDATE waiting_events SET verified = @isVerified, attempts = @attempts, retry_at_ms = @retryAtMs
     WHERE event_id = @eventId AND origin = @origin`,
  );
  const remove = connection.prepare<[EventId, ServerName]>(
    'DELETE FROM waiting_events WHERE event_id = ? AND origin = ?',
  );
  const numberOf = connection
    .prepare<[EventId, ServerName], number>('SELECT waiting_no FROM waiting_events WHERE event_id = ? AND origin = ?')
    .pluck();
  const clearMissing = connection.prepare<[number]>('DELETE FROM waiting_events_missing WHERE waiting_no = ?');
  const addMissing = connection.prepare<[EventId, number]>(
    'INSERT OR IGNORE INTO waiting_events_missing (missing_id, waiting_no) VALUES (?, ?)',
  );
  const last = connection.prepare<[], number | null>('SELECT max(waiting_no) FROM waiting_events').pluck();
  const awaited = connection
    .prepare<[string], EventId>(
      `SELECT j.value FROM json_each(?) j
       WHERE EXISTS (SELECT 1 FROM waiting_events_missing WHERE missing_id = j.value)
         OR EXISTS (SELECT 1 FROM waiting_events WHERE event_id = j.value)`,
    )
    .pluck();
  /** Undefined: to be looked up. Nearly always nothing waits, and then storing an event costs no question. */
  let isEmpty: boolean | undefined;

  const putMissing = ({ eventId, origin, missing }: WaitingEventAttempt): void => {
    const number = numberOf.get(eventId, origin);
    if (number === undefined) return;
    clearMissing.run(number);
    for (const missingId of missing) addMissing.run(missingId, number);
  };

  return {
    rows: {
      waiting_event(row) {
        const { roomId, pduText, receivedAtMs } = row;
        put.run({ ...triedOf(row), roomId, pduText, receivedAtMs });
        putMissing(row);
        isEmpty = undefined;
      },
      waiting_event_tried(row) {
        tried.run(triedOf(row));
        putMissing(row);
      },
      waiting_event_removed({ eventId, origin }) {
        remove.run(eventId, origin);
        isEmpty = undefined;
      },
    },
    listAwaited(eventIds) {
      isEmpty ??= (last.get() ?? null) === null;
      return new Set(isEmpty ? [] : awaited.all(JSON.stringify(eventIds)));
    },
    forget() {
      isEmpty = undefined;
    },
  };
}

function triedOf({ eventId, origin, isVerified, attempts, retryAtMs }: WaitingEventAttempt): Tried {
  return { eventId, origin, isVerified: isVerified ? 1 : 0, attempts, retryAtMs };
}
