import { checkAuth } from '../../../../src/engine/auth/check.ts';
import { selectAuthEvents } from '../../../../src/engine/auth/needed-state.ts';
import { authStateOfMap } from '../../../../src/engine/auth-state.ts';
import { buildEvent } from '../../../../src/engine/event/build.ts';
import { referenceTo } from '../../../../src/engine/event/event-id.ts';
import { listAuthChain } from '../../../../src/engine/graph/auth-chain.ts';
import { resolveState } from '../../../../src/engine/state-res/resolve.ts';
import { tellStates } from '../../../../src/engine/state-res/state-sets.ts';
import { type EventId, type RoomId, serverOfUser, type UserId } from '../../../../src/matrix/ids.ts';
import {
  authEventIdsOf,
  depthOf,
  type JsonObject,
  type RoomEvent,
  type StateKey,
  type StateMap,
  stateKeyOf,
} from '../../../../src/matrix/pdu.ts';
import { getRoomVersion, type RoomVersion } from '../../../../src/matrix/room-versions.ts';
import { signJson } from '../../../../src/signing/sign-json.ts';
import type { EventSketch } from '../../../support/room-events.ts';
import type { TestHome, World } from '../world.ts';

/**
 * Writes the events of a room as all its servers together would, with nobody between them: each stands behind any others, is
 * authorised by the state there, and signed by its sender's server.
 */
export class ForkAuthor {
  readonly version: RoomVersion;
  readonly roomId: RoomId;
  readonly #world: World;
  readonly #events = new Map<EventId, RoomEvent>();
  readonly #statesAfter = new Map<EventId, StateMap>();

  private constructor(world: World, roomId: RoomId, version: string) {
    this.#world = world;
    this.roomId = roomId;
    this.version = getRoomVersion(version);
  }

  /** Goes on from where a server stands, which knows all there is. */
  static async continue(
    world: World,
    home: TestHome,
    roomId: RoomId,
  ): Promise<{ author: ForkAuthor; ends: EventId[] }> {
    const { events, rooms, state } = home.storage;
    const room = await rooms.find(roomId);
    const author = new ForkAuthor(world, roomId, room?.version ?? '');
    const ends = await rooms.listExtremities(roomId);
    const known = [...ends, ...(await state.listCurrentIds(roomId))];
    const chain = await listAuthChain(known, (ids, ahead) => events.listAuthEdges(ids, ahead));
    for (const stored of await events.listByIds([...known, ...chain])) {
      author.#events.set(stored.event.eventId, stored.event);
      if (!ends.includes(stored.event.eventId) || stored.snapshotAfter === null) continue;
      author.#statesAfter.set(stored.event.eventId, await state.getSnapshot(stored.snapshotAfter));
    }
    return { author, ends };
  }

  /** An event behind `prev`; undefined where the rules refuse it there. */
  async write(prev: readonly EventId[], sketch: EventSketch): Promise<RoomEvent | undefined> {
    const before = await this.stateBehind(prev);
    const state = authStateOfMap(this.#eventsOf(before));
    const { type, sender, stateKey, content = {} } = sketch;
    const subject = { type, sender, content, ...(stateKey === undefined ? {} : { state_key: stateKey }) };
    const built = buildEvent(
      {
        ...subject,
        sender: sender as UserId,
        room_id: this.roomId,
        depth: 1 + Math.max(...prev.map((id) => depthOf(this.#get(id).pdu))),
        origin_server_ts: sketch.ts ?? 0,
        prev_events: prev.map((id) => referenceTo(this.#get(id), this.version)),
        auth_events: selectAuthEvents(subject, state, this.version).map((event) => referenceTo(event, this.version)),
      },
      this.version,
      (object) => this.#sign(object, subject),
    );
    if (built.outcome === 'malformed') throw new Error(built.reason);
    const { event } = built;
    if (!checkAuth(event, state, this.version).allowed) return undefined;
    this.#events.set(event.eventId, event);
    const changed = stateKey === undefined ? [] : [[stateKeyOf(type, stateKey), event.eventId] as const];
    this.#statesAfter.set(event.eventId, new Map([...before, ...changed]));
    return event;
  }

  /** The state before an event that stands behind these. */
  async stateBehind(prev: readonly EventId[]): Promise<StateMap> {
    const pick = <T>(ids: readonly EventId[], of: (event: RoomEvent) => T): Map<EventId, T> =>
      new Map(ids.map((id) => [id, of(this.#get(id))]));
    const [first, ...others] = prev.map((id) => this.#statesAfter.get(id) ?? new Map());
    const { state } = await resolveState({
      version: this.version,
      stateSets: tellStates([first ?? new Map(), ...others]),
      load: async (ids) => pick(ids, (event) => event),
      listAuthEdges: async (ids) => pick(ids, (event) => authEventIdsOf(event.pdu)),
      isRejected: () => false,
    });
    return state;
  }

  contentAt(state: StateMap, type: string, stateKey = ''): JsonObject | undefined {
    const id = state.get(stateKeyOf(type, stateKey));
    return id === undefined ? undefined : this.#get(id).pdu.content;
  }

  #eventsOf(state: StateMap): Map<StateKey, RoomEvent> {
    return new Map([...state].map(([key, id]) => [key, this.#get(id)]));
  }

  #get(id: EventId): RoomEvent {
    const event = this.#events.get(id);
    if (!event) throw new Error(`the author does not know ${id}`);
    return event;
  }

  /** By the sender's server, and by that of whoever vouches for a join. */
  #sign(object: JsonObject, { sender, content }: { sender: string; content: JsonObject }) {
    const authoriser = content.join_authorised_via_users_server;
    const first = this.#signBy(object, sender);
    return typeof authoriser === 'string' ? this.#signBy(first, authoriser) : first;
  }

  #signBy(object: JsonObject, user: string) {
    const { name, key } = this.#world.get(serverOfUser(user as UserId));
    return signJson(object, { server: name, key });
  }
}
