import type { EventId, RoomId, UserId } from '../../matrix/ids.ts';

/** What is reported. */
export type ReportSubject =
  | { readonly roomId: RoomId; readonly eventId: EventId | null; readonly userId: null }
  | { readonly roomId: null; readonly eventId: null; readonly userId: UserId };

export interface ReportRow {
  reporter: UserId;
  subject: ReportSubject;
  reason: string;
  receivedAtMs: number;
}

export type ReportTableRow = { kind: 'report' } & ReportRow;

export interface ReportReads {
  /** The newest first, of those with a smaller number than `before`. */
  listReports(before: number | null, limit: number): Promise<(ReportRow & { number: number })[]>;
  countReports(): Promise<number>;
}
