import { breathe } from '../base/breathe.ts';
import { canonicalJson } from '../base/json/canonical-json.ts';
import { redact } from '../engine/event/redact.ts';
import { type HistoryVisibility, historyVisibilityOf, mayServerViewEvent } from '../engine/visibility.ts';
import { forbidden, notFound } from '../matrix/errors.ts';
import { type EventId, isUserId, type RoomId, serverOfUser, type UserId } from '../matrix/ids.ts';
import { type StateMap, splitStateKey, stateKeyOf } from '../matrix/pdu.ts';
import { getRoomVersion } from '../matrix/room-versions.ts';
import type { ServerName } from '../matrix/server-name.ts';
import { isServerAllowed } from '../rooms/core/server-access.ts';
import { isErasable } from '../rooms/erased-events.ts';
import type { Roster } from '../roster/roster.ts';
import type { StoredEvent } from '../storage/contract/events.ts';
import type { SnapshotId } from '../storage/contract/state.ts';
import type { Storage } from '../storage/contract/storage.ts';

export interface RoomAccessDeps {
  readonly storage: Pick<Storage, 'accounts' | 'events' | 'state' | 'rooms'>;
  readonly roster: Pick<Roster, 'serversIn'>;
  readonly serverName: ServerName;
}

/** Throws 404 where we are not in the room ourselves, 403 where the access control list keeps the server out. */
export async function checkRoomIsOurs(deps: RoomAccessDeps, roomId: RoomId, origin: ServerName): Promise<void> {
  if (!deps.roster.serversIn(roomId).has(deps.serverName)) throw notFound('This server is not in that room');
  await checkAccessList(deps, roomId, origin);
}

async function checkAccessList(deps: RoomAccessDeps, roomId: RoomId, origin: ServerName): Promise<void> {
  if (!(await isServerAllowed(deps.storage, roomId, origin))) throw forbidden('Your server is kept out of this room');
}

/** As `checkRoomIsOurs`, and 403 where no user of the asking server is joined. */
export async function checkServerInRoom(deps: RoomAccessDeps, roomId: RoomId, origin: ServerName): Promise<void> {
  await checkRoomIsOurs(deps, roomId, origin);
  if (!deps.roster.serversIn(roomId).has(origin)) throw forbidden('Your server is not in this room');
}

/**
 * As `checkServerInRoom`, but for what stands before an event also where one of the two is not in the room any more: a server that had
 * a user in it when the event was sent, or when it came here, may ask, as it could then; and of the departure of a user of ours all may
 * ask who were sent it. They need it to judge the departure, without which one side would never know of it.
 */
export async function checkServerMayAskAt(deps: RoomAccessDeps, event: StoredEvent, origin: ServerName): Promise<void> {
  const { roomId } = event.event;
  const servers = deps.roster.serversIn(roomId);
  const areIn = servers.has(deps.serverName);
  if (!areIn && isDepartureOf(event, deps.serverName) && (await wasInRoom(deps, event, origin))) {
    return checkAccessList(deps, roomId, origin);
  }
  await checkRoomIsOurs(deps, roomId, origin);
  if (servers.has(origin) || (await wasInRoom(deps, event, origin)) || (await leftBehind(deps, event, origin))) return;
  throw forbidden('Your server is not in this room');
}

function isDepartureOf({ event }: StoredEvent, server: ServerName): boolean {
  const { type, state_key: stateKey, content } = event.pdu;
  return (
    type === 'm.room.member' &&
    content.membership === 'leave' &&
    isUserId(stateKey) &&
    serverOfUser(stateKey) === server
  );
}

/** Whether the server left the room, as this one has it, with the event or after it. */
async function leftBehind(
  deps: RoomAccessDeps,
  { event, position }: StoredEvent,
  origin: ServerName,
): Promise<boolean> {
  const leftAt = await deps.storage.rooms.findLastDeparture(event.roomId, origin);
  return leftAt !== undefined && position !== null && position <= leftAt;
}

async function wasInRoom(deps: RoomAccessDeps, { snapshotBefore }: StoredEvent, origin: ServerName): Promise<boolean> {
  if (snapshotBefore === null) return false;
  return (await membershipsOf(deps, snapshotBefore, origin)).includes('join');
}

/**
 * A stored event of that room. Throws 404 for one that is unknown or of another room. One that was rejected is given too: events that
 * pass may build on it, and a server that was not sent it needs it to judge them.
 */
export async function getEventOfRoom(deps: RoomAccessDeps, roomId: RoomId, eventId: EventId): Promise<StoredEvent> {
  const stored = await deps.storage.events.find(eventId);
  if (!stored || stored.event.roomId !== roomId) throw notFound('No such event here');
  return stored;
}

