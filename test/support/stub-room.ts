import type { Clock } from '../../src/base/clock.ts';
import { selectAuthEvents } from '../../src/engine/auth/needed-state.ts';
import { authStateOfMap } from '../../src/engine/auth-state.ts';
import { eventIdOf, newGivenId, referenceTo } from '../../src/engine/event/event-id.ts';
import { encodedContentHash } from '../../src/engine/event/hash.ts';
import { parsePdu } from '../../src/engine/event/parse.ts';
import { redactJson } from '../../src/engine/event/redact.ts';
import { type EventId, type RoomId, serverOfUser, type UserId } from '../../src/matrix/ids.ts';
import {
  authEventIdsOf,
  depthOf,
  type EventReference,
  type JsonObject,
  prevEventIdsOf,
  type RoomEvent,
  type StateKey,
  stateKeyOf,
} from '../../src/matrix/pdu.ts';
import { getRoomVersion, type RoomVersion, supportedRoomVersions } from '../../src/matrix/room-versions.ts';
import { type Signer, signJson } from '../../src/signing/sign-json.ts';
import { type CalledServer, HostileReply, type HostileServer } from './hostile-server.ts';

/** What an event of a stub says; everything that is left out follows from the room as the stub sees it. */
export interface StubEvent {
  readonly type: string;
  readonly sender: UserId;
  readonly content?: JsonObject;
  readonly state_key?: string;
  readonly prev_events?: readonly string[];
  readonly auth_events?: readonly string[];
  readonly depth?: number;
  readonly origin_server_ts?: number;
  readonly room_id?: string;
  /** Further fields of the event, or others instead of those above. */
  readonly more?: JsonObject;
}

/** How it is finished; by default rightly. */
export interface Sealing {
  readonly signers?: readonly Signer[];
  /** Instead of the true content hash. */
  readonly hash?: string;
}

/** The id of an event that nobody has, of the form that room versions from 4 on want. */
export function unknownId(index = 0): EventId {
  return `$${`unknown${index}`.padEnd(43, '_')}` as EventId;
}

/** An event as it goes over the wire, with its id. Well-formed only where the test made it so. */
export interface SealedEvent {
  readonly eventId: EventId;
  readonly pdu: JsonObject;
}

/** Hashes and signs anything that has a canonical form; gives it an id where the version has it so and there is none. */
export function seal(
  given: JsonObject,
  version: RoomVersion,
  sealing: Sealing & { signers: readonly Signer[] },
): SealedEvent {
  const template = version.eventIds === 'given' ? { event_id: newIdOf(given), ...given } : given;
  const hashed = { ...template, hashes: { sha256: sealing.hash ?? encodedContentHash(template) } };
  let pdu: JsonObject = hashed;
  for (const signer of sealing.signers) {
    const { signatures } = signJson({ ...redactJson(hashed, version), signatures: pdu.signatures ?? {} }, signer);
    pdu = { ...pdu, signatures };
  }
  if (sealing.signers.length === 0) pdu = { ...hashed, signatures: {} };
  return { eventId: eventIdOf(pdu, version), pdu };
}

function newIdOf(template: JsonObject): EventId {
  return newGivenId(template, serverOfUser(template.sender as UserId));
}

/** A room as a server that a test plays has it: it builds events of it, good ones and others. */
export class StubRoom {
  readonly server: HostileServer;
  readonly roomId: RoomId;
  readonly version: RoomVersion;
  readonly events = new Map<EventId, RoomEvent>();
  readonly stateBefore = new Map<EventId, ReadonlyMap<StateKey, RoomEvent>>();
  state = new Map<StateKey, RoomEvent>();
  latest: EventId[] = [];
  depth = 0;
  readonly #nowMs: () => number;

  private constructor(server: HostileServer, roomId: RoomId, version: string, nowMs: () => number) {
    this.server = server;
    this.roomId = roomId;
    this.version = getRoomVersion(version);
    this.#nowMs = nowMs;
  }

