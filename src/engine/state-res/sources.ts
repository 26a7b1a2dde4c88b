import { breathe } from '../../base/breathe.ts';
import type { EventId } from '../../matrix/ids.ts';
import { authEventIdsOf, type RoomEvent } from '../../matrix/pdu.ts';
import type { RoomVersion } from '../../matrix/room-versions.ts';
import { createEventIdOfRoom } from '../event/event-id.ts';
import { AuthEdges, inParts, type ListAuthEdges } from '../graph/auth-edges.ts';

/** Where state resolution reads from. Each call is one query; ids that are unknown are left out of the answer. */
export interface EventSources {
  load(eventIds: readonly EventId[]): Promise<ReadonlyMap<EventId, RoomEvent>>;
  /** The auth events of each event, and of up to `ahead` that lie below, without loading the events. */
  readonly listAuthEdges: ListAuthEdges;
}

/** The auth events of an event; the room id of version 12 cites the create event as `auth_events` do in the versions before. */
export function listCited(event: RoomEvent, version: RoomVersion): readonly EventId[] {
  const cited = authEventIdsOf(event.pdu);
  return version.createIsAuthEvent ? cited : [...cited, createEventIdOfRoom(event.roomId)];
}

/** What one resolution has read so far, so that nothing is asked for twice. */
export class EventCache {
  readonly #sources: EventSources;
  readonly #events = new Map<EventId, RoomEvent>();
  readonly #edges: AuthEdges;
  readonly #absent = new Set<EventId>();

  constructor(sources: EventSources) {
    this.#sources = sources;
    this.#edges = new AuthEdges(sources.listAuthEdges);
  }

  /** Reads what is not known yet. */
  async load(eventIds: Iterable<EventId>): Promise<void> {
    for await (const part of inParts(eventIds, (id) => !this.#events.has(id) && !this.#absent.has(id))) {
      const found = await this.#sources.load(part);
      for (const id of part) {
        const event = found.get(id);
        if (event) this.#events.set(id, event);
        else this.#absent.add(id);
      }
      await breathe();
    }
  }

  /** An event that was loaded; undefined for one that is unknown. */
  find(eventId: EventId): RoomEvent | undefined {
    return this.#events.get(eventId);
  }

  /** The auth events of an event whose edges were read; none for one that is unknown. */
  authEventsOf(eventId: EventId): readonly EventId[] {
    const event = this.#events.get(eventId);
    return event ? authEventIdsOf(event.pdu) : this.#edges.get(eventId);
  }

  /**
   * The events and all that can be reached from them by auth edges, level by level. Stops early once `stop`, asked after each level
   * with what was added, answers true.
   */
  async listReachable(from: Iterable<EventId>, stop?: (added: readonly EventId[]) => boolean): Promise<Set<EventId>> {
    const reached = new Set<EventId>(from);
    let level = [...reached];
    while (level.length > 0 && !stop?.(level)) {
      await this.#edges.read(this.#notLoaded(level));
      const next: EventId[] = [];
      let looked = 0;
      for (const eventId of level) {
        for (const authEvent of this.authEventsOf(eventId)) {
          if (reached.has(authEvent)) continue;
          reached.add(authEvent);
          next.push(authEvent);
        }
        looked += 1;
        if (looked % 100 === 0) await breathe();
      }
      level = next;
    }
    return reached;
  }

  *#notLoaded(eventIds: Iterable<EventId>): Generator<EventId> {
    for (const eventId of eventIds) if (!this.#events.has(eventId)) yield eventId;
  }
}
