import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDatabase } from '../../../../src/storage/sqlite/core/database.ts';
import { ReadingThread, readHere } from '../../../../src/storage/sqlite/core/reading-thread.ts';

let folder: string;
let database: ReturnType<typeof openDatabase>;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lantern-test-'));
  database = openDatabase(join(folder, 'lantern.db'), 'normal');
  database.connection.exec("CREATE TABLE words (word TEXT); INSERT INTO words VALUES ('a'), ('b')");
});
afterEach(() => {
  database.close();
  rmSync(folder, { recursive: true });
});

const select = 'SELECT word FROM words WHERE word >= @from ORDER BY word';

describe.each([
  ['a thread that reads', () => new ReadingThread(join(folder, 'lantern.db'))],
  ['reading on the spot', () => readHere(database.connection)],
])('%s', (_what, open) => {
  it('gives what is committed, to several at once', async () => {
    const reads = open();
    const all = reads.all(select, { from: 'a' });
    expect(await reads.all(select, { from: 'b' })).toEqual([{ word: 'b' }]);
    expect(await all).toEqual([{ word: 'a' }, { word: 'b' }]);
    database.connection.exec("INSERT INTO words VALUES ('c')");
    expect(await reads.all(select, { from: 'c' })).toEqual([{ word: 'c' }]);
    await reads.stop();
  });

  it('fails one read and goes on', async () => {
    const reads = open();
    await expect(reads.all('SELECT word FROM nowhere', {})).rejects.toThrow('nowhere');
    expect(await reads.all(select, { from: 'b' })).toEqual([{ word: 'b' }]);
    await reads.stop();
  });

  it('stops when what was asked is answered, and also where nothing was', async () => {
    const reads = open();
    const asked = reads.all(select, { from: 'b' });
    await reads.stop();
    expect(await asked).toEqual([{ word: 'b' }]);
    await open().stop();
  });
});
