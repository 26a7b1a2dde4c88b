import { breathe } from '../../base/breathe.ts';
import type { Background } from '../../base/tasks/background.ts';
import type { UserId } from '../../matrix/ids.ts';
import { listServers } from '../core/audience.ts';
import { type Copy, findVisible } from '../core/copies.ts';
import { createFacts, type Difference, type Ground, withDifference } from '../core/facts.ts';
import type { Marking } from '../core/marking.ts';
import type { PresenceMetrics } from '../core/metrics.ts';
import type { PastChange } from '../core/past.ts';
import type { RulesOfUsers } from '../core/rules.ts';
import { isBlank, isSameShown, shownOffline } from '../core/shown.ts';
import { type PolicyFacts, reaches } from '../policy.ts';
import type { ServiceMarks } from './addressees.ts';
import { AudienceChanges, type AudienceChangesDeps } from './audience-changes.ts';
import type { AudienceJob } from './turn.ts';

/** Changes of audience that wait; who would add to them is made to wait by `room()`. */
const jobsMax = 1_000;

/** Viewers who are asked about and addressed without a pause; half a millisecond. */
const walkedAtOnceMax = 1_000;
/** Servers that are marked without a pause: their maps grow, by doubling, with the same subject. */
const serversAtOnceMax = 25;

export interface DispatcherDeps extends Omit<AudienceChangesDeps, 'listConnected' | 'changedLately'> {
  background: Background;
  rules: Pick<RulesOfUsers, 'namedBy'>;
  services: ServiceMarks;
  metrics: PresenceMetrics;
}

/** See `Marking`. */
type Telling = Required<Omit<Marking, 'resend'>>;

type Job = { readonly at: number } & ({ kind: 'told'; subject: UserId } | ({ kind: 'audience' } & AudienceJob));

/** When copies of remote subjects changed: monotonic, and the oldest change of audience that was not handed out, or the next one. */
export interface ReceivedAt {
  readonly at: number;
  readonly from: number;
}

/** How it was before the change of that number, as of the number that comes next. */
interface Earlier {
  readonly from: number;
  readonly seen: number;
  readonly difference: Difference;
  readonly ground: Ground;
  readonly facts: PolicyFacts;
}

/**
 * The fan-out worker: takes what changed, one change after the other, asks the policy for connected viewers and for servers,
 * and addresses inboxes and marks. In slices; what is handed out meanwhile asks the policy itself.
 */
export class Dispatcher {
  readonly #deps: DispatcherDeps;
  readonly #now: PolicyFacts;
  readonly #audienceChanges: AudienceChanges;
  #jobs: Job[] = [];
  /** Subjects who wait to be told about, with how other servers are to be told. */
  readonly #told = new Map<UserId, Telling>();
  /** Numbers of the changes of audience that are not handed out, oldest first. */
  #unfinished: number[] = [];
  /** Who changed since there was last nothing to hand out. */
  readonly #changed = new Set<UserId>();
  #earlier: Earlier | undefined;
  #running: Promise<void> | undefined;
  #lagMs = 0;

