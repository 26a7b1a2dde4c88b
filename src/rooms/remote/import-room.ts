import { breathe } from '../../base/breathe.ts';
import { checkAuth } from '../../engine/auth/check.ts';
import { authStateOfMap } from '../../engine/auth-state.ts';
import { serverUnavailable } from '../../matrix/errors.ts';
import type { EventId } from '../../matrix/ids.ts';
import { isStateEvent, type JsonObject, type RoomEvent, type StateKey, stateKeyOf } from '../../matrix/pdu.ts';
import { findRoomVersion, type RoomVersion } from '../../matrix/room-versions.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Expectation, Row } from '../../storage/contract/commit.ts';
import type { Membership } from '../../storage/contract/rooms.ts';
import type { RoomsCore } from '../core/deps.ts';
import { departureRowOf, membershipRowOf } from '../core/member-row.ts';
import { predecessorOf } from '../core/predecessor.ts';
import { findRoomHead } from '../core/room-head.ts';
import { difference, newPoint, pointAfter, storedPoint } from '../core/state-point.ts';
import { parseAndVerify, parseEvents } from '../core/verify-events.ts';
import { importOutliers } from './import-outliers.ts';

/** What a server told about a room contradicts itself or the rules. */
export class BadRoomError extends Error {
  override name = 'BadRoomError';
}

export interface RoomToImport {
  /** Our user's join, signed by all who must. */
  readonly join: RoomEvent;
  readonly version: RoomVersion;
  /** Who answered. */
  readonly server: ServerName;
  /** The state before the join, and the events behind it; unverified. */
  readonly state: readonly JsonObject[];
  readonly authChain: readonly JsonObject[];
}

const rowsPerCommit = 500;
const allMemberships: readonly Membership[] = ['join', 'invite', 'knock', 'leave', 'ban'];

/**
 * Takes a room in from the answer to send_join. Every signature and hash is checked, every event judged by its auth events;
 * what fails is left out, unless the room cannot be without it (BadRoomError). Written in small commits; the room counts with the
 * last, which holds the join itself.
 */
export async function importRoom(deps: RoomsCore, room: RoomToImport): Promise<void> {
  const { join, version } = room;
  const { roomId } = join;
  const verified = await parseAndVerify(deps, [...room.authChain, ...room.state], { roomId, version });
  const { accepted } = await importOutliers(deps, { roomId, version }, verified);
  const state = await readState(room, accepted);
  checkRoom(room, state);
  const map = new Map([...state].map(([key, event]) => [key, event.eventId]));
  const before = newPoint(deps, roomId, map);
  await commitInParts(deps, [{ kind: 'room', roomId, version: version.id }, ...before.rows]);
  await commitInParts(deps, await otherMembers(deps, room, state));
  await deps.lock.run(roomId, () => commitJoin(deps, room, { state, before: storedPoint(deps, before.snapshotId) }));
}

/** The state events among those accepted, as the answer lists them. */
async function readState(
  room: RoomToImport,
  accepted: ReadonlyMap<EventId, RoomEvent>,
): Promise<Map<StateKey, RoomEvent>> {
  const listed = new Set(await listIds(room));
  const state = new Map<StateKey, RoomEvent>();
  for (const [eventId, event] of accepted) {
    if (listed.has(eventId) && isStateEvent(event)) state.set(stateKeyOf(event.pdu.type, event.pdu.state_key), event);
  }
  return state;
}

async function listIds(room: RoomToImport): Promise<EventId[]> {
  const { roomId } = room.join;
  const events = await parseEvents(room.state, { roomId, version: room.version });
  return events.map((event) => event.eventId);
}

function checkRoom(room: RoomToImport, state: ReadonlyMap<StateKey, RoomEvent>): void {
  const { join, version } = room;
  const create = state.get(stateKeyOf('m.room.create', ''));
  if (!create) throw new BadRoomError('its state has no valid create event');
  const claimed = create.pdu.content.room_version;
  if (findRoomVersion(claimed ?? '1')?.id !== version.id) {
    throw new BadRoomError(`its create event says version ${String(claimed)}, the server says ${version.id}`);
  }
  const verdict = checkAuth(join, authStateOfMap(state), version);
  if (!verdict.allowed) throw new BadRoomError(`its state does not let our user join: ${verdict.reason}`);
}

/** The members of the room but the joining one, and who is left over from an earlier stay of this server. */
async function otherMembers(
  deps: RoomsCore,
  { join }: RoomToImport,
  state: ReadonlyMap<StateKey, RoomEvent>,
): Promise<Row[]> {
  const stored = await deps.storage.rooms.listMembers(join.roomId, allMemberships);
  const known = new Map(stored.map((row) => [row.userId, row]));
  known.delete(join.pdu.sender);
  const rows: Row[] = [];
  let looked = 0;
  for (const event of state.values()) {
    looked += 1;
    if (looked % 100 === 0) await breathe();
    const row = membershipRowOf(event);
    if (!row || row.userId === join.pdu.sender) continue;
    const before = known.get(row.userId);
    // An invite that came before the room stands in it from now on: whoever refuses it does so here.
    if (before?.eventId !== row.eventId || before.outOfBand !== null) rows.push(row);
    known.delete(row.userId);
  }
  for (const row of known.values()) if (row.membership !== 'leave') rows.push(departureRowOf(row));
  return rows;
}

async function commitInParts(deps: RoomsCore, rows: readonly Row[]): Promise<void> {
  for (let start = 0; start < rows.length; start += rowsPerCommit) {
    await deps.storage.commit({ rows: rows.slice(start, start + rowsPerCommit) });
    await breathe();
  }
}

async function commitJoin(
  deps: RoomsCore,
  { join, server }: RoomToImport,
  facts: { readonly state: ReadonlyMap<StateKey, RoomEvent>; readonly before: ReturnType<typeof storedPoint> },
): Promise<void> {
  const { roomId } = join;
  const { before } = facts;
  const head = await findRoomHead(deps.storage, roomId);
  const after = pointAfter(deps, before, join);
  const formerState = head ? await storedPoint(deps, head.snapshotId).readMap() : new Map<StateKey, EventId>();
  const change = await difference(formerState, await after.readMap());
  const row = membershipRowOf(join);
  if (!row) throw new BadRoomError('the join is no member event');
  const former = await deps.storage.rooms.findMembership(roomId, row.userId);
  const step = {
    roomId,
    userId: row.userId,
    before: former?.membership ?? null,
    after: 'join',
    predecessor: predecessorOf(facts.state.get(stateKeyOf('m.room.create', ''))),
  };
  const audience = await deps.ports.rowsForAudienceChange([step]);
  const expect: Expectation[] = head ? [{ kind: 'extremities', roomId, eventIds: head.extremities }] : [];
  const result = await deps.storage.commit({
    rows: [
      ...after.rows,
      {
        kind: 'event',
        event: join,
        verdict: 'accepted',
        placement: 'timeline',
        snapshotBefore: before.snapshotId,
        snapshotAfter: after.snapshotId,
        receivedAtMs: deps.clock.now(),
      },
      row,
      // What this server knew of the graph from an earlier stay lies behind the gap.
      { kind: 'extremities', roomId, eventIds: [join.eventId] },
      { kind: 'current_state', roomId, snapshotId: after.snapshotId, ...change },
      ...audience,
    ],
    expect,
  });
  if (result.outcome === 'conflict') throw serverUnavailable('The room is busy, try again');
  deps.log.info(
    { roomId, server, userId: row.userId, state: facts.state.size },
    'joined a room through another server',
  );
}
