import { dirname, resolve } from 'node:path';
import Database from 'better-sqlite3';
import { makeFolder } from '../../../base/make-folder.ts';
import { StorageOpenError } from './open-error.ts';

/**
 * Every database and statement of this process. Under Node 24 (from 24.19) the process is aborted when the garbage collector
 * takes an object of this driver outside of JavaScript's own time, so none is ever let go of. For the same reason nothing here
 * uses `pragma()` or `iterate()`, which make such objects for a moment. Bounded, because statements are prepared once.
 */
const kept: unknown[] = [];

export type Connection = Database.Database;
export type Synchronous = 'normal' | 'full';

export interface OpenDatabase {
  connection: Connection;
  /** Closes the database, then lets go of it. */
  close(): void;
}

const memory = ':memory:';

/**
 * Opens (and makes) a database file that nobody else uses. Throws StorageOpenError when the folder cannot be written,
 * another process has it, or it is no database.
 */
export function openDatabase(file: string, synchronous: Synchronous): OpenDatabase {
  if (file === memory) {
    const connection = connect(memory);
    prepare(connection, synchronous);
    return { connection, close: () => connection.close() };
  }
  makeDatabaseFolder(dirname(resolve(file)));
  const lock = lockFile(file);
  try {
    const connection = connect(file);
    prepare(connection, synchronous);
    return {
      connection,
      close() {
        connection.close();
        lock.close();
      },
    };
  } catch (error) {
    lock.close();
    throw openError(file, error);
  }
}

/** What SQLite has against a file, with what can be done. Whatever else went wrong is a bug and is given back as it is. */
export function openError(file: string, error: unknown): unknown {
  if (!(error instanceof Database.SqliteError)) return error;
  const isDamaged = error.code.startsWith('SQLITE_CORRUPT') || error.code.startsWith('SQLITE_NOTADB');
  const advice = isDamaged ? '; put a backup in its place, or move it away to begin anew' : '';
  return new StorageOpenError(`cannot open the database ${file}: ${reasonOf(error)}${advice}`);
}

/** Opens a file that exists, to read it; also while another process writes it. Throws StorageOpenError. */
export function openToRead(file: string): OpenDatabase {
  try {
    const connection = connect(file, { readonly: true, fileMustExist: true });
    return { connection, close: () => connection.close() };
  } catch (error) {
    throw new StorageOpenError(`cannot read the database ${file}: ${reasonOf(error)}`);
  }
}

function prepare(connection: Connection, synchronous: Synchronous): void {
  connection.exec('PRAGMA journal_mode = WAL');
  setSynchronous(connection, synchronous);
  // Checkpoints have a thread of their own (core/checkpoints); this is what is left if that fails, in pages.
  connection.exec('PRAGMA wal_autocheckpoint = 50000');
  connection.exec('PRAGMA foreign_keys = ON');
  connection.exec('PRAGMA cache_size = -65536');
  connection.exec('PRAGMA temp_store = MEMORY');
}

function connect(file: string, options?: Database.Options): Connection {
  const connection = new Database(file, options);
  kept.push(connection);
  connection.prepare = new Proxy(connection.prepare, {
    apply(prepareStatement, self, sql) {
      const statement: unknown = Reflect.apply(prepareStatement, self, sql);
      kept.push(statement);
      return statement;
    },
  });
  return connection;
}

/** Not inside a transaction: SQLite refuses it there. */
export function setSynchronous(connection: Connection, synchronous: Synchronous): void {
  connection.exec(synchronous === 'full' ? 'PRAGMA synchronous = FULL' : 'PRAGMA synchronous = NORMAL');
}

function makeDatabaseFolder(folder: string): void {
  try {
    makeFolder(folder, 0o700);
  } catch (error) {
    throw new StorageOpenError(`cannot make the database folder ${folder}: ${reasonOf(error)}`);
  }
}

/**
 * An exclusive lock on a small database beside the real one. The kernel lets go of it when the process ends, however it
 * ends, so that no stale lock is left; and other connections of this process can still read the database itself.
 */
function lockFile(file: string): Connection {
  const lockName = `${file}.lock`;
  let lock: Connection | undefined;
  try {
    lock = connect(lockName, { timeout: 0 });
    lock.exec('PRAGMA journal_mode = MEMORY');
    lock.exec('BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock?.close();
    if (isBusy(error))
      throw new StorageOpenError(
        `the database ${file} is in use by another process: stop that one, or choose another data_dir`,
      );
    throw new StorageOpenError(`cannot write to the database folder ${dirname(resolve(file))}: ${reasonOf(error)}`);
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY');
}

export function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split('\n', 1)[0] ?? message;
}
