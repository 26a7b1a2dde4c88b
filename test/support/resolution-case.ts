import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { selectAuthEvents } from '../../src/engine/auth/needed-state.ts';
import { authStateOfMap } from '../../src/engine/auth-state.ts';
import { type ResolveInput, resolveState } from '../../src/engine/state-res/resolve.ts';
import { tellStates } from '../../src/engine/state-res/state-sets.ts';
import type { EventId, RoomId, UserId } from '../../src/matrix/ids.ts';
import {
  authEventIdsOf,
  type EventReference,
  type JsonObject,
  type RoomEvent,
  type StateKey,
  type StateMap,
  stateKeyOf,
} from '../../src/matrix/pdu.ts';
import { getRoomVersion, type RoomVersion } from '../../src/matrix/room-versions.ts';
import { readVectors } from './vectors.ts';

/** An event as the files of test/vectors/state-resolution tell it; their README says what each field means. */
export interface EventFacts {
  readonly id: string;
  readonly type: string;
  readonly sender: string;
  readonly state_key?: string;
  readonly content: JsonObject;
  readonly prev?: readonly string[];
  readonly auth?: readonly string[];
  readonly ts?: number;
  readonly depth?: number;
  readonly rejected?: boolean;
}

export interface ResolutionCase {
  readonly name: string;
  readonly versions: readonly string[];
  readonly room?: string;
  readonly events: readonly EventFacts[];
  readonly states?: readonly (readonly string[])[];
  readonly places?: readonly Readonly<Record<string, string>>[];
  readonly ends?: readonly string[];
  readonly alsoEachAlone?: boolean;
  readonly resolved?: readonly string[];
  readonly holds?: readonly string[];
  readonly lacks?: readonly string[];
  readonly fullConflicted?: readonly string[];
  readonly notInFullConflicted?: readonly string[];
  readonly authDifference?: readonly string[];
  readonly sorted?: readonly string[];
  readonly powerOrder?: readonly string[];
  readonly mainline?: string;
  readonly mainlineOrder?: readonly string[];
}

interface CaseFile {
  readonly rooms?: Readonly<Record<string, readonly EventFacts[]>>;
  readonly cases: readonly ResolutionCase[];
}

/** Every published case, once for each room version that it is about. */
export function listResolutionCases(): { file: string; version: string; facts: ResolutionCase }[] {
  const files = readdirSync(join(import.meta.dirname, '../vectors/state-resolution')).filter((name) =>
    name.endsWith('.json'),
  );
  return files.flatMap((file) => {
    const { rooms = {}, cases } = readVectors<CaseFile>(`state-resolution/${file}`);
    return cases.flatMap((facts) => {
      const events = [...(facts.room === undefined ? [] : (rooms[facts.room] ?? [])), ...facts.events];
      return facts.versions.map((version) => ({ file, version, facts: { ...facts, events } }));
    });
  });
}

/**
 * A case as a room of one version. Ids are those of the case, behind their sigil, in every version: what depends on their order must find it.
 * Before version 12 the create event names its creator and is an auth event; there, no creator has a power level.
 */
export class CaseRoom {
  readonly version: RoomVersion;
  readonly events = new Map<EventId, RoomEvent>();
  readonly rejected = new Set<EventId>();
  readonly #statesAfter = new Map<EventId, StateMap>();
  readonly #create: EventFacts | undefined;
  readonly #facts: ResolutionCase;

  private constructor(version: string, facts: ResolutionCase) {
    this.version = getRoomVersion(version);
    this.#facts = facts;
    this.#create = facts.events.find(({ type }) => type === 'm.room.create');
  }

  static async build(version: string, facts: ResolutionCase): Promise<CaseRoom> {
    const room = new CaseRoom(version, facts);
    for (const event of facts.events) await room.#add(event);
    return room;
  }

