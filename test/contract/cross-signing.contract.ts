import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CrossSigningUsage, KeySignatureRow } from '../../src/storage/contract/cross-signing.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import { alice, bob, carol, commit, device, type OpenStorage } from './make.ts';

export function describeCrossSigning(open: OpenStorage): void {
  describe('cross-signing keys', () => {
    let storage: Storage;
    beforeEach(async () => {
      storage = await open();
    });
    afterEach(() => storage.stop());

    const put = (publicKey: string, usage: CrossSigningUsage = 'master', userId = alice) =>
      commit(storage, [{ kind: 'cross_signing_key', userId, usage, publicKey, key: { is: publicKey } }]);
    const signature = (target: string, more: Partial<KeySignatureRow> = {}): KeySignatureRow => ({
      targetUserId: alice,
      target,
      signerUserId: alice,
      signerKeyId: 'ed25519:K',
      signature: 's',
      ...more,
    });
    const sign = (...rows: KeySignatureRow[]) =>
      commit(
        storage,
        rows.map((row) => ({ kind: 'key_signature' as const, ...row })),
      );
    const signed = async (viewer = null as typeof alice | null, targets = [alice]) =>
      (await storage.crossSigning.listKeySignatures(targets, viewer)).map((row) => [row.target, row.signerUserId]);

    it('are one of each usage, replaced and removed', async () => {
      await put('M1');
      await put('S', 'self_signing');
      await put('B', 'master', bob);
      await put('M2');
      expect(await storage.crossSigning.listCrossSigningKeys([alice, carol])).toEqual([
        { userId: alice, usage: 'master', publicKey: 'M2', key: { is: 'M2' } },
        { userId: alice, usage: 'self_signing', publicKey: 'S', key: { is: 'S' } },
      ]);
      await commit(storage, [{ kind: 'cross_signing_key_removed', userId: alice, usage: 'self_signing' }]);
      expect(await storage.crossSigning.listCrossSigningKeys([alice, bob])).toHaveLength(2);
    });

    it('have signatures that their owner sees, and of others only who made them', async () => {
      await sign(signature('DEV'), signature('M', { signerUserId: bob }), signature('M', { targetUserId: bob }));
      expect(await signed()).toEqual([['DEV', alice]]);
      expect(await signed(carol)).toEqual([['DEV', alice]]);
      expect(await signed(bob)).toEqual([
        ['DEV', alice],
        ['M', bob],
      ]);
      expect(await signed(bob, [bob])).toEqual([]);
      expect(await signed(alice, [bob])).toEqual([['M', alice]]);
    });

    it('lose the signatures of a key that is replaced by another, and no others', async () => {
      await put('M1');
      await sign(signature('M1'), signature('DEV'), signature('M1', { targetUserId: bob }));
      await put('M1');
      expect(await signed()).toHaveLength(2);
      await put('M2');
      expect(await signed()).toEqual([['DEV', alice]]);
      expect(await signed(alice, [bob])).toEqual([['M1', alice]]);
    });

    it('lose the signatures of a device with it', async () => {
      await sign(signature('PHONE'), signature('LAPTOP'), signature('PHONE', { targetUserId: bob }));
      await commit(storage, [{ kind: 'device_removed', userId: alice, deviceId: device('PHONE') }]);
      expect(await signed()).toEqual([['LAPTOP', alice]]);
      expect(await signed(alice, [bob])).toEqual([['PHONE', alice]]);
    });

    it('go with the account, and what it signed', async () => {
      await put('M1');
      await put('B', 'master', bob);
      await sign(signature('DEV'), signature('B', { targetUserId: bob }), signature('M1', { signerUserId: bob }));
      const account = { userId: alice, passwordHash: null, createdAtMs: 1 };
      await commit(storage, [
        { kind: 'account', ...account, deactivatedAtMs: null },
        { kind: 'account', ...account, deactivatedAtMs: 2 },
      ]);
      expect((await storage.crossSigning.listCrossSigningKeys([alice, bob])).map(({ publicKey }) => publicKey)).toEqual(
        ['B'],
      );
      expect(await signed(alice)).toEqual([]);
      expect(await signed(alice, [bob])).toEqual([]);
      expect(await signed(bob)).toEqual([['M1', bob]]);
    });
  });
}
