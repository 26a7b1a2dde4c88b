import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../../../src/base/log.ts';
import { Imports } from '../../../../src/rooms/remote/import/imports.ts';
import { TextSpool } from '../../../../src/rooms/remote/import/text-spool.ts';
import type { Storage } from '../../../../src/storage/contract/storage.ts';
import { openTestStorage } from '../../../support/storage.ts';

let storage: Storage;
let imports: Imports;

beforeEach(async () => {
  storage = await openTestStorage();
  imports = new Imports({ storage, log: silentLog });
});
afterEach(async () => {
  await imports.idle();
  await storage.stop();
});

const texts = (count: number) => Array.from({ length: count }, (_, index) => `text ${index}`);

describe('an import', () => {
  it('writes nothing while it is small', async () => {
    await imports.run(async (running) => {
      const spool = new TextSpool(storage, running);
      const numbers = await spool.add(texts(10));
      expect(await spool.take(numbers.toReversed())).toEqual({ texts: texts(10).toReversed(), removal: [] });
    });
    expect(await storage.imports.list()).toEqual([]);
  });

  it('keeps its texts in the storage once they are many, and gives them back in any order', async () => {
    await imports.run(async (running) => {
      const spool = new TextSpool(storage, running, { heldMax: 1_000 });
      const numbers = [
        ...(await spool.add(texts(50))),
        ...(await spool.add(texts(350))),
        ...(await spool.add(['last'])),
      ];
      expect(await storage.imports.list()).toEqual([running.id]);
      const taken = await spool.take([400, 7, 399, 50]);
      expect(taken.texts).toEqual(['last', 'text 7', 'text 349', 'text 0']);
      await storage.commit({ rows: [...taken.removal] });
      expect(await storage.imports.listTexts(running.id, numbers)).toHaveLength(397);
    });
  });

  it('leaves nothing behind, whether it ended well or not', async () => {
    const spoil = (running: Parameters<Parameters<typeof imports.run>[0]>[0]) =>
      new TextSpool(storage, running, { heldMax: 0 }).add(texts(700));
    await imports.run(spoil);
    await imports.idle();
    expect(await storage.imports.list()).toEqual([]);
    const failed = imports.run(async (running) => {
      await spoil(running);
      throw new Error('no');
    });
    await expect(failed).rejects.toThrow('no');
    await imports.idle();
    expect(await storage.imports.list()).toEqual([]);
  });

  it('that the end of the process cut off is cleared up at the next start, one that runs is not', async () => {
    const cutOff = storage.newSnapshotId();
    await storage.commit({
      rows: [
        { kind: 'import_started', importId: cutOff },
        { kind: 'import_texts', importId: cutOff, first: 0, texts: texts(600) },
      ],
    });
    await imports.run(async (running) => {
      await running.begin();
      imports.clearUp();
      await imports.idle();
      expect(await storage.imports.list()).toEqual([running.id]);
    });
  });
});
