import type { RoomId, UserId } from '../../matrix/ids.ts';
import { type Moment, momentOf } from '../core/audience.ts';
import { type Ground, newDifference, withDifference } from '../core/facts.ts';
import { type Past, type PastChange, undoIn } from '../core/past.ts';

/** A change of audience whose turn has come. */
export interface AudienceJob {
  readonly change: PastChange;
  readonly number: number;
  /** The oldest change that was not handed out when this one came: what viewers were told may be as old as that. */
  readonly from: number;
}

/** How it was before the oldest change that waits. */
export interface Start {
  readonly from: number;
  /** The number of changes when this was looked at. */
  readonly seen: number;
  readonly moment: Moment;
  /** By room, who was in it then and is not now. */
  readonly gone: ReadonlyMap<RoomId, readonly UserId[]>;
}

/** Whose turn it is is compared with two moments: two changes may do what neither does alone, or undo each other. */
export interface Turn {
  /** Of the change, in the past. */
  readonly number: number;
  readonly from: number;
  /** Before the oldest that waited with it, and without this change alone. */
  readonly befores: readonly Moment[];
  readonly gone: Start['gone'];
}

export interface TurnsDeps {
  ground: Ground;
  past: Pick<Past, 'differenceBefore' | 'next'>;
  stanceTowards: Moment['stanceTowards'];
}

/** How things stood before a change, and before the changes that waited with it. */
export class Turns {
  readonly #deps: TurnsDeps;
  #start: Start | undefined;

  constructor(deps: TurnsDeps) {
    this.#deps = deps;
  }

  of({ change, number, from }: AudienceJob): Turn {
    const { ground, stanceTowards } = this.#deps;
    const start = this.startAt(from);
    const befores = [start.moment];
    if (from !== number) {
      const without = newDifference();
      undoIn(without, change);
      befores.push(momentOf(withDifference(ground, without), stanceTowards));
    }
    return { number, from, befores, gone: start.gone };
  }

  /** Made once for all changes that came at once: a large room may be joined by thousands in one commit. */
  startAt(from: number): Start {
    const { past, ground, stanceTowards } = this.#deps;
    if (this.#start?.from === from && this.#start.seen === past.next) return this.#start;
    const difference = past.differenceBefore(from);
    const gone = new Map<RoomId, UserId[]>();
    for (const [userId, rooms] of difference.joined) {
      for (const [roomId, joined] of rooms) {
        if (!joined) continue;
        const users = gone.get(roomId);
        if (users) users.push(userId);
        else gone.set(roomId, [userId]);
      }
    }
    this.#start = { from, seen: past.next, moment: momentOf(withDifference(ground, difference), stanceTowards), gone };
    return this.#start;
  }
}
