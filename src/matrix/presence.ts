import type { UserId } from './ids.ts';

/** Client-server API, "Presence". */
export type PresenceState = 'online' | 'unavailable' | 'offline';

/** What `set_presence` on `/sync` and PUT presence may say. */
export function isPresenceState(value: unknown): value is PresenceState {
  return value === 'online' || value === 'unavailable' || value === 'offline';
}

/** One entry of `push` in an `m.presence` EDU as we write it (server-server API, "Presence", and MSC4325). */
export interface PresencePush {
  user_id: UserId;
  presence: PresenceState;
  /** Always written: receivers require it. */
  last_active_ago: number;
  currently_active: boolean;
  status_msg?: string;
  /** MSC4325. Left out means everybody there; an empty list would mean the same, so the type has none. */
  allowed_recipients?: readonly [string, ...string[]];
}

/** The two account-data types that hold one document (MSC4325). */
export const sharingConfigType = 'm.presence_sharing_config';
export const sharingConfigTypeUnstable = 'events.matrix-community.presence_sharing_config';
