import type { DeviceId, RoomId, UserId } from '../../matrix/ids.ts';
import type { PresenceState } from '../../matrix/presence.ts';
import type { ServerName } from '../../matrix/server-name.ts';

/** What of a local device must outlive the process: a PUT in force, or that its last word was to hide. */
export interface PresenceDeviceRow {
  deviceId: DeviceId;
  /** The PUT in force. */
  put: PresenceState | null;
  /** No sync came since the PUT. */
  fresh: boolean;
  /** `set_presence` of its last sync, and of the last one that wrote it out. */
  synced: PresenceState | null;
  written: PresenceState | null;
}

/** A local user's last known presence. */
export interface PresenceRow {
  userId: UserId;
  state: PresenceState;
  statusMsg: string | null;
  lastActiveAtMs: number;
  currentlyActive: boolean;
  changedAtMs: number;
  devices: readonly PresenceDeviceRow[];
}

/**
 * What one update of a remote subject told, and whom it named. Several may stand for one subject: each governs the viewers
 * that it was the last to name. `recipients` null: everybody here who shares a room.
 */
export interface PresenceCopyRow {
  subject: UserId;
  /** Order of arrival within the subject, newest highest. */
  sequence: number;
  state: PresenceState;
  statusMsg: string | null;
  lastActiveAtMs: number;
  currentlyActive: boolean;
  recipients: readonly string[] | null;
  /** Null: does not expire (an offline one with a status). */
  expiresAtMs: number | null;
}

export type PresenceTableRow =
  | ({ kind: 'presence' } & PresenceRow)
  | { kind: 'presence_removed'; userId: UserId }
  /** The subject's copies are exactly these from now on; empty: none. */
  | { kind: 'presence_copies'; subject: UserId; copies: readonly PresenceCopyRow[] }
  /** The audience of `subject` on `destination` shrank; stays until a 200 to an attempt that carried the narrowing. */
  | { kind: 'narrowing'; destination: ServerName; subject: UserId; lastActiveAtMs: number }
  /** Clears the narrowing unless it was set again behind `generation`. */
  | { kind: 'narrowing_cleared'; destination: ServerName; subject: UserId; generation: number }
  /** This viewer lost sight of this subject and shares no room with them any more. Kept for 30 days. */
  | { kind: 'presence_loss'; viewer: UserId; subject: UserId; atMs: number }
  | { kind: 'presence_losses_pruned'; beforeMs: number }
  /** The server sent `allowed_recipients` then, for the last time; null: it is not known to honour it any more. */
  | { kind: 'presence_aware_server'; server: ServerName; seenAtMs: number | null }
  /** Whether the service may show something of the subject. Nothing is kept of services that are not among `services_kept`. */
  | { kind: 'presence_at_service'; serviceId: string; subject: UserId; held: boolean }
  /** Something small that presence must find again at its next start; null removes it. */
  | { kind: 'presence_fact'; name: string; value: string | null };

export interface Narrowing {
  destination: ServerName;
  subject: UserId;
  /** Grows with each narrowing of the pair. */
  generation: number;
  /** The last activity known when access was first lost; while the narrowing stands it never grows. */
  lastActiveAtMs: number;
}

/** A server that honours `allowed_recipients`, and when it last sent the field. */
export interface AwareServer {
  server: ServerName;
  seenAtMs: number;
}

export interface PresenceReads {
  find(userId: UserId): Promise<PresenceRow | undefined>;
  listAll(after: UserId | null, limit: number): Promise<PresenceRow[]>;
  /** Users stored as not offline: after a crash they get their grace. */
  listNotOffline(): Promise<PresenceRow[]>;
  listCopies(after: { subject: UserId; sequence: number } | null, limit: number): Promise<PresenceCopyRow[]>;
  listNarrowings(): Promise<Narrowing[]>;
  findNarrowing(destination: ServerName, subject: UserId): Promise<Narrowing | undefined>;
  listLosses(viewer: UserId, sinceMs: number): Promise<{ subject: UserId; atMs: number }[]>;
  listAwareServers(): Promise<AwareServer[]>;
  /** Of whom the service may show something, by their ids behind `after`. */
  listHeldByService(serviceId: string, after: UserId | null, limit: number): Promise<UserId[]>;
  listFacts(): Promise<{ name: string; value: string }[]>;
}

/** For rows that must be durable with a change of membership; see the port `rowsForAudienceChange`. */
export interface MembershipStep {
  roomId: RoomId;
  userId: UserId;
  before: string | null;
  /** A membership, or `forgotten`. */
  after: string;
  /** With a local user's join: the room that this one replaces. Left out, the stored create event is asked. */
  predecessor?: RoomId | null;
}