  /** A room of one of our servers, joined by a user of the stub. */
  static async join(
    stub: HostileServer,
    through: CalledServer & { readonly clock: Pick<Clock, 'now'> },
    roomId: string,
    userId: UserId,
  ): Promise<StubRoom> {
    const path = [roomId, userId].map(encodeURIComponent).join('/');
    const query = `?${supportedRoomVersions.map((version) => `ver=${version}`).join('&')}`;
    const template = await stub.call(through, 'GET', `v1/make_join/${path}`, undefined, { query });
    if (template.status !== 200) throw new Error(`make_join: ${template.status} ${JSON.stringify(template.body)}`);
    const room = new StubRoom(stub, roomId as RoomId, template.body.room_version, () => through.clock.now());
    const join = seal(template.body.event, room.version, { signers: [stub.signer] });
    const target = [roomId, join.eventId].map(encodeURIComponent).join('/');
    const answer = await stub.call(through, 'PUT', `v2/send_join/${target}`, join.pdu);
    if (answer.status !== 200) throw new Error(`send_join: ${answer.status} ${JSON.stringify(answer.body)}`);
    for (const json of answer.body.auth_chain) room.#keep(json);
    for (const json of answer.body.state) {
      const event = room.#keep(json);
      room.state.set(stateKeyOf(event.pdu.type, event.pdu.state_key ?? ''), event);
    }
    room.take(answer.body.event);
    return room;
  }

  /** A room of the stub's own, public, with one user in it. */
  static create(
    stub: HostileServer,
    options: { creator: UserId; nowMs: () => number; version?: string; roomId?: string },
  ): StubRoom {
    const version = options.version ?? '11';
    rooms += 1;
    const room = new StubRoom(stub, (options.roomId ?? `!stub${rooms}:${stub.name}`) as RoomId, version, options.nowMs);
    const state = (type: string, content: JsonObject, key = '') =>
      room.add({ type, sender: options.creator, state_key: key, content });
    state('m.room.create', {
      room_version: version,
      ...(room.version.creatorFrom === 'content' ? { creator: options.creator } : {}),
    });
    state('m.room.member', { membership: 'join' }, options.creator);
    state('m.room.power_levels', { users: { [options.creator]: 100 } });
    state('m.room.join_rules', { join_rule: 'public' });
    return room;
  }

  /** A sealed event that is not part of the room as the stub sees it. */
  build(event: StubEvent, sealing: Sealing = {}): SealedEvent {
    const { type, sender, content = {}, state_key: stateKey, more = {} } = event;
    const subject = { type, sender, content, ...(stateKey === undefined ? {} : { state_key: stateKey }) };
    const auth = selectAuthEvents(subject, authStateOfMap(this.state), this.version).map(({ eventId }) => eventId);
    const refer = (eventId: string) => this.#refer(eventId as EventId);
    const template = {
      ...subject,
      room_id: event.room_id ?? this.roomId,
      depth: event.depth ?? this.depth + 1,
      origin_server_ts: event.origin_server_ts ?? this.#nowMs(),
      prev_events: (event.prev_events ?? this.latest).map(refer),
      auth_events: (event.auth_events ?? auth).map(refer),
      ...more,
    };
    return seal(template, this.version, { ...sealing, signers: sealing.signers ?? [this.server.signer] });
  }

