import { createPasswords } from '../../../src/accounts/passwords.ts';
import { canonicalJson } from '../../../src/base/json/canonical-json.ts';
import type { DeviceId, EventId, RoomId, UserId } from '../../../src/matrix/ids.ts';
import type { JsonObject } from '../../../src/matrix/pdu.ts';
import { getRoomVersion } from '../../../src/matrix/room-versions.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import { buildAuthorization } from '../../../src/signing/request-auth.ts';
import type { Row } from '../../../src/storage/contract/commit.ts';
import type { Storage } from '../../../src/storage/contract/storage.ts';
import { HostileServer } from '../../../test/support/hostile-server.ts';
import { RoomBuilder } from '../../../test/support/room-builder.ts';
import { seal } from '../../../test/support/stub-room.ts';
import { listenWithTls } from '../../federation/listen.ts';
import { writeDatabase } from '../../presence/crowd.ts';
import { pinThisProcess } from '../../support/cores.ts';
import { LoadClient, type LoadRequest } from '../../support/load-client.ts';
import type { BenchPart } from '../../support/run.ts';
import { findFreePorts, profileOptions, ServerProcess } from '../../support/server-process.ts';
import { LongestTurns } from './longest.ts';
import { type OldServer, writeOldServer, writeRows } from './old-server.ts';

const users = 10_000;
const size = { users, rooms: 600, events: 12_000, remoteUsers: 300, servers: 300 };
const password = 'correct horse battery';
/** More in one request are refused. */
const queriedMax = 5_000;
const v3 = '/_matrix/client/v3';
const afterwardsMs = 1_000;

interface Crowd {
  readonly old: OldServer;
  readonly assembly: RoomId;
  /** The newest event there. */
  readonly last: EventId;
}

/** What ten thousand accounts, and a room of as many members of other servers, cost at once: the longest turn of the loop. */
export const turnsCrowdPart: BenchPart = {
  name: 'turns: a crowd',
  run: async ({ set }) => {
    pinThisProcess();
    const stub = await HostileServer.start(Date.now());
    const [plainPort = 0] = await findFreePorts(1);
    let crowd: Crowd | undefined;
    const server = await ServerProcess.start({
      watchLoop: true,
      // Of presence there are benches of their own.
      config: { presence: { enabled: false }, federation: { allow_private_addresses: true, ca_file: 'authority.crt' } },
      nodeOptions: set.has('profile') ? profileOptions() : [],
      prepare: async (folder, serverName) => {
        await listenWithTls(folder, plainPort);
        crowd = await writeDatabase(folder, (storage) => writeCrowd(storage, serverName, stub));
      },
    });
    const client = new LoadClient(server.clientUrl);
    const federation = new LoadClient(`http://127.0.0.1:${plainPort}`);
    try {
      if (!crowd) throw new Error('nothing was written');
      const turns = new LongestTurns(server, set.get('ask'));
      await askAsServer(turns, crowd, { stub, federation, destination: server.serverName as ServerName });
      await askAsClient(turns, crowd, client);
      await change(turns, crowd, client);
      return turns.measures;
    } finally {
      await client.stop();
      await federation.stop();
      await server.stop();
      await stub.stop();
    }
  },
};

async function writeCrowd(storage: Storage, serverName: string, stub: HostileServer): Promise<Crowd> {
  const old = await writeOldServer(storage, serverName, size);
  const rows: Row[] = old.members.map(({ userId }) => ({
    kind: 'device_keys',
    userId,
    deviceId: 'BENCH' as DeviceId,
    keys: {
      user_id: userId,
      device_id: 'BENCH',
      algorithms: ['m.olm.v1.curve25519-aes-sha2', 'm.megolm.v1.aes-sha2'],
      keys: { 'curve25519:BENCH': 'x'.repeat(43), 'ed25519:BENCH': 'y'.repeat(43) },
      signatures: { [userId]: { 'ed25519:BENCH': 'z'.repeat(86) } },
    },
  }));
  for (const { userId } of old.members) {
    for (const usage of ['master', 'self_signing'] as const) {
      const publicKey = `${usage} of ${userId}`.padEnd(43, '_');
      const key = { user_id: userId, usage: [usage], keys: { [`ed25519:${publicKey}`]: publicKey } };
      rows.push({ kind: 'cross_signing_key', userId, usage, publicKey, key });
    }
  }
  for (let n = 0; n < size.rooms; n += 1) {
    rows.push({ kind: 'room_visibility', roomId: `!room${n}:${serverName}` as RoomId, visibility: 'public' });
  }
  const [owner] = old.busy;
  const userId = owner?.userId as UserId;
  const passwordHash = await createPasswords().hash(password);
  rows.push({ kind: 'account', userId, passwordHash, createdAtMs: 0, deactivatedAtMs: null });
  for (let n = 0; n < 100; n += 1) {
    const device = { userId, deviceId: `DEVICE${n}` as DeviceId };
    rows.push({ kind: 'device', ...device, displayName: null, createdAtMs: 0, lastSeenAtMs: null, lastSeenIp: null });
  }
  await writeRows(storage, rows);
  return { old, ...(await writeAssembly(storage, old, serverName, stub)) };
}

