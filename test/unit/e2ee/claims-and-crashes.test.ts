import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createOneTimeKeyClaims } from '../../../src/e2ee/keys/one-time-keys.ts';
import type { DeviceId, UserId } from '../../../src/matrix/ids.ts';
import type { Storage } from '../../../src/storage/contract/storage.ts';
import { openSqliteStorage } from '../../../src/storage/sqlite/open.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const alice = '@alice:a.test' as UserId;
const phone = 'PHONE' as DeviceId;
const algorithm = 'signed_curve25519';
const wish = { userId: alice, deviceId: phone, algorithm };

let folder: string;
const opened: Storage[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lantern-test-'));
});
afterEach(async () => {
  for (const storage of opened.splice(0)) await storage.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function open(name: string): Promise<Storage> {
  const storage = await openSqliteStorage({ file: join(folder, name, 'lantern.db'), clock: new ManualClock() });
  opened.push(storage);
  return storage;
}

/** What the next start finds if the process ends now, without a word. */
async function afterCrash(name: string): Promise<Storage> {
  cpSync(join(folder, name), join(folder, `${name}-later`), { recursive: true });
  return open(`${name}-later`);
}

async function withKeys(...ids: string[]): Promise<Storage> {
  mkdirSync(join(folder, 'data'));
  const storage = await open('data');
  const account = { userId: alice, passwordHash: null, createdAtMs: 1, deactivatedAtMs: null };
  const device = {
    userId: alice,
    deviceId: phone,
    displayName: null,
    createdAtMs: 1,
    lastSeenAtMs: null,
    lastSeenIp: null,
  };
  const keys = ids.map((id) => ({ keyId: id, algorithm, key: JSON.stringify(id) }));
  await storage.commit({
    rows: [
      { kind: 'account', ...account },
      { kind: 'device', ...device },
      { kind: 'one_time_keys', userId: alice, deviceId: phone, keys },
    ],
  });
  return storage;
}

const idsOf = (keys: readonly ({ keyId: string } | undefined)[]) => keys.map((key) => key?.keyId);
const claim = async (storage: Storage, times = 1) =>
  idsOf(await createOneTimeKeyClaims({ storage }).claim(Array.from({ length: times }, () => wish)));

describe('a one-time key', () => {
  it('whose answer was lost with the process is given to nobody else', async () => {
    const storage = await withKeys('a', 'b', 'c');
    const dying: Pick<Storage, 'oneTimeKeys' | 'commit'> = {
      oneTimeKeys: storage.oneTimeKeys,
      commit: async (batch) => {
        await storage.commit(batch);
        throw new Error('the process ends between the commit and the answer');
      },
    };
    await expect(createOneTimeKeyClaims({ storage: dying }).claim([wish])).rejects.toThrow('the process ends');
    const later = await afterCrash('data');
    expect(await claim(later, 3)).toEqual(['b', 'c', undefined]);
  });

  it('that was chosen but not written down when the process ended is given to the next', async () => {
    const storage = await withKeys('a', 'b');
    const dying: Pick<Storage, 'oneTimeKeys' | 'commit'> = {
      oneTimeKeys: storage.oneTimeKeys,
      commit: async () => {
        throw new Error('the process ends before the commit');
      },
    };
    await expect(createOneTimeKeyClaims({ storage: dying }).claim([wish])).rejects.toThrow('the process ends');
    expect(await claim(await afterCrash('data'), 2)).toEqual(['a', 'b']);
  });

  it('that was answered before the end is gone behind it, also when it is uploaded again', async () => {
    const storage = await withKeys('a', 'b');
    expect(await claim(storage)).toEqual(['a']);
    const later = await afterCrash('data');
    const again = { keyId: 'a', algorithm, key: JSON.stringify('a') };
    await later.commit({ rows: [{ kind: 'one_time_keys', userId: alice, deviceId: phone, keys: [again] }] });
    expect(await claim(later, 2)).toEqual(['b', undefined]);
  });
});
