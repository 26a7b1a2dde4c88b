import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { OutgoingHttpError } from '../base/network/outgoing-http.ts';
import { SlotsFullError } from '../base/tasks/slots.ts';
import { SlotsByKey } from '../base/tasks/slots-by-key.ts';
import { MatrixError } from '../matrix/errors.ts';
import type { RoomAlias, UserId } from '../matrix/ids.ts';
import type { AppServices } from './app-services.ts';
import { ownsAlias, ownsUser } from './namespaces.ts';
import type { Registration } from './registration.ts';
import { type CallService, isReachable, type ReachableService } from './service-calls.ts';

/**
 * Services are asked whether they know a user or an alias of their namespaces that is not known here: they make it before they answer (application
 * service API, "Querying").
 */
export interface Asking {
  /** True when a service says that the user is there now. Throws 408 M_UNKNOWN where the service that owns the user does not answer. */
  askForUser(userId: UserId): Promise<boolean>;
  /** The same for an alias. */
  askForAlias(alias: RoomAlias): Promise<boolean>;
}

/** "the homeserver should retry several times before timing out". */
const attemptsMax = 3;
const attemptTimeoutMs = 10_000;
const retryAfterMs = 1_000;
/** What strangers look up costs a service no more at a time; who comes when too many wait is told that there is nobody. */
const callsPerService = { runningMax: 8, waitingMax: 200 };

type Answer = 'made' | 'none' | 'silent';

export function createAsking(deps: {
  readonly services: AppServices;
  readonly call: CallService;
  readonly clock: Clock;
  readonly log: Log;
}): Asking {
  const slots = new SlotsByKey(callsPerService);
  /** Who asks the same meanwhile gets the same answer. */
  const underWay = new Map<string, Promise<boolean>>();

  async function askOnce(service: ReachableService, path: string): Promise<Answer> {
    const call = { method: 'GET', path, legacyPath: path, timeoutMs: attemptTimeoutMs } as const;
    try {
      const { status } = await deps.call(service, call);
      if (status === 200) return 'made';
      return status >= 500 ? 'silent' : 'none';
    } catch (error) {
      if (!(error instanceof OutgoingHttpError)) throw error;
      deps.log.info({ service: service.id, reason: error.message }, 'an application service does not answer');
      return 'silent';
    }
  }

  async function askPatiently(service: ReachableService, path: string): Promise<Answer> {
    const endsAtMs = deps.clock.monotonic() + attemptTimeoutMs;
    for (let attempt = 1; ; attempt += 1) {
      const answer = await askOnce(service, path);
      if (answer !== 'silent' || attempt === attemptsMax) return answer;
      if (deps.clock.monotonic() + retryAfterMs >= endsAtMs) return answer;
      await new Promise<void>((resolve) => void deps.clock.setTimer(retryAfterMs, resolve));
    }
  }

  /** Each in turn: the first that knows it has made it. */
  async function askAll(
    services: readonly Registration[],
    path: string,
    owns: (service: Registration) => boolean,
  ): Promise<boolean> {
    let ownerIsSilent = false;
    for (const service of services.filter(isReachable)) {
      const answer = await slots
        .run(service.id, () => askPatiently(service, path))
        .catch((error: unknown): Answer => {
          if (error instanceof SlotsFullError) return 'none';
          throw error;
        });
      if (answer === 'made') return true;
      ownerIsSilent = ownerIsSilent || (answer === 'silent' && owns(service));
    }
    if (ownerIsSilent) throw new MatrixError(408, 'M_UNKNOWN', 'The application service does not answer');
    return false;
  }

  function ask(
    services: readonly Registration[],
    path: string,
    owns: (service: Registration) => boolean,
  ): Promise<boolean> {
    if (services.length === 0) return Promise.resolve(false);
    const running = underWay.get(path);
    if (running !== undefined) return running;
    const asked = askAll(services, path, owns).finally(() => underWay.delete(path));
    underWay.set(path, asked);
    return asked;
  }

  return {
    askForUser: (userId) =>
      ask(deps.services.listOfUser(userId), `/users/${encodeURIComponent(userId)}`, (service) =>
        ownsUser(service, userId),
      ),
    askForAlias: (alias) =>
      ask(deps.services.listOfAlias(alias), `/rooms/${encodeURIComponent(alias)}`, (service) =>
        ownsAlias(service, alias),
      ),
  };
}
