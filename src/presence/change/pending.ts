import type { Clock } from '../../base/clock.ts';
import type { RoomId, UserId } from '../../matrix/ids.ts';
import { type Moment, momentOf } from '../core/audience.ts';
import { type Difference, type Ground, newDifference, setJoined, withDifference } from '../core/facts.ts';

/** Whoever asked for rows commits them soon, or never. */
export const committedWithinMs = 10_000;
const entriesMax = 1_000;

/** What is so now, and what will be: with this change alone, and with all that is decided on but not committed yet. */
export interface Choice {
  readonly before: Moment;
  readonly afters: readonly Moment[];
  /** Who comes into a room or leaves one between them. */
  readonly movers: readonly UserId[];
}

export interface PendingChangesDeps {
  clock: Clock;
  ground: Ground;
  stanceTowards: Moment['stanceTowards'];
}

/**
 * Changes for which rows were decided and whose commit was not seen yet. Two that are decided at the same time may hide somebody
 * whom neither hides alone: the second one has to know of the first, or nobody would write that down.
 */
export class PendingChanges {
  readonly #deps: PendingChangesDeps;
  #entries: { readonly at: number; readonly difference: Difference }[] = [];

  constructor(deps: PendingChangesDeps) {
    this.#deps = deps;
  }

  /** Notes the change. To be called before anything is decided on it. */
  choose(change: Difference): Choice {
    const { clock, ground, stanceTowards } = this.#deps;
    this.#entries.push({ at: clock.monotonic(), difference: change });
    if (this.#entries.length > entriesMax) this.#entries.shift();
    const together = this.#together(change);
    const differences = together ? [change, together] : [change];
    return {
      before: momentOf(ground, stanceTowards),
      afters: differences.map((each) => momentOf(withDifference(ground, each), stanceTowards)),
      movers: [...(together ?? change).joined.keys()],
    };
  }

  /** Everything that is pending, with this change as the last. Undefined where nothing else is. */
  #together(change: Difference): Difference | undefined {
    const since = this.#deps.clock.monotonic() - committedWithinMs;
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
