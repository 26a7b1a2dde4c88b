import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Change } from '../../src/storage/contract/changes.ts';
import type { UploadedKey } from '../../src/storage/contract/one-time-keys.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import type { ManualClock } from '../support/manual-clock.ts';
import { alice, bob, commit, device, positionAt } from './make.ts';

const weekMs = 7 * 24 * 3_600_000;

export function describeOneTimeKeys(open: () => Promise<{ storage: Storage; clock: ManualClock }>): void {
  describe('one-time keys', () => {
    let storage: Storage;
    let clock: ManualClock;
    beforeEach(async () => {
      ({ storage, clock } = await open());
    });
    afterEach(() => storage.stop());

    const phone = device('PHONE');
    const own = { userId: alice, deviceId: phone };
    const curve = 'signed_curve25519';
    const key = (keyId: string, content = `"${keyId}"`, algorithm = curve): UploadedKey => ({
      algorithm,
      keyId,
      key: content,
    });
    const upload = (...keys: UploadedKey[]) => commit(storage, [{ kind: 'one_time_keys', ...own, keys }]);
    const wish = (algorithm = curve, deviceId = phone, userId = alice) => ({ userId, deviceId, algorithm });
    const next = async (limit = 10, wished = [wish()]) =>
      (await storage.oneTimeKeys.listNext(wished, limit)).map((keys) => keys.map(({ keyId }) => keyId));
    const claim = async (count: number) => {
      const [keys = []] = await storage.oneTimeKeys.listNext([wish()], count);
      const keyNos = keys.map(({ keyNo }) => keyNo);
      return commit(storage, [{ kind: 'one_time_keys_claimed', ...own, keyNos }]);
    };

    it('come in the order of their upload, whatever their ids', async () => {
      await upload(key('z'), key('b'));
      await upload(key('a'));
      expect(await next()).toEqual([['z', 'b', 'a']]);
      expect(await next(2)).toEqual([['z', 'b']]);
    });

    it('are found for several wishes at once, each at its place', async () => {
      await upload(key('a'), key('b'), key('x', '1', 'other'));
      await commit(storage, [{ kind: 'one_time_keys', userId: bob, deviceId: phone, keys: [key('c')] }]);
      const wishes = [wish(curve, device('NONE')), wish('other'), wish(curve, phone, bob), wish(), wish('none')];
      expect(await next(1, wishes)).toEqual([[], ['x'], ['c'], ['a'], []]);
      expect(await next(1, [])).toEqual([]);
    });

    it('are counted by algorithm, without those that were given out', async () => {
      await upload(key('a'), key('b'), key('x', '1', 'other'));
      expect(await storage.oneTimeKeys.countKeys(alice, phone)).toEqual({
        oneTimeKeys: { [curve]: 2, other: 1 },
        unusedFallbackTypes: [],
      });
      await claim(1);
      expect((await storage.oneTimeKeys.countKeys(alice, phone)).oneTimeKeys).toEqual({ [curve]: 1, other: 1 });
      expect((await storage.oneTimeKeys.countKeys(bob, phone)).oneTimeKeys).toEqual({});
      expect(await next()).toEqual([['b']]);
    });

    it('stay as they are when they are uploaded again', async () => {
      await upload(key('a'), key('b'));
      await upload(key('b'), key('c'), key('a', '"other"'));
      expect(await next()).toEqual([['a', 'b', 'c']]);
      expect(await storage.oneTimeKeys.listUnclaimed(alice, phone, [`${curve}:a`, `${curve}:x`])).toEqual([key('a')]);
    });

    it('do not come back by an upload once they were given out, unless the id stands for another key', async () => {
      await upload(key('a'), key('b'));
      await claim(2);
      expect(await storage.oneTimeKeys.listUnclaimed(alice, phone, [`${curve}:a`])).toEqual([]);
      await upload(key('a'), key('b', '"other"'));
      expect(await next()).toEqual([['b']]);
      await clock.advance(weekMs + 1);
      await upload(key('c'));
      await upload(key('a'));
      expect(await next()).toEqual([['b', 'c', 'a']]);
    });

    it('refuse to be given out by two who chose the same', async () => {
      await upload(key('a'), key('b'));
      const [keys = []] = await storage.oneTimeKeys.listNext([wish()], 2);
      const keyNos = keys.map(({ keyNo }) => keyNo);
      const batch = {
        rows: [{ kind: 'one_time_keys_claimed' as const, ...own, keyNos }],
        expect: [{ kind: 'one_time_keys_unclaimed' as const, keyNos }],
        durable: true,
      };
      const results = await Promise.all([storage.commit(batch), storage.commit(batch)]);
      expect(results.map(({ outcome }) => outcome)).toEqual(['committed', 'conflict']);
    });

    it('tell when their number changes', async () => {
      const changes: Change[] = [];
      storage.onCommit((told) => void changes.push(...told));
      const result = await upload(key('a'));
      expect(changes).toEqual([{ kind: 'key_counts', position: positionAt(result), ...own }]);
    });

    it('go with their device, and fallback keys too', async () => {
      await upload(key('a'));
      await commit(storage, [
        { kind: 'fallback_keys', ...own, keys: [key('f')] },
        { kind: 'device_removed', ...own },
      ]);
      expect(await next()).toEqual([[]]);
      expect(await storage.oneTimeKeys.listFallbacks([wish()])).toEqual([undefined]);
      await upload(key('b'));
      await commit(storage, [{ kind: 'one_time_keys_removed', ...own }]);
      expect(await next()).toEqual([[]]);
    });

    it('have a fallback of each algorithm, which is replaced, and used until then', async () => {
      const fallback = (...keys: UploadedKey[]) => commit(storage, [{ kind: 'fallback_keys', ...own, keys }]);
      const unused = async () => (await storage.oneTimeKeys.countKeys(alice, phone)).unusedFallbackTypes;
      await fallback(key('f'), key('g', '1', 'other'));
      expect(await storage.oneTimeKeys.listFallbacks([wish('none'), wish()])).toEqual([
        undefined,
        { ...key('f'), used: false },
      ]);
      expect(await unused()).toEqual(['other', curve]);
      await commit(storage, [{ kind: 'fallback_key_used', ...own, algorithm: curve }]);
      expect(await unused()).toEqual(['other']);
      await fallback(key('f'));
      expect(await unused()).toEqual(['other']);
      await fallback(key('h'));
      expect(await unused()).toEqual(['other', curve]);
      expect(await storage.oneTimeKeys.listFallbacks([wish()])).toEqual([{ ...key('h'), used: false }]);
    });
  });
}
