import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../base/clock.ts';
import { certificateHosts, ensureAuthority, ensureCertificate } from '../certificates.ts';
import { type Config, configShape } from '../config/shape.ts';
import { type RunningServer, startServer } from '../server.ts';
import { LocalClient } from './local-client.ts';
import { describePair, type Pair } from './pair-story.ts';
import { watchPresence } from './pair-watch.ts';
import type { CommandLine } from './run-types.ts';
import { untilInterrupted } from './signals.ts';

const ports = [
  { client: 8008, federation: 8448 },
  { client: 9008, federation: 9448 },
] as const;

/**
 * `lantern pair`: two servers that federate over TLS on loopback, alice on one and bob on the other, in one room. Everything
 * lives in a temporary folder that is gone afterwards.
 */
export async function pairCommand({ options }: CommandLine): Promise<void> {
  const interrupted = untilInterrupted();
  const folder = mkdtempSync(join(tmpdir(), 'lantern-pair-'));
  const servers: RunningServer[] = [];
  const watching = new AbortController();
  try {
    for (const config of await pairConfigs(folder)) servers.push(await startServer(config));
    const pair = await introduce(servers);
    process.stdout.write(options.json ? `${JSON.stringify(publicPart(pair))}\n` : describePair(pair));
    if (!options.json) watchPresence(pair, watching.signal, (line) => process.stdout.write(`${line}\n`));
    await interrupted;
  } finally {
    watching.abort();
    await Promise.all(servers.map((server) => server.stop()));
    rmSync(folder, { recursive: true, force: true });
  }
}

async function pairConfigs(folder: string): Promise<Config[]> {
  const nowMs = systemClock.now();
  const authority = await ensureAuthority(folder, 'ca', nowMs);
  await ensureCertificate({ folder, name: 'localhost', hosts: certificateHosts('localhost'), authority }, nowMs);
  const tls = { certificate: join(folder, 'localhost.crt'), key: join(folder, 'localhost.key') };
  return ports.map(({ client, federation }) =>
    configShape.parse({
      server_name: `localhost:${federation}`,
      public_base_url: `http://127.0.0.1:${client}`,
      data_dir: join(folder, String(federation)),
      signing_key: join(folder, String(federation), 'signing.key'),
      database: { file: join(folder, String(federation), 'lantern.db') },
      listeners: [
        { port: client, serves: ['client'] },
        { port: federation, serves: ['federation'], tls },
      ],
      log: { level: 'warn' },
      federation: { ca_file: join(folder, 'ca.crt'), allow_private_addresses: true },
    }),
  );
}

/**
 * Registers alice and bob, puts them in a room, and brings alice online only after bob has a sync token, so that the token
 * tells the whole story whenever it is used.
 */
async function introduce(servers: readonly RunningServer[]): Promise<Pair> {
  const [hs1, hs2] = servers.map((server) => new LocalClient(clientUrl(server)));
  if (!hs1 || !hs2) throw new Error('a pair is two servers');
  const alice = await hs1.register('alice', 'lantern-alice');
  const bob = await hs2.register('bob', 'lantern-bob');
  await alice.put(`/presence/${encodeURIComponent(alice.userId)}/status`, { presence: 'offline' });
  const { room_id: roomId } = await alice.post('/createRoom', {
    name: 'Lantern',
    preset: 'private_chat',
    invite: [bob.userId],
  });
  await bob.join(String(roomId), alice.userId.slice(alice.userId.indexOf(':') + 1));
  const { next_batch: since } = await bob.get('/sync?timeout=0&set_presence=offline');
  return {
    roomId: String(roomId),
    since: String(since),
    people: [
      { client: alice, watcher: await hs1.login('alice', 'lantern-alice') },
      { client: bob, watcher: await hs2.login('bob', 'lantern-bob') },
    ],
  };
}

function clientUrl(server: RunningServer): string {
  const listener = server.listeners.find(({ serves }) => serves.includes('client'));
  return listener?.url ?? '';
}

function publicPart(pair: Pair) {
  return {
    servers: pair.people.map(({ client }) => ({
      client: client.url,
      users: [{ user_id: client.userId, access_token: client.accessToken }],
    })),
    room_id: pair.roomId,
  };
}
