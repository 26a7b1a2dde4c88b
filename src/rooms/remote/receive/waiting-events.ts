import type { Clock, Timer } from '../../../base/clock.ts';
import { canonicalJson } from '../../../base/json/canonical-json.ts';
import type { Log } from '../../../base/log.ts';
import type { Random } from '../../../base/random.ts';
import { Background } from '../../../base/tasks/background.ts';
import { type Backoff, backoffDelayMs } from '../../../base/tasks/backoff.ts';
import { Slots, SlotsFullError } from '../../../base/tasks/slots.ts';
import { SlotsByKey } from '../../../base/tasks/slots-by-key.ts';
import type { EventId, RoomId } from '../../../matrix/ids.ts';
import type { RoomEvent } from '../../../matrix/pdu.ts';
import type { ServerName } from '../../../matrix/server-name.ts';
import type { Change } from '../../../storage/contract/changes.ts';
import type { Row } from '../../../storage/contract/commit.ts';
import type { Storage } from '../../../storage/contract/storage.ts';
import type { WaitingEvent, WaitingEventKey } from '../../../storage/contract/waiting-events.ts';
import type { AttemptOutcome, TryWaiting } from './try-waiting.ts';
import { chooseExcess, waitingLimits } from './waiting-limits.ts';

/** An event that cannot be judged yet. */
export interface EventToKeep {
  readonly event: RoomEvent;
  /** Its signatures are good; else the keys are still to be had. */
  readonly isVerified: boolean;
  readonly missing: readonly EventId[];
}

export interface WaitingEventsDeps {
  readonly storage: Pick<Storage, 'waitingEvents' | 'commit'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly tryWaiting: TryWaiting;
  /** Servers that may give what an event of the room lacks when the one that brought it does not. */
  readonly listHelpers: (roomId: RoomId) => readonly ServerName[];
}

/** Events of one attempt. */
const batchMax = 100;
/** Attempts at once, in all and with one server; one room is tried once at a time with each. */
const attemptsMax = { runningMax: 16, waitingMax: 10_000 };
const attemptsOfServerMax = { runningMax: 4, waitingMax: 200 };
const attemptsOfLaneMax = { runningMax: 1, waitingMax: 50 };
/** Who is asked in turn: the server that brought the event, and others of the room. */
const helpersMax = 5;
const retryBackoff: Backoff = { firstMs: 120_000, maxMs: 6 * 3_600_000 };
/** Nobody will give it any more. */
const waitMaxMs = 7 * 24 * 3_600_000;
/**
 * What was missing came: what waited for it is looked at a little later. Whoever sends the one is likely to be sending the other again, and
 * what is sent takes its place behind it by itself.
 */
const arrivalDelayMs = 2_000;
/** Between two looks at what is due, so that what cannot begin now costs little. */
const lookAgainMs = 5_000;

/** Keeps events that cannot be judged, and tries them again: when what they miss comes, after a while, after a restart. */
export class WaitingEvents {
  readonly #deps: WaitingEventsDeps;
  readonly #background: Background;
  readonly #slots = new Slots(attemptsMax);
  readonly #serverSlots = new SlotsByKey(attemptsOfServerMax);
  readonly #lanes = new SlotsByKey(attemptsOfLaneMax);
  /** What is being tried, and whether something happened meanwhile for which it must be tried again. */
  readonly #busy = new Map<string, { again: boolean }>();
  /** What came, by room, until it is looked who waited for it. */
  readonly #arrived = new Map<RoomId, { readonly eventIds: Set<EventId>; readonly timer: Timer }>();
  #retryTimer: Timer | undefined;
  #isStopped = false;

  constructor(deps: WaitingEventsDeps) {
    this.#deps = deps;
    this.#background = new Background({ log: deps.log });
  }

  /** Keeps events that a server brought: stored when this resolves. With `ask` the server is asked then for what they lack. */
  async keep(
    { origin, roomId, ask }: { readonly origin: ServerName; readonly roomId: RoomId; readonly ask: boolean },
    events: readonly EventToKeep[],
  ): Promise<void> {
    const nowMs = this.#deps.clock.now();
    const retryAtMs = nowMs + backoffDelayMs(retryBackoff, 1, this.#deps.random);
    const rows = events.map(({ event: { eventId, pdu }, isVerified, missing }): Row => {
      const attempt = { eventId, origin, isVerified, missing, attempts: 0, retryAtMs };
      return { kind: 'waiting_event', ...attempt, roomId, pduText: canonicalJson(pdu), receivedAtMs: nowMs };
    });
    await this.#deps.storage.commit({ rows });
    await this.#dropExcess(origin, roomId);
    const keys = events.map(({ event: { eventId } }) => ({ eventId, origin }));
    if (ask) this.#run('ask for what events lack', () => this.#tryKeys(roomId, keys, origin));
    await this.#schedule();
  }

  /** For the feed: what is waited for may have come. */
  onChanges(changes: readonly Change[]): void {
    for (const change of changes) {
      if (change.kind !== 'event_awaited' || this.#isStopped) continue;
      const { roomId, eventId } = change;
      const arrived = this.#arrived.get(roomId);
      if (arrived) arrived.eventIds.add(eventId);
      else {
        const timer = this.#deps.clock.setTimer(arrivalDelayMs, () => this.#lookForWaiting(roomId));
        this.#arrived.set(roomId, { eventIds: new Set([eventId]), timer });
      }
    }
  }

  /** Something else that the events of this room waited for is over, such as our own join. */
  tryRoom(roomId: RoomId): void {
    this.#run('judge what waited for a room', async () => {
      const waiting = await this.#deps.storage.waitingEvents.listOfRoom(roomId, waitingLimits.inRoom);
      for (const [origin, ofOrigin] of groupBy(waiting, (entry) => entry.origin)) {
        for (const batch of batchesOf(ofOrigin)) await this.#try(roomId, batch, origin);
      }
    });
  }

