import type { EventId, RoomId } from '../../matrix/ids.ts';
import { type RoomEvent, type StateKey, splitStateKey } from '../../matrix/pdu.ts';
import type { Row } from '../../storage/contract/commit.ts';
import type { MembershipStep } from '../../storage/contract/presence.ts';
import { membershipOf } from '../state-reads.ts';
import type { RoomsCore } from './deps.ts';
import { departureRowOf, membershipRowOf } from './member-row.ts';
import type { StateDifference, StatePoint } from './state-point.ts';

export interface MembershipChange {
  readonly rows: readonly Row[];
  readonly steps: readonly MembershipStep[];
}

/**
 * The membership rows that follow from a change of a room's current state, which was `before`. `pending`: events that are
 * not stored yet. All members that changed are read at once.
 */
export async function membershipChange(
  deps: Pick<RoomsCore, 'storage'>,
  roomId: RoomId,
  change: { readonly before: StatePoint; readonly difference: StateDifference; readonly pending: readonly RoomEvent[] },
): Promise<MembershipChange> {
  const { set, removed } = change.difference;
  const isMember = (key: StateKey): boolean => splitStateKey(key).type === 'm.room.member';
  const keys = [...set.keys(), ...removed].filter(isMember);
  if (keys.length === 0) return { rows: [], steps: [] };
  const idsBefore = await change.before.readKeys(keys);
  const wanted = [...idsBefore.values(), ...keys.map((key) => set.get(key)).filter((id) => id !== undefined)];
  const events = new Map(change.pending.map((event) => [event.eventId, event]));
  for (const stored of await deps.storage.events.listByIds(wanted)) events.set(stored.event.eventId, stored.event);
  const rows: Row[] = [];
  const steps: MembershipStep[] = [];
  for (const key of keys) {
    const eventBefore = findIn(events, idsBefore.get(key));
    const eventNow = findIn(events, set.get(key));
    const rowBefore = eventBefore && membershipRowOf(eventBefore);
    const row = (eventNow && membershipRowOf(eventNow)) ?? (rowBefore && departureRowOf(rowBefore));
    if (!row) continue;
    rows.push(row);
    const before = eventBefore ? membershipOf(eventBefore.pdu.content) : null;
    if (before !== row.membership) steps.push({ roomId, userId: row.userId, before, after: row.membership });
  }
  return { rows, steps };
}

function findIn(events: ReadonlyMap<EventId, RoomEvent>, eventId: EventId | undefined): RoomEvent | undefined {
  return eventId === undefined ? undefined : events.get(eventId);
}
