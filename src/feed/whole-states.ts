import { LRUCache } from 'lru-cache';
import type { RoomId } from '../matrix/ids.ts';
import type { Change } from '../storage/contract/changes.ts';
import type { TimelineEvent } from '../storage/contract/events.ts';
import type { StateReads } from '../storage/contract/state.ts';

/** Events of all rooms together, some ten mebibytes; the rooms longest unasked for go first, and a room with more is not kept at all. */
const eventsMax = 8_192;

/**
 * The whole state of rooms that clients begin with, so that the members who come back together, such as after a restart, have it read once and not once
 * for each of them. Answers as `StateReads.listCurrentOfRooms` does; an event whose place was not known then is given without one.
 */
export class WholeStates {
  readonly #state: Pick<StateReads, 'listCurrentOfRooms'>;
  readonly #rooms = new LRUCache<RoomId, readonly TimelineEvent[]>({
    maxSize: eventsMax,
    sizeCalculation: (events) => events.length,
  });
  #changes = 0;

  constructor(state: Pick<StateReads, 'listCurrentOfRooms'>) {
    this.#state = state;
  }

  /** A listener for the feed. */
  apply(changes: readonly Change[]): void {
    for (const change of changes) {
      if (change.kind !== 'current_state' && change.kind !== 'redaction' && change.kind !== 'event_rewritten') continue;
      this.#changes += 1;
      this.#rooms.delete(change.roomId);
    }
  }

  async list(roomIds: ReadonlySet<RoomId>): Promise<Map<RoomId, TimelineEvent[]>> {
    const found = new Map<RoomId, TimelineEvent[]>();
    const missing = new Set<RoomId>();
    for (const roomId of roomIds) {
      const known = this.#rooms.get(roomId);
      if (known === undefined) missing.add(roomId);
      else found.set(roomId, [...known]);
    }
    if (missing.size === 0) return found;
    const changesBefore = this.#changes;
    for (const [roomId, events] of await this.#state.listCurrentOfRooms(missing, 'all')) {
      // What was read may be older than a change meanwhile.
      if (this.#changes === changesBefore) this.#rooms.set(roomId, [...events]);
      found.set(roomId, events);
    }
    return found;
  }
}
