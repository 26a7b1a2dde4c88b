import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Row } from '../../../../src/storage/contract/commit.ts';
import type { Storage } from '../../../../src/storage/contract/storage.ts';
import { openSqliteStorage } from '../../../../src/storage/sqlite/open.ts';
import { alice, bob, commit, device, lobby } from '../../../contract/make.ts';
import { ManualClock } from '../../../support/manual-clock.ts';

/** More than are deleted at a time, and no multiple of it. */
const many = 1_050;
const phone = device('PHONE');

let folders: string[];
let opened: { storage: Storage; counts: Database.Database }[];
beforeEach(() => {
  folders = [];
  opened = [];
});
afterEach(async () => {
  for (const { storage, counts } of opened) {
    counts.close();
    await storage.stop();
  }
  for (const folder of folders) rmSync(folder, { recursive: true });
});

async function open(folder: string): Promise<Storage> {
  const file = join(folder, 'lantern.db');
  const storage = await openSqliteStorage({ file, clock: new ManualClock() });
  opened.push({ storage, counts: new Database(file, { readonly: true }) });
  return storage;
}

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'lantern-storage-'));
  folders.push(folder);
  return folder;
}

/** As it would be found if the process ended now. */
function crash(folder: string): string {
  const copy = newFolder();
  cpSync(folder, copy, { recursive: true });
  return copy;
}

const countIn = (table: string): number =>
  opened.at(-1)?.counts.prepare<[], number>(`SELECT count(*) FROM ${table}`).pluck().get() ?? -1;

