import type { EventId, RoomId, UserId } from '../../matrix/ids.ts';
import type { ReportReads, ReportSubject, ReportTableRow } from '../contract/reports.ts';
import type { Connection } from './core/database.ts';
import type { Turn } from './core/turn.ts';
import type { Writes } from './core/writes.ts';

interface ReportRecord {
  number: number;
  reporter: UserId;
  roomId: RoomId | null;
  eventId: EventId | null;
  userId: UserId | null;
  reason: string;
  receivedAtMs: number;
}

export function createReportReads(connection: Connection, turn: Turn): ReportReads {
  const list = connection.prepare<[number, number], ReportRecord>(
    `SELECT report_no AS number, reporter, room_id AS roomId, event_id AS eventId, user_id AS userId, reason,
       received_at_ms AS receivedAtMs
     FROM reports WHERE report_no < ? ORDER BY report_no DESC LIMIT ?`,
  );
  // None is ever removed.
  const count = connection.prepare<[], number>('SELECT coalesce(max(report_no), 0) FROM reports').pluck();
  return {
    listReports: (before, limit) =>
      turn.read(() =>
        list.all(before ?? Number.MAX_SAFE_INTEGER, limit).map(({ roomId, eventId, userId, ...report }) => ({
          ...report,
          subject: subjectOf(roomId, eventId, userId),
        })),
      ),
    countReports: () => turn.read(() => count.get() ?? 0),
  };
}

/** A row has a room or a user. */
function subjectOf(roomId: RoomId | null, eventId: EventId | null, userId: UserId | null): ReportSubject {
  if (roomId !== null) return { roomId, eventId, userId: null };
  if (userId === null) throw new Error('a report is of nothing');
  return { roomId: null, eventId: null, userId };
}

export function createReportWrites(connection: Connection): Writes<ReportTableRow['kind']> {
  const insert = connection.prepare<[Omit<ReportRecord, 'number'>]>(
    `INSERT INTO reports (reporter, room_id, event_id, user_id, reason, received_at_ms)
     VALUES (@reporter, @roomId, @eventId, @userId, @reason, @receivedAtMs)`,
  );
  return {
    report({ reporter, subject, reason, receivedAtMs }) {
      insert.run({ reporter, ...subject, reason, receivedAtMs });
    },
  };
}
