import type { RoomId } from '../matrix/ids.ts';

/** Changes told in order; a reader further behind is told every room that changed behind its number, at the price of a walk. */
const recentMax = 4_096;
/** Rooms of which the last change is known. A reader who missed more than that may show somebody typing until the room's next change. */
const roomsMax = 50_000;

/** Which rooms changed behind which number, so that each reader hears of each change once. */
export class TypingNews {
  #number = 0;
  /** The room of each of the last changes; the last entry belongs to `#number`. */
  #recent: RoomId[] = [];
  /** Number of the last change of each room, the oldest first. */
  readonly #last = new Map<RoomId, number>();

  get number(): number {
    return this.#number;
  }

  add(roomId: RoomId): void {
    this.#number += 1;
    this.#recent.push(roomId);
    if (this.#recent.length >= 2 * recentMax) this.#recent = this.#recent.slice(-recentMax);
    this.#last.delete(roomId);
    this.#last.set(roomId, this.#number);
    if (this.#last.size <= roomsMax) return;
    for (const oldest of this.#last.keys()) {
      this.#last.delete(oldest);
      break;
    }
  }

  listSince(number: number): Set<RoomId> {
    const missed = this.#number - number;
    if (missed <= 0) return new Set();
    if (missed <= this.#recent.length) return new Set(this.#recent.slice(-missed));
    const rooms = new Set<RoomId>();
    for (const [roomId, last] of this.#last) if (last > number) rooms.add(roomId);
    return rooms;
  }
}
