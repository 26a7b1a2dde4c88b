import type { DeviceId, EventId, RoomId, UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Position } from './numbers.ts';
import type { Membership } from './rooms.ts';
import type { DeviceName } from './to-device.ts';
import type { Counts, ThreadId } from './unread.ts';

/**
 * What a commit changed, in the order of its rows, with the value before it where a reader needs the difference. Made by
 * storage from the rows; nobody publishes anything. Those of kind event, membership, profile, account_data and device_list
 * are also kept in the change log, until every reaction has passed them.
 */
export type Change =
  /** An accepted event joined the timeline of a room. */
  | {
      kind: 'event';
      position: Position;
      roomId: RoomId;
      eventId: EventId;
      type: string;
      stateKey: string | null;
      sender: UserId;
    }
  | {
      kind: 'membership';
      position: Position;
      roomId: RoomId;
      userId: UserId;
      before: Membership | null;
      after: Membership;
      eventId: EventId;
    }
  | {
      kind: 'profile';
      position: Position;
      userId: UserId;
      before: { displayname: string | null; avatarUrl: string | null } | null;
      after: { displayname: string | null; avatarUrl: string | null };
    }
  | {
      kind: 'account_data';
      position: Position;
      userId: UserId;
      roomId: RoomId | null;
      type: string;
      before: JsonObject | null;
      content: JsonObject;
    }
  | { kind: 'receipt'; position: Position; roomId: RoomId; userId: UserId; receiptType: string; eventId: EventId }
  | { kind: 'room_forgotten'; roomId: RoomId; userId: UserId }
  /**
   * An event notifies: everybody in the room, or only some. What those of its thread add up to now by the default rules, and to whom this one
   * means something else.
   */
  | {
      kind: 'notification';
      roomId: RoomId;
      eventId: EventId;
      threadId: ThreadId;
      forEverybody: boolean;
      total: Counts;
      singly: readonly UserId[];
    }
  /** A local user read on in the room, or came to it. */
  | { kind: 'read_place'; roomId: RoomId; userId: UserId }
  /** The user's pushers are others than before. */
  | { kind: 'pushers'; userId: UserId }
  | { kind: 'redaction'; roomId: RoomId; eventId: EventId; redactedBy: EventId }
  /** An event came that waits itself in another copy, or that others wait for; whatever its verdict and its place. */
  | { kind: 'event_awaited'; roomId: RoomId; eventId: EventId }
  /** A stored event got the content that it came without. */
  | { kind: 'event_rewritten'; roomId: RoomId; eventId: EventId }
  /** The current state of the room changed; `types` are the event types among the differences. */
  | { kind: 'current_state'; roomId: RoomId; types: readonly string[] }
  /** The room's aliases on this server are others than before. */
  | { kind: 'aliases'; roomId: RoomId }
  | { kind: 'account_deactivated'; userId: UserId }
  | { kind: 'device_removed'; userId: UserId; deviceId: DeviceId }
  | { kind: 'access_tokens_removed'; userId: UserId; deviceId: DeviceId | null }
  | { kind: 'tokens_superseded'; userId: UserId; deviceId: DeviceId; generation: number }
  | { kind: 'narrowing'; destination: ServerName; subject: UserId; generation: number; lastActiveAtMs: number }
  /** Messages came for these devices. */
  | { kind: 'to_device'; position: Position; devices: readonly DeviceName[] }
  /** What is left of a device's one-time and fallback keys. */
  | { kind: 'key_counts'; position: Position; userId: UserId; deviceId: DeviceId }
  /** The keys of a user or of some of their devices changed. `here`: our users hear of it, or only `viewer`. */
  | {
      kind: 'device_list';
      position: Position;
      userId: UserId;
      viewer: UserId | null;
      here: boolean;
      deviceIds: readonly DeviceId[];
      signingKeys: boolean;
    }
  /** Something durable waits for these destinations. */
  | { kind: 'outgoing'; destinations: readonly ServerName[] };

/** The kinds that the stored log keeps. */
export type LoggedChange = Extract<
  Change,
  { kind: 'event' | 'membership' | 'profile' | 'account_data' | 'device_list' }
>;

export interface ChangeReads {
  /** Behind `after`, oldest first. Never parts the changes of one position: there may be a few more than `limit`. */
  list(after: Position, limit: number): Promise<LoggedChange[]>;
  /** Where the reaction stands; undefined before its first run, when it starts at the newest position. */
  findCursor(name: string): Promise<Position | undefined>;
}
