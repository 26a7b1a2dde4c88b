import { LRUCache } from 'lru-cache';
import { breathe } from '../../base/breathe.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import { Background } from '../../base/tasks/background.ts';
import { type Backoff, backoffDelayMs } from '../../base/tasks/backoff.ts';
import type { RecentUnread } from '../../feed/recent-unread.ts';
import type { RoomId, UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { Roster } from '../../roster/roster.ts';
import type { Change } from '../../storage/contract/changes.ts';
import type { Row } from '../../storage/contract/commit.ts';
import type { Position } from '../../storage/contract/numbers.ts';
import type { PusherKey, PusherProgress, PusherRow, PushReads } from '../../storage/contract/push.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import type { NotificationRow, UnreadReads } from '../../storage/contract/unread.ts';
import type { Gateway } from './gateway.ts';
import { encodeBadge, encodePush } from './payload.ts';
import { type NewsDeps, readNews } from './read-news.ts';

export interface PushSenderDeps {
  readonly storage: NewsDeps['storage'] & {
    readonly push: PushReads;
    readonly unread: Pick<UnreadReads, 'listNotifications'>;
    readonly commit: Storage['commit'];
    position(): Position;
  };
  readonly unread: Pick<RecentUnread, 'listCounts'>;
  readonly roster: Pick<Roster, 'roomsOf' | 'localUsersIn'>;
  readonly gateway: Gateway;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

type Pusher = PusherRow & PusherProgress;

const ownersPerPage = 500;
/** Of what a pusher has not told, the newest; the rest is told by the count alone. */
const newsMax = 20;
const backoff: Backoff = { firstMs: 1_000, maxMs: 60 * 60 * 1000 };
/** What a gateway did not take for so long is not told any more. */
const givesUpAfterMs = 24 * 60 * 60 * 1000;
const badgesMax = 100_000;
/** A pusher that had nothing to tell so far is moved on, so that the next start need not look so far back. */
const quietStretch = 10_000;

/** A pusher that is telling, or waits to try again. */
interface Task {
  readonly key: PusherKey;
  running: boolean;
  /** What is unread may have become less, which the gateway is to know. */
  counts: boolean;
  again: boolean;
  failures: number;
  pause: Timer | undefined;
}

const idle = { running: false, counts: false, again: false, failures: 0, pause: undefined };

/**
 * Tells gateways what users were notified of (push gateway API). A pusher owns a place up to which it has told, stored behind each answer,
 * so that after an end of the process nothing is lost and at most one thing told twice; its gateway's failures hold up nobody else. A pusher
 * with nothing to tell costs its owner's place in a set.
 */
export class PushSender {
  readonly #deps: PushSenderDeps;
  readonly #owners = new Set<UserId>();
  readonly #tasks = new Map<string, Task>();
  /** The counts that gateways know. */
  readonly #badges = new LRUCache<string, number>({ max: badgesMax });
  readonly #background: Background;

  constructor(deps: PushSenderDeps) {
    this.#deps = deps;
    this.#background = new Background({ log: deps.log, tasksMax: 100_000 });
  }

  /** Finds who has pushers, and takes up what was not told when the process ended. */
  async start(): Promise<void> {
    let after: UserId | null = null;
    for (;;) {
      const page: UserId[] = await this.#deps.storage.push.listOwners(after, ownersPerPage);
      for (const userId of page) this.#owners.add(userId);
      after = page.at(-1) ?? null;
      if (after === null) break;
    }
    this.#background.run('pushes that were left', async (signal) => {
      for (const userId of [...this.#owners]) {
        if (signal.aborted) return;
        await this.#wakeAll(userId, false);
        await breathe();
      }
    });
  }

  /** A listener for the feed, behind the roster. */
  onChanges(changes: readonly Change[]): void {
    const users = new Set<UserId>();
    const readers = new Set<UserId>();
    for (const change of changes) {
      if (change.kind === 'pushers') this.#owners.add(change.userId);
      else if (change.kind === 'read_place') readers.add(change.userId);
      else if (change.kind === 'notification') {
        for (const userId of change.singly) users.add(userId);
        if (change.forEverybody) this.#addOwnersIn(change.roomId, users);
      }
    }
    for (const userId of new Set([...users, ...readers])) {
      if (!this.#owners.has(userId)) continue;
      this.#background.run('push', () => this.#wakeAll(userId, readers.has(userId)));
    }
  }

  /** Resolves when nothing is being told; not before a gateway that failed is tried again. */
  idle(): Promise<void> {
    return this.#background.idle();
  }

  async stop(): Promise<void> {
    for (const task of this.#tasks.values()) task.pause?.clear();
    await this.#background.stop();
  }

  #addOwnersIn(roomId: RoomId, users: Set<UserId>): void {
    const locals = this.#deps.roster.localUsersIn(roomId);
    const [few, many] = locals.size <= this.#owners.size ? [locals, this.#owners] : [this.#owners, locals];
    for (const userId of few) if (many.has(userId)) users.add(userId);
  }

  async #wakeAll(userId: UserId, counts: boolean): Promise<void> {
    const pushers = await this.#deps.storage.push.listPushers(userId);
    if (pushers.length === 0) this.#owners.delete(userId);
    for (const { appId, pushkey } of pushers) this.#wake({ userId, appId, pushkey }, counts);
  }

  #wake(key: PusherKey, counts: boolean): void {
    const name = nameOf(key);
    const task = this.#tasks.get(name) ?? { ...idle, key };
    this.#tasks.set(name, task);
    task.again = true;
    task.counts ||= counts;
    // What failed is tried when its time has come, and with it what came up meanwhile.
    if (task.running || task.pause !== undefined) return;
    task.running = true;
    if (!this.#background.run('push', (signal) => this.#run(task, signal))) this.#tasks.delete(name);
  }

  async #run(task: Task, signal: AbortSignal): Promise<void> {
    let isTaken = true;
    try {
      while (task.again && isTaken && !signal.aborted) {
        task.again = false;
        isTaken = await this.#tell(task, signal);
      }
    } finally {
      task.running = false;
      if (isTaken || signal.aborted) this.#tasks.delete(nameOf(task.key));
      else this.#pause(task);
    }
  }

  #pause(task: Task): void {
    const { clock, random } = this.#deps;
    task.failures += 1;
    task.pause = clock.setTimer(backoffDelayMs(backoff, task.failures, random), () => {
      task.pause = undefined;
      this.#wake(task.key, false);
    });
  }

  /** False when the gateway failed. */
  async #tell(task: Task, signal: AbortSignal): Promise<boolean> {
    const { storage, roster } = this.#deps;
    const pusher = await this.#find(task.key);
    if (!pusher) return true;
    const upTo = storage.position();
    const page = { before: upTo + 1, limit: newsMax, onlyHighlights: false, onlyUnread: true };
    const rooms = new Set(roster.roomsOf(pusher.userId));
    const after = pusher.toldUpTo;
    const { notifications } = await storage.unread.listNotifications(pusher.userId, rooms, { ...page, after });
    for (const notification of notifications.reverse()) {
      if (!(await this.#tellOne(task, { pusher, notification }, signal))) return false;
      if (signal.aborted) return true;
    }
    if (notifications.length > 0) return true;
    if (task.counts) await this.#tellBadge(pusher, signal);
    task.counts = false;
    if (upTo - pusher.toldUpTo > quietStretch) await this.#moveOn(pusher, upTo);
    return true;
  }

  async #tellOne(
    task: Task,
    { pusher, notification }: { pusher: Pusher; notification: NotificationRow },
    signal: AbortSignal,
  ): Promise<boolean> {
    const { clock, log } = this.#deps;
    const news = await readNews(this.#deps, pusher, notification);
    // The user took it away while others were told.
    const current = await this.#find(task.key);
    if (!current) return true;
    if (news) {
      const unread = await this.#countUnread(current.userId);
      const isTaken = await this.#post(current, { body: encodePush(current, news, unread), unread }, signal);
      if (signal.aborted) return true;
      const failingSinceMs = current.failingSinceMs ?? clock.now();
      if (!isTaken && clock.now() - failingSinceMs < givesUpAfterMs) {
        if (current.failingSinceMs === null) await this.#put(current, { ...current, failingSinceMs });
        return false;
      }
      if (!isTaken) {
        log.info({ appId: current.appId }, 'a push gateway failed for a day; what it was to tell is given up');
        await this.#put(current, { toldUpTo: notification.position, failingSinceMs });
        return false;
      }
    }
    task.failures = 0;
    await this.#moveOn(current, notification.position);
    return true;
  }

  /** Where the count is another than the gateway knows. One that is not taken is not tried again: the next one says more. */
  async #tellBadge(pusher: Pusher, signal: AbortSignal): Promise<void> {
    const unread = await this.#countUnread(pusher.userId);
    if (this.#badges.get(nameOf(pusher)) === unread) return;
    await this.#post(pusher, { body: encodeBadge(pusher, unread), unread }, signal);
  }

  /** True when the gateway took it, and the pusher with it if it wants nothing more for this key. */
  async #post(
    pusher: Pusher,
    { body, unread }: { body: JsonObject; unread: number },
    signal: AbortSignal,
  ): Promise<boolean> {
    const { userId, appId, pushkey, data } = pusher;
    const answer = await this.#deps.gateway.notify(String(data.url), body, signal);
    if (answer.outcome === 'failed') {
      this.#deps.log.debug({ appId, reason: answer.reason }, 'a push gateway failed');
      return false;
    }
    this.#badges.set(nameOf(pusher), unread);
    // "The homeserver must cease sending notification requests for these pushkeys and remove the associated pushers."
    if (answer.rejected.includes(pushkey)) await this.#commit([{ kind: 'pusher_removed', userId, appId, pushkey }]);
    return true;
  }

  async #countUnread(userId: UserId): Promise<number> {
    const { unread, roster } = this.#deps;
    let count = 0;
    for (const threads of (await unread.listCounts(userId, [...roster.roomsOf(userId)])).values()) {
      for (const { notifications } of threads.values()) count += notifications;
    }
    return count;
  }

  async #find({ userId, appId, pushkey }: PusherKey): Promise<Pusher | undefined> {
    const pushers = await this.#deps.storage.push.listPushers(userId);
    return pushers.find((pusher) => pusher.appId === appId && pusher.pushkey === pushkey);
  }

  #moveOn(pusher: PusherKey, toldUpTo: Position): Promise<void> {
    return this.#put(pusher, { toldUpTo, failingSinceMs: null });
  }

  #put({ userId, appId, pushkey }: PusherKey, { toldUpTo, failingSinceMs }: PusherProgress): Promise<void> {
    return this.#commit([{ kind: 'pusher_progress', userId, appId, pushkey, toldUpTo, failingSinceMs }]);
  }

  async #commit(rows: readonly Row[]): Promise<void> {
    await this.#deps.storage.commit({ rows });
  }
}

function nameOf({ userId, appId, pushkey }: PusherKey): string {
  return JSON.stringify([userId, appId, pushkey]);
}
