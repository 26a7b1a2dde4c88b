import type { PresenceState } from '../../matrix/presence.ts';
import type { PresenceSettings } from '../settings.ts';

/**
 * The rules of a user's own presence, pure: every function takes the hour. Instants are readings of the monotonic clock.
 */

export type MachineTimers = Pick<PresenceSettings, 'currentlyActiveMs' | 'idleAfterMs' | 'offlineAfterMs'>;

/** One device as it last spoke. */
export interface Device {
  /** The PUT in force, if any. */
  readonly put: PresenceState | null;
  /** No sync came since that PUT: the first one counts as saying the same as before. */
  readonly fresh: boolean;
  /** `set_presence` of the last sync, and of the last one that wrote it out. */
  readonly synced: PresenceState | null;
  readonly written: PresenceState | null;
  /** The last word was `offline`: nothing the device does shows until it says another. */
  readonly hidden: boolean;
  /** What it shows while it is connected. Null: nothing. */
  readonly carried: 'online' | 'unavailable' | null;
  /** Syncs in flight that count as connected. */
  readonly syncs: number;
  /** Last end of such a sync, PUT or activity. */
  readonly seenAt: number;
  readonly activeAt: number | null;
}

export function newDevice(now: number): Device {
  return {
    put: null,
    fresh: false,
    synced: null,
    written: null,
    hidden: false,
    carried: null,
    syncs: 0,
    seenAt: now,
    activeAt: null,
  };
}

export function isConnected(device: Device, now: number, timers: MachineTimers): boolean {
  return device.syncs > 0 || now < device.seenAt + timers.offlineAfterMs;
}

/** What the device adds to its user's state. */
export function stateOf(device: Device, now: number, timers: MachineTimers): PresenceState {
  if (device.put === 'offline' || device.carried === null || !isConnected(device, now, timers)) return 'offline';
  if (device.carried === 'unavailable') return 'unavailable';
  const active = device.activeAt !== null && now < device.activeAt + timers.idleAfterMs;
  return active ? 'online' : 'unavailable';
}

/**
 * A sync begins. `syncs` is raised only where it counts as connected, so the caller ends it with `endSync` exactly
 * where `setPresence` is not `offline`.
 */
export function beginSync(
  device: Device,
  sync: { readonly setPresence: PresenceState; readonly written: boolean },
  at: { readonly now: number; readonly timers: MachineTimers },
): Device {
  const { setPresence } = sync;
  const said = { ...device, fresh: false, synced: setPresence, written: sync.written ? setPresence : device.written };
  // A first `offline` ends no PUT: the device hides, and what it showed lapses like that of one that went away.
  if (setPresence === 'offline') return { ...said, hidden: true };
  const before = stateOf(device, at.now, at.timers);
  const put = endsPut(device, sync, at) ? null : device.put;
  const connected = { ...said, put, syncs: device.syncs + 1 };
  if (put === 'offline') return connected;
  const carried = put ?? setPresence;
  // Coming from offline, or from a spoken `unavailable`, to `online` is activity; going on being online is not.
  const arrived = carried === 'online' && (before === 'offline' || device.carried === 'unavailable');
  return { ...connected, hidden: false, carried, activeAt: arrived ? at.now : device.activeAt };
}

/**
 * A sync that says what the one before it said, of a device that is there: it counts as one more and changes nothing else, now or later. Nearly every
 * sync is one of these.
 */
export function goesOn(
  device: Device,
  sync: { readonly setPresence: PresenceState; readonly written: boolean },
  at: { readonly now: number; readonly timers: MachineTimers },
): boolean {
  const { setPresence } = sync;
  if (setPresence === 'offline' || device.put !== null || device.hidden || device.fresh) return false;
  if (device.carried !== setPresence || device.synced !== setPresence) return false;
  return (!sync.written || device.written === setPresence) && isConnected(device, at.now, at.timers);
}

