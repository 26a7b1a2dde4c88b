import { isMainThread } from 'node:worker_threads';
import { LoopTurns } from './loop-turns.ts';

/**
 * Loaded into a server that is measured, before its program (`node --import`): watches its event loop, and says when asked which turn since
 * the last question was the longest. A turn is what lies between two looks of a timer that is always due.
 */
const everyMs = 1;

if (isMainThread && process.channel) {
  const turns = new LoopTurns();
  setInterval(() => turns.look(), everyMs).unref();
  process.on('message', () => {
    void turns.take().then((turn) => process.send?.(turn));
  });
  // The channel alone keeps no server up.
  process.channel.unref();
}
