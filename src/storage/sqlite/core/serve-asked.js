// What every program of a database thread does: plain JavaScript, because a thread starts from a file, here and in the bundle.
import { parentPort } from 'node:worker_threads';

/** Answers what DatabaseThread asks, until it says stop. */
export function serveAsked(connection, answer) {
  parentPort.on('message', (message) => {
    if (message === 'stop') {
      connection.close();
      parentPort.close();
      return;
    }
    try {
      parentPort.postMessage({ id: message.id, answer: answer(message.asked) });
    } catch (error) {
      parentPort.postMessage({ id: message.id, error: String(error) });
    }
  });
}
