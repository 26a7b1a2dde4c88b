import type { PresenceState } from '../../matrix/presence.ts';

/** What there is to see of somebody. Never changed in place: a new value is a change. */
export interface Shown {
  readonly state: PresenceState;
  readonly statusMsg: string | null;
  readonly currentlyActive: boolean;
}

export const shownOffline: Shown = { state: 'offline', statusMsg: null, currentlyActive: false };

/** Offline without a status: what is shown of a member never seen, and what has no words to be taken back. */
export function isBlank(shown: Shown): boolean {
  return shown.state === 'offline' && shown.statusMsg === null;
}

export function isSameShown(a: Shown, b: Shown): boolean {
  return a.state === b.state && a.statusMsg === b.statusMsg && a.currentlyActive === b.currentlyActive;
}
