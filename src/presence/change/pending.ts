import type { Clock } from '../../base/clock.ts';
import type { RoomId, UserId } from '../../matrix/ids.ts';
import { type Difference, newDifference, setJoined } from '../core/facts.ts';

/** Whoever asked for rows commits them soon, or never. */
const keptMs = 10_000;
const entriesMax = 1_000;

/**
 * Changes for which rows were decided and whose commit was not seen yet. Two that are decided at the same time may hide somebody
 * whom neither hides alone: the second one has to know of the first, or nobody would write that down.
 */
export class PendingChanges {
  readonly #clock: Clock;
  #entries: { readonly at: number; readonly difference: Difference }[] = [];

  constructor(deps: { clock: Clock }) {
    this.#clock = deps.clock;
  }

  /** To be called before anything is decided on the change. */
  note(difference: Difference): void {
    this.#entries.push({ at: this.#clock.monotonic(), difference });
    if (this.#entries.length > entriesMax) this.#entries.shift();
  }

  /** Everything that is pending, with this change as the last. Undefined where nothing else is. */
  together(change: Difference): Difference | undefined {
    const since = this.#clock.monotonic() - keptMs;
    this.#entries = this.#entries.filter(({ at }) => at > since);
    if (this.#entries.every(({ difference }) => difference === change)) return undefined;
    const all = newDifference();
    for (const { difference } of this.#entries) if (difference !== change) lay(all, difference);
    lay(all, change);
    return all;
  }

  sawMembership(userId: UserId, roomId: RoomId): void {
    const entry = this.#entries.find(({ difference }) => difference.joined.get(userId)?.has(roomId));
    entry?.difference.joined.get(userId)?.delete(roomId);
    this.#forgetEmpty();
  }

  sawRules(userId: UserId): void {
    const entry = this.#entries.find(({ difference }) => difference.rules.has(userId));
    entry?.difference.rules.delete(userId);
    this.#forgetEmpty();
  }

  #forgetEmpty(): void {
    this.#entries = this.#entries.filter(
      ({ difference: { rules, joined } }) => rules.size > 0 || [...joined.values()].some((rooms) => rooms.size > 0),
    );
  }
}

function lay(all: Difference, { rules, joined, counts }: Difference): void {
  for (const [user, own] of rules) all.rules.set(user, own);
  for (const [roomId, does] of counts) all.counts.set(roomId, does);
  for (const [user, rooms] of joined)
    for (const [roomId, isJoined] of rooms) setJoined(all, user, { roomId, joined: isJoined });
}
