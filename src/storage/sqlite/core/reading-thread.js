// A thread of its own that reads the database for whoever asks.
import { workerData } from 'node:worker_threads';
import Database from 'better-sqlite3';
import { serveAsked } from './serve-asked.js';

const connection = new Database(workerData.file, { readonly: true, fileMustExist: true });
// Nothing of the driver is let go of (database.ts says why).
const statements = new Map();

serveAsked(connection, ({ sql, parameters }) => {
  const known = statements.get(sql) ?? connection.prepare(sql);
  statements.set(sql, known);
  return known.all(parameters);
});