/** A room of ten thousand members of other servers, each of whom joined and changed something since: the auth chain is as long as the state. */
async function writeAssembly(
  storage: Storage,
  { members }: OldServer,
  serverName: string,
  stub: HostileServer,
): Promise<Pick<Crowd, 'assembly' | 'last'>> {
  const creator = members[1]?.userId ?? '';
  const room = await RoomBuilder.create(storage, creator, { roomId: `!assembly:${serverName}`, idsForServers: true });
  const power = await room.state(creator, 'm.room.power_levels', { users: { [creator]: 100 } });
  const rules = await room.state(creator, 'm.room.join_rules', { join_rule: 'public' });
  const people = Array.from({ length: users }, (_, n) => `@remote${n}:server${n % size.servers}.test`);
  people[0] = stub.user('speaker');
  const first = new Map<string, EventId>();
  for (let start = 0; start < people.length; start += 500) {
    const some = people.slice(start, start + 500);
    const ids = await room.joinMany(some, () => [power, rules]);
    for (const [n, userId] of some.entries()) first.set(userId, ids[n] as EventId);
  }
  for (let start = 0; start < people.length; start += 500) {
    const some = people.slice(start, start + 500);
    await room.joinMany(some, (userId) => [power, rules, first.get(userId) as EventId]);
  }
  return { assembly: room.roomId, last: await room.say(creator, 'all are here') };
}

async function askAsServer(
  turns: LongestTurns,
  { assembly, last }: Crowd,
  { stub, federation, destination }: { stub: HostileServer; federation: LoadClient; destination: ServerName },
): Promise<void> {
  const call = (method: 'GET' | 'PUT', uri: string, content?: JsonObject): Promise<Record<string, unknown>> => {
    const authorization = buildAuthorization({ method, uri, origin: stub.name, destination, content }, stub.signer);
    const body = content ? { body: canonicalJson(content) } : {};
    return federation.json({ method, path: uri, ...body, headers: { authorization } });
  };
  const v1 = '/_matrix/federation/v1';
  const room = encodeURIComponent(assembly);
  const event = encodeURIComponent(last);
  const runs = 2;
  await turns.during(
    '/state of a large room, to a server',
    () => call('GET', `${v1}/state/${room}?event_id=${event}`),
    { runs },
  );
  await turns.during('/state_ids', () => call('GET', `${v1}/state_ids/${room}?event_id=${event}`), { runs });
  await turns.during('/backfill', () => call('GET', `${v1}/backfill/${room}?v=${event}&limit=100`), { runs });
  let joined = 0;
  const join = async (): Promise<void> => {
    joined += 1;
    const user = encodeURIComponent(stub.user(`joiner${joined}`));
    const { event: template } = await call('GET', `${v1}/make_join/${room}/${user}?ver=11`);
    const { eventId, pdu } = seal(template as JsonObject, getRoomVersion('11'), { signers: [stub.signer] });
    await call('PUT', `/_matrix/federation/v2/send_join/${room}/${encodeURIComponent(eventId)}`, pdu);
  };
  await turns.during('/send_join', join, { runs });
}

