import type { MembershipState } from '../matrix/event-types.ts';
import type { JsonObject } from '../matrix/pdu.ts';

export type HistoryVisibility = 'world_readable' | 'shared' | 'invited' | 'joined';

/** "If no history_visibility is set, or if the value is not understood, the visibility is assumed to be `shared`." */
export function historyVisibilityOf(content: JsonObject | undefined): HistoryVisibility {
  const value = content && Object.hasOwn(content, 'history_visibility') ? content.history_visibility : undefined;
  return value === 'world_readable' || value === 'invited' || value === 'joined' ? value : 'shared';
}

/** How things stood at one side of an event. */
export interface ViewPlace {
  visibility: HistoryVisibility;
  /** The viewer's membership. */
  membership: MembershipState;
}

export interface ViewFacts {
  /** The state before the event. */
  before: ViewPlace;
  /** The state after it: for history visibility events and the viewer's own member events, else left out. */
  after?: ViewPlace;
  /** Whether the viewer joined the room at any point after the event was sent; true for whoever is joined now and sees the past. */
  joinedSince: boolean;
}

/**
 * Whether a user may see an event (client-server API, "Room History Visibility", server behaviour). "For
 * m.room.history_visibility events themselves, the user should be allowed to see the event if the history_visibility before or
 * after the event would allow them to see it. Likewise, for the user's own m.room.member events."
 */
export function mayViewEvent(facts: ViewFacts): boolean {
  if (mayViewAt(facts.before, facts.joinedSince)) return true;
  return facts.after !== undefined && mayViewAt(facts.after, facts.joinedSince);
}

function mayViewAt(place: ViewPlace, joinedSince: boolean): boolean {
  // 1. If the history_visibility was set to world_readable, allow.
  if (place.visibility === 'world_readable') return true;
  // 2. If the user's membership was join, allow.
  if (place.membership === 'join') return true;
  // 3. If history_visibility was set to shared, and the user joined the room at any point after the event was sent, allow.
  if (place.visibility === 'shared' && joinedSince) return true;
  // 4. If the user's membership was invite, and the history_visibility was set to invited, allow. 5. Otherwise, deny.
  return place.visibility === 'invited' && place.membership === 'invite';
}

/**
 * Whether a server may have the content of an event: some user of it may see it. `memberships` are those that its users had at the
 * event. A server that takes part in the room now has users who joined later, so that `shared` is open to it.
 */
export function mayServerViewEvent(visibility: HistoryVisibility, memberships: Iterable<MembershipState>): boolean {
  if (visibility === 'world_readable' || visibility === 'shared') return true;
  for (const membership of memberships) {
    if (mayViewAt({ visibility, membership }, false)) return true;
  }
  return false;
}
