import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ReportSubject } from '../../src/storage/contract/reports.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import { alice, bob, commit, eventId, lobby, type OpenStorage } from './make.ts';

export function describeReports(open: OpenStorage): void {
  describe('reports', () => {
    let storage: Storage;
    beforeEach(async () => {
      storage = await open();
    });
    afterEach(() => storage.stop());

    const put = (subject: ReportSubject) =>
      commit(storage, [{ kind: 'report', reporter: alice, subject, reason: 'why', receivedAtMs: 5 }]);

    it('are listed in pages, the newest first, as they were made', async () => {
      const subjects: ReportSubject[] = [
        { roomId: lobby, eventId: eventId('one'), userId: null },
        { roomId: lobby, eventId: null, userId: null },
        { roomId: null, eventId: null, userId: bob },
      ];
      expect(await storage.reports.listReports(null, 9)).toEqual([]);
      for (const subject of subjects) await put(subject);
      const first = await storage.reports.listReports(null, 2);
      expect(first.map((report) => report.subject)).toEqual([subjects[2], subjects[1]]);
      expect(first[0]).toMatchObject({ reporter: alice, reason: 'why', receivedAtMs: 5 });
      const rest = await storage.reports.listReports(first[1]?.number ?? 0, 2);
      expect(rest.map((report) => report.subject)).toEqual([subjects[0]]);
      expect(await storage.reports.countReports()).toBe(3);
    });
  });

  describe('administrators', () => {
    it('are accounts that were made so and are not deactivated', async () => {
      const storage = await open();
      const account = {
        kind: 'account',
        userId: alice,
        passwordHash: null,
        createdAtMs: 1,
        deactivatedAtMs: null,
      } as const;
      await commit(storage, [account]);
      expect(await storage.accounts.isAdmin(alice)).toBe(false);
      await commit(storage, [{ kind: 'account_admin', userId: alice }]);
      expect(await storage.accounts.isAdmin(alice)).toBe(true);
      await commit(storage, [{ ...account, passwordHash: 'new' }]);
      expect(await storage.accounts.isAdmin(alice)).toBe(true);
      await commit(storage, [{ ...account, deactivatedAtMs: 2 }]);
      expect(await storage.accounts.isAdmin(alice)).toBe(false);
      expect(await storage.accounts.isAdmin(bob)).toBe(false);
      await storage.stop();
    });
  });
}
