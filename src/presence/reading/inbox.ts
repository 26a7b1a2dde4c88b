import type { Clock } from '../../base/clock.ts';
import { Sweeper } from '../../base/tasks/sweeper.ts';
import type { DeviceId, UserId } from '../../matrix/ids.ts';
import type { Roster } from '../../roster/roster.ts';
import type { Shown } from '../core/shown.ts';
import { numbersPerMs } from './token.ts';

/** How long a viewer who does not sync is still written to. */
const keptMs = 60_000;
/** Subjects addressed to one viewer and not fetched; beyond it the oldest are left to the rule for those who were away. */
const entriesMax = 50_000;
const equivalentsMax = 16;
const lostMax = 10_000;

export interface InboxEntry {
  readonly number: number;
  /** The viewer lost sight of the subject: what is given is a bare `offline`, whatever the subject does. */
  readonly loss: boolean;
}

export interface DeviceOfViewer {
  polls: number;
  seenAt: number;
  /** Everything up to here was fetched; undefined before its first incremental sync. */
  fetched: number | undefined;
}

/**
 * What has been addressed to one connected viewer and not been fetched by all of their devices: subjects, not payloads.
 * Numbers grow with what is addressed to this viewer and with nothing else, so that nobody can tell from them what others
 * do. They begin at the age of the process, which is how a number also says when it was given.
 */
