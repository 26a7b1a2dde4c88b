import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Change } from '../../src/storage/contract/changes.ts';
import type { PresenceCopyRow, PresenceRow } from '../../src/storage/contract/presence.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import { alice, bob, carol, commit, device, type OpenStorage, server } from './make.ts';

const there = server('there.test');

export function describePresence(open: OpenStorage): void {
  describe('presence', () => {
    let storage: Storage;
    beforeEach(async () => {
      storage = await open();
    });
    afterEach(() => storage.stop());

    const online: PresenceRow = {
      userId: alice,
      state: 'online',
      statusMsg: 'hi',
      lastActiveAtMs: 5,
      currentlyActive: true,
      changedAtMs: 6,
      devices: [{ deviceId: device('D'), put: 'online', fresh: true, synced: null, written: 'offline' }],
    };
    const offline: PresenceRow = {
      ...online,
      userId: bob,
      state: 'offline',
      statusMsg: null,
      currentlyActive: false,
      devices: [],
    };

    it('keeps the last known presence of a user until it is removed', async () => {
      await commit(storage, [{ kind: 'presence', ...online }]);
      await commit(storage, [
        { kind: 'presence', ...online, statusMsg: null },
        { kind: 'presence', ...offline },
      ]);
      expect(await storage.presence.find(alice)).toEqual({ ...online, statusMsg: null });
      expect(await storage.presence.listAll(null, 1)).toMatchObject([{ userId: alice }]);
      expect(await storage.presence.listAll(alice, 5)).toEqual([offline]);
      await commit(storage, [{ kind: 'presence_removed', userId: alice }]);
      expect(await storage.presence.find(alice)).toBeUndefined();
    });

    it('lists who was not offline', async () => {
      await commit(storage, [
        { kind: 'presence', ...online },
        { kind: 'presence', ...offline },
      ]);
      expect(await storage.presence.listNotOffline()).toEqual([online]);
    });

    it('has exactly the copies last said of a subject', async () => {
      const copy = (sequence: number, recipients: readonly string[] | null): PresenceCopyRow => ({
        subject: carol,
        sequence,
        state: 'online',
        statusMsg: null,
        lastActiveAtMs: 1,
        currentlyActive: false,
        recipients,
        expiresAtMs: recipients === null ? null : 9,
      });
      await commit(storage, [{ kind: 'presence_copies', subject: carol, copies: [copy(1, null), copy(2, [alice])] }]);
      await commit(storage, [{ kind: 'presence_copies', subject: carol, copies: [copy(2, [alice]), copy(3, [bob])] }]);
      expect(await storage.presence.listCopies(null, 10)).toEqual([copy(2, [alice]), copy(3, [bob])]);
      expect(await storage.presence.listCopies({ subject: carol, sequence: 2 }, 10)).toEqual([copy(3, [bob])]);
      await commit(storage, [{ kind: 'presence_copies', subject: carol, copies: [] }]);
      expect(await storage.presence.listCopies(null, 10)).toEqual([]);
    });

    describe('narrowings', () => {
      const narrow = (lastActiveAtMs = 5) =>
        commit(storage, [{ kind: 'narrowing', destination: there, subject: alice, lastActiveAtMs }]);
      const clear = (generation: number) =>
        commit(storage, [{ kind: 'narrowing_cleared', destination: there, subject: alice, generation }]);
      const generation = async () => (await storage.presence.findNarrowing(there, alice))?.generation ?? 0;

      it('stand until they are cleared', async () => {
        const told: Change[] = [];
        storage.onCommit((changes) => told.push(...changes));
        await narrow();
        const stored = { destination: there, subject: alice, generation: await generation(), lastActiveAtMs: 5 };
        expect(told).toEqual([{ kind: 'narrowing', ...stored }]);
        expect(await storage.presence.listNarrowings()).toEqual([stored]);
        expect(await storage.presence.findNarrowing(there, bob)).toBeUndefined();
        await clear(stored.generation);
        expect(await storage.presence.listNarrowings()).toEqual([]);
      });

      it('stand when they were set again since', async () => {
        await narrow();
        const old = await generation();
        await narrow();
        expect(await generation()).toBeGreaterThan(old);
        await clear(old);
        expect(await generation()).toBeGreaterThan(old);
      });

      it('never reuse the number of one that was cleared', async () => {
        await narrow();
        const old = await generation();
        await clear(old);
        await narrow();
        expect(await generation()).toBeGreaterThan(old);
      });

      it('never tell of later activity while they stand', async () => {
        await narrow(5);
        await narrow(9);
        expect(await storage.presence.findNarrowing(there, alice)).toMatchObject({ lastActiveAtMs: 5 });
        await clear(await generation());
        await narrow(9);
        expect(await storage.presence.findNarrowing(there, alice)).toMatchObject({ lastActiveAtMs: 9 });
      });
    });

    it('lists what a viewer lost since, until it is pruned', async () => {
      const loss = (subject: typeof alice, atMs: number) => ({
        kind: 'presence_loss' as const,
        viewer: alice,
        subject,
        atMs,
      });
      await commit(storage, [loss(bob, 10), loss(carol, 20)]);
      await commit(storage, [loss(bob, 30)]);
      expect(await storage.presence.listLosses(alice, 0)).toEqual([
        { subject: carol, atMs: 20 },
        { subject: bob, atMs: 30 },
      ]);
      expect(await storage.presence.listLosses(alice, 30)).toEqual([{ subject: bob, atMs: 30 }]);
      expect(await storage.presence.listLosses(bob, 0)).toEqual([]);
      await commit(storage, [{ kind: 'presence_losses_pruned', beforeMs: 30 }]);
      expect(await storage.presence.listLosses(alice, 0)).toEqual([{ subject: bob, atMs: 30 }]);
    });

    it('knows which servers are aware, and since when no more', async () => {
      const other = server('other.test');
      await commit(storage, [
        { kind: 'presence_aware_server', server: there, seenAtMs: 5 },
        { kind: 'presence_aware_server', server: other, seenAtMs: 6 },
      ]);
      await commit(storage, [{ kind: 'presence_aware_server', server: there, seenAtMs: 9 }]);
      expect(await storage.presence.listAwareServers()).toEqual([
        { server: other, seenAtMs: 6 },
        { server: there, seenAtMs: 9 },
      ]);
      await commit(storage, [{ kind: 'presence_aware_server', server: other, seenAtMs: null }]);
      expect(await storage.presence.listAwareServers()).toEqual([{ server: there, seenAtMs: 9 }]);
    });

    it('knows of whom services may show something, by pages, until they do not or are not kept', async () => {
      const at = (subject: typeof alice, serviceId = 'bridge', held = true) =>
        ({ kind: 'presence_at_service', serviceId, subject, held }) as const;
      await commit(storage, [at(carol), at(alice), at(alice), at(bob), at(bob, 'other')]);
      expect(await storage.presence.listHeldByService('bridge', null, 2)).toEqual([alice, bob]);
      expect(await storage.presence.listHeldByService('bridge', bob, 2)).toEqual([carol]);
      await commit(storage, [at(alice, 'bridge', false), at(alice, 'other', false)]);
      expect(await storage.presence.listHeldByService('bridge', null, 5)).toEqual([bob, carol]);
      const known = ['bridge', 'other'].map((serviceId) => ({
        ...{ kind: 'service_progress' as const, serviceId },
        position: 0,
      }));
      await commit(storage, [...known, { kind: 'services_kept', serviceIds: ['other'] }]);
      expect(await storage.presence.listHeldByService('bridge', null, 5)).toEqual([]);
      expect(await storage.presence.listHeldByService('other', null, 5)).toEqual([bob]);
    });

    it('finds its small facts again', async () => {
      await commit(storage, [
        { kind: 'presence_fact', name: 'a', value: '1' },
        { kind: 'presence_fact', name: 'b', value: '2' },
      ]);
      await commit(storage, [
        { kind: 'presence_fact', name: 'a', value: null },
        { kind: 'presence_fact', name: 'b', value: '3' },
      ]);
      expect(await storage.presence.listFacts()).toEqual([{ name: 'b', value: '3' }]);
    });
  });
}
