import type { RoomId } from '../../matrix/ids.ts';
import type { Roster } from '../../roster/roster.ts';
import type { PresenceSettings } from '../settings.ts';

/** A room that was too large counts again only below this part of the limit, or it would come and go with each join. */
const countsAgainBelow = 0.8;
const factPrefix = 'oversized:';

/** Which rooms count for sharing. Remembers which were too large, also over a restart. */
export class RoomSizes {
  readonly #roster: Pick<Roster, 'usersIn'>;
  readonly #excluded: ReadonlySet<RoomId>;
  readonly #limit: number | null;
  readonly #oversized = new Set<RoomId>();

  constructor(deps: {
    roster: Pick<Roster, 'usersIn'>;
    settings: Pick<PresenceSettings, 'excludedRooms' | 'largestRoom'>;
  }) {
    this.#roster = deps.roster;
    this.#excluded = new Set(deps.settings.excludedRooms);
    this.#limit = deps.settings.largestRoom;
  }

  /** From the stored facts, at the start. */
  load(facts: Iterable<{ name: string; value: string }>): void {
    for (const { name } of facts) {
      if (name.startsWith(factPrefix)) this.#oversized.add(name.slice(factPrefix.length) as RoomId);
    }
  }

  counts(roomId: RoomId): boolean {
    if (this.#excluded.has(roomId)) return false;
    if (this.#limit === null) return true;
    return !this.#isOversized(roomId, this.#roster.usersIn(roomId).size, this.#limit);
  }

  /** Whether the room would count with so many members. */
  countsWith(roomId: RoomId, members: number): boolean {
    if (this.#excluded.has(roomId)) return false;
    return this.#limit === null || !this.#isOversized(roomId, members, this.#limit);
  }

  /** After a change of membership, or a start. True when the room crossed the limit with it, or was not known to have. */
  update(roomId: RoomId): boolean {
    if (this.#limit === null || this.#excluded.has(roomId)) return false;
    const oversized = this.#isOversized(roomId, this.#roster.usersIn(roomId).size, this.#limit);
    if (oversized === this.#oversized.has(roomId)) return false;
    if (oversized) this.#oversized.add(roomId);
    else this.#oversized.delete(roomId);
    return true;
  }

  /** The fact to store when the room crosses the limit. `counts`: whether it will count then; left out, as it does now. */
  factOf(roomId: RoomId, counts = this.counts(roomId)): { kind: 'presence_fact'; name: string; value: string | null } {
    return { kind: 'presence_fact', name: `${factPrefix}${roomId}`, value: counts ? null : 'yes' };
  }

  #isOversized(roomId: RoomId, members: number, limit: number): boolean {
    if (members > limit) return true;
    return this.#oversized.has(roomId) && members >= limit * countsAgainBelow;
  }
}
