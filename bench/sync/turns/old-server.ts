import type { DeviceId, RoomId, UserId } from '../../../src/matrix/ids.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import type { Row } from '../../../src/storage/contract/commit.ts';
import type { Position } from '../../../src/storage/contract/numbers.ts';
import type { Storage } from '../../../src/storage/contract/storage.ts';
import { RoomBuilder } from '../../../test/support/room-builder.ts';
import { type Member, writeMembers } from '../../presence/crowd.ts';

/** How much there is in the database of a server that has run for long. */
export interface OldServerSize {
  readonly users: number;
  readonly rooms: number;
  readonly events: number;
  /** Users of others in the largest room, of `servers` servers. */
  readonly remoteUsers: number;
  readonly servers: number;
}

export interface OldServer {
  readonly members: readonly Member[];
  /** These are in `roomsOfBusy` rooms each. */
  readonly busy: readonly Member[];
  /** All users are in it, those of other servers too. */
  readonly hall: RoomId;
  /** Behind it there are only the large room and what was said there. */
  readonly beforeHall: Position;
}

export const roomsOfBusy = 500;
const busyUsers = 20;
const membersPerRoom = 20;
const perCommit = 500;

/** Accounts, rooms, their messages, presence and what waits for other servers, as a server would have stored them. */
export async function writeOldServer(storage: Storage, serverName: string, size: OldServerSize): Promise<OldServer> {
  const members = await writeMembers(storage, { serverName, name: 'user', count: size.users });
  const busy = members.slice(0, busyUsers);
  const remote = Array.from({ length: size.remoteUsers }, (_, n) => `@remote${n}:server${n % size.servers}.test`);
  const perRoom = Math.floor((size.events * 0.7) / size.rooms);
  for (let start = 0; start < size.rooms; start += 50) {
    const numbers = Array.from({ length: Math.min(50, size.rooms - start) }, (_, n) => start + n);
    await Promise.all(numbers.map((n) => writeRoom(storage, { n, serverName, members, messages: perRoom })));
  }
  const beforeHall = storage.position();
  const hall = await RoomBuilder.create(storage, members[0]?.userId ?? '', {
    roomId: `!hall:${serverName}`,
    idsForServers: true,
  });
  const people = [...members.slice(1).map(({ userId }) => userId), ...remote];
  for (let start = 0; start < people.length; start += perCommit) {
    await hall.joinMany(people.slice(start, start + perCommit));
  }
  await say(hall, members, Math.floor(size.events * 0.2));
  await writePresence(storage, members, remote as UserId[]);
  await writeDestinations(storage, size.servers);
  return { members, busy, hall: hall.roomId, beforeHall };
}

async function writeRoom(
  storage: Storage,
  {
    n,
    serverName,
    members,
    messages,
  }: {
    readonly n: number;
    readonly serverName: string;
    readonly members: readonly Member[];
    readonly messages: number;
  },
): Promise<void> {
  const creator = members[n % members.length]?.userId ?? '';
  const room = await RoomBuilder.create(storage, creator, { roomId: `!room${n}:${serverName}`, idsForServers: true });
  await room.state(creator, 'm.room.name', { name: `Room ${n}` });
  await room.state(creator, 'm.room.topic', { topic: 'Something to talk about' });
  await room.state(creator, 'm.room.join_rules', { join_rule: 'public' });
  await room.state(creator, 'm.room.power_levels', { users: { [creator]: 100 } });
  const here = new Set(Array.from({ length: membersPerRoom }, (_, k) => members[(n * 7 + k * 131) % members.length]));
  if (n < roomsOfBusy) for (const member of members.slice(0, busyUsers)) here.add(member);
  const joining = [...here].filter((member) => member !== undefined && member.userId !== creator);
  await room.joinMany(joining.map((member) => member?.userId ?? ''));
  await say(
    room,
    [...here].filter((member) => member !== undefined),
    messages,
  );
}

async function say(room: RoomBuilder, members: readonly Member[], messages: number): Promise<void> {
  for (let start = 0; start < messages; start += perCommit) {
    const bodies = Array.from(
      { length: Math.min(perCommit, messages - start) },
      (_, n) => `message ${start + n}, which says about as much as messages do`,
    );
    await room.sayMany(members[start % members.length]?.userId ?? '', bodies);
  }
}

async function writePresence(storage: Storage, members: readonly Member[], remote: readonly UserId[]): Promise<void> {
  const atMs = Date.now();
  const rows: Row[] = members.map(({ userId }, n) => ({
    kind: 'presence',
    userId,
    state: n % 3 === 0 ? 'online' : 'offline',
    statusMsg: n % 5 === 0 ? 'somewhere' : null,
    lastActiveAtMs: atMs,
    currentlyActive: false,
    changedAtMs: atMs,
    devices: [{ deviceId: 'BENCH' as DeviceId, put: null, fresh: false, synced: 'online', written: null }],
  }));
  for (const [n, { userId }] of members.entries()) {
    if (n % 10 !== 0) continue;
    const content = { rules: [] };
    rows.push({ kind: 'account_data', userId, roomId: null, type: 'm.presence_sharing_config', content });
  }
  for (const subject of remote) {
    const copy = { subject, sequence: 1, state: 'online' as const, statusMsg: null, lastActiveAtMs: atMs };
    const copies = [{ ...copy, currentlyActive: true, recipients: null, expiresAtMs: atMs + 3_600_000 }];
    rows.push({ kind: 'presence_copies', subject, copies });
  }
  await writeRows(storage, rows);
}

/** All of them fail, with a while to go before the next attempt. */
async function writeDestinations(storage: Storage, servers: number): Promise<void> {
  const atMs = Date.now();
  const rows = Array.from({ length: servers }, (_, n): Row => {
    const destination = `server${n}.test` as ServerName;
    return {
      kind: 'destination',
      destination,
      cursor: 0,
      failingSinceMs: atMs,
      retryAtMs: atMs + 600_000,
      failures: 8,
    };
  });
  await writeRows(storage, rows);
}

export async function writeRows(storage: Storage, rows: readonly Row[]): Promise<void> {
  for (let start = 0; start < rows.length; start += perCommit) {
    const result = await storage.commit({ rows: rows.slice(start, start + perCommit) });
    if (result.outcome !== 'committed') throw new Error('the rows are not written');
  }
}

/** The sizes, but for those that `--set` names otherwise. */
export function sizeOf(set: ReadonlyMap<string, number>): OldServerSize {
  return {
    users: set.get('users') ?? 5_000,
    rooms: set.get('rooms') ?? 2_000,
    events: set.get('events') ?? 200_000,
    remoteUsers: set.get('remote') ?? 5_000,
    servers: set.get('servers') ?? 300,
  };
}
