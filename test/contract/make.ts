import type { DeviceId, EventId, RoomAlias, RoomId, UserId } from '../../src/matrix/ids.ts';
import { type JsonObject, type Pdu, type RoomEvent, type StateKey, stateKeyOf } from '../../src/matrix/pdu.ts';
import type { ServerName } from '../../src/matrix/server-name.ts';
import type { Batch, CommitResult, Row } from '../../src/storage/contract/commit.ts';
import type { EventTableRow } from '../../src/storage/contract/events.ts';
import type { Position, SnapshotId } from '../../src/storage/contract/numbers.ts';
import type { Membership } from '../../src/storage/contract/rooms.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';

/** Opens a fresh, empty storage. */
export type OpenStorage = () => Promise<Storage>;

export const user = (name: string, server = 'here.test') => `@${name}:${server}` as UserId;
export const room = (name: string) => `!${name}:here.test` as RoomId;
export const alias = (name: string) => `#${name}:here.test` as RoomAlias;
export const eventId = (name: string) => `$${name}` as EventId;
export const device = (name: string) => name as DeviceId;
export const server = (name: string) => name as ServerName;

export const alice = user('alice');
export const bob = user('bob');
export const carol = user('carol', 'there.test');
export const lobby = room('lobby');
export const attic = room('attic');

export interface EventOptions {
  roomId?: RoomId;
  type?: string;
  stateKey?: string;
  sender?: UserId;
  depth?: number;
  content?: JsonObject;
  prev?: readonly string[];
  auth?: readonly string[];
  fields?: JsonObject;
}

export function makeEvent(id: string, options: EventOptions = {}): RoomEvent {
  const pdu: Pdu = {
    type: options.type ?? 'm.room.message',
    sender: options.sender ?? alice,
    room_id: options.roomId ?? lobby,
    ...(options.stateKey === undefined ? {} : { state_key: options.stateKey }),
    content: options.content ?? { body: id },
    depth: options.depth ?? 1,
    origin_server_ts: 1_000,
    prev_events: (options.prev ?? []).map(eventId),
    auth_events: (options.auth ?? []).map(eventId),
    hashes: { sha256: 'hash' },
    signatures: { 'here.test': { 'ed25519:1': 'signature' } },
    ...options.fields,
  };
  return { eventId: eventId(id), roomId: options.roomId ?? lobby, roomVersion: '11', pdu };
}

type EventRow = Extract<EventTableRow, { kind: 'event' }>;

/** An accepted event of the timeline, without state, unless said otherwise. */
export function eventRow(id: string, options: EventOptions & Partial<EventRow> = {}): EventRow {
  return {
    kind: 'event',
    event: makeEvent(id, options),
    verdict: options.verdict ?? 'accepted',
    placement: options.placement ?? 'timeline',
    snapshotBefore: options.snapshotBefore ?? null,
    snapshotAfter: options.snapshotAfter ?? null,
    receivedAtMs: options.receivedAtMs ?? 2_000,
    ...(options.transaction === undefined ? {} : { transaction: options.transaction }),
  };
}

export function memberRow(
  userId: UserId,
  membership: Membership,
  options: { roomId?: RoomId; eventId?: EventId; displayname?: string } = {},
): Row {
  return {
    kind: 'membership',
    roomId: options.roomId ?? lobby,
    userId,
    membership,
    eventId: options.eventId ?? eventId(`${membership}-${userId}`),
    sender: userId,
    displayname: options.displayname ?? null,
    avatarUrl: null,
  };
}

export function stateMap(entries: Readonly<Record<string, string>>): Map<StateKey, EventId> {
  return new Map(
    Object.entries(entries).map(([key, id]): [StateKey, EventId] => {
      const [type = '', stateKey = ''] = key.split(' ');
      return [stateKeyOf(type, stateKey), eventId(id)];
    }),
  );
}

export const stateKeys = (...keys: string[]): StateKey[] => [
  ...stateMap(Object.fromEntries(keys.map((key) => [key, '']))).keys(),
];

export const snapshot = (number: number) => number as SnapshotId;

export type Committed = Extract<CommitResult, { outcome: 'committed' }>;

/** Commits what must not conflict. */
export async function commit(
  storage: Storage,
  rows: readonly Row[],
  rest: Omit<Batch, 'rows'> = {},
): Promise<Committed> {
  const result = await storage.commit({ ...rest, rows });
  if (result.outcome !== 'committed') throw new Error(`conflict: ${JSON.stringify(result.expectation)}`);
  return result;
}

/** The position of one row of a commit. */
export function positionAt(result: Committed, index = 0): Position {
  const position = result.positions[index];
  if (position === undefined || position === null) throw new Error(`row ${index} took no position`);
  return position;
}
