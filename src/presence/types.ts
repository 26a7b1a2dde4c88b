import type { EphemeralSource } from '../appservices/sending/ephemeral-source.ts';
import type { ServiceAudience } from '../appservices/sending/service-sender.ts';
import type { EduSource } from '../federation-out/edu-source.ts';
import type { DeviceId, RoomId, UserId } from '../matrix/ids.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import type { PresenceState } from '../matrix/presence.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { Change } from '../storage/contract/changes.ts';
import type { Row } from '../storage/contract/commit.ts';
import type { MembershipStep } from '../storage/contract/presence.ts';

/** One set_presence of a sync. */
export interface SyncBegin {
  readonly userId: UserId;
  readonly deviceId: DeviceId;
  readonly setPresence: PresenceState;
  /** Whether the request said so itself. */
  readonly written: boolean;
}

export interface PresenceRequest {
  readonly viewer: UserId;
  readonly deviceId: DeviceId;
  /** The presence part of the device's token; null: an initial sync. */
  readonly since: string | null;
  /** Whom this same answer shows as new in a shared room. */
  readonly newlyShared: ReadonlySet<UserId>;
  /** The filter of the request. */
  accepts(subject: UserId): boolean;
}

/** Texts of `m.presence` events, and the token: equal to `since` where there is nothing new. */
export interface PresenceAnswer {
  readonly events: string[];
  readonly token: string;
}

/** One sync of a device, from its begin to its end. */
export interface PresencePoll {
  /**
   * False: the device has everything that was addressed to the viewer, and where nobody newly shares a room a reading would find nothing. Costs next
   * to nothing.
   */
  mayTell(since: string): boolean;
  /** As `read`, for the common case that takes no time: few addressed subjects of which the inbox holds all. Undefined: `read` has to be asked. */
  readNow(request: PresenceRequest): PresenceAnswer | undefined;
  /** Twice is harmless. */
  end(): void;
}

/** What the sync loop needs. */
export interface PresencePart {
  /** Called at the start of each request. */
  begin(request: SyncBegin): PresencePoll;
  read(request: PresenceRequest): Promise<PresenceAnswer>;
}

/** The answer to `GET /presence/{userId}/status`. */
export interface PresenceStatus {
  presence: PresenceState;
  last_active_ago?: number;
  status_msg?: string;
  currently_active?: boolean;
}

/** Presence for application services: a service is told of whom one of its users sees. */
export interface PresenceOfServices extends EphemeralSource {
  /** Whom services stand for. Once, before the start. */
  serve(audience: ServiceAudience): void;
  /** Behind the start of presence and of the sender to services. Nothing is given to a service before. */
  start(): Promise<void>;
}

/** Everything that other folders ask of presence. */
export interface Presence extends PresencePart {
  /** For the sender. */
  readonly source: EduSource;
  readonly services: PresenceOfServices;
  /** Loads what is stored; before the first request. */
  start(): Promise<void>;
  /** Writes what is not written yet; nothing is answered afterwards. */
  stop(): Promise<void>;
  /** Resolves when what was caused so far has been handed out; for tests. */
  idle(): Promise<void>;

  /** Throws M_NOT_FOUND for whoever is neither in the audience nor shares a room. */
  getPresence(viewer: UserId, subject: UserId): Promise<PresenceStatus>;
  /** Stored before it resolves. Throws M_LIMIT_EXCEEDED. */
  putPresence(
    requester: { readonly userId: UserId; readonly deviceId: DeviceId },
    state: PresenceState,
    statusMsg: string | null,
  ): Promise<void>;
  /** Who sees the user, and why, as JSON; `after` is the `next_batch` of the page before. Throws M_LIMIT_EXCEEDED. */
  explain(userId: UserId, page: { readonly after: UserId | null; readonly limit: number }): Promise<JsonObject>;
  /** The user did something with this device. */
  activity(requester: { readonly userId: UserId; readonly deviceId: DeviceId }): void;
  deviceGone(userId: UserId, deviceId: DeviceId): void;
  userDeactivated(userId: UserId): void;

  /** The contents of all `m.presence` EDUs of one transaction, in their order. Total. */
  receive(origin: ServerName, contents: readonly unknown[]): Promise<void>;

  /** A listener of the feed. */
  onChanges(changes: readonly Change[]): void;
  /** The rows to write in place of a PUT of account data. Throws M_BAD_JSON for an invalid sharing config. */
  checkAccountData(userId: UserId, roomId: RoomId | null, type: string, content: JsonObject): Promise<readonly Row[]>;
  /** The rows that must be durable together with the end of an account: whoever saw the user is told, however late they come. */
  rowsForDeactivation(userId: UserId): Promise<readonly Row[]>;
  /** The rows that must be durable together with these changes of membership; asked before they are committed. */
  rowsForAudienceChange(steps: readonly MembershipStep[]): Promise<readonly Row[]>;
}
