import { breathe } from '../../../base/breathe.ts';
import { checkAuth } from '../../../engine/auth/check.ts';
import { listNeededKeys } from '../../../engine/auth/needed-state.ts';
import { authStateOfMap } from '../../../engine/auth-state.ts';
import { serverUnavailable } from '../../../matrix/errors.ts';
import type { EventId } from '../../../matrix/ids.ts';
import { type RoomEvent, type StateKey, stateKeyOf } from '../../../matrix/pdu.ts';
import { findRoomVersion, type RoomVersion } from '../../../matrix/room-versions.ts';
import type { ServerName } from '../../../matrix/server-name.ts';
import type { Expectation } from '../../../storage/contract/commit.ts';
import type { SnapshotId } from '../../../storage/contract/numbers.ts';
import { membershipRowOf } from '../../core/member-row.ts';
import { predecessorOf } from '../../core/predecessor.ts';
import { findRoomHead } from '../../core/room-head.ts';
import { readStateEvents } from '../../core/state-events.ts';
import { pointAfter, storedPoint } from '../../core/state-point.ts';
import type { RemoteCore } from '../remote-core.ts';
import { importMembers } from './import-members.ts';
import type { Import } from './imports.ts';
import type { Intake } from './intake.ts';
import { judgeIntake } from './judge-intake.ts';

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
  /** The state before the join, and the events behind it, as they came. */
  readonly intake: Intake;
  readonly running: Import;
}

type State = ReadonlyMap<StateKey, EventId>;

const createKey = stateKeyOf('m.room.create', '');
const keysPerCommit = 200;

/**
 * Takes a room in from the answer to send_join. Every signature and hash is checked, every event judged by its auth events;
 * what fails is left out, unless the room cannot be without it (BadRoomError). Written in small commits beside what counts; the room
 * counts with the last, which holds the join itself.
 */
export async function importRoom(deps: RemoteCore, room: RoomToImport): Promise<void> {
  const { join, version, running } = room;
  const { roomId } = join;
  const { state } = await judgeIntake(deps, room.intake);
  const create = await checkRoom(deps, room, state);
  await running.begin();
  await deps.storage.commit({ rows: [{ kind: 'room', roomId, version: version.id }] });
  await importState(deps, running, state);
  await importMembers(deps, { roomId, except: join.pdu.sender }, state);
  const snapshotId = deps.storage.newSnapshotId();
  await deps.storage.commit({ rows: [{ kind: 'import_snapshot', importId: running.id, roomId, snapshotId }] });
  await deps.lock.run(roomId, () => commitJoin(deps, room, { create, snapshotId }));
  deps.log.info(
    { roomId, server: room.server, userId: join.pdu.sender, state: state.size },
    'joined a room through another server',
  );
}

/** The create event of a state that lets our user join. Throws BadRoomError. */
async function checkRoom(
  deps: Pick<RemoteCore, 'storage'>,
  { join, version }: RoomToImport,
  state: State,
): Promise<RoomEvent> {
  const keys = [createKey, ...listNeededKeys(join.pdu, version)];
  const ids = keys.map((key) => state.get(key)).filter((eventId) => eventId !== undefined);
  const stored = await deps.storage.events.listByIds(ids);
  const byId = new Map(stored.map(({ event }) => [event.eventId, event]));
  const events = new Map<StateKey, RoomEvent>();
  for (const key of keys) {
    const eventId = state.get(key);
    const event = eventId === undefined ? undefined : byId.get(eventId);
    if (event) events.set(key, event);
  }
  const create = events.get(createKey);
  if (!create) throw new BadRoomError('its state has no valid create event');
  const claimed = create.pdu.content.room_version;
  if (findRoomVersion(claimed ?? '1')?.id !== version.id) {
    throw new BadRoomError(`its create event says version ${String(claimed)}, the server says ${version.id}`);
  }
  const verdict = checkAuth(join, authStateOfMap(events), version);
  if (!verdict.allowed) throw new BadRoomError(`its state does not let our user join: ${verdict.reason}`);
  return create;
}

async function importState(deps: Pick<RemoteCore, 'storage'>, running: Import, state: State): Promise<void> {
  const entries = [...state];
  for (let start = 0; start < entries.length; start += keysPerCommit) {
    const set = new Map(entries.slice(start, start + keysPerCommit));
    await deps.storage.commit({ rows: [{ kind: 'import_state', importId: running.id, set }] });
    await breathe();
  }
}

async function commitJoin(
  deps: RemoteCore,
  { join, version, running }: RoomToImport,
  facts: { readonly create: RoomEvent; readonly snapshotId: SnapshotId },
): Promise<void> {
  const { roomId } = join;
  const row = membershipRowOf(join);
  if (!row) throw new BadRoomError('the join is no member event');
  const before = storedPoint(deps, facts.snapshotId);
  const after = pointAfter(deps, before, join);
  const former = await deps.storage.rooms.findMembership(roomId, row.userId);
  const step = {
    roomId,
    userId: row.userId,
    before: former?.membership ?? null,
    after: 'join',
    predecessor: predecessorOf(facts.create),
  };
  const audience = await deps.ports.rowsForAudienceChange([step]);
  const readState = (keys: readonly StateKey[]) => readStateEvents(deps, before, keys);
  const arrival = await deps.ports.rowsForNotifications({ event: join, version, readState });
  const head = await findRoomHead(deps.storage, roomId);
  const expect: Expectation[] = head ? [{ kind: 'extremities', roomId, eventIds: head.extremities }] : [];
  const set = new Map([[stateKeyOf('m.room.member', row.userId), join.eventId]]);
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
      ...arrival,
      // What this server knew of the graph from an earlier stay lies behind the gap.
      { kind: 'extremities', roomId, eventIds: [join.eventId] },
      { kind: 'import_state_adopted', importId: running.id, roomId, snapshotId: after.snapshotId, set },
      ...audience,
    ],
    expect,
  });
  if (result.outcome === 'conflict') throw serverUnavailable('The room is busy, try again');
}
