import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Connection, reasonOf } from './database.ts';
import { StorageOpenError } from './open-error.ts';

/** In the package's root, which is the nearest folder above the running file that has one: `src` and `dist` lie at different depths. */
export const defaultMigrationsDir = findMigrations(fileURLToPath(new URL('.', import.meta.url)));

function findMigrations(folder: string): string {
  const here = join(folder, 'migrations', 'sqlite');
  return existsSync(here) || dirname(folder) === folder ? here : findMigrations(dirname(folder));
}

interface Migration {
  name: string;
  sql: string;
  checksum: string;
}

/**
 * Brings the database to the version of this program: runs the files of the folder that it has not seen, by name, each in
 * one transaction. Throws StorageOpenError for a database that has seen more, or a different text under a known name.
 */
export function migrate(connection: Connection, folder: string, nowMs: number): void {
  refuseForeign(connection);
  connection.exec(
    'CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, checksum TEXT NOT NULL, applied_at_ms INTEGER NOT NULL) STRICT',
  );
  for (const migration of listMissing(connection, folder)) apply(connection, migration, nowMs);
}

/** Tables without our list of migrations are another program's, and nothing is added to them. */
function refuseForeign(connection: Connection): void {
  const tables = connection.prepare<[], string>("SELECT name FROM sqlite_master WHERE type = 'table'").pluck().all();
  if (tables.length === 0 || tables.includes('migrations')) return;
  throw new StorageOpenError(`the database ${connection.name} is another program's (it has the table ${tables[0]})`);
}

/** For who only reads: throws StorageOpenError for a database that is not of the version of this program. */
export function checkMigrated(connection: Connection, folder: string): void {
  const [missing] = listMissing(connection, folder);
  if (missing === undefined) return;
  throw new StorageOpenError(
    `the database ${connection.name} is of an older version of Lantern (it lacks ${missing.name}); start this version once`,
  );
}

function listMissing(connection: Connection, folder: string): Migration[] {
  const migrations = readMigrations(folder);
  const applied = connection
    .prepare<[], { name: string; checksum: string }>('SELECT name, checksum FROM migrations ORDER BY name')
    .all();
  const known = new Map(migrations.map((migration) => [migration.name, migration]));
  for (const { name, checksum } of applied) {
    const migration = known.get(name);
    if (migration === undefined) {
      throw new StorageOpenError(
        `the database ${connection.name} is of a newer version of Lantern (it has ${name}); start that version instead`,
      );
    }
    if (migration.checksum !== checksum) {
      throw new StorageOpenError(
        `${join(folder, name)} is not the text that the database ${connection.name} was made with; restore the file`,
      );
    }
  }
  const done = new Set(applied.map(({ name }) => name));
  return migrations.filter(({ name }) => !done.has(name));
}

function apply(connection: Connection, migration: Migration, nowMs: number): void {
  try {
    connection.transaction(() => {
      connection.exec(migration.sql);
      connection
        .prepare('INSERT INTO migrations (name, checksum, applied_at_ms) VALUES (?, ?, ?)')
        .run(migration.name, migration.checksum, nowMs);
    })();
  } catch (error) {
    throw new StorageOpenError(`${migration.name} failed on the database ${connection.name}: ${reasonOf(error)}`);
  }
}

function readMigrations(folder: string): Migration[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith('.sql'))
      .sort()
      .map((name) => {
        const sql = readFileSync(join(folder, name), 'utf8');
        return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') };
      });
  } catch (error) {
    throw new StorageOpenError(`cannot read the migrations in ${folder}: ${reasonOf(error)}`);
  }
}
