import type { Clock, Timer } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import { Background } from '../../base/tasks/background.ts';
import { type Backoff, backoffDelayMs } from '../../base/tasks/backoff.ts';
import { FederationError, type FederationRequests } from '../../federation-out/requests-contract.ts';
import { serverOfUser, type UserId } from '../../matrix/ids.ts';
import type { Row } from '../../storage/contract/commit.ts';
import type { RemoteDeviceListState } from '../../storage/contract/device-lists.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import { parseUserDevices } from '../keys/remote-answers.ts';
import { changeOf } from './remote.ts';

/** Asks again for the device lists of which an update was lost. */
export interface DeviceListResync {
  /** A list may have become stale. Cheap. */
  wake(): void;
  /** Resolves when nothing is being asked; what waits for its time waits on. */
  idle(): Promise<void>;
  stop(): Promise<void>;
}

export interface DeviceListResyncDeps {
  readonly storage: Pick<Storage, 'deviceLists' | 'commit' | 'position'>;
  readonly requests: Pick<FederationRequests, 'getUserDevices'>;
  readonly sharesRoom: (userId: UserId) => boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** Lists that are asked for at once. */
const atOnce = 10;
const backoff: Backoff = { firstMs: 5_000, maxMs: 3_600_000 };
/** Then nobody is asked any more, until an update comes or a client wants to know. */
const failuresMax = 20;
const timerMaxMs = 600_000;

export function createDeviceListResync(deps: DeviceListResyncDeps): DeviceListResync {
  const { storage, clock } = deps;
  const background = new Background({ log: deps.log });
  let running = false;
  let again = false;
  let timer: Timer | undefined;

  async function ask({ userId, failures }: RemoteDeviceListState): Promise<void> {
    if (!deps.sharesRoom(userId)) return forget(userId);
    const since = storage.position();
    try {
      const answer = await deps.requests.getUserDevices(serverOfUser(userId), userId);
      const list = parseUserDevices(answer, userId);
      if (!list) throw new FederationError('bad_answer', 'no list of devices', 200);
      const rows: Row[] = [{ kind: 'remote_device_list', ...list, fetchedAtMs: clock.now() }];
      // Clients were told when it became stale; who asked then may have got nothing, and would not ask again.
      if (failures > 0) rows.push(changeOf(userId, [], true));
      // Behind an update that came meanwhile the list is asked for once more.
      const result = await storage.commit({
        rows,
        expect: [{ kind: 'device_list_unchanged', userId, since }],
      });
      if (result.outcome === 'conflict') again = true;
    } catch (error) {
      if (!(error instanceof FederationError)) throw error;
      if (failures + 1 >= failuresMax) return forget(userId);
      const retryAtMs = clock.now() + backoffDelayMs(backoff, failures + 1, deps.random);
      await storage.commit({ rows: [{ kind: 'remote_device_list_stale', userId, failures: failures + 1, retryAtMs }] });
    }
  }

  async function forget(userId: UserId): Promise<void> {
    await storage.commit({ rows: [{ kind: 'remote_device_lists_removed', userIds: [userId] }] });
  }

  async function askAll(signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted) {
        again = false;
        const stale = await storage.deviceLists.listStale(atOnce);
        const due = stale.filter(({ retryAtMs }) => (retryAtMs ?? 0) <= clock.now());
        await Promise.all(due.map(ask));
        const [next] = stale;
        if (due.length > 0 || again) continue;
        if (next) setTimer((next.retryAtMs ?? 0) - clock.now());
        return;
      }
    } finally {
      running = false;
    }
  }

  function setTimer(delayMs: number): void {
    timer?.clear();
    timer = clock.setTimer(Math.min(Math.max(delayMs, 0), timerMaxMs), wake);
  }

  function wake(): void {
    again = true;
    if (running) return;
    running = background.run('device lists', askAll);
  }

  return {
    wake,
    idle: () => background.idle(),
    stop() {
      timer?.clear();
      return background.stop();
    },
  };
}
