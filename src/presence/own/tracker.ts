import { breathe } from '../../base/breathe.ts';
import type { Clock } from '../../base/clock.ts';
import type { Background } from '../../base/tasks/background.ts';
import { Sweeper } from '../../base/tasks/sweeper.ts';
import type { DeviceId, UserId } from '../../matrix/ids.ts';
import type { PresenceState } from '../../matrix/presence.ts';
import type { Row } from '../../storage/contract/commit.ts';
import type { PresenceRow } from '../../storage/contract/presence.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import { isSameShown, type Shown } from '../core/shown.ts';
import type { LocalPresence, LocalSubjects } from '../core/subjects.ts';
import type { PresenceSettings } from '../settings.ts';
import type { SyncBegin } from '../types.ts';
import {
  actOnDevice,
  aggregate,
  beginSync,
  type Device,
  endSync,
  goesOn,
  isForgettable,
  newDevice,
  putDevice,
} from './machine.ts';
import { deviceRows, newSubject, restoreSubject, type Subject, toWall } from './subject.ts';
import { WrittenSubjects } from './written-subjects.ts';

/** Devices of one user that are remembered; beyond it the one longest unseen is forgotten. */
const devicesMax = 100;
/** In it a user's syncs may change their presence as often as PUTs may in a minute. */
const syncWindowMs = 60_000;
const pageSize = 1_000;

/**
 * Why a user's presence may be another one: a sync, time or activity, the end of a device, or a PUT (or the end of the user) with
 * the status that it leaves.
 */
type Cause = 'sync' | 'time' | 'end' | { readonly statusMsg: string | null };

interface DeviceOfUser {
  readonly userId: UserId;
  readonly deviceId: DeviceId;
}

export interface TrackerDeps {
  storage: Pick<Storage, 'commit'> & { presence: Pick<Storage['presence'], 'listAll'> };
  clock: Clock;
  settings: PresenceSettings;
  background: Background;
  /** Somebody changed in a way that others can see. `before` is what they saw. */
  onChange(userId: UserId, before: Shown): void;
  /** What must be durable with a PUT that brings or takes a status. */
  rowsOfPut(userId: UserId): readonly Row[];
}

/** The presence of our own users: devices, timers, what is written. Says what changed; who learns of it is not its business. */
export class Tracker implements LocalSubjects {
  readonly #deps: TrackerDeps;
  readonly #subjects = new Map<UserId, Subject>();
  readonly #deadlines: Sweeper<UserId>;
  readonly #written: WrittenSubjects;
  /** Whose PUT is not known to be stored. */
  readonly #unconfirmed = new Set<UserId>();
  #stopped = false;

  constructor(deps: TrackerDeps) {
    this.#deps = deps;
    this.#deadlines = new Sweeper({ clock: deps.clock, onDue: (userId) => this.#recompute(userId, 'time') });
    this.#written = new WrittenSubjects({ ...deps, find: (userId) => this.#subjects.get(userId) });
  }

  /** Users who were online get a grace to come back; nobody stays online for ever. */
  async load(): Promise<void> {
    let after: UserId | null = null;
    for (;;) {
      const page: PresenceRow[] = await this.#deps.storage.presence.listAll(after, pageSize);
      for (const row of page) this.#restore(row);
      await breathe();
      const last = page.at(-1);
      if (!last || page.length < pageSize) return;
      after = last.userId;
    }
  }

  /** Undefined for a user who never had a presence. */
  find(userId: UserId): LocalPresence | undefined {
    return this.#subjects.get(userId);
  }

  /** Everybody who has a record, offline or not. */
  subjects(): IterableIterator<UserId> {
    return this.#subjects.keys();
  }

  get size(): number {
    return this.#subjects.size;
  }

