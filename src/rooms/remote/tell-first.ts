import type { ServerName } from '../../matrix/server-name.ts';
import type { RoomsCore } from '../core/deps.ts';

/** A server that takes longer is asked all the same. */
const patienceMs = 10_000;

/**
 * Lets a server hear what was on its way to it before it is asked for something new: a user who left and comes back would else join
 * beside their own departure, and the room could settle on that.
 */
export function tellFirst(deps: Pick<RoomsCore, 'flushOutgoing' | 'clock'>, server: ServerName): Promise<void> {
  return new Promise((resolve) => {
    const timer = deps.clock.setTimer(patienceMs, resolve);
    void deps.flushOutgoing(server).then(() => {
      timer.clear();
      resolve();
    });
  });
}
