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

const stateNames = { no: 'state', stable: 'state_after', unstable: 'org.matrix.msc4222.state_after' } as const;

/**
 * The body of the response. `always` are members that stand in every answer: the numbers of keys (absent reads as "none left" to clients
 * that encrypt). Other sections only when they hold something; within a joined room every section is there.
 */
export function encodeAnswer(
  answer: Answer,
  nextBatch: string,
  { useStateAfter, always }: { readonly useStateAfter: keyof typeof stateNames; readonly always: string },
): string {
  let text = `{"next_batch":${JSON.stringify(nextBatch)},${always}`;
  if (answer.accountData.length > 0) text += `,"account_data":${encodeEvents(answer.accountData)}`;
  if (answer.presence.length > 0) text += `,"presence":${encodeEvents(answer.presence)}`;
  if (answer.toDevice.length > 0) text += `,"to_device":${encodeEvents(answer.toDevice)}`;
  const { changed, left } = answer.deviceLists;
  if (changed.length + left.length > 0) text += `,"device_lists":${JSON.stringify({ changed, left })}`;
  if (answer.hasRooms) text += `,"rooms":${encodeRooms(answer, stateNames[useStateAfter])}`;
  return `${text}}`;
}

function encodeRooms(answer: Answer, stateName: string): string {
  const sections = [
    section('join', answer.joined, (part) => encodeJoinedRoom(part, stateName)),
    section('invite', answer.invited, (events) => `{"invite_state":${encodeEvents(events)}}`),
    section('knock', answer.knocked, (events) => `{"knock_state":${encodeEvents(events)}}`),
    section('leave', answer.left, (part) => encodeLeftRoom(part, stateName)),
  ];
  return `{${sections.filter((text) => text !== '').join(',')}}`;
}

function section<Part>(name: string, rooms: ReadonlyMap<RoomId, Part>, encode: (part: Part) => string): string {
  if (rooms.size === 0) return '';
  const entries = [...rooms].map(([roomId, part]) => `${JSON.stringify(roomId)}:${encode(part)}`);
  return `"${name}":{${entries.join(',')}}`;
}

function encodeJoinedRoom(part: JoinedRoomPart, stateName: string): string {
  const summary = part.summary === null ? '' : `"summary":${part.summary},`;
  return (
    `{${summary}"${stateName}":${encodeEvents(part.state)},"timeline":${encodeTimeline(part.timeline)},` +
    `"ephemeral":${encodeEvents(part.ephemeral)},"account_data":${encodeEvents(part.accountData)},${part.unread}}`
  );
}

function encodeLeftRoom(part: LeftRoomPart, stateName: string): string {
  return (
    `{"${stateName}":${encodeEvents(part.state)},"timeline":${encodeTimeline(part.timeline)},` +
    `"account_data":${encodeEvents(part.accountData)}}`
  );
}

function encodeTimeline(timeline: TimelinePart): string {
  const prevBatch = timeline.prevBatch === null ? '' : `,"prev_batch":${JSON.stringify(timeline.prevBatch)}`;
  return `{"events":[${timeline.events.join(',')}],"limited":${timeline.limited}${prevBatch}}`;
}

function encodeEvents(events: readonly string[]): string {
  return `{"events":[${events.join(',')}]}`;
}