  /** The states that the case resolves. */
  states(): StateMap[] {
    const { states, places, ends } = this.#facts;
    if (states) return states.map((ids) => new Map(ids.map((id) => this.#entryOf(id))));
    if (places)
      return places.map(
        (state) => new Map(Object.entries(state).map(([key, id]) => [stateKeyOf('place', key), idOf(id)])),
      );
    return (ends ?? []).map((id) => this.#statesAfter.get(idOf(id)) ?? new Map());
  }

  /** Each event as a state of its own. */
  statesOfOne(): StateMap[] {
    return this.#facts.events.map(({ id }) => new Map([this.#entryOf(id)]));
  }

  input(stateSets: readonly StateMap[]): ResolveInput {
    const pick = <T>(ids: readonly EventId[], of: (event: RoomEvent) => T): Map<EventId, T> =>
      new Map(
        ids.flatMap((id) => {
          const event = this.events.get(id);
          return event ? [[id, of(event)] as const] : [];
        }),
      );
    return {
      version: this.version,
      stateSets: tellStates([stateSets[0] ?? new Map(), ...stateSets.slice(1)]),
      load: async (ids) => pick(ids, (event) => event),
      listAuthEdges: async (ids) => pick(ids, (event) => authEventIdsOf(event.pdu)),
      isRejected: (id) => this.rejected.has(id),
    };
  }

  get(id: string): RoomEvent {
    const event = this.events.get(idOf(id));
    if (!event) throw new Error(`no event ${id}`);
    return event;
  }

  #entryOf(id: string): [StateKey, EventId] {
    const { eventId, pdu } = this.get(id);
    return [stateKeyOf(pdu.type, pdu.state_key ?? ''), eventId];
  }

  async #add(facts: EventFacts): Promise<void> {
    const before = await this.#stateBefore(facts);
    const auth = facts.auth?.map(idOf) ?? this.#chooseAuth(facts, before);
    const event = this.#eventOf(facts, auth);
    this.events.set(event.eventId, event);
    if (facts.rejected) this.rejected.add(event.eventId);
    const changed = facts.state_key === undefined ? [] : [this.#entryOf(facts.id)];
    this.#statesAfter.set(event.eventId, new Map([...before, ...changed]));
  }

  async #stateBefore({ prev = [] }: EventFacts): Promise<StateMap> {
    const states = prev.map((id) => this.#statesAfter.get(idOf(id)) ?? new Map());
    return (await resolveState(this.input(states))).state;
  }

  #chooseAuth(facts: EventFacts, before: StateMap): EventId[] {
    const state = new Map<StateKey, RoomEvent>();
    for (const [key, id] of before) state.set(key, this.get(id.slice(1)));
    return selectAuthEvents(facts, authStateOfMap(state), this.version).map(({ eventId }) => eventId);
  }

  #eventOf(facts: EventFacts, auth: readonly EventId[]): RoomEvent {
    const createId = this.#create && idOf(this.#create.id);
    const cited = this.version.createIsAuthEvent ? auth : auth.filter((id) => id !== createId);
    const isHashedCreate = this.version.roomIdFormat === 'create_hash' && facts.type === 'm.room.create';
    const roomId = (
      this.version.roomIdFormat === 'create_hash' ? `!${createId?.slice(1)}` : `!room:${domainOf(this.#create?.sender)}`
    ) as RoomId;
    return {
      eventId: idOf(facts.id),
      roomId,
      roomVersion: this.version.id,
      pdu: {
        type: facts.type,
        sender: facts.sender as UserId,
        ...(isHashedCreate ? {} : { room_id: roomId }),
        ...(facts.state_key === undefined ? {} : { state_key: facts.state_key }),
        content: this.#contentOf(facts),
        depth: facts.depth ?? 1,
        origin_server_ts: facts.ts ?? 0,
        prev_events: (facts.prev ?? []).map((id) => this.#referenceTo(idOf(id))),
        auth_events: cited.map((id) => this.#referenceTo(id)),
        hashes: { sha256: '' },
        signatures: {},
      },
    };
  }

  #referenceTo(id: EventId): EventReference {
    return this.version.eventIds === 'given' ? [id, { sha256: '' }] : id;
  }

  #contentOf({ type, sender, content }: EventFacts): JsonObject {
    if (type === 'm.room.create' && this.version.creatorFrom === 'content') return { ...content, creator: sender };
    if (type === 'm.room.power_levels' && this.version.privilegedCreators) {
      const users = Object.entries(content.users ?? {}).filter(([user]) => user !== this.#create?.sender);
      return { ...content, users: Object.fromEntries(users) };
    }
    return content;
  }
}

/** The id of an event of a case: with its sigil, unless the source has another one. */
export function idOf(id: string): EventId {
  return (id.startsWith('@') ? id : `$${id}`) as EventId;
}

/** What stands in the case for an id. */
export function nameOf(id: EventId): string {
  return id.startsWith('$') ? id.slice(1) : id;
}

function domainOf(user = '@nobody:nowhere.test'): string {
  return user.slice(user.indexOf(':') + 1);
}
