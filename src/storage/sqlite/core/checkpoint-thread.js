// A thread of its own that waits for the disk.
import { workerData } from 'node:worker_threads';
import Database from 'better-sqlite3';
import { serveAsked } from './serve-asked.js';

// Nothing of the driver is let go of (database.ts says why).
const connection = new Database(workerData.file, { fileMustExist: true });
const checkpoint = connection.prepare('PRAGMA wal_checkpoint(PASSIVE)');

serveAsked(connection, () => checkpoint.get());
