import { checkAuth } from '../../../../src/engine/auth/check.ts';
import { selectAuthEvents } from '../../../../src/engine/auth/needed-state.ts';
import { type ResolveInput, resolveState } from '../../../../src/engine/state-res/resolve.ts';
import { tellStates } from '../../../../src/engine/state-res/state-sets.ts';
import type { EventId } from '../../../../src/matrix/ids.ts';
import {
  authEventIdsOf,
  depthOf,
  type RoomEvent,
  type StateKey,
  type StateMap,
  stateKeyOf,
} from '../../../../src/matrix/pdu.ts';
import { type EventSketch, SketchedRoom } from '../../../support/room-events.ts';

/** One end of a room's graph with the state there. */
export type Fork = Map<StateKey, RoomEvent>;

/** A room whose history forks: events choose their auth events from the state of their fork, as servers do. */
export class ForkedRoom {
  readonly room: SketchedRoom;
  #now = 1_000;

  constructor(version: string, creator = '@alice:a.test') {
    this.room = new SketchedRoom(version, creator);
  }

  /** The state with the create event alone. */
  start(): Fork {
    return new Map(this.room.state);
  }

  /** Sends a state event in a fork; undefined, and nothing changed, where the rules refuse it there. */
  trySend(fork: Fork, sketch: EventSketch & { stateKey: string }): RoomEvent | undefined {
    const lookUp = (type: string, stateKey: string) => fork.get(stateKeyOf(type, stateKey));
    const subject = {
      type: sketch.type,
      sender: sketch.sender,
      state_key: sketch.stateKey,
      content: sketch.content ?? {},
    };
    this.#now += 1;
    const event = this.room.event({
      ts: this.#now,
      prev: fork.size === 1 ? [this.room.create] : [],
      depth: 1 + Math.max(...[...fork.values()].map(({ pdu }) => depthOf(pdu))),
      ...sketch,
      auth: selectAuthEvents(subject, lookUp, this.room.version),
    });
    if (!checkAuth(event, lookUp, this.room.version).allowed) return undefined;
    this.room.events.set(event.eventId, event);
    fork.set(stateKeyOf(sketch.type, sketch.stateKey), event);
    return event;
  }

  /** The same for an event that the test knows to be allowed. */
  send(fork: Fork, sketch: EventSketch & { stateKey: string }): RoomEvent {
    const event = this.trySend(fork, sketch);
    if (!event) throw new Error(`${sketch.type} is not allowed`);
    return event;
  }

  member(fork: Fork, userId: string, membership: string, sender = userId): RoomEvent {
    return this.send(fork, { type: 'm.room.member', stateKey: userId, sender, content: { membership } });
  }

  /** How often the sources were read, and for how many events. */
  reads = { calls: 0, events: 0 };

  input(stateSets: readonly StateMap[], rejected: ReadonlySet<EventId> = new Set()): ResolveInput {
    return {
      version: this.room.version,
      stateSets: tellStates([stateSets[0] ?? new Map(), ...stateSets.slice(1)]),
      load: async (ids) => {
        this.reads.calls += 1;
        this.reads.events += ids.length;
        return new Map(ids.flatMap((id) => this.#entry(id)));
      },
      listAuthEdges: async (ids) => {
        this.reads.calls += 1;
        return new Map(ids.flatMap((id) => this.#entry(id)).map(([id, event]) => [id, authEventIdsOf(event.pdu)]));
      },
      isRejected: (id) => rejected.has(id),
    };
  }

  #entry(id: EventId): [EventId, RoomEvent][] {
    const event = this.room.events.get(id);
    return event ? [[id, event]] : [];
  }

  async resolve(forks: readonly Fork[], rejected?: ReadonlySet<EventId>): Promise<StateMap> {
    return (await resolveState(this.input(forks.map(idsOf), rejected))).state;
  }
}

export function idsOf(fork: Fork): StateMap {
  return new Map([...fork].map(([key, event]) => [key, event.eventId]));
}
