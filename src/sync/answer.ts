import type { RoomId, UserId } from '../matrix/ids.ts';
import type { Position } from '../storage/contract/numbers.ts';
import type { ToldMember } from './lazy-members.ts';

/** The timeline of a room in an answer, its events as JSON texts. */
export interface TimelinePart {
  events: readonly string[];
  limited: boolean;
  prevBatch: string | null;
}

export interface JoinedRoomPart {
  /** JSON object; null where nothing in it changed. */
  summary: string | null;
  state: readonly string[];
  timeline: TimelinePart;
  ephemeral: string[];
  accountData: string[];
  /** Members of the object. */
  unread: string;
}

export interface LeftRoomPart {
  state: readonly string[];
  timeline: TimelinePart;
  accountData: string[];
}

/** Whose devices a client that encrypts has to look up, and whose it may forget. */
export interface DeviceLists {
  readonly changed: readonly UserId[];
  readonly left: readonly UserId[];
}

/** What the streams found, as JSON texts, until it is written out as one. */
export class Answer {
  // Made when first asked for: most answers tell of no room.
  #joined: Map<RoomId, JoinedRoomPart> | undefined;
  #left: Map<RoomId, LeftRoomPart> | undefined;
  #invited: Map<RoomId, readonly string[]> | undefined;
  #knocked: Map<RoomId, readonly string[]> | undefined;
  readonly accountData: string[] = [];
  presence: readonly string[] = [];
  deviceLists: DeviceLists = { changed: [], left: [] };
  /** Whether the numbers of the device's own keys changed. */
  keyCountsChanged = false;
  /** Messages to the device. */
  toDevice: readonly string[] = [];
  /** The last of them where there are more; null: all were told. */
  toDeviceUpTo: Position | null = null;
  /** What it was before where presence is not read. */
  presenceToken: string;
  /** Member events in it, for clients that load members lazily. */
  readonly membersTold: ToldMember[] = [];

  constructor(presenceToken = '') {
    this.presenceToken = presenceToken;
  }

  get joined(): Map<RoomId, JoinedRoomPart> {
    this.#joined ??= new Map();
    return this.#joined;
  }

  get left(): Map<RoomId, LeftRoomPart> {
    this.#left ??= new Map();
    return this.#left;
  }

  get invited(): Map<RoomId, readonly string[]> {
    this.#invited ??= new Map();
    return this.#invited;
  }

  get knocked(): Map<RoomId, readonly string[]> {
    this.#knocked ??= new Map();
    return this.#knocked;
  }

  get hasRooms(): boolean {
    const sizes = (this.#joined?.size ?? 0) + (this.#left?.size ?? 0);
    return sizes + (this.#invited?.size ?? 0) + (this.#knocked?.size ?? 0) > 0;
  }

  /** The part of a joined room; an empty one is added if there was none. */
  joinedRoom(roomId: RoomId): JoinedRoomPart {
    let part = this.joined.get(roomId);
    if (!part) {
      part = {
        summary: null,
        state: [],
        timeline: { events: [], limited: false, prevBatch: null },
        ephemeral: [],
        accountData: [],
        unread: '"unread_notifications":{"highlight_count":0,"notification_count":0}',
      };
      this.joined.set(roomId, part);
    }
    return part;
  }

  isEmpty(): boolean {
    return (
      !this.hasRooms &&
      this.accountData.length === 0 &&
      this.presence.length === 0 &&
      this.toDevice.length === 0 &&
      !this.keyCountsChanged &&
      this.deviceLists.changed.length === 0 &&
      this.deviceLists.left.length === 0
    );
  }
}