function endsPut(
  device: Device,
  sync: { readonly setPresence: PresenceState; readonly written: boolean },
  at: { readonly now: number; readonly timers: MachineTimers },
): boolean {
  if (device.put === null) return false;
  if (device.put === 'offline') {
    // Only a word that is written out and new; being gone does not end it, nor does a client that merely goes on.
    if (!sync.written) return false;
    return device.written === null ? !device.fresh : sync.setPresence !== device.written;
  }
  if (!isConnected(device, at.now, at.timers)) return true;
  if (!device.fresh) return sync.setPresence !== device.synced;
  // The first sync counts as saying the same; but a written `unavailable` that is news cannot mean the `online` of the PUT.
  return device.put === 'online' && isNewUnavailable(device, sync);
}

function isNewUnavailable(
  device: Device,
  sync: { readonly setPresence: PresenceState; readonly written: boolean },
): boolean {
  return sync.written && sync.setPresence === 'unavailable' && device.synced !== 'unavailable';
}

export function endSync(device: Device, now: number): Device {
  return { ...device, syncs: Math.max(0, device.syncs - 1), seenAt: now };
}

export function putDevice(device: Device, state: PresenceState, now: number): Device {
  const put = { ...device, put: state, fresh: true, seenAt: now };
  if (state === 'offline') return { ...put, hidden: true };
  return { ...put, hidden: false, carried: state, activeAt: state === 'online' ? now : device.activeAt };
}

/** Hidden stays hidden: what a device does whose last word was `offline` changes nothing. */
export function actOnDevice(device: Device, now: number): Device {
  if (device.hidden) return device;
  return { ...device, carried: device.carried ?? 'online', seenAt: now, activeAt: now };
}

/** A device that is gone, and of which nothing need be remembered: coming back ends every PUT but one of `offline`. */
export function isForgettable(device: Device, now: number, timers: MachineTimers): boolean {
  return device.put !== 'offline' && !device.hidden && !isConnected(device, now, timers);
}

/** What a user was at the last stop, until their devices had time to come back. */
export interface Grace {
  readonly state: PresenceState;
  readonly until: number;
}

export interface Aggregate {
  readonly state: PresenceState;
  readonly currentlyActive: boolean;
  readonly activeAt: number | null;
  /** When this may change by the passing of time alone; null: never. */
  readonly nextAt: number | null;
}

const rank: Readonly<Record<PresenceState, number>> = { online: 2, unavailable: 1, offline: 0 };

/** Online beats unavailable beats offline; the newest activity of any device is the user's. */
export function aggregate(
  user: { readonly devices: Iterable<Device>; readonly activeAt: number | null; readonly grace: Grace | null },
  now: number,
  timers: MachineTimers,
): Aggregate {
  let state: PresenceState = 'offline';
  let { activeAt } = user;
  let nextAt = Number.POSITIVE_INFINITY;
  if (user.grace !== null && now < user.grace.until) {
    state = user.grace.state;
    nextAt = user.grace.until;
  }
  for (const device of user.devices) {
    activeAt = latest(activeAt, device.activeAt);
    const own = stateOf(device, now, timers);
    if (own === 'offline') continue;
    if (rank[own] > rank[state]) state = own;
    if (device.syncs === 0) nextAt = Math.min(nextAt, device.seenAt + timers.offlineAfterMs);
    if (own === 'online' && device.activeAt !== null) nextAt = Math.min(nextAt, device.activeAt + timers.idleAfterMs);
  }
  const activeUntil = activeAt === null ? now : activeAt + timers.currentlyActiveMs;
  const currentlyActive = state === 'online' && now < activeUntil;
  if (currentlyActive) nextAt = Math.min(nextAt, activeUntil);
  return { state, currentlyActive, activeAt, nextAt: nextAt === Number.POSITIVE_INFINITY ? null : nextAt };
}

function latest(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b;
  return Math.max(a, b);
}
