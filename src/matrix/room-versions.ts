import { assert } from '../base/assert.ts';

/**
 * What differs between room versions, each difference under its name. Code asks for the feature, never for the version, so
 * that a new version is a new row of this table and, where it brings something new, one new value of a feature.
 */
export interface RoomVersion {
  readonly id: string;
  /**
   * Where an event's id comes from. `given`: the server that makes the event chooses it (`event_id`), and events refer to each other by pairs of
   * id and reference hash (event formats 1 and 2). `hash`: the reference hash in the standard alphabet of Base64. `url_safe_hash`: in the other one.
   */
  readonly eventIds: 'given' | 'hash' | 'url_safe_hash';
  /** Which fields of an event survive a redaction, and with it what hashes, ids and signatures cover. Named for the version that brought it. */
  readonly redaction: 'v1' | 'v6' | 'v8' | 'v9' | 'v11';
  /** Events hold no number but integers from -(2^53)+1 to 2^53-1, written as such. */
  readonly strictIntegers: boolean;
  /** A signature counts only if its key was valid when the event was made. */
  readonly enforcesKeyValidity: boolean;
  /** `m.room.aliases` events have an authorisation rule of their own. */
  readonly aliasesRule: boolean;
  /** A redaction is an event that its sender must be allowed to make, by power or by the domain of its target's id. Later, whether it is obeyed is asked apart. */
  readonly redactionRule: boolean;
  /** The `notifications` of power levels are guarded like `events`. */
  readonly guardsNotificationLevels: boolean;
  /** Power levels are integers; before, strings that hold one are read as it. */
  readonly integerPowerLevels: boolean;
  readonly knocking: boolean;
  /** The join rule `restricted`. */
  readonly restrictedJoins: boolean;
  /** The join rule `knock_restricted`. */
  readonly knockRestrictedJoins: boolean;
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
  readonly stateResolution: 'v1' | 'v2' | 'v2.1';
  /**
   * What the 255 of a `type`, `state_key` and the like are counted in when an event comes from elsewhere. Servers counted code points before
   * version 11, and to refuse what is part of such a room would part us from it.
   */
  readonly keyLengthIn: 'code_points' | 'bytes';
}

const version1: RoomVersion = {
  id: '1',
  eventIds: 'given',
  redaction: 'v1',
  strictIntegers: false,
  enforcesKeyValidity: false,
  aliasesRule: true,
  redactionRule: true,
  guardsNotificationLevels: false,
  integerPowerLevels: false,
  knocking: false,
  restrictedJoins: false,
  knockRestrictedJoins: false,
  creatorFrom: 'content',
  privilegedCreators: false,
  redactsIn: 'event',
  roomIdFormat: 'opaque',
  createIsAuthEvent: true,
  stateResolution: 'v1',
  keyLengthIn: 'code_points',
};

const version2: RoomVersion = { ...version1, id: '2', stateResolution: 'v2' };

const version3: RoomVersion = { ...version2, id: '3', eventIds: 'hash', redactionRule: false };

const version4: RoomVersion = { ...version3, id: '4', eventIds: 'url_safe_hash' };

const version5: RoomVersion = { ...version4, id: '5', enforcesKeyValidity: true };

const version6: RoomVersion = {
  ...version5,
  id: '6',
  redaction: 'v6',
  strictIntegers: true,
  aliasesRule: false,
  guardsNotificationLevels: true,
};

const version7: RoomVersion = { ...version6, id: '7', knocking: true };

const version8: RoomVersion = { ...version7, id: '8', redaction: 'v8', restrictedJoins: true };

const version9: RoomVersion = { ...version8, id: '9', redaction: 'v9' };

const version10: RoomVersion = { ...version9, id: '10', integerPowerLevels: true, knockRestrictedJoins: true };

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
  [
    version1,
    version2,
    version3,
    version4,
    version5,
    version6,
    version7,
    version8,
    version9,
    version10,
    version11,
    version12,
  ].map((version) => [version.id, version]),
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