/** As many turns of the event loop as it takes, or none is enough. */
async function turnsUntilGone(table: string): Promise<number> {
  for (let turns = 0; turns < 1_000; turns += 1) {
    if (countIn(table) === 0) return turns;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error(`there are ${countIn(table)} rows left in ${table}`);
}

const newDevice = (userId = alice): Row => ({
  kind: 'device',
  userId,
  deviceId: phone,
  displayName: null,
  createdAtMs: 1,
  lastSeenAtMs: null,
  lastSeenIp: null,
});
const message = (text: string, userId = alice): Row => ({
  kind: 'to_device',
  messages: [{ userId, deviceId: phone, text }],
});
const sent = (transactionId: string, userId = alice) => ({ userId, deviceId: phone, scope: 'send', transactionId });
const transaction = (transactionId: string, userId = alice): Row => ({
  kind: 'client_transaction',
  ...sent(transactionId, userId),
  eventId: null,
  createdAtMs: Number.MAX_SAFE_INTEGER,
});
const numbers = Array.from({ length: many }, (_, n) => String(n));
const signOut: Row = { kind: 'device_removed', userId: alice, deviceId: phone };
const inbox = async (storage: Storage, userId = alice) => {
  const all = { after: 0, upTo: storage.position(), limit: 10_000 };
  return (await storage.toDevice.listMessages({ userId, deviceId: phone }, all)).map(({ text }) => text);
};

describe('a device with much that waits', () => {
  async function signedOut() {
    const folder = newFolder();
    const storage = await open(folder);
    await commit(storage, [newDevice(), newDevice(bob)]);
    await commit(
      storage,
      numbers.map((n) => message(n)),
    );
    await commit(
      storage,
      numbers.map((n) => transaction(n)),
    );
    await commit(storage, [message('to bob', bob), transaction('of bob', bob)]);
    await commit(storage, [signOut]);
    return { folder, storage };
  }

  it('is signed out at once; what it leaves goes in several turns, and nothing of others', async () => {
    const { storage } = await signedOut();
    expect(countIn('to_device_messages')).toBeGreaterThan(500);
    expect(countIn('client_transactions')).toBeGreaterThan(500);
    expect(await storage.accounts.listDevices(alice)).toEqual([]);
    expect(await inbox(storage)).toEqual([]);
    expect(await turnsUntilGone('device_leftovers')).toBeGreaterThan(3);
    expect([countIn('to_device_messages'), countIn('client_transactions')]).toEqual([1, 1]);
    expect(await inbox(storage, bob)).toEqual(['to bob']);
    expect(
      (await storage.commit({ rows: [], expect: [{ kind: 'client_transaction_unused', ...sent('of bob', bob) }] }))
        .outcome,
    ).toBe('conflict');
  });

  it('leaves nothing to one that signs in under its name meanwhile, which keeps all of its own', async () => {
    const { storage } = await signedOut();
    const unused = { kind: 'client_transaction_unused' as const, ...sent('7') };
    await commit(storage, [newDevice()]);
    await commit(storage, [message('new'), transaction('7')], { expect: [unused] });
    expect(countIn('to_device_messages')).toBeGreaterThan(300);
    expect(await inbox(storage)).toEqual(['new']);
    expect((await storage.commit({ rows: [], expect: [unused] })).outcome).toBe('conflict');
    await turnsUntilGone('device_leftovers');
    expect(await inbox(storage)).toEqual(['new']);
    expect((await storage.commit({ rows: [], expect: [unused] })).outcome).toBe('conflict');
    expect([countIn('to_device_messages'), countIn('client_transactions')]).toEqual([2, 2]);
  });

  it('leaves nothing readable to the next process where this one ends in between, and that one deletes it', async () => {
    const { folder, storage } = await signedOut();
    const found = crash(folder);
    await turnsUntilGone('device_leftovers');
    await storage.stop();
    const next = await open(found);
    expect(countIn('to_device_messages')).toBeGreaterThan(500);
    expect(await inbox(next)).toEqual([]);
    expect(await next.events.findClientTransaction(alice, phone, 'send', '1')).toBeUndefined();
    await turnsUntilGone('device_leftovers');
    expect([countIn('to_device_messages'), countIn('client_transactions')]).toEqual([1, 1]);
  });

  it('may be signed out again and again before all of it is gone', async () => {
    const { storage } = await signedOut();
    for (let round = 0; round < 3; round += 1) {
      await commit(storage, [newDevice(), message(`round ${round}`), transaction(`round ${round}`)]);
      await commit(storage, [signOut]);
    }
    await commit(storage, [newDevice()]);
    expect(await inbox(storage)).toEqual([]);
    await turnsUntilGone('device_leftovers');
    expect([countIn('to_device_messages'), countIn('client_transactions')]).toEqual([1, 1]);
  });

  it('collects many at once, which go in several turns too; what it sent is still known', async () => {
    const storage = await open(newFolder());
    await commit(storage, [newDevice(), transaction('mine')]);
    await commit(
      storage,
      numbers.map((n) => message(n)),
    );
    const upTo = storage.position();
    await commit(storage, [message('later')]);
    await commit(storage, [{ kind: 'to_device_collected', userId: alice, deviceId: phone, upTo }]);
    expect(countIn('to_device_messages')).toBeGreaterThan(500);
    expect(await inbox(storage)).toEqual(['later']);
    await turnsUntilGone('device_leftovers');
    expect(countIn('to_device_messages')).toBe(1);
    const unused = { kind: 'client_transaction_unused' as const, ...sent('mine') };
    expect((await storage.commit({ rows: [], expect: [unused] })).outcome).toBe('conflict');
  });
});

describe('a large key backup', () => {
  const backup = (version: number): Row[] => [
    { kind: 'key_backup', userId: alice, version, algorithm: 'm.algorithm', authData: {} },
    {
      kind: 'room_keys',
      userId: alice,
      version,
      keys: numbers.map((sessionId) => ({
        roomId: lobby,
        sessionId,
        firstMessageIndex: 0,
        forwardedCount: 0,
        isVerified: false,
        sessionData: '{}',
      })),
    },
  ];
  const all = { roomId: null, after: null, limit: 10_000 };

  it.each<[string, Row]>([
    ['removed', { kind: 'key_backup_removed', userId: alice, version: 1 }],
    ['erased', { kind: 'account_erased', userId: alice }],
  ])('that is %s is gone at once, its keys in several turns, by the next process if need be', async (_name, row) => {
    const folder = newFolder();
    const storage = await open(folder);
    await commit(storage, backup(1));
    await commit(storage, [row]);
    const found = crash(folder);
    expect(await storage.keyBackups.find(alice, 1)).toBeUndefined();
    expect(await storage.keyBackups.getLastVersion(alice)).toBe(1);
    expect(countIn('key_backup_keys')).toBeGreaterThan(500);
    await commit(storage, backup(2));
    await turnsUntilGone('key_backup_leftovers');
    expect(await storage.keyBackups.listKeys(alice, 2, all)).toHaveLength(many);
    expect(countIn('key_backup_keys')).toBe(many);
    const next = await open(found);
    expect(await next.keyBackups.find(alice, 1)).toBeUndefined();
    expect(countIn('key_backup_keys')).toBeGreaterThan(500);
    await turnsUntilGone('key_backup_leftovers');
    expect(countIn('key_backup_keys')).toBe(0);
  });
});

describe('losses of presence', () => {
  it('that are old go in several turns, later ones stay', async () => {
    const storage = await open(newFolder());
    const loss = (subject: string, atMs: number): Row => ({
      kind: 'presence_loss',
      viewer: alice,
      subject: `@${subject}:there.test` as typeof alice,
      atMs,
    });
    await commit(storage, [...numbers.map((n) => loss(n, Number(n))), loss('late', many)]);
    await commit(storage, [{ kind: 'presence_losses_pruned', beforeMs: many }]);
    expect(countIn('presence_losses')).toBeGreaterThan(500);
    for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(await storage.presence.listLosses(alice, 0)).toEqual([{ subject: '@late:there.test', atMs: many }]);
  });
});