  #refer(eventId: EventId): EventReference {
    const event = this.events.get(eventId);
    if (event) return referenceTo(event, this.version);
    return this.version.eventIds === 'given' ? [eventId, { sha256: 'unknown' }] : eventId;
  }

  /** The same, taken into the room. */
  add(event: StubEvent, sealing: Sealing = {}): SealedEvent {
    const sealed = this.build(event, sealing);
    this.take(sealed.pdu);
    return sealed;
  }

  say(sender: UserId, body: string, more: Partial<StubEvent> = {}): SealedEvent {
    return this.add({ type: 'm.room.message', sender, content: { msgtype: 'm.text', body }, ...more });
  }

  /** Appends an event that somebody made, as the newest of the room. */
  take(json: JsonObject): RoomEvent {
    const event = this.#keep(json);
    this.stateBefore.set(event.eventId, new Map(this.state));
    if (event.pdu.state_key !== undefined) this.state.set(stateKeyOf(event.pdu.type, event.pdu.state_key), event);
    this.latest = [event.eventId];
    this.depth = Math.max(this.depth, depthOf(event.pdu));
    return event;
  }

  #keep(json: JsonObject): RoomEvent {
    const parsed = parsePdu(json, this.version);
    if (parsed.outcome === 'malformed') throw new Error(`the stub room got no event: ${parsed.reason}`);
    this.events.set(parsed.event.eventId, parsed.event);
    return parsed.event;
  }

  stateList(state: ReadonlyMap<StateKey, RoomEvent> = this.state): JsonObject[] {
    return [...state.values()].map(({ pdu }) => pdu);
  }

  authChainOf(events: Iterable<RoomEvent>): JsonObject[] {
    const chain = new Map<EventId, RoomEvent>();
    const queue = [...events].flatMap(({ pdu }) => authEventIdsOf(pdu));
    for (let eventId = queue.pop(); eventId !== undefined; eventId = queue.pop()) {
      const event = this.events.get(eventId);
      if (!event || chain.has(eventId)) continue;
      chain.set(eventId, event);
      queue.push(...authEventIdsOf(event.pdu));
    }
    return [...chain.values()].map(({ pdu }) => pdu);
  }

  /** Lets our servers join the room and ask about it, with true answers; a test replaces those it wants to be false. */
  serve(): void {
    const { server } = this;
    const gone = new HostileReply(404, { errcode: 'M_NOT_FOUND', error: 'not here' });
    server.on('make_join', ({ rest: [, userId = ''] }) => {
      const content = { membership: 'join' };
      const { pdu } = this.build({ type: 'm.room.member', sender: userId as UserId, state_key: userId, content });
      const { hashes, signatures, ...event } = pdu;
      return { room_version: this.version.id, event };
    });
    server.on('send_join', ({ body }) => {
      const [state, chain] = [this.stateList(), this.authChainOf(this.state.values())];
      this.take(body);
      return { event: body, state, auth_chain: chain, members_omitted: false };
    });
    server.on('event', ({ rest: [eventId = ''] }) => {
      const event = this.events.get(eventId as EventId);
      return event ? { origin: server.name, origin_server_ts: 1, pdus: [event.pdu] } : gone;
    });
    server.on('state_ids', ({ query }) => {
      const state = this.stateBefore.get(query.get('event_id') as EventId);
      if (!state) return gone;
      const ids = (list: JsonObject[]) => list.map((pdu) => eventIdOf(pdu, this.version));
      return { pdu_ids: ids(this.stateList(state)), auth_chain_ids: ids(this.authChainOf(state.values())) };
    });
    server.on('state', ({ query }) => {
      const state = this.stateBefore.get(query.get('event_id') as EventId);
      return state ? { pdus: this.stateList(state), auth_chain: this.authChainOf(state.values()) } : gone;
    });
    server.on('event_auth', ({ rest: [, eventId = ''] }) => {
      const event = this.events.get(eventId as EventId);
      return event ? { auth_chain: this.authChainOf([event]) } : gone;
    });
    server.on('get_missing_events', ({ body }) => ({
      events: this.#behind(body.latest_events, new Set(body.earliest_events)),
    }));
    server.on('backfill', ({ query }) => ({
      origin: server.name,
      origin_server_ts: 1,
      pdus: this.#from(query.getAll('v') as EventId[]),
    }));
  }

  #behind(latest: readonly EventId[], earliest: ReadonlySet<string>): JsonObject[] {
    const prev = latest.flatMap((eventId) => {
      const event = this.events.get(eventId);
      return event ? prevEventIdsOf(event.pdu) : [];
    });
    return this.#from(
      prev.filter((eventId) => !earliest.has(eventId)),
      earliest,
    ).reverse();
  }

  #from(start: readonly EventId[], until: ReadonlySet<string> = new Set()): JsonObject[] {
    const found = new Map<EventId, RoomEvent>();
    const queue = [...start];
    for (let eventId = queue.shift(); eventId !== undefined; eventId = queue.shift()) {
      const event = this.events.get(eventId);
      if (!event || found.has(eventId) || until.has(eventId) || !this.stateBefore.has(eventId)) continue;
      found.set(eventId, event);
      queue.push(...prevEventIdsOf(event.pdu));
    }
    return [...found.values()].map(({ pdu }) => pdu);
  }
}

let rooms = 0;
