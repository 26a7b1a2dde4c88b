import type { RoomId, UserId } from '../../matrix/ids.ts';
import type { SharingRules } from '../sharing-rules.ts';
import { type Difference, newDifference, setJoined } from './facts.ts';

/** Oldest entries are forgotten beyond it; for tokens from before them the rule of another process holds. */
const entriesMax = 50_000;

/** Users whose last leave is remembered; beyond it the longest ago is forgotten. */
const leaversMax = 50_000;

/** Of a span of time that saw more changes, the ones in the middle are passed over. */
const momentsMax = 16;

/** One change of what the policy is made of, with the value that it replaced. */
export type PastChange =
  | { readonly kind: 'membership'; readonly userId: UserId; readonly roomId: RoomId; readonly joined: boolean }
  | { readonly kind: 'rules'; readonly userId: UserId; readonly rules: SharingRules }
  | { readonly kind: 'room_size'; readonly roomId: RoomId; readonly counts: boolean };

/** What changed in whose audience since this process began, so that one can ask who saw whom a while ago. */
export class Past {
  #entries: { readonly at: number; readonly change: PastChange }[] = [];
  #reachesBackTo = Number.NEGATIVE_INFINITY;
  #dropped = 0;
  /** When each user last left a room, oldest first. */
  readonly #leftAt = new Map<UserId, number>();

  /** The number of the change, for `differenceBefore`. */
  record(at: number, change: PastChange): number {
    if (this.#entries.length >= entriesMax) {
      const dropped = this.#entries.splice(0, Math.ceil(entriesMax / 10));
      this.#reachesBackTo = dropped.at(-1)?.at ?? at;
      this.#dropped += dropped.length;
    }
    this.#entries.push({ at, change });
    if (change.kind === 'membership' && change.joined) this.#noteLeave(change.userId, at);
    return this.next - 1;
  }

  /** Whether the user has left any room since then. */
  hasLeftSince(userId: UserId, at: number): boolean {
    return (this.#leftAt.get(userId) ?? Number.NEGATIVE_INFINITY) >= at;
  }

  /** The number of the change that will be recorded next. */
  get next(): number {
    return this.#dropped + this.#entries.length;
  }

  /** How it was before the change of that number, as the difference to now. */
  differenceBefore(number: number): Difference {
    const difference = newDifference();
    const first = Math.max(0, number - this.#dropped);
    for (let index = this.#entries.length - 1; index >= first; index -= 1) {
      const entry = this.#entries[index];
      if (entry) undoIn(difference, entry.change);
    }
    return difference;
  }

  /**
   * How it was at some time between those two, oldest first, each as the difference to now: before the first change of that
   * time, and after each. Undefined when it is too long ago.
   */
  differencesIn({ from, to }: Span): readonly [Difference, ...Difference[]] | undefined {
    if (from <= this.#reachesBackTo) return undefined;
    let last = this.#entries.length;
    while ((this.#entries[last - 1]?.at ?? to) > to) last -= 1;
    let first = last;
    while ((this.#entries[first - 1]?.at ?? Number.NEGATIVE_INFINITY) >= from) first -= 1;
    const differences: [Difference, ...Difference[]] = [this.differenceBefore(this.#dropped + first)];
    for (let index = Math.max(first + 1, last - momentsMax); index <= last; index += 1)
      differences.push(this.differenceBefore(this.#dropped + index));
    return differences;
  }

  #noteLeave(userId: UserId, at: number): void {
    this.#leftAt.delete(userId);
    this.#leftAt.set(userId, at);
    if (this.#leftAt.size <= leaversMax) return;
    for (const oldest of this.#leftAt.keys()) {
      this.#leftAt.delete(oldest);
      return;
    }
  }
}

/** Both ends are in it. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** Lays over the difference what was before the change. */
export function undoIn(difference: Difference, change: PastChange): void {
  if (change.kind === 'rules') difference.rules.set(change.userId, change.rules);
  else if (change.kind === 'room_size') difference.counts.set(change.roomId, change.counts);
  else setJoined(difference, change.userId, change);
}
