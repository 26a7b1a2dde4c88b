import { assert } from '../base/assert.ts';

/**
 * What differs between room versions, each difference under its name. Code asks for the feature, never for the version, so
 * that a new version is a new row of this table and, where it brings something new, one new value of a feature.
 */
export interface RoomVersion {
  readonly id: string;
  /** Which fields of an event survive a redaction, and with it what hashes, ids and signatures cover. */
  readonly redaction: 'v9' | 'v11';
  /** `content`: `creator` in the create event's content, which must be there. `sender`: whoever sent it. */
  readonly creatorFrom: 'content' | 'sender';
  /** Creators, `additional_creators` among them, stand above every power level. */
  readonly privilegedCreators: boolean;
  /** Where a redaction names its target: beside the content or in it. */
  readonly redactsIn: 'event' | 'content';
  /** `opaque`: `!localpart:server`. `create_hash`: the create event's id with another sigil; that event has no `room_id`. */
  readonly roomIdFormat: 'opaque' | 'create_hash';
  /** Whether events name the create event among their `auth_events`; where not, the room id stands for it. */
  readonly createIsAuthEvent: boolean;
  readonly stateResolution: 'v2' | 'v2.1';
  /**
   * What the 255 of a `type`, `state_key` and the like are counted in when an event comes from elsewhere. Servers counted code points before
   * version 11, and to refuse what is part of such a room would part us from it.
   */
  readonly keyLengthIn: 'code_points' | 'bytes';
}

// Versions 1 to 9 go here, each as the one before plus what it changed. What they need besides what stands above: state
// resolution v1 (1), event ids chosen by the server (1, 2) and with the standard alphabet (3), key validity not enforced (1 to 4),
// numbers that are not strict integers (1 to 5), m.room.aliases rules and redaction lists (1 to 5), power levels as strings
// (1 to 9), no `notifications` rule (1 to 5), no knocking (1 to 6), no restricted joins (1 to 7), and the redaction list that
// drops `join_authorised_via_users_server` (8).

const version10: RoomVersion = {
  id: '10',
  redaction: 'v9',
  creatorFrom: 'content',
  privilegedCreators: false,
  redactsIn: 'event',
  roomIdFormat: 'opaque',
  createIsAuthEvent: true,
  stateResolution: 'v2',
  keyLengthIn: 'code_points',
};

const version11: RoomVersion = {
  ...version10,
  id: '11',
  redaction: 'v11',
  creatorFrom: 'sender',
  redactsIn: 'content',
  keyLengthIn: 'bytes',
};

const version12: RoomVersion = {
  ...version11,
  id: '12',
  privilegedCreators: true,
  roomIdFormat: 'create_hash',
  createIsAuthEvent: false,
  stateResolution: 'v2.1',
};

const versions: ReadonlyMap<string, RoomVersion> = new Map(
  [version10, version11, version12].map((version) => [version.id, version]),
);

/** Oldest first. */
export const supportedRoomVersions: readonly string[] = [...versions.keys()];

/** What `createRoom` makes unless told otherwise: the newest that clients in use cope with. */
export const defaultRoomVersion = version11.id;

/** Undefined for a version that this server does not know; takes anything, so that a content's field can be asked about. */
export function findRoomVersion(id: unknown): RoomVersion | undefined {
  return typeof id === 'string' ? versions.get(id) : undefined;
}

/** For a version that was checked before, as that of a room that is stored is. */
export function getRoomVersion(id: string): RoomVersion {
  const version = versions.get(id);
  assert(version, `room version ${id} is not supported`);
  return version;
}