  /** Takes up what waited when the process ended: what is missing may have come in its last moment. */
  start(): void {
    this.#run('judge what waited for a start', async () => {
      const { waitingEvents } = this.#deps.storage;
      for (let after = 0; !this.#isStopped; ) {
        const page = await waitingEvents.list(after, batchMax);
        for (const [roomId, ofRoom] of groupBy(page, (entry) => entry.roomId)) {
          await this.#try(roomId, ofRoom, undefined);
        }
        after = page.at(-1)?.number ?? 0;
        if (page.length < batchMax) break;
      }
      await this.#schedule();
    });
  }

  /** Nothing new is begun. */
  stop(): void {
    this.#isStopped = true;
    this.#retryTimer?.clear();
    for (const { timer } of this.#arrived.values()) timer.clear();
    this.#arrived.clear();
  }

  idle(): Promise<void> {
    return this.#background.idle();
  }

  #run(name: string, task: () => Promise<void>): void {
    if (!this.#isStopped) this.#background.run(name, task);
  }

  #lookForWaiting(roomId: RoomId): void {
    const eventIds = this.#arrived.get(roomId)?.eventIds;
    this.#arrived.delete(roomId);
    if (eventIds) this.#run('judge what waited for an event', () => this.#tryAwaiting(roomId, [...eventIds]));
  }

  /** What waits for these events, then what waits for those, and so on: all that needs nobody's help any more. */
  async #tryAwaiting(roomId: RoomId, eventIds: readonly EventId[]): Promise<void> {
    const tried = new Set<string>();
    for (let came = eventIds; came.length > 0 && !this.#isStopped; ) {
      const found = await this.#deps.storage.waitingEvents.listAwaiting(came, waitingLimits.inRoom);
      const waiting = found.filter((entry) => entry.roomId === roomId && !tried.has(keyOf(entry)));
      for (const entry of waiting) tried.add(keyOf(entry));
      const next: EventId[] = [];
      for (const batch of batchesOf(waiting)) next.push(...(await this.#try(roomId, batch, undefined)));
      came = next;
    }
  }

  async #tryKeys(roomId: RoomId, keys: readonly WaitingEventKey[], server: ServerName | undefined): Promise<void> {
    const { waitingEvents } = this.#deps.storage;
    const waiting = await waitingEvents.listByKeys(keys);
    // Nobody has to be asked about those for which something came: they are looked at in a moment.
    const arrived = server === undefined ? [] : [...(this.#arrived.get(roomId)?.eventIds ?? [])];
    const inHand = arrived.length === 0 ? [] : await waitingEvents.listAwaiting(arrived, waitingLimits.inRoom);
    const handled = new Set(inHand.map(keyOf));
    const came = await this.#try(
      roomId,
      waiting.filter((entry) => !handled.has(keyOf(entry))),
      server,
    );
    await this.#tryAwaiting(roomId, came);
  }

  /** One attempt; the ids of those that wait no more. Those that are being tried already are left for behind that. */
  async #try(roomId: RoomId, waiting: readonly WaitingEvent[], server: ServerName | undefined): Promise<EventId[]> {
    const free = waiting.filter((entry) => {
      const busy = this.#busy.get(keyOf(entry));
      if (busy) busy.again = true;
      return !busy;
    });
    if (free.length === 0 || this.#isStopped) return [];
    for (const entry of free) this.#busy.set(keyOf(entry), { again: false });
    try {
      const attempt = () => this.#deps.tryWaiting({ roomId, waiting: free, server });
      const outcomes = await (server === undefined ? attempt() : this.#inTurn(roomId, server, attempt));
      return await this.#settle(outcomes, server !== undefined);
    } catch (error) {
      // They wait on, and are due again in their time.
      if (error instanceof SlotsFullError) return [];
      throw error;
    } finally {
      const again = free.filter((entry) => this.#busy.get(keyOf(entry))?.again);
      for (const entry of free) this.#busy.delete(keyOf(entry));
      if (again.length > 0) this.#run('judge once more what waits', () => this.#tryKeys(roomId, again, undefined));
    }
  }

  #inTurn<T>(roomId: RoomId, server: ServerName, attempt: () => Promise<T>): Promise<T> {
    return this.#lanes.run(`${roomId} ${server}`, () => this.#serverSlots.run(server, () => this.#slots.run(attempt)));
  }

  async #settle(outcomes: ReadonlyMap<WaitingEvent, AttemptOutcome>, wasAsked: boolean): Promise<EventId[]> {
    const { clock, random, storage } = this.#deps;
    const rows: Row[] = [];
    const over: EventId[] = [];
    for (const [entry, outcome] of outcomes) {
      const { eventId, origin } = entry;
      if (outcome.outcome === 'over') {
        over.push(eventId);
        rows.push({ kind: 'waiting_event_removed', eventId, origin });
        continue;
      }
      const attempts = entry.attempts + (wasAsked ? 1 : 0);
      const retryAtMs = wasAsked ? clock.now() + backoffDelayMs(retryBackoff, attempts, random) : entry.retryAtMs;
      const { isVerified, missing } = outcome;
      rows.push({ kind: 'waiting_event_tried', eventId, origin, isVerified, missing, attempts, retryAtMs });
    }
    if (rows.length > 0) await storage.commit({ rows });
    await this.#schedule();
    return over;
  }

  async #schedule(): Promise<void> {
    const retryAtMs = await this.#deps.storage.waitingEvents.findNextRetry();
    this.#retryTimer?.clear();
    this.#retryTimer = undefined;
    if (retryAtMs === undefined || this.#isStopped) return;
    const delayMs = Math.max(retryAtMs - this.#deps.clock.now(), lookAgainMs);
    this.#retryTimer = this.#deps.clock.setTimer(delayMs, () => this.#run('look for what is due', () => this.#retry()));
  }

  async #retry(): Promise<void> {
    const { clock, storage } = this.#deps;
    const due = await storage.waitingEvents.listDue(clock.now(), batchMax);
    const old = due.filter(({ receivedAtMs }) => clock.now() - receivedAtMs > waitMaxMs);
    if (old.length > 0) await this.#drop(old, 'it waited too long');
    const waiting = due.filter((entry) => !old.includes(entry));
    for (const group of groupBy(waiting, (entry) => `${entry.roomId} ${this.#helperOf(entry)}`).values()) {
      const [first] = group;
      const server = first && this.#helperOf(first);
      if (first && server)
        this.#run('ask again for what events lack', () => this.#tryKeys(first.roomId, group, server));
    }
    await this.#schedule();
  }

  /** The server that brought it, and with each further attempt another one of the room. */
  #helperOf({ roomId, origin, attempts }: WaitingEvent): ServerName | undefined {
    const others = this.#deps.listHelpers(roomId).filter((server) => server !== origin);
    const helpers = [origin, ...others.slice(0, helpersMax - 1)];
    return helpers[attempts % helpers.length];
  }

  async #dropExcess(origin: ServerName, roomId: RoomId): Promise<void> {
    const { waitingEvents } = this.#deps.storage;
    const inRoom = await waitingEvents.countByOrigin(roomId);
    for (const excess of chooseExcess(inRoom, waitingLimits.inRoom)) {
      await this.#drop(
        await waitingEvents.listOldest(excess.origin, roomId, excess.count),
        'too many wait in the room',
      );
    }
    const inAll = await waitingEvents.countByOrigin(null);
    const ofOrigin = inAll.filter((entry) => entry.origin === origin);
    const excesses = [...chooseExcess(ofOrigin, waitingLimits.ofServer), ...chooseExcess(inAll, waitingLimits.inAll)];
    for (const excess of excesses) {
      await this.#drop(await waitingEvents.listOldest(excess.origin, null, excess.count), 'too many wait in all');
    }
  }

  async #drop(keys: readonly WaitingEventKey[], reason: string): Promise<void> {
    if (keys.length === 0) return;
    await this.#deps.storage.commit({
      rows: keys.map(({ eventId, origin }) => ({ kind: 'waiting_event_removed', eventId, origin })),
    });
    const [first] = keys;
    const eventIds = keys.slice(0, 10).map(({ eventId }) => eventId);
    this.#deps.log.warn({ origin: first?.origin, count: keys.length, eventIds, reason }, 'waiting events are dropped');
  }
}

function keyOf({ eventId, origin }: WaitingEventKey): string {
  return `${eventId} ${origin}`;
}

function batchesOf<T>(items: readonly T[]): T[][] {
  const batches: T[][] = [];
  for (let start = 0; start < items.length; start += batchMax) batches.push(items.slice(start, start + batchMax));
  return batches;
}

function groupBy<T, K>(items: readonly T[], keyOfItem: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const group = groups.get(keyOfItem(item)) ?? [];
    groups.set(keyOfItem(item), group);
    group.push(item);
  }
  return groups;
}