async function askAsClient(turns: LongestTurns, { old }: Crowd, client: LoadClient): Promise<void> {
  const token = old.busy[0]?.token ?? '';
  const hall = encodeURIComponent(old.hall);
  const good = async (request: Omit<LoadRequest, 'token'>): Promise<string> => {
    const { status, text } = await client.request({ ...request, token });
    if (status !== 200) throw new Error(`${request.path}: ${text.slice(0, 200)}`);
    return text;
  };
  const get = (path: string) => good({ method: 'GET', path: `${v3}${path}` });
  const post = (path: string, body: unknown) => good({ method: 'POST', path: `${v3}${path}`, body });
  const runs = 2;
  const everybody = Object.fromEntries(old.members.slice(0, queriedMax).map(({ userId }) => [userId, []]));
  await turns.during(`/keys/query for ${queriedMax}`, () => post('/keys/query', { device_keys: everybody }), { runs });
  const sync = await get(`/sync?timeout=0&filter=${encodeURIComponent('{"room":{"rooms":[]}}')}`);
  const { next_batch: newest } = JSON.parse(sync);
  const before = String(newest).replace(/^s1_\d+/, `s1_${old.beforeHall}`);
  await turns.during('/keys/changes since before them', () => get(`/keys/changes?from=${before}&to=${newest}`), {
    runs,
  });
  const outside = encodeURIComponent('{"room":{"rooms":[]}}');
  await turns.during('device lists of them in a sync', () => get(`/sync?timeout=0&since=${before}&filter=${outside}`), {
    runs,
  });
  const lazy = encodeURIComponent('{"lazy_load_members":true}');
  await turns.during(
    '/messages with their senders',
    () => get(`/rooms/${hall}/messages?dir=b&limit=1000&filter=${lazy}`),
    { runs },
  );
  await turns.during(
    'search in the directory of users',
    () => post('/user_directory/search', { search_term: 'user', limit: 100 }),
    { runs },
  );
  await turns.during(
    'search there that finds nobody',
    () => post('/user_directory/search', { search_term: 'us er ab', limit: 100 }),
    { runs },
  );
  await turns.during('public rooms', () => get('/publicRooms'), { runs });
  await turns.during(
    'public rooms by a word',
    () => post('/publicRooms', { limit: 500, filter: { generic_search_term: 'Room 5' } }),
    { runs },
  );
  await turns.during(
    'public rooms by a word of none',
    () => post('/publicRooms', { limit: 500, filter: { generic_search_term: 'nothing' } }),
    { runs },
  );
}

async function change(turns: LongestTurns, { old }: Crowd, client: LoadClient): Promise<void> {
  const [owner, other] = old.busy;
  const token = owner?.token ?? '';
  const send = (method: 'POST' | 'PUT' | 'DELETE', path: string, body: unknown, by = token) =>
    client.json({ method, path: `${v3}${path}`, token: by, body });
  await turns.during('the registration of one more', () => client.register('another'), { afterwardsMs });
  const rule = { actions: ['notify'], pattern: 'word' };
  await turns.during(
    'a push rule',
    async () => {
      for (let n = 0; n < 20; n += 1) await send('PUT', `/pushrules/global/content/rule${n}`, rule);
    },
    { afterwardsMs },
  );
  await turns.during(
    'a name that is told to all rooms',
    () =>
      send(
        'PUT',
        `/profile/${encodeURIComponent(other?.userId ?? '')}/displayname`,
        { displayname: 'New' },
        other?.token,
      ),
    { afterwardsMs: 4_000 },
  );
  const hall = encodeURIComponent(old.hall);
  const third = old.busy[2]?.token ?? '';
  await turns.during(
    'a large room, left and forgotten',
    async () => {
      await send('POST', `/rooms/${hall}/leave`, {}, third);
      await send('POST', `/rooms/${hall}/forget`, {}, third);
    },
    { afterwardsMs },
  );
  await turns.during(
    'the end of an account of 500 rooms and 100 devices',
    async () => {
      const request = { method: 'POST', path: `${v3}/account/deactivate`, token } as const;
      const { text } = await client.request({ ...request, body: {} });
      const identifier = { type: 'm.id.user', user: owner?.userId };
      const auth = { type: 'm.login.password', identifier, password, session: JSON.parse(text).session };
      await client.json({ ...request, body: { auth, erase: true } });
    },
    { afterwardsMs: 5_000 },
  );
}