const visibilityKey = stateKeyOf('m.room.history_visibility', '');

/**
 * The events as the asking server may have them, in the order given: whole where history visibility lets one of its users
 * see them, else redacted, so that the graph stays whole and the content does not travel. What an event changes itself counts on
 * both its sides, so that a server has the departure of its own last user. Events of an erased user are whole for servers that were
 * in the room then, and for no other.
 */
export async function encodeForServer(
  deps: RoomAccessDeps,
  events: readonly StoredEvent[],
  origin: ServerName,
): Promise<string[]> {
  const open = await listOpenSnapshots(deps, new Set(events.flatMap((stored) => snapshotsAround(stored))), origin);
  const erased = await listErasedFor(deps, events, origin);
  const texts = await deps.storage.events.listPduTexts(events.map(({ event }) => event.eventId));
  return events.flatMap((stored, index) => {
    const { event } = stored;
    const around = snapshotsAround(stored);
    // An event that is known only as part of the state is told to servers in the room like that state.
    const isOpen = around.length === 0 || around.some((snapshotId) => open.has(snapshotId));
    if (isOpen && !erased.has(event.eventId)) return texts[index] ?? [];
    return canonicalJson(redact(event.pdu, getRoomVersion(event.roomVersion)));
  });
}

/** Those of the events that an erased user sent when nobody of the asking server was in the room. */
async function listErasedFor(
  deps: RoomAccessDeps,
  events: readonly StoredEvent[],
  origin: ServerName,
): Promise<ReadonlySet<EventId>> {
  const erased = new Set<EventId>();
  for (const stored of events) {
    const { sender, type, state_key: stateKey } = stored.event.pdu;
    if (!isUserId(sender) || deps.storage.accounts.erasedAt(sender) === undefined) continue;
    if (!isErasable({ type, stateKey: typeof stateKey === 'string' ? stateKey : null, sender })) continue;
    if (!(await wasInRoom(deps, stored, origin))) erased.add(stored.event.eventId);
  }
  return erased;
}

function snapshotsAround({ snapshotBefore, snapshotAfter }: StoredEvent): SnapshotId[] {
  return [snapshotBefore, snapshotAfter].filter((snapshotId) => snapshotId !== null);
}

/** Those of the states in which some user of the server sees what is said. */
async function listOpenSnapshots(
  deps: RoomAccessDeps,
  snapshots: ReadonlySet<SnapshotId>,
  server: ServerName,
): Promise<Set<SnapshotId>> {
  const open = new Set<SnapshotId>();
  for (const [snapshotId, visibility] of await readVisibilities(deps, snapshots)) {
    const isOpen = mayServerViewEvent(visibility, []);
    const memberships = isOpen ? [] : await membershipsOf(deps, snapshotId, server);
    await breathe();
    if (isOpen || mayServerViewEvent(visibility, memberships)) open.add(snapshotId);
  }
  return open;
}

async function readVisibilities(
  deps: RoomAccessDeps,
  snapshots: ReadonlySet<SnapshotId>,
): Promise<Map<SnapshotId, HistoryVisibility>> {
  const bySnapshot = new Map<SnapshotId, EventId | undefined>();
  for (const snapshotId of snapshots) {
    const found = await deps.storage.state.getFromSnapshot(snapshotId, [visibilityKey]);
    bySnapshot.set(snapshotId, found.get(visibilityKey));
  }
  const ids = [...new Set([...bySnapshot.values()].flatMap((eventId) => eventId ?? []))];
  const contents = new Map(
    (await deps.storage.events.listByIds(ids)).map(({ event }) => [event.eventId, event.pdu.content]),
  );
  return new Map(
    [...bySnapshot].map(([snapshotId, eventId]) => [
      snapshotId,
      historyVisibilityOf(eventId === undefined ? undefined : contents.get(eventId)),
    ]),
  );
}

/** Memberships of the server's users in one state. */
async function membershipsOf(
  deps: RoomAccessDeps,
  snapshotId: SnapshotId,
  server: ServerName,
): Promise<('join' | 'invite')[]> {
  const state: StateMap = await deps.storage.state.getSnapshot(snapshotId);
  const memberEvents = [...state].flatMap(([key, eventId]) => {
    const { type, stateKey } = splitStateKey(key);
    return type === 'm.room.member' && serverOfUser(stateKey as UserId) === server ? [eventId] : [];
  });
  const stored = await deps.storage.events.listByIds(memberEvents);
  return stored.flatMap(({ event }) => {
    const { membership } = event.pdu.content;
    return membership === 'join' || membership === 'invite' ? [membership] : [];
  });
}
