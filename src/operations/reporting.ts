import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { notFound } from '../matrix/errors.ts';
import { type EventId, type RoomId, serverOfUser, type UserId } from '../matrix/ids.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { EventViewer } from '../rooms/client-event.ts';
import type { RoomHistory } from '../rooms/reading/room-history.ts';
import type { ReportRow, ReportSubject } from '../storage/contract/reports.ts';
import type { Storage } from '../storage/contract/storage.ts';

export interface ReportingDeps {
  readonly storage: Pick<Storage, 'accounts' | 'reports' | 'rooms' | 'commit'>;
  readonly history: Pick<RoomHistory, 'getEvent'>;
  readonly serverName: ServerName;
  readonly clock: Clock;
  readonly log: Log;
}

/** Client-server API, "Reporting Content": word to the administrators of this server, who read it by `listReports`. */
export interface Reporting {
  /** Throws M_NOT_FOUND for an event that the reporter may not see. */
  reportEvent(reporter: EventViewer, of: { roomId: RoomId; eventId: EventId }, reason: string): Promise<void>;
  /** Throws M_NOT_FOUND for a room that nobody of this server ever was in. */
  reportRoom(reporter: UserId, roomId: RoomId, reason: string): Promise<void>;
  /** Throws M_NOT_FOUND for a user of this server who does not exist; of others nobody here knows. */
  reportUser(reporter: UserId, userId: UserId, reason: string): Promise<void>;
  /** The newest first. */
  listReports(
    before: number | null,
    limit: number,
  ): Promise<{ reports: readonly (ReportRow & { number: number })[]; total: number }>;
}

export function createReporting(deps: ReportingDeps): Reporting {
  const { storage, clock, log } = deps;

  async function put(reporter: UserId, subject: ReportSubject, reason: string): Promise<void> {
    await storage.commit({
      rows: [{ kind: 'report', reporter, subject, reason, receivedAtMs: clock.now() }],
      expect: [],
      durable: true,
    });
    log.info({ reporter, ...subject }, 'something was reported');
  }

  return {
    async reportEvent(reporter, { roomId, eventId }, reason) {
      await deps.history.getEvent(reporter, roomId, eventId);
      await put(reporter.userId, { roomId, eventId, userId: null }, reason);
    },
    async reportRoom(reporter, roomId, reason) {
      if (!(await storage.rooms.find(roomId))) throw notFound('There is no such room');
      await put(reporter, { roomId, eventId: null, userId: null }, reason);
    },
    async reportUser(reporter, userId, reason) {
      const isOurs = serverOfUser(userId) === deps.serverName;
      if (isOurs && !(await storage.accounts.findAccount(userId))) throw notFound('There is no such user');
      await put(reporter, { roomId: null, eventId: null, userId }, reason);
    },
    async listReports(before, limit) {
      const reports = await storage.reports.listReports(before, limit);
      return { reports, total: await storage.reports.countReports() };
    },
  };
}
