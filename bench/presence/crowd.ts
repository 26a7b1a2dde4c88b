import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import type { DeviceId, UserId } from '../../src/matrix/ids.ts';
import type { Row } from '../../src/storage/contract/commit.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import { openSqliteStorage } from '../../src/storage/sqlite/open.ts';
import { RoomBuilder } from '../../test/support/room-builder.ts';

/** A user of the server who can be played: the token is stored with the account. */
export interface Member {
  readonly userId: UserId;
  readonly token: string;
}

const rowsPerCommit = 1_500;

/** Writes into the database of a server that is not yet started, as it would store the same itself. */
export async function writeDatabase<T>(folder: string, write: (storage: Storage) => Promise<T>): Promise<T> {
  const storage = await openSqliteStorage({ file: join(folder, 'data', 'lantern.db'), clock: systemClock });
  try {
    return await write(storage);
  } finally {
    await storage.stop();
  }
}

/** Accounts with a device and a token each, `NAME0` and so on. A password would cost tens of milliseconds for each. */
export async function writeMembers(
  storage: Storage,
  who: { readonly serverName: string; readonly name: string; readonly count: number },
): Promise<Member[]> {
  const members = Array.from({ length: who.count }, (_, n) => ({
    userId: `@${who.name}${n}:${who.serverName}` as UserId,
    token: `token-of-${who.name}${n}`,
  }));
  const rows = members.flatMap(rowsOfMember);
  for (let start = 0; start < rows.length; start += rowsPerCommit) {
    const result = await storage.commit({ rows: rows.slice(start, start + rowsPerCommit) });
    if (result.outcome !== 'committed') throw new Error('the accounts are not written');
  }
  return members;
}

function rowsOfMember({ userId, token }: Member): Row[] {
  const device = { userId, deviceId: 'BENCH' as DeviceId };
  const createdAtMs = Date.now();
  const tokenHash = createHash('sha256').update(token).digest('hex');
  return [
    { kind: 'account', userId, passwordHash: null, createdAtMs, deactivatedAtMs: null },
    { kind: 'device', ...device, displayName: null, createdAtMs, lastSeenAtMs: null, lastSeenIp: null },
    { kind: 'access_token', tokenHash, ...device, generation: 0, createdAtMs, expiresAtMs: null },
  ];
}

/** A room in which all of these are joined. Its first member makes it. */
export async function writeRoom(
  storage: Storage,
  name: string,
  members: readonly { readonly userId: string }[],
): Promise<RoomBuilder> {
  const [creator, ...others] = members;
  if (!creator) throw new Error('a room needs somebody');
  const server = creator.userId.slice(creator.userId.indexOf(':') + 1);
  const room = await RoomBuilder.create(storage, creator.userId, { roomId: `!${name}:${server}` });
  for (const { userId } of others) await room.join(userId);
  return room;
}
