import type { DeviceId, RoomId } from '../../../src/matrix/ids.ts';
import type { Row } from '../../../src/storage/contract/commit.ts';
import type { Storage } from '../../../src/storage/contract/storage.ts';
import { type Member, writeDatabase, writeMembers } from '../../presence/crowd.ts';
import { pinThisProcess } from '../../support/cores.ts';
import { LoadClient } from '../../support/load-client.ts';
import type { BenchPart } from '../../support/run.ts';
import { ServerProcess } from '../../support/server-process.ts';
import { LongestTurns } from './longest.ts';
import { writeRows } from './old-server.ts';

const keys = 50_000;
const messages = 20_000;

/** What is removed at once although there is much of it: the longest turn of the loop meanwhile. */
export const turnsRemovingPart: BenchPart = {
  name: 'turns: removing',
  run: async () => {
    pinThisProcess();
    let members: Member[] = [];
    const server = await ServerProcess.start({
      watchLoop: true,
      prepare: async (folder, serverName) => {
        members = await writeDatabase(folder, (storage) => write(storage, serverName));
      },
    });
    const client = new LoadClient(server.clientUrl);
    const [owner, reader] = members;
    try {
      const turns = new LongestTurns(server);
      const longest = (name: string, run: () => Promise<unknown>) => turns.during(name, run, { afterwardsMs: 500 });
      const v3 = '/_matrix/client/v3';
      const token = owner?.token ?? '';
      await longest(`${keys} keys of a backup, told`, () =>
        client.json({ method: 'GET', path: `${v3}/room_keys/keys?version=1`, token }),
      );
      await longest('the keys of one room of it, removed', () =>
        client.json({ method: 'DELETE', path: `${v3}/room_keys/keys/${encodeURIComponent('!a:b')}?version=1`, token }),
      );
      await longest('the backup, removed', () =>
        client.json({ method: 'DELETE', path: `${v3}/room_keys/version/1`, token }),
      );
      await longest(`${messages} messages to a device that is signed out`, () =>
        client.json({ method: 'POST', path: `${v3}/logout`, token: reader?.token ?? '', body: {} }),
      );
      return turns.measures;
    } finally {
      await client.stop();
      await server.stop();
    }
  },
};

async function write(storage: Storage, serverName: string): Promise<Member[]> {
  const members = await writeMembers(storage, { serverName, name: 'user', count: 2 });
  const [owner, reader] = members.map(({ userId }) => userId);
  if (!owner || !reader) throw new Error('there is nobody');
  const rows: Row[] = [];
  const backup = { userId: owner, version: 1 };
  rows.push({ kind: 'key_backup', ...backup, algorithm: 'm.megolm_backup.v1', authData: {} });
  for (let start = 0; start < keys; start += 100) {
    const some = Array.from({ length: 100 }, (_, n) => ({
      roomId: (n % 2 === 0 ? '!a:b' : `!room${start}:b`) as RoomId,
      sessionId: `session${start + n}`,
      firstMessageIndex: 0,
      forwardedCount: 0,
      isVerified: true,
      sessionData: JSON.stringify({ ciphertext: 'x'.repeat(400) }),
    }));
    rows.push({ kind: 'room_keys', ...backup, keys: some });
  }
  const text = JSON.stringify({ type: 'm.room.encrypted', content: { ciphertext: 'x'.repeat(800) } });
  for (let n = 0; n < messages; n += 1) {
    const message = { userId: reader, deviceId: 'BENCH' as DeviceId, text };
    rows.push({ kind: 'to_device', messages: [message] });
  }
  await writeRows(storage, rows);
  return members;
}
