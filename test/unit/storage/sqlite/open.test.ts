import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { defaultMigrationsDir } from '../../../../src/storage/sqlite/core/migrations.ts';
import { StorageOpenError } from '../../../../src/storage/sqlite/core/open-error.ts';
import { openSqliteStorage } from '../../../../src/storage/sqlite/open.ts';
import { ManualClock } from '../../../support/manual-clock.ts';

describe('opening a database', () => {
  let folder: string;
  let file: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lantern-open-'));
    file = join(folder, 'data', 'lantern.db');
  });
  afterEach(() => rm(folder, { recursive: true }));

  const open = (options: { migrationsDir?: string; file?: string } = {}) =>
    openSqliteStorage({ file, clock: new ManualClock(), ...options });

  /** What opening says when it refuses: always one line. */
  const refusal = async (options: { migrationsDir?: string; file?: string } = {}): Promise<string> => {
    const error: unknown = await open(options).then(
      (storage) => storage.stop().then(() => undefined),
      (reason: unknown) => reason,
    );
    if (!(error instanceof StorageOpenError)) throw new Error('it was not refused');
    expect(error.message).not.toContain('\n');
    return error.message;
  };

  const copyMigrations = async (): Promise<string> => {
    const copy = join(folder, 'migrations');
    await cp(defaultMigrationsDir, copy, { recursive: true });
    return copy;
  };

  it('makes the folder and the database, and finds them again', async () => {
    await (await open()).stop();
    await (await open()).stop();
    expect(await readdir(join(folder, 'data'))).toContain('lantern.db');
  });

  it('is refused while somebody else has it, and allowed afterwards', async () => {
    const first = await open();
    expect(await refusal()).toMatch(/lantern\.db is in use by another process/);
    await first.stop();
    await (await open()).stop();
  });

  it('is refused where the folder cannot be made', async () => {
    await writeFile(join(folder, 'file'), '');
    expect(await refusal({ file: join(folder, 'file', 'lantern.db') })).toMatch(/cannot make the database folder/);
  });

  it('is refused where the file cannot be made', async () => {
    await mkdir(`${file}.lock`, { recursive: true });
    expect(await refusal()).toMatch(/cannot write to the database folder/);
  });

  it('is refused for a file that is no database, and lets go of it', async () => {
    await mkdir(join(folder, 'data'));
    await writeFile(file, 'x'.repeat(4_096));
    expect(await refusal()).toMatch(/cannot open the database .*not a database; put a backup in its place/);
    await rm(file);
    await (await open()).stop();
  });

  it("is refused for another program's database, and adds nothing to it", async () => {
    await mkdir(join(folder, 'data'));
    const made = new Database(file);
    made.exec('CREATE TABLE recipes (x INTEGER) STRICT');
    made.close();
    expect(await refusal()).toMatch(/another program's \(it has the table recipes\)/);
    const connection = new Database(file);
    expect(connection.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").pluck().all()).toEqual([
      'recipes',
    ]);
    connection.close();
  });

  it('says in one line that pages behind the first ones are damaged', async () => {
    await (await open()).stop();
    const text = await readFile(file);
    await writeFile(file, Buffer.concat([text.subarray(0, 8_192), Buffer.alloc(text.length - 8_192, 0x5a)]));
    expect(await refusal()).toMatch(/cannot open the database .*malformed; put a backup in its place/);
  });

  it('is refused for a database of a newer version', async () => {
    const migrationsDir = await copyMigrations();
    await writeFile(join(migrationsDir, '9999_later.sql'), 'CREATE TABLE later (x INTEGER) STRICT;');
    await (await open({ migrationsDir })).stop();
    expect(await refusal()).toMatch(/newer version of Lantern \(it has 9999_later\.sql\)/);
    await (await open({ migrationsDir })).stop();
  });

  it('is refused when a migration is not the one that ran', async () => {
    const migrationsDir = await copyMigrations();
    await (await open({ migrationsDir })).stop();
    const changed = join(migrationsDir, '0001_accounts.sql');
    await writeFile(changed, `${await readFile(changed, 'utf8')}\n-- changed\n`);
    expect(await refusal({ migrationsDir })).toMatch(/0001_accounts\.sql is not the text/);
  });

  it('runs what is new on an older database', async () => {
    await (await open()).stop();
    const migrationsDir = await copyMigrations();
    await writeFile(join(migrationsDir, '9999_later.sql'), 'CREATE TABLE later (x INTEGER) STRICT;');
    await (await open({ migrationsDir })).stop();
    const connection = new Database(file);
    expect(connection.prepare('SELECT count(*) FROM later').pluck().get()).toBe(0);
    connection.close();
  });

  it('leaves nothing of a migration that fails behind', async () => {
    const migrationsDir = await copyMigrations();
    await writeFile(join(migrationsDir, '9999_broken.sql'), 'CREATE TABLE half (x INTEGER) STRICT; SELECT nonsense;');
    expect(await refusal({ migrationsDir })).toMatch(/9999_broken\.sql failed on the database .*nonsense/);
    await (await open()).stop();
    const connection = new Database(file);
    expect(connection.prepare("SELECT 1 FROM sqlite_master WHERE name = 'half'").get()).toBeUndefined();
    connection.close();
  });

  it('is refused without the migrations', async () => {
    expect(await refusal({ migrationsDir: join(folder, 'nowhere') })).toMatch(/cannot read the migrations/);
  });

  it('syncs a durable commit to the disk, and only such a one', async () => {
    const storage = await open();
    const exec = vi.spyOn(Database.prototype, 'exec');
    await storage.commit({ rows: [] });
    expect(exec.mock.calls).toEqual([]);
    await storage.commit({ rows: [], durable: true });
    expect(exec.mock.calls.flat()).toEqual(['PRAGMA synchronous = FULL', 'PRAGMA synchronous = NORMAL']);
    await storage.stop();
  });
});
