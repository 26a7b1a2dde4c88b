import type { Clock } from '../base/clock.ts';
import type { EduParcel, EduSource } from '../federation-out/edu-source.ts';
import type { Edu } from '../matrix/edu.ts';
import type { RoomId, UserId } from '../matrix/ids.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { Roster } from '../roster/roster.ts';

/** News of typing that could not be brought for so long are worth nothing: the other side has forgotten by itself. */
const staleAfterMs = 60_000;
/** At each bound the oldest marks go, for the same reason. */
const marksPerDestinationMax = 200;
const destinationsMax = 20_000;

interface Mark {
  readonly roomId: RoomId;
  readonly userId: UserId;
  readonly markedAtMs: number;
}

export interface TypingMarksDeps {
  clock: Clock;
  roster: Pick<Roster, 'isJoined' | 'serversIn'>;
  isTyping: (roomId: RoomId, userId: UserId) => boolean;
}

/**
 * Which destination is to hear of which user's typing in which room. What it hears is what is true when the transaction is
 * built, so that the latest always wins.
 */
export class TypingMarks implements EduSource {
  readonly name = 'm.typing';
  readonly #deps: TypingMarksDeps;
  /** The oldest mark of a destination stands first. */
  readonly #marks = new Map<ServerName, Map<string, Mark>>();

  constructor(deps: TypingMarksDeps) {
    this.#deps = deps;
  }

  mark(destination: ServerName, roomId: RoomId, userId: UserId): void {
    const marks = this.#marks.get(destination) ?? new Map<string, Mark>();
    const key = `${roomId} ${userId}`;
    marks.delete(key);
    marks.set(key, { roomId, userId, markedAtMs: this.#deps.clock.monotonic() });
    this.#marks.delete(destination);
    this.#marks.set(destination, marks);
    dropOldest(marks, marksPerDestinationMax);
    dropOldest(this.#marks, destinationsMax);
  }

  hasPending(destination: ServerName): boolean {
    const marks = this.#marks.get(destination);
    if (!marks) return false;
    const freshFromMs = this.#deps.clock.monotonic() - staleAfterMs;
    for (const [key, { markedAtMs }] of marks) {
      if (markedAtMs >= freshFromMs) return true;
      marks.delete(key);
    }
    this.#marks.delete(destination);
    return false;
  }

  async take(destination: ServerName, max: number): Promise<EduParcel> {
    if (!this.hasPending(destination)) return { edus: [], more: false, accepted() {}, refused() {} };
    const marks = this.#marks.get(destination) ?? new Map<string, Mark>();
    const edus: Edu[] = [];
    const taken: [string, Mark][] = [];
    for (const [key, mark] of marks) {
      if (edus.length === max) break;
      if (this.#concerns(destination, mark)) {
        edus.push(this.#encode(mark));
        taken.push([key, mark]);
      } else marks.delete(key);
    }
    return {
      edus,
      more: marks.size > taken.length,
      // A mark set anew meanwhile says that something changed since.
      accepted: () => {
        for (const [key, mark] of taken) if (marks.get(key) === mark) marks.delete(key);
        if (marks.size === 0 && this.#marks.get(destination) === marks) this.#marks.delete(destination);
      },
      refused() {},
    };
  }

  #concerns(destination: ServerName, { roomId, userId }: Mark): boolean {
    return this.#deps.roster.isJoined(roomId, userId) && this.#deps.roster.serversIn(roomId).has(destination);
  }

  #encode({ roomId, userId }: Mark): Edu {
    const typing = this.#deps.isTyping(roomId, userId);
    return { edu_type: 'm.typing', content: { room_id: roomId, user_id: userId, typing } };
  }
}

function dropOldest<K>(map: Map<K, unknown>, sizeMax: number): void {
  if (map.size <= sizeMax) return;
  for (const key of map.keys()) {
    map.delete(key);
    return;
  }
}
