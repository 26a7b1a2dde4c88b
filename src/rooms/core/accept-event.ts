import { restoresContent } from '../../engine/event/copies.ts';
import { isSameEvent } from '../../engine/event/event-id.ts';
import type { PduVerdict } from '../../engine/verdict.ts';
import { serverUnavailable } from '../../matrix/errors.ts';
import type { RoomEvent, StateKey } from '../../matrix/pdu.ts';
import { getRoomVersion, type RoomVersion } from '../../matrix/room-versions.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Expectation, Row } from '../../storage/contract/commit.ts';
import type { EventPlacement, StoredEvent } from '../../storage/contract/events.ts';
import type { RoomsCore } from './deps.ts';
import { extendRoom } from './extend-room.ts';
import { type Judged, judgeEvent, passesAuthEvents } from './judge-event.ts';
import { listServersLeftBehind } from './left-behind.ts';
import { membershipRowOf } from './member-row.ts';
import { listDestinations } from './outgoing.ts';
import { redactionRows } from './redaction-rows.ts';
import { findRoomHead, type RoomHead } from './room-head.ts';
import { readStateEvents } from './state-events.ts';
import { pointAfter, type StatePoint, storedPoint } from './state-point.ts';

export type AcceptDeps = Pick<RoomsCore, 'storage' | 'clock' | 'roster' | 'serverName' | 'ports'>;

export interface AcceptOptions {
  readonly placement: Exclude<EventPlacement, 'outlier'>;
  /** The state before the event where its previous events cannot be had; events in it are stored. */
  readonly stateBefore?: StatePoint;
  /** Sends it on to all other servers in the room but these: for events that our users or a joining server bring in through us. */
  readonly distribute?: { readonly except: readonly ServerName[] };
}

/** What is to be written for an event; without rows the verdict is known and nothing is left to do. */
export interface Decision {
  readonly verdict: PduVerdict;
  readonly rows: readonly Row[];
  readonly expect: readonly Expectation[];
}

const attemptsMax = 3;

/**
 * Checks 4 to 6 of "Checks performed on receipt of a PDU" for an event whose format, signatures and hash are good, and takes it
 * into the room with its verdict. An event that is stored with a verdict keeps it. waiting: events that it refers to are not
 * stored. To be called under the room's lock.
 */
export async function acceptEvent(deps: AcceptDeps, received: RoomEvent, options: AcceptOptions): Promise<PduVerdict> {
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const { verdict, rows, expect } = await decideEvent(deps, received, options);
    if (rows.length === 0) return verdict;
    const result = await deps.storage.commit({ rows, expect });
    if (result.outcome === 'committed') return verdict;
  }
  throw serverUnavailable('The room is busy, try again');
}

/** The same without writing: what `deps.storage` holds is the room as it stands before the event. */
export async function decideEvent(deps: AcceptDeps, received: RoomEvent, options: AcceptOptions): Promise<Decision> {
  const version = getRoomVersion(received.roomVersion);
  const known = await deps.storage.events.find(received.eventId);
  if (known && !isSameEvent(known.event, received, version)) {
    return decided({ verdict: 'dropped', reason: 'another event has this id' });
  }
  const restored = known?.redactedBy === null && restoresContent(known.event, received, version);
  const settled = known && settledVerdict(known, restored);
  if (settled) return decided(settled, restored ? await restoringRows(deps, known, received, version) : []);
  const event = known && !restored ? known.event : received;
  const head = await findRoomHead(deps.storage, event.roomId);
  if (!head) return decided({ verdict: 'dropped', reason: 'the room is not known here' });
  const { placement, stateBefore } = options;
  const judged = await judgeEvent(deps, event, { head, placement, stateBefore, known });
  if (judged.before === undefined) return decided(judged.verdict);
  const rows = await rowsFor(deps, event, { head, options, judged, known });
  if (restored) rows.unshift(contentRow(event));
  const expect: Expectation[] = [{ kind: 'extremities', roomId: event.roomId, eventIds: head.extremities }];
  if (!known) expect.push({ kind: 'events_unknown', eventIds: [event.eventId] });
  return { verdict: judged.verdict, rows, expect };
}

function decided(verdict: PduVerdict, rows: readonly Row[] = []): Decision {
  return { verdict, rows, expect: [] };
}

/**
 * An outlier may still get its place; whatever has one keeps its verdict. What was rejected stays so, unless it was judged without the
 * content that is here now: some rules look at what a redaction takes away.
 */
function settledVerdict(known: StoredEvent, restored: boolean): PduVerdict | undefined {
  if (known.verdict === 'rejected') {
    return restored ? undefined : { verdict: 'rejected', reason: 'the event was rejected before' };
  }
  if (known.placement === 'outlier') return undefined;
  return known.verdict === 'accepted'
    ? { verdict: 'accepted' }
    : { verdict: 'soft_failed', reason: 'the event was refused by the state of the room before' };
}

/**
 * An event that came with a wrong hash gets its content, and nothing else of it changes. If the rules refuse what it truly says, what was
 * judged stays: the room has been built on that.
 */
async function restoringRows(
  deps: AcceptDeps,
  known: StoredEvent,
  copy: RoomEvent,
  version: RoomVersion,
): Promise<Row[]> {
  if (!(await passesAuthEvents(deps, copy, version))) return [];
  const rows: Row[] = [contentRow(copy)];
  if (known.verdict === 'accepted' && known.snapshotBefore !== null) {
    rows.push(...(await redactionRows(deps, copy, { before: storedPoint(deps, known.snapshotBefore), version })));
  }
  return rows;
}

/** Gives a stored event the content that it came without. */
export function contentRow(event: RoomEvent): Row {
  const member = membershipRowOf(event);
  const profile = member && { displayname: member.displayname, avatarUrl: member.avatarUrl };
  return { kind: 'event_content', event, profile: profile ?? null };
}

async function rowsFor(
  deps: AcceptDeps,
  event: RoomEvent,
  facts: { head: RoomHead; options: AcceptOptions; judged: Judged; known: StoredEvent | undefined },
): Promise<Row[]> {
  const { head, options, judged, known } = facts;
  const { before } = judged;
  const { verdict } = judged.verdict;
  if (!before || verdict === 'dropped' || verdict === 'waiting') return [];
  const after = verdict === 'rejected' ? before : pointAfter(deps, before, event);
  const snapshots = { snapshotBefore: before.snapshotId, snapshotAfter: after.snapshotId };
  const rows: Row[] = [
    ...after.rows,
    known
      ? { kind: 'event_placed', eventId: event.eventId, verdict, placement: options.placement, ...snapshots }
      : {
          kind: 'event',
          event,
          verdict,
          placement: options.placement,
          ...snapshots,
          receivedAtMs: deps.clock.now(),
        },
  ];
  if (verdict !== 'accepted') return rows;
  if (options.placement === 'timeline') {
    rows.push(...(await extendRoom(deps, event, { head, before, after })));
    const readState = (keys: readonly StateKey[]) => readStateEvents(deps, before, keys);
    // Before a redaction, which takes them back.
    rows.push(...(await deps.ports.rowsForNotifications({ event, version: head.version, readState })));
  }
  rows.push(...(await redactionRows(deps, event, { before, version: head.version })));
  const destinations = options.distribute
    ? listDestinations(deps, event).filter((server) => !options.distribute?.except.includes(server))
    : await listServersLeftBehind(deps, event, { before, rows });
  if (destinations.length > 0) {
    rows.push({ kind: 'outgoing_pdu', eventId: event.eventId, roomId: event.roomId, destinations });
  }
  return rows;
}