  constructor(deps: DispatcherDeps) {
    this.#deps = deps;
    this.#now = createFacts(deps.ground);
    this.#audienceChanges = new AudienceChanges({
      ...deps,
      listConnected: (subject) => this.#listConnected(subject),
      changedLately: (subject) => this.#changed.has(subject),
    });
  }

  /** The subject's own state changed. Several changes before their turn are one. */
  tell(subject: UserId, { urgent, lasting }: Telling): void {
    const waiting = this.#told.get(subject);
    this.#told.set(subject, {
      urgent: urgent || waiting?.urgent === true,
      lasting: lasting || waiting?.lasting === true,
    });
    this.#changed.add(subject);
    if (waiting === undefined) this.#add({ kind: 'told', subject, at: this.#deps.now() });
    else this.#deps.metrics.coalesced.add(1, 'local');
  }

  /** Something that the policy is made of changed; `change` holds what it was before, and has this number in the past. */
  compare(change: PastChange, number: number): void {
    const [from = number] = this.#unfinished;
    this.#unfinished.push(number);
    this.#add({ kind: 'audience', change, number, from, at: this.#deps.now() });
  }

  /** To be asked for when what other servers told begins to change. */
  get moment(): ReceivedAt {
    return { at: this.#deps.now(), from: this.#unfinished[0] ?? this.#deps.past.next };
  }

  /**
   * What other servers told of these subjects changed; nobody is woken before all of it is addressed. Also those who had it until a change of
   * audience that was not handed out then, or came since: neither finds by itself what is not held any more.
   */
  async tellReceived(before: ReadonlyMap<UserId, readonly Copy[]>, { at, from }: ReceivedAt): Promise<void> {
    const woken = new Set<UserId>();
    for (const [subject, copies] of before) {
      const present = this.#deps.remote.copiesOf(subject);
      if (present === copies) continue;
      this.#deps.services.mark(subject);
      const connected = await this.#listConnected(subject);
      // Not before that: who leaves meanwhile is asked about as of before they left.
      const then = this.#before(from);
      for (const viewer of then ? this.#withFormer(connected, subject, then) : connected) {
        if (this.#addressReceived({ subject, viewer }, { before: copies, after: present }, then?.facts))
          woken.add(viewer);
      }
    }
    this.#noteLag(at);
    for (const viewer of woken) this.#deps.waiters.wake(viewer);
  }

  /** The longest that it has ever taken from a change until all whom it concerns were addressed. */
  get lagMs(): number {
    return this.#lagMs;
  }

  #noteLag(since: number): void {
    this.#lagMs = Math.max(this.#lagMs, this.#deps.now() - since);
  }

  /** Resolves when there is room for another change of audience. */
  async room(): Promise<void> {
    while (this.#jobs.length >= jobsMax && this.#running !== undefined) await this.#running;
  }

  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  #add(job: Job): void {
    this.#jobs.push(job);
    if (this.#running === undefined) this.#start();
  }

  #start(): void {
    let finish = (): void => {};
    this.#running = new Promise((resolve) => {
      finish = resolve;
    });
    const started = this.#deps.background.run('hand out presence', () =>
      this.#drain().finally(() => {
        this.#running = undefined;
        // Came at the last moment, or stood behind a job that failed.
        if (this.#jobs.length > 0) this.#start();
        else this.#changed.clear();
        finish();
      }),
    );
    if (started) return;
    this.#running = undefined;
    this.#jobs = [];
    this.#unfinished = [];
    this.#told.clear();
    this.#changed.clear();
    finish();
  }

  async #drain(): Promise<void> {
    // Outside the stack of whoever changed something: a listener of commits must not wait.
    await Promise.resolve();
    for (let next = this.#jobs.shift(); next !== undefined; next = this.#jobs.shift()) {
      await this.#do(next);
      this.#noteLag(next.at);
      await breathe();
    }
  }

  async #do(job: Job): Promise<void> {
    if (job.kind === 'told') {
      const how = this.#told.get(job.subject) ?? { urgent: false, lasting: false };
      this.#told.delete(job.subject);
      await this.#tellNow(job.subject, how);
      this.#deps.metrics.wakeSeconds.observe((this.#deps.now() - job.at) / 1_000);
      return;
    }
    try {
      await this.#audienceChanges.tell(job);
    } finally {
      this.#deps.services.markChange(job.change);
      this.#unfinished.shift();
    }
  }

  async #tellNow(subject: UserId, how: Telling): Promise<void> {
    const { inboxes, waiters, roster, servers, metrics } = this.#deps;
    const viewers = this.#findConnected(subject) ?? (await this.#listConnected(subject));
    let recipients = 0;
    let asked = 0;
    for (const viewer of viewers) {
      asked += 1;
      if (asked % walkedAtOnceMax === 0) await breathe();
      if (!reaches(subject, viewer, this.#now)) continue;
      recipients += 1;
      if (inboxes.find(viewer)?.putUpdate(subject)) waiters.wake(viewer);
    }
    metrics.updates.add();
    metrics.recipients.observe(recipients);
    metrics.suppressed.add(asked - recipients);
    let marked = 0;
    for (const server of listServers(subject, roster, this.#now)) {
      servers.mark(server, subject, { ...how, resend: false });
      marked += 1;
      if (marked % serversAtOnceMax === 0) await breathe();
    }
    this.#deps.services.mark(subject);
  }

  /** The same where it is the roster's own set, which changes: for who walks it at once. */
  #findConnected(subject: UserId): ReadonlySet<UserId> | undefined {
    const { roster, rules } = this.#deps;
    const rooms = roster.roomsOf(subject);
    if (rooms.size !== 1 || rules.namedBy(subject).size > 0) return undefined;
    for (const roomId of rooms) {
      const connected = roster.connectedUsersIn(roomId);
      return connected.size < walkedAtOnceMax ? connected : undefined;
    }
    return undefined;
  }

  /** Everybody connected who shares a room with the subject or names them, and the subject. */
  async #listConnected(subject: UserId): Promise<ReadonlySet<UserId>> {
    const { roster, rules } = this.#deps;
    const viewers = new Set<UserId>();
    if (roster.isConnected(subject)) viewers.add(subject);
    for (const viewer of rules.namedBy(subject)) if (roster.isConnected(viewer)) viewers.add(viewer);
    for (const roomId of [...roster.roomsOf(subject)]) {
      const connected = roster.connectedUsersIn(roomId);
      if (connected.size > 100) await breathe();
      for (const viewer of connected) viewers.add(viewer);
    }
    return viewers;
  }

  /** Undefined: nothing has changed since. */
  #before(from: number): Earlier | undefined {
    const { past, ground } = this.#deps;
    if (from >= past.next) return undefined;
    if (this.#earlier?.from === from && this.#earlier.seen === past.next) return this.#earlier;
    const difference = past.differenceBefore(from);
    const then = withDifference(ground, difference);
    this.#earlier = { from, seen: past.next, difference, ground: then, facts: createFacts(then) };
    return this.#earlier;
  }

  /** Those who are connected, and everybody to whom what is held of a remote subject may have been shown. */
  #withFormer(connected: ReadonlySet<UserId>, subject: UserId, then: Earlier): ReadonlySet<UserId> {
    const { roster } = this.#deps;
    const all = new Set(connected);
    const rooms = then.ground.roomsOf(subject);
    for (const roomId of rooms) for (const viewer of roster.connectedUsersIn(roomId)) all.add(viewer);
    // Who left a room since, or stopped to name the subject.
    for (const viewer of [...then.difference.joined.keys(), ...then.difference.rules.keys()]) all.add(viewer);
    return all;
  }

  #addressReceived(
    pair: { readonly subject: UserId; readonly viewer: UserId },
    copies: { readonly before: readonly Copy[]; readonly after: readonly Copy[] },
    then: PolicyFacts | undefined,
  ): boolean {
    const { subject, viewer } = pair;
    const inbox = this.#deps.inboxes.find(viewer);
    if (!inbox) return false;
    // What has just expired was seen until now.
    const wasShown = (facts: PolicyFacts) =>
      findVisible(copies.before, pair, { facts, now: Number.NEGATIVE_INFINITY })?.shown ?? shownOffline;
    const is = findVisible(copies.after, pair, { facts: this.#now, now: this.#deps.now() })?.shown ?? shownOffline;
    if (!isBlank(is)) return !isSameShown(wasShown(this.#now), is) && inbox.putUpdate(subject);
    const isLost = !isBlank(wasShown(this.#now)) || (then !== undefined && !isBlank(wasShown(then)));
    return isLost && inbox.putLoss(subject);
  }
}
