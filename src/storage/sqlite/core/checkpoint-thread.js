// A thread of its own that waits for the disk: plain JavaScript, because a thread starts from a file, here and in the bundle.
import { parentPort, workerData } from 'node:worker_threads';
import Database from 'better-sqlite3';

// Nothing of the driver is let go of (database.ts says why).
const connection = new Database(workerData.file, { fileMustExist: true });
const checkpoint = connection.prepare('PRAGMA wal_checkpoint(PASSIVE)');

parentPort.on('message', (message) => {
  if (message === 'stop') {
    connection.close();
    parentPort.close();
    return;
  }
  try {
    parentPort.postMessage(checkpoint.get());
  } catch (error) {
    parentPort.postMessage({ error: String(error) });
  }
});