  /** How many users are in each state; for who watches the server. */
  countByState(): Record<PresenceState, number> {
    const counts = { online: 0, unavailable: 0, offline: 0 };
    for (const { shown } of this.#subjects.values()) counts[shown.state] += 1;
    return counts;
  }

  /** Followed by one `end` of the same. */
  begin(sync: SyncBegin): void {
    const { clock, settings } = this.#deps;
    const now = clock.monotonic();
    const subject = this.#getSubject(sync.userId);
    const device = subject.grace === null ? subject.devices.get(sync.deviceId) : undefined;
    if (sync.setPresence !== 'offline') subject.grace = null;
    if (device !== undefined && !this.#stopped && goesOn(device, sync, { now, timers: settings }))
      this.#keep(sync, subject, { ...device, syncs: device.syncs + 1 });
    else this.#update(sync, 'sync', (current) => beginSync(current, sync, { now, timers: settings }));
  }

  /** It was connected and still is for a while, so nothing changes but the hour at which something may. */
  end(sync: SyncBegin): void {
    const { userId, deviceId, setPresence } = sync;
    if (setPresence === 'offline') return;
    const subject = this.#subjects.get(userId);
    const device = subject?.devices.get(deviceId);
    if (this.#stopped || !subject || !device || device.syncs === 0) return;
    const now = this.#deps.clock.monotonic();
    this.#keep(sync, subject, endSync(device, now));
    const goneAt = now + this.#deps.settings.offlineAfterMs;
    const dueAt = this.#deadlines.timeOf(userId);
    if (dueAt === undefined || dueAt > goneAt) this.#deadlines.set(userId, goneAt);
  }

  activity(userId: UserId, deviceId: DeviceId): void {
    this.#update({ userId, deviceId }, 'time', (device) => actOnDevice(device, this.#deps.clock.monotonic()));
  }

  /** Resolves when what changed is stored. */
  async put(
    userId: UserId,
    deviceId: DeviceId,
    word: { state: PresenceState; statusMsg: string | null },
  ): Promise<void> {
    const now = this.#deps.clock.monotonic();
    const subject = this.#getSubject(userId);
    const before = subject.shown;
    const stored = JSON.stringify([before.state, before.statusMsg, deviceRows(subject)]);
    subject.grace = null;
    this.#update({ userId, deviceId }, { statusMsg: word.statusMsg }, (device) => putDevice(device, word.state, now));
    const { state, statusMsg } = subject.shown;
    const isChange = JSON.stringify([state, statusMsg, deviceRows(subject)]) !== stored;
    // An equal PUT does not promise what the one before it has not stored yet.
    if (!isChange && !this.#unconfirmed.has(userId)) return;
    this.#unconfirmed.add(userId);
    const isLasting = before.statusMsg !== null || statusMsg !== null;
    await this.#written.write([userId], isLasting ? this.#deps.rowsOfPut(userId) : []);
    this.#unconfirmed.delete(userId);
  }

  /** Ends the device at once. */
  deviceGone(userId: UserId, deviceId: DeviceId): void {
    const subject = this.#subjects.get(userId);
    if (!subject) return;
    subject.grace = null;
    const isStored = deviceRows(subject).some((row) => row.deviceId === deviceId);
    subject.devices.delete(deviceId);
    this.#recompute(userId, 'end');
    // Else it would come back to life after a crash.
    if (isStored) this.#deps.background.run('write presence', () => this.#written.write([userId]));
  }

  /** Ends all devices and forgets status and activity. The row is for the caller to remove. */
  remove(userId: UserId): void {
    const subject = this.#subjects.get(userId);
    if (!subject) return;
    subject.devices.clear();
    subject.grace = null;
    subject.activeAt = null;
    this.#recompute(userId, { statusMsg: null });
    this.#written.unmark(userId);
  }

  /** Writes what is due, waits for it, and lets no timer fire any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#deadlines.stop();
    await this.#written.stop();
  }

  lastActiveAtMs(presence: LocalPresence): number {
    return toWall(this.#deps.clock, presence.activeAt);
  }

  mayBeHeld(presence: LocalPresence, forMs: number): boolean {
    const { state, statusMsg } = presence.shown;
    if (state !== 'offline' || statusMsg !== null) return true;
    return this.#deps.clock.monotonic() - presence.changedAt < forMs;
  }

  #getSubject(userId: UserId): Subject {
    let subject = this.#subjects.get(userId);
    if (!subject) {
      subject = newSubject();
      this.#subjects.set(userId, subject);
    }
    return subject;
  }

  #update({ userId, deviceId }: DeviceOfUser, cause: Cause, change: (device: Device) => Device): void {
    if (this.#stopped) return;
    const subject = this.#getSubject(userId);
    const before = subject.devices.get(deviceId);
    const after = change(before ?? newDevice(this.#deps.clock.monotonic()));
    this.#keep({ userId, deviceId }, subject, after);
    const hasWords = after.put !== null || after.hidden || before?.hidden === true;
    if (hasWords && (before === undefined || !haveSameWords(before, after))) this.#written.mark(userId);
    this.#recompute(userId, cause);
  }

  /** In order of last use, so that the first one is the one longest unseen. */
  #keep({ userId, deviceId }: DeviceOfUser, subject: Subject, device: Device): void {
    if (subject.devices.size > 1) subject.devices.delete(deviceId);
    subject.devices.set(deviceId, device);
    this.#forgetDevices(userId, subject);
  }

  #recompute(userId: UserId, cause: Cause): void {
    const subject = this.#subjects.get(userId);
    if (!subject || this.#stopped) return;
    const { clock, settings } = this.#deps;
    const now = clock.monotonic();
    if (subject.grace !== null && subject.grace.until <= now) subject.grace = null;
    const { activeAt, grace } = subject;
    const next = aggregate({ devices: subject.devices.values(), activeAt, grace }, now, settings);
    if (next.activeAt !== subject.activeAt) {
      subject.activeAt = next.activeAt;
      this.#written.mark(userId);
    }
    this.#deadlines.set(userId, next.nextAt ?? undefined);
    const before = subject.shown;
    const { state, currentlyActive } = next;
    const shown: Shown = { state, statusMsg: statusAfter(cause, before), currentlyActive };
    if (isSameShown(before, shown)) return;
    if (this.#isHeld(subject, cause, now)) {
      this.#deadlines.set(userId, Math.min(next.nextAt ?? Number.POSITIVE_INFINITY, subject.heldUntil));
      return;
    }
    subject.shown = shown;
    subject.changedAt = now;
    subject.changedAtMs = clock.now();
    this.#written.mark(userId);
    this.#deps.onChange(userId, before);
  }

  /** "Presence changes by sync beyond the limit are deferred to the latest value, never lost, never answered with an error." */
  #isHeld(subject: Subject, cause: Cause, now: number): boolean {
    if (cause !== 'sync') return cause === 'time' && now < subject.heldUntil;
    if (now >= subject.syncChanges.endsAt) subject.syncChanges = { endsAt: now + syncWindowMs, count: 0 };
    if (subject.syncChanges.count < this.#deps.settings.putsPerMinute) {
      subject.syncChanges.count += 1;
      return now < subject.heldUntil;
    }
    subject.heldUntil = subject.syncChanges.endsAt;
    return true;
  }

  #forgetDevices(userId: UserId, subject: Subject): void {
    if (subject.devices.size <= 1) return;
    const now = this.#deps.clock.monotonic();
    for (const [deviceId, device] of subject.devices) {
      if (
        isForgettable(device, now, this.#deps.settings) ||
        (subject.devices.size > devicesMax && device.syncs === 0)
      ) {
        subject.devices.delete(deviceId);
        // Stored, it would come back to life with the next process.
        if (device.put !== null) this.#written.mark(userId);
      }
    }
  }

  #restore(row: PresenceRow): void {
    const { clock, settings } = this.#deps;
    const subject = restoreSubject(row, { clock, settings });
    this.#subjects.set(row.userId, subject);
    if (subject.grace) this.#deadlines.set(row.userId, clock.monotonic());
  }
}

function statusAfter(cause: Cause, before: Shown): string | null {
  return typeof cause === 'object' ? cause.statusMsg : before.statusMsg;
}

/** What of a device is stored. */
function haveSameWords(a: Device, b: Device): boolean {
  return (
    a.put === b.put && a.fresh === b.fresh && a.synced === b.synced && a.written === b.written && a.hidden === b.hidden
  );
}
