import type { Clock } from '../../base/clock.ts';
import type { DeviceId, UserId } from '../../matrix/ids.ts';
import type { PresenceDeviceRow, PresenceRow } from '../../storage/contract/presence.ts';
import { type Shown, shownOffline } from '../core/shown.ts';
import type { LocalPresence } from '../core/subjects.ts';
import type { PresenceSettings } from '../settings.ts';
import { type Device, type Grace, newDevice } from './machine.ts';

/** One of our users as the tracker keeps them. */
export interface Subject extends LocalPresence {
  shown: Shown;
  activeAt: number | null;
  changedAt: number;
  changedAtMs: number;
  devices: Map<DeviceId, Device>;
  grace: Grace | null;
  writtenAt: number;
  /** Changes by syncs in the minute that ends then. */
  syncChanges: { readonly endsAt: number; count: number };
  /** Until then a change that went beyond their limit waits. */
  heldUntil: number;
}

export function newSubject(): Subject {
  return {
    shown: shownOffline,
    activeAt: null,
    changedAt: Number.NEGATIVE_INFINITY,
    changedAtMs: 0,
    devices: new Map(),
    grace: null,
    writtenAt: Number.NEGATIVE_INFINITY,
    ...neverChanged(),
  };
}

function neverChanged(): Pick<Subject, 'syncChanges' | 'heldUntil'> {
  return { syncChanges: { endsAt: Number.NEGATIVE_INFINITY, count: 0 }, heldUntil: Number.NEGATIVE_INFINITY };
}

/** What an earlier process wrote. Users who were there get a grace to come back. */
export function restoreSubject(
  row: PresenceRow,
  { clock, settings }: { clock: Clock; settings: Pick<PresenceSettings, 'restartGraceMs' | 'offlineAfterMs'> },
): Subject {
  const now = clock.monotonic();
  const until = now + settings.restartGraceMs;
  const wasThere = row.state !== 'offline';
  const seenAt = until - settings.offlineAfterMs;
  const activeAt = row.lastActiveAtMs === 0 ? null : now - Math.max(0, clock.now() - row.lastActiveAtMs);
  return {
    shown: { state: row.state, statusMsg: row.statusMsg, currentlyActive: row.currentlyActive },
    activeAt,
    changedAt: now - Math.max(0, clock.now() - row.changedAtMs),
    changedAtMs: row.changedAtMs,
    devices: new Map(row.devices.flatMap((stored) => restoreDevice(stored, { wasThere, seenAt, activeAt }))),
    grace: wasThere ? { state: row.state, until } : null,
    writtenAt: Number.NEGATIVE_INFINITY,
    ...neverChanged(),
  };
}

function restoreDevice(
  { deviceId, ...words }: PresenceDeviceRow,
  at: { readonly wasThere: boolean; readonly seenAt: number; readonly activeAt: number | null },
): [DeviceId, Device][] {
  const { wasThere, seenAt } = at;
  const hidden = words.put === 'offline' || (words.synced === 'offline' && !words.fresh);
  if (!hidden && !wasThere) return [];
  // One that hid shows nothing, whatever it had said before.
  const carried = wasThere && !hidden && words.put !== 'offline' ? words.put : null;
  // Which of the devices was active is not stored; one whose PUT of `online` goes on was, or its user would be idle.
  const activeAt = carried === 'online' ? at.activeAt : null;
  return [[deviceId, { ...newDevice(seenAt), ...words, carried, hidden, activeAt }]];
}

export function rowOfSubject(userId: UserId, subject: Subject, clock: Clock): PresenceRow {
  return {
    userId,
    ...subject.shown,
    lastActiveAtMs: toWall(clock, subject.activeAt),
    changedAtMs: subject.changedAtMs,
    devices: deviceRows(subject),
  };
}

/** Epoch milliseconds of a monotonic instant, 0 for never. */
export function toWall(clock: Clock, instant: number | null): number {
  return instant === null ? 0 : Math.round(clock.now() - (clock.monotonic() - instant));
}

/** The devices whose last word must outlive the process. */
export function deviceRows(subject: Subject): PresenceDeviceRow[] {
  return [...subject.devices].flatMap(([deviceId, { put, fresh, synced, written, hidden }]) =>
    put !== null || hidden ? [{ deviceId, put, fresh, synced, written }] : [],
  );
}
