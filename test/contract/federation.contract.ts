import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/matrix/pdu.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import type { ManualClock } from '../support/manual-clock.ts';
import { commit, server } from './make.ts';

const dayMs = 24 * 60 * 60 * 1000;

export function describeFederation(open: () => Promise<{ storage: Storage; clock: ManualClock }>): void {
  describe('what is known of other servers', () => {
    let storage: Storage;
    let clock: ManualClock;
    beforeEach(async () => {
      ({ storage, clock } = await open());
    });
    afterEach(() => storage.stop());

    const there = server('there.test');
    const key = { server: there, keyId: 'ed25519:1', publicKey: 'key', validUntilMs: 5, fetchedAtMs: 1 };

    it('keeps the newest word on each key', async () => {
      await commit(storage, [
        { kind: 'server_key', ...key },
        { kind: 'server_key', ...key, keyId: 'ed25519:2' },
      ]);
      await commit(storage, [{ kind: 'server_key', ...key, validUntilMs: 9 }]);
      expect(await storage.federation.listServerKeys(there)).toEqual([
        { ...key, validUntilMs: 9 },
        { ...key, keyId: 'ed25519:2' },
      ]);
      expect(await storage.federation.listServerKeys(server('other.test'))).toEqual([]);
    });

    it('keeps what a server published last, of each server', async () => {
      const published = (name: string, answer: JsonObject, fetchedAtMs = 1) =>
        commit(storage, [{ kind: 'published_keys', server: server(name), answer, fetchedAtMs }]);
      await published('there.test', { valid_until_ts: 1 });
      await published('there.test', { valid_until_ts: 2 }, 2);
      await published('other.test', { valid_until_ts: 3 });
      const found = await storage.federation.listPublishedKeys(
        ['there.test', 'nowhere.test', 'there.test'].map(server),
      );
      expect(found).toEqual([{ server: there, answer: { valid_until_ts: 2 }, fetchedAtMs: 2 }]);
      expect(await storage.federation.listPublishedKeys([])).toEqual([]);
    });

    const answered = (transactionId: string) =>
      commit(storage, [
        { kind: 'received_transaction', origin: there, transactionId, answer: { pdus: {} }, receivedAtMs: clock.now() },
      ]);

    it('answers a known transaction of the same server again', async () => {
      await answered('1');
      expect(await storage.federation.findReceivedTransaction(there, '1')).toEqual({ pdus: {} });
      expect(await storage.federation.findReceivedTransaction(there, '2')).toBeUndefined();
      expect(await storage.federation.findReceivedTransaction(server('other.test'), '1')).toBeUndefined();
    });

    it('forgets answers after a week, and not before', async () => {
      await answered('old');
      await clock.advance(6 * dayMs);
      await answered('newer');
      expect(await storage.federation.findReceivedTransaction(there, 'old')).toBeDefined();
      await clock.advance(dayMs + 1);
      await answered('newest');
      expect(await storage.federation.findReceivedTransaction(there, 'old')).toBeUndefined();
      expect(await storage.federation.findReceivedTransaction(there, 'newer')).toBeDefined();
    });
  });
}
