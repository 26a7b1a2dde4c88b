import { buildEvent, type EventTemplate } from '../../src/engine/event/build.ts';
import { referenceTo } from '../../src/engine/event/event-id.ts';
import type { EventId, RoomId, UserId } from '../../src/matrix/ids.ts';
import { depthOf, type JsonObject, type RoomEvent, type StateKey, stateKeyOf } from '../../src/matrix/pdu.ts';
import { getRoomVersion, type RoomVersion } from '../../src/matrix/room-versions.ts';

/** What a test says of an event; all else has a harmless value. */
export interface EventSketch {
  type: string;
  sender: string;
  stateKey?: string;
  content?: JsonObject;
  prev?: readonly RoomEvent[];
  auth?: readonly RoomEvent[];
  ts?: number;
  depth?: number;
  roomId?: string;
}

const roomIds = { opaque: '!room:a.test', create_hash: `!${'room'.padEnd(43, '_')}` };

/** A well-formed event of a room version, with true hashes and no signatures. Throws where the sketch is malformed. */
export function makeEvent(version: RoomVersion, sketch: EventSketch): RoomEvent {
  const isHashedCreate = version.roomIdFormat === 'create_hash' && sketch.type === 'm.room.create';
  const template: EventTemplate = {
    type: sketch.type,
    sender: sketch.sender as UserId,
    content: sketch.content ?? {},
    depth: sketch.depth ?? 1 + Math.max(0, ...(sketch.prev ?? []).map((event) => depthOf(event.pdu))),
    origin_server_ts: sketch.ts ?? 1_000,
    prev_events: (sketch.prev ?? []).map((event) => referenceTo(event, version)),
    auth_events: (sketch.auth ?? []).map((event) => referenceTo(event, version)),
    ...(sketch.stateKey === undefined ? {} : { state_key: sketch.stateKey }),
    ...(isHashedCreate && sketch.roomId === undefined
      ? {}
      : { room_id: (sketch.roomId ?? roomIds[version.roomIdFormat]) as RoomId }),
  };
  const built = buildEvent(template, version, (object) => ({ ...object, signatures: {} }));
  if (built.outcome === 'malformed') throw new Error(built.reason);
  return built.event;
}

/** A room that a test builds up event by event; keeps its state as a plain map. */
export class SketchedRoom {
  readonly version: RoomVersion;
  readonly create: RoomEvent;
  readonly events = new Map<EventId, RoomEvent>();
  readonly state = new Map<StateKey, RoomEvent>();

  constructor(versionId: string, creator = '@alice:a.test', content: JsonObject = {}) {
    this.version = getRoomVersion(versionId);
    const creatorField = this.version.creatorFrom === 'content' ? { creator } : {};
    this.create = makeEvent(this.version, {
      type: 'm.room.create',
      sender: creator,
      stateKey: '',
      content: { room_version: versionId, ...creatorField, ...content },
    });
    this.put(this.create);
  }

  /** An event of this room; not stored. */
  event(sketch: EventSketch): RoomEvent {
    return makeEvent(this.version, { roomId: this.create.roomId, ...sketch });
  }

  /** Stores an event, and lets it hold if it is a state event. */
  put(event: RoomEvent): RoomEvent {
    this.events.set(event.eventId, event);
    if (event.pdu.state_key !== undefined) this.state.set(stateKeyOf(event.pdu.type, event.pdu.state_key), event);
    return event;
  }

  /** Makes and puts a state event. */
  set(type: string, stateKey: string, sender: string, content: JsonObject): RoomEvent {
    return this.put(this.event({ type, stateKey, sender, content }));
  }

  member(userId: string, membership: string, sender = userId): RoomEvent {
    return this.set('m.room.member', userId, sender, { membership });
  }

  find = (type: string, stateKey: string): RoomEvent | undefined => this.state.get(stateKeyOf(type, stateKey));
}
