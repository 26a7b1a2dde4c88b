import { breathe } from '../../base/breathe.ts';
import { checkAuth } from '../../engine/auth/check.ts';
import { checkAuthEvents } from '../../engine/auth/check-auth-events.ts';
import { authStateOfEvents } from '../../engine/auth-state.ts';
import { restoresContent } from '../../engine/event/copies.ts';
import { createEventIdOfRoom } from '../../engine/event/event-id.ts';
import { sortByAuthEvents } from '../../engine/graph/topological.ts';
import type { EventId, RoomId } from '../../matrix/ids.ts';
import { authEventIdsOf, type RoomEvent } from '../../matrix/pdu.ts';
import type { RoomVersion } from '../../matrix/room-versions.ts';
import type { Row } from '../../storage/contract/commit.ts';
import type { StoredEvent } from '../../storage/contract/events.ts';
import { contentRow } from '../core/accept-event.ts';
import type { RoomsCore } from '../core/deps.ts';

type ImportDeps = Pick<RoomsCore, 'storage' | 'clock'>;

export interface Imported {
  /** Those that passed their auth events, now or before. */
  readonly accepted: ReadonlyMap<EventId, RoomEvent>;
  readonly rejected: ReadonlySet<EventId>;
  /** Not stored: some event of their auth chain could not be had. */
  readonly orphaned: ReadonlySet<EventId>;
}

/** Events of one commit, so that a large room never holds up everybody else. */
const eventsPerCommit = 500;

interface Judged {
  readonly event: RoomEvent;
  readonly rejected: boolean;
  /** As it was before. */
  readonly stored?: StoredEvent;
}

/**
 * Takes in verified events for their role in state and auth chains: each judged by its auth events, which come first, and stored with
 * that verdict. Storing is idempotent; what is known keeps its verdict, and gets the content that it came without.
 */
export async function importOutliers(
  deps: ImportDeps,
  room: { readonly roomId: RoomId; readonly version: RoomVersion },
  events: readonly RoomEvent[],
): Promise<Imported> {
  const sorted = await sortByAuthEvents(events);
  const judged = await readKnown(deps, room, sorted);
  const orphaned = new Set<EventId>();
  const created: Judged[] = [];
  for (const [index, event] of sorted.entries()) {
    if (index % 100 === 99) await breathe();
    const stored = judged.get(event.eventId)?.stored;
    const isNews = stored ? restores(stored, event, room.version) : !judged.has(event.eventId);
    if (!isNews) continue;
    const entries = authEventIdsOf(event.pdu).map((eventId) => judged.get(eventId));
    const known = entries.filter((entry) => entry !== undefined);
    if (known.length < entries.length || !hasCreate(event, room, judged)) {
      orphaned.add(event.eventId);
      continue;
    }
    const rejected = !isAllowed(event, known, { ...room, judged });
    if (stored && rejected) continue;
    const entry: Judged = { event, rejected, ...(stored ? { stored } : {}) };
    judged.set(event.eventId, entry);
    created.push(entry);
  }
  await store(deps, created);
  const given = new Set(sorted.map((event) => event.eventId));
  const accepted = new Map<EventId, RoomEvent>();
  const rejected = new Set<EventId>();
  for (const [eventId, entry] of judged) {
    if (!given.has(eventId)) continue;
    if (entry.rejected) rejected.add(eventId);
    else accepted.set(eventId, entry.event);
  }
  return { accepted, rejected, orphaned };
}

/** The events themselves and their auth events, as far as they are stored. */
async function readKnown(
  deps: ImportDeps,
  room: { readonly roomId: RoomId; readonly version: RoomVersion },
  events: readonly RoomEvent[],
): Promise<Map<EventId, Judged>> {
  const wanted = new Set(events.flatMap((event) => [event.eventId, ...authEventIdsOf(event.pdu)]));
  if (!room.version.createIsAuthEvent) wanted.add(createEventIdOfRoom(room.roomId));
  const stored = await deps.storage.events.listByIds([...wanted]);
  return new Map(
    stored.map((entry) => [
      entry.event.eventId,
      { event: entry.event, rejected: entry.verdict === 'rejected', stored: entry },
    ]),
  );
}

function restores(stored: StoredEvent, copy: RoomEvent, version: RoomVersion): boolean {
  return stored.redactedBy === null && restoresContent(stored.event, copy, version);
}

function hasCreate(
  event: RoomEvent,
  room: { readonly roomId: RoomId; readonly version: RoomVersion },
  judged: ReadonlyMap<EventId, Judged>,
): boolean {
  if (room.version.createIsAuthEvent) return true;
  const createId = createEventIdOfRoom(room.roomId);
  return event.eventId === createId || judged.has(createId);
}

function isAllowed(
  event: RoomEvent,
  entries: readonly Judged[],
  room: { readonly roomId: RoomId; readonly version: RoomVersion; readonly judged: ReadonlyMap<EventId, Judged> },
): boolean {
  if (!checkAuthEvents(event, entries, room.version).allowed) return false;
  const events = entries.map((entry) => entry.event);
  const create = room.version.createIsAuthEvent ? undefined : room.judged.get(createEventIdOfRoom(room.roomId));
  const all = create && !create.rejected ? [...events, create.event] : events;
  return checkAuth(event, authStateOfEvents(all), room.version).allowed;
}

async function store(deps: ImportDeps, judged: readonly Judged[]): Promise<void> {
  for (let start = 0; start < judged.length; start += eventsPerCommit) {
    const rows = judged.slice(start, start + eventsPerCommit).flatMap((entry) => rowsOf(deps, entry));
    await deps.storage.commit({ rows });
    await breathe();
  }
}

function rowsOf(deps: ImportDeps, { event, rejected, stored }: Judged): Row[] {
  const verdict = rejected ? 'rejected' : 'accepted';
  const nowhere = { placement: 'outlier', snapshotBefore: null, snapshotAfter: null } as const;
  if (!stored) return [{ kind: 'event', event, verdict, ...nowhere, receivedAtMs: deps.clock.now() }];
  const rows: Row[] = [contentRow(event)];
  if (stored.verdict === 'rejected' && stored.placement === 'outlier') {
    rows.push({ kind: 'event_placed', eventId: event.eventId, verdict, ...nowhere });
  }
  return rows;
}
