import { isMainThread } from 'node:worker_threads';
import { elapsedMs, now } from './stopwatch.ts';

/**
 * Loaded into a server that is measured, before its program (`node --import`): watches its event loop, and says when asked which turn since
 * the last question was the longest. A turn is what lies between two looks of a timer that is always due.
 */
const everyMs = 1;

if (isMainThread && process.channel) {
  let longestMs = 0;
  let last = now();
  const look = (): void => {
    const moment = now();
    longestMs = Math.max(longestMs, elapsedMs(last, moment));
    last = moment;
  };
  setInterval(look, everyMs).unref();
  process.on('message', () => {
    look();
    process.send?.({ longestTurnMs: longestMs });
    longestMs = 0;
  });
  // The channel alone keeps no server up.
  process.channel.unref();
}
