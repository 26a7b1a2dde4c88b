import { nextExtremities } from '../../engine/graph/extremities.ts';
import type { EventId } from '../../matrix/ids.ts';
import { isStateEvent, prevEventIdsOf, type RoomEvent, stateKeyOf } from '../../matrix/pdu.ts';
import type { Row } from '../../storage/contract/commit.ts';
import { membershipChange } from './current-state.ts';
import type { RoomsCore } from './deps.ts';
import type { RoomHead } from './room-head.ts';
import { difference, resolvePoints, type StatePoint, storedPoint } from './state-point.ts';

type ExtendDeps = Pick<RoomsCore, 'storage' | 'ports'>;

/** How far back previous events that were not accepted are followed to the extremities behind them. */
const bridgeMax = 100;

/**
 * What an accepted event of the timeline changes in its room: the forward extremities, the current state (the resolution over
 * them), the memberships and what follows for audiences.
 */
export async function extendRoom(
  deps: ExtendDeps,
  event: RoomEvent,
  facts: { readonly head: RoomHead; readonly before: StatePoint; readonly after: StatePoint },
): Promise<Row[]> {
  const { head, after } = facts;
  const extremities = await extremitiesWith(deps, event, head.extremities);
  const rows: Row[] = [{ kind: 'extremities', roomId: head.roomId, eventIds: [...extremities] }];
  const current = await currentPoint(deps, event, { ...facts, extremities });
  if (current.snapshotId === head.snapshotId) return rows;
  const before = storedPoint(deps, head.snapshotId);
  const isOwnChange = current.snapshotId === after.snapshotId && facts.before.snapshotId === head.snapshotId;
  const change =
    isOwnChange && isStateEvent(event)
      ? { set: new Map([[stateKeyOf(event.pdu.type, event.pdu.state_key), event.eventId]]), removed: [] }
      : await difference(await before.readMap(), await current.readMap());
  const members = await membershipChange(deps, head.roomId, { before, difference: change, pending: [event] });
  // Those of `after` are written with the event.
  const snapshots = current.rows.filter((row) => !after.rows.includes(row));
  rows.push(...snapshots, ...members.rows);
  rows.push({ kind: 'current_state', roomId: head.roomId, snapshotId: current.snapshotId, ...change });
  if (members.steps.length === 0) return rows;
  return [...rows, ...(await deps.ports.rowsForAudienceChange(members.steps))];
}

/** The resolution over the extremities; not made anew where the states to resolve are the same as before. */
async function currentPoint(
  deps: ExtendDeps,
  event: RoomEvent,
  facts: { readonly head: RoomHead; readonly after: StatePoint; readonly extremities: ReadonlySet<EventId> },
): Promise<StatePoint> {
  const { head, after, extremities } = facts;
  const stored = await deps.storage.events.listByIds([...new Set([...head.extremities, ...extremities])]);
  const snapshots = new Map(stored.map((entry) => [entry.event.eventId, entry.snapshotAfter]));
  const points: StatePoint[] = extremities.has(event.eventId) ? [after] : [];
  for (const eventId of extremities) {
    const snapshotId = eventId === event.eventId ? null : snapshots.get(eventId);
    if (snapshotId) points.push(storedPoint(deps, snapshotId));
  }
  const now = new Set(points.map((point) => point.snapshotId));
  const before = new Set(head.extremities.map((eventId) => snapshots.get(eventId)));
  if (now.size === before.size && [...now].every((snapshotId) => before.has(snapshotId))) {
    return storedPoint(deps, head.snapshotId);
  }
  return resolvePoints(deps, points, { roomId: head.roomId, version: head.version, pending: [event] });
}

async function extremitiesWith(
  deps: ExtendDeps,
  event: RoomEvent,
  before: readonly EventId[],
): Promise<ReadonlySet<EventId>> {
  const successors = await deps.storage.events.listByIds(await deps.storage.events.listSuccessors(event.eventId));
  const hasSuccessors = successors.some((stored) => stored.verdict === 'accepted' && stored.placement !== 'outlier');
  const next = nextExtremities(before, event, hasSuccessors);
  if (next.size === 1) return next;
  // An extremity that stands behind soft-failed or rejected events only is passed by, too.
  let level: readonly EventId[] = prevEventIdsOf(event.pdu);
  for (let walked = 0; level.length > 0 && walked < bridgeMax; ) {
    const stored = await deps.storage.events.listByIds(level);
    walked += level.length;
    level = stored.filter(({ verdict }) => verdict !== 'accepted').flatMap((entry) => prevEventIdsOf(entry.event.pdu));
    for (const eventId of level) next.delete(eventId);
  }
  if (!hasSuccessors) next.add(event.eventId);
  return next;
}
