// A thread of its own that reads the database for whoever asks: plain JavaScript, because a thread starts from a file, here and in the bundle.
import { parentPort, workerData } from 'node:worker_threads';
import Database from 'better-sqlite3';

const connection = new Database(workerData.file, { readonly: true, fileMustExist: true });
// Nothing of the driver is let go of (database.ts says why).
const statements = new Map();

function read({ sql, parameters }) {
  const known = statements.get(sql) ?? connection.prepare(sql);
  statements.set(sql, known);
  return known.all(parameters);
}

parentPort.on('message', (message) => {
  if (message === 'stop') {
    connection.close();
    parentPort.close();
    return;
  }
  try {
    parentPort.postMessage({ id: message.id, rows: read(message) });
  } catch (error) {
    parentPort.postMessage({ id: message.id, error: String(error) });
  }
});