export class Inbox {
  readonly #clock: Clock;
  readonly #entries = new Map<UserId, InboxEntry>();
  readonly #devices = new Map<DeviceId, DeviceOfViewer>();
  /** Tokens that were answered with nothing new, and so stay: what they stand for here. */
  readonly #equivalents = new Map<string, number>();
  /** Whom the viewer was last told to have lost. */
  readonly #lost = new Set<UserId>();
  /** Given at read time to a viewer who newly shares a room; the dispatcher need not repeat it. */
  #given = new Map<UserId, Shown>();
  #last: number;
  /** The number of the newest entry. */
  #newest = Number.NEGATIVE_INFINITY;
  #floor: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#last = Math.floor(clock.monotonic() * numbersPerMs);
    this.#floor = this.#last;
  }

  /** The number of what was last addressed to the viewer. */
  get last(): number {
    return this.#last;
  }

  /** Takes a number for something that is given without having been addressed. */
  next(): number {
    this.#last = Math.max(this.#last + 1, Math.floor(this.#clock.monotonic() * numbersPerMs));
    return this.#last;
  }

  /** False: it is known to the viewer already. `gained`: not a change of the subject but of who sees them. */
  putUpdate(subject: UserId, gained?: Shown): boolean {
    if (gained !== undefined && this.#given.get(subject) === gained) return false;
    this.#lost.delete(subject);
    this.#put(subject, false);
    return true;
  }

  putLoss(subject: UserId): boolean {
    if (this.#lost.has(subject)) return false;
    this.#given.delete(subject);
    this.#put(subject, true);
    this.#lost.add(subject);
    if (this.#lost.size > lostMax)
      for (const oldest of [...this.#lost].slice(0, lostMax / 10)) this.#lost.delete(oldest);
    return true;
  }

  /** Something about the subject waits to be fetched by one of the devices. */
  has(subject: UserId): boolean {
    return this.#entries.has(subject);
  }

  /** The viewer was shown the subject without an entry. */
  noteGiven(subject: UserId, shown: Shown): void {
    this.#lost.delete(subject);
    this.#given.set(subject, shown);
    if (this.#given.size > entriesMax) this.#given = new Map();
  }

  /** False: nothing was addressed since that number. */
  hasSince(number: number): boolean {
    return number < this.#floor || number > this.#last || number < this.#newest;
  }

  /** In the order of their numbers. Undefined: what was addressed since that number is not all here. */
  entriesSince(number: number): (readonly [UserId, InboxEntry])[] | undefined {
    if (number < this.#floor || number > this.#last) return undefined;
    const entries: (readonly [UserId, InboxEntry])[] = [];
    for (const pair of this.#entries) if (pair[1].number > number) entries.push(pair);
    return entries;
  }

  /** The token was answered with nothing new as of `number`, so it comes again. */
  setEquivalent(token: string, number: number): void {
    this.#equivalents.delete(token);
    this.#equivalents.set(token, number);
    if (this.#equivalents.size <= equivalentsMax) return;
    for (const oldest of this.#equivalents.keys()) {
      this.#equivalents.delete(oldest);
      return;
    }
  }

  findEquivalent(token: string): number | undefined {
    return this.#equivalents.size === 0 ? undefined : this.#equivalents.get(token);
  }

  /** The device, until `endPoll` of it. */
  beginPoll(deviceId: DeviceId): DeviceOfViewer {
    const device = this.deviceOf(deviceId);
    device.polls += 1;
    return device;
  }

  endPoll(device: DeviceOfViewer): void {
    device.polls = Math.max(0, device.polls - 1);
    device.seenAt = this.#clock.monotonic();
  }

  /** The device has fetched everything up to `number`; what all devices have is forgotten. */
  noteFetched(device: DeviceOfViewer, number: number): void {
    device.seenAt = this.#clock.monotonic();
    if (device.fetched === number && number <= this.#floor) return;
    device.fetched = number;
    let least = number;
    for (const [id, other] of this.#devices) {
      if (other.polls === 0 && this.#isAway(other)) this.#devices.delete(id);
      else if (other.fetched !== undefined) least = Math.min(least, other.fetched);
    }
    if (least <= this.#floor) return;
    this.#floor = least;
    for (const [subject, entry] of this.#entries) {
      if (entry.number > least) break;
      this.#entries.delete(subject);
    }
  }

  /** When nobody fetches any more; undefined while a device polls. */
  idleSince(): number | undefined {
    let latest = Number.NEGATIVE_INFINITY;
    for (const { polls, seenAt } of this.#devices.values()) {
      if (polls > 0) return undefined;
      latest = Math.max(latest, seenAt);
    }
    return latest;
  }

  #isAway(device: DeviceOfViewer): boolean {
    return this.#clock.monotonic() - device.seenAt >= keptMs;
  }

  deviceOf(deviceId: DeviceId): DeviceOfViewer {
    let device = this.#devices.get(deviceId);
    if (!device) {
      device = { polls: 0, seenAt: this.#clock.monotonic(), fetched: undefined };
      this.#devices.set(deviceId, device);
    }
    return device;
  }

  #put(subject: UserId, loss: boolean): void {
    // Removed first, so that the entries stand in the order of their numbers.
    this.#entries.delete(subject);
    this.#newest = this.next();
    this.#entries.set(subject, { number: this.#newest, loss });
    if (this.#entries.size <= entriesMax) return;
    for (const [oldest, entry] of this.#entries) {
      this.#entries.delete(oldest);
      this.#floor = entry.number;
      return;
    }
  }
}

/** The inboxes of the viewers who are connected. A viewer who does not sync has none and costs nothing. */
export class Inboxes {
  readonly #clock: Clock;
  readonly #roster: Pick<Roster, 'connect' | 'disconnect'>;
  readonly #inboxes = new Map<UserId, Inbox>();
  readonly #closing: Sweeper<UserId>;

  constructor(deps: { clock: Clock; roster: Pick<Roster, 'connect' | 'disconnect'> }) {
    this.#clock = deps.clock;
    this.#roster = deps.roster;
    this.#closing = new Sweeper({ clock: deps.clock, onDue: (viewer) => this.#closeIfIdle(viewer) });
  }

  find(viewer: UserId): Inbox | undefined {
    return this.#inboxes.get(viewer);
  }

  get size(): number {
    return this.#inboxes.size;
  }

  /** The viewer's inbox, a new one if they were away. It closes a minute after their last sync. */
  open(viewer: UserId): Inbox {
    let inbox = this.#inboxes.get(viewer);
    if (!inbox) {
      inbox = new Inbox(this.#clock);
      this.#inboxes.set(viewer, inbox);
      this.#roster.connect(viewer);
    }
    if (this.#closing.timeOf(viewer) === undefined) this.#closing.set(viewer, this.#clock.monotonic() + keptMs);
    return inbox;
  }

  close(viewer: UserId): void {
    if (!this.#inboxes.delete(viewer)) return;
    this.#closing.set(viewer, undefined);
    this.#roster.disconnect(viewer);
  }

  stop(): void {
    this.#closing.stop();
  }

  #closeIfIdle(viewer: UserId): void {
    const idleSince = this.#inboxes.get(viewer)?.idleSince();
    const now = this.#clock.monotonic();
    if (idleSince !== undefined && now - idleSince >= keptMs) this.close(viewer);
    else this.#closing.set(viewer, (idleSince ?? now) + keptMs);
  }
}
