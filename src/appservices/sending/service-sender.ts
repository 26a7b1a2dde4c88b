import type { Metrics } from '../../base/metrics.ts';
import type { RoomId, UserId } from '../../matrix/ids.ts';
import type { Roster } from '../../roster/roster.ts';
import type { Change } from '../../storage/contract/changes.ts';
import type { AppServices } from '../app-services.ts';
import { isReachable } from '../service-calls.ts';
import type { EphemeralSource } from './ephemeral-source.ts';
import { Interest, type InterestDeps } from './interest.ts';
import { type QueueDeps, ServiceQueue } from './service-queue.ts';
import { TypingSource, type TypingSourceDeps } from './typing-source.ts';

export interface ServiceSenderDeps extends Omit<QueueDeps, 'interest' | 'sources' | 'transactions'> {
  readonly storage: QueueDeps['storage'] & InterestDeps['storage'];
  readonly services: AppServices;
  readonly roster: Pick<Roster, 'localUsersIn'>;
  readonly listTyping: TypingSourceDeps['listTyping'];
  readonly metrics: Metrics;
}

/** Whom services stand for, for who decides what services may be told of people. Only services that want ephemeral events. */
export interface ServiceAudience {
  readonly serviceIds: readonly string[];
  /** Users of the service who are joined to the room. Live: not to be kept over an await. */
  usersIn(serviceId: string, roomId: RoomId): ReadonlySet<UserId>;
  isUserOf(serviceId: string, userId: UserId): boolean;
  /** There is something ephemeral to send. Cheap. */
  poke(serviceId: string): void;
}

/**
 * Sends services what concerns them (application service API, "Pushing events" and "Pushing ephemeral data"). Each has a queue of its own, so
 * none waits for another. A server without services need not tell it of commits.
 */
export class ServiceSender {
  readonly audience: ServiceAudience;
  readonly #deps: ServiceSenderDeps;
  readonly #interest: Interest;
  readonly #queues = new Map<string, ServiceQueue>();
  readonly #sources: EphemeralSource[] = [];
  readonly #typing: TypingSource;

  constructor(deps: ServiceSenderDeps) {
    this.#deps = deps;
    const { metrics, services } = deps;
    const reachable = services.all.filter(isReachable);
    this.#interest = new Interest(deps);
    this.#typing = new TypingSource({ services: reachable, interest: this.#interest, listTyping: deps.listTyping });
    this.#sources.push(this.#typing);
    const transactions = metrics.count({
      name: 'lantern_appservice_transactions_total',
      help: 'Transactions to application services, by what became of each attempt.',
      label: { name: 'outcome', values: ['taken', 'failed'] },
    });
    const queueDeps: QueueDeps = { ...deps, interest: this.#interest, sources: this.#sources, transactions };
    for (const service of reachable) this.#queues.set(service.id, new ServiceQueue(queueDeps, service));
    metrics.gauge(
      { name: 'lantern_appservices_failing', help: 'Application services that did not take the last transaction.' },
      () => [...this.#queues.values()].filter(({ isFailing }) => isFailing).length,
    );
    this.audience = this.#createAudience();
  }

  /** False: nothing is ever sent, and no change is worth telling. */
  get isNeeded(): boolean {
    return this.#queues.size > 0;
  }

  /** Before the start. */
  addSource(source: EphemeralSource): void {
    this.#sources.push(source);
  }

  /** Takes up what was waiting when the process ended. What a service was told that is not configured any more is forgotten. */
  async start(): Promise<void> {
    await this.#deps.storage.commit({ rows: [{ kind: 'services_kept', serviceIds: [...this.#queues.keys()] }] });
    for (const queue of this.#queues.values()) await queue.load();
    for (const queue of this.#queues.values()) queue.poke();
  }

  /** A listener for the feed, behind the roster and before all who ask the audience. */
  onChanges(changes: readonly Change[]): void {
    for (const change of changes) {
      this.#interest.apply(change);
      if (change.kind === 'to_device') {
        for (const queue of this.#queues.values()) {
          if (!queue.service.receiveEphemeral) continue;
          for (const device of change.devices)
            if (this.#interest.ownsUser(queue.service, device.userId)) queue.noteMessage(device);
        }
      } else if (change.kind === 'event' || change.kind === 'membership' || change.kind === 'receipt') {
        for (const queue of this.#queues.values()) if (this.#mayConcern(queue, change)) queue.noteNews(change.position);
      }
    }
  }

  /** Who types in the room changed. */
  typingChanged(roomId: RoomId): void {
    for (const serviceId of this.#typing.mark(roomId)) this.#queues.get(serviceId)?.poke();
  }

  /** The service called us, or is asked to be: whatever back-off there was ends now. */
  serviceIsBack(serviceId: string): void {
    this.#queues.get(serviceId)?.serviceIsBack();
  }

  /** Resolves when nothing is being sent; not before a service that failed is tried again. */
  async idle(): Promise<void> {
    for (const queue of this.#queues.values()) await queue.idle();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#queues.values()].map((queue) => queue.stop()));
  }

  /** Says yes where it is not sure. */
  #mayConcern(
    { service }: ServiceQueue,
    change: Extract<Change, { kind: 'event' | 'membership' | 'receipt' }>,
  ): boolean {
    const interest = this.#interest;
    if (change.kind === 'receipt') {
      return service.receiveEphemeral && interest.mayConcernRoom(service, change.roomId);
    }
    if (change.kind === 'membership') return interest.isUserOf(service, change.userId);
    return (
      interest.mayConcernRoom(service, change.roomId) ||
      interest.isUserOf(service, change.sender) ||
      (change.stateKey !== null && interest.isUserOf(service, change.stateKey))
    );
  }

  #createAudience(): ServiceAudience {
    const queueOf = (serviceId: string): ServiceQueue | undefined => this.#queues.get(serviceId);
    const nobody: ReadonlySet<UserId> = new Set();
    return {
      serviceIds: [...this.#queues.values()]
        .filter(({ service }) => service.receiveEphemeral)
        .map(({ service }) => service.id),
      usersIn: (serviceId, roomId) => {
        const queue = queueOf(serviceId);
        return queue ? this.#interest.usersIn(queue.service, roomId) : nobody;
      },
      isUserOf: (serviceId, userId) => {
        const queue = queueOf(serviceId);
        return queue !== undefined && this.#interest.isUserOf(queue.service, userId);
      },
      poke: (serviceId) => queueOf(serviceId)?.poke(),
    };
  }
}
