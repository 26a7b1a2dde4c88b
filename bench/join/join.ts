import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createAuthority, createCertificate } from '../../src/app/certificates.ts';
import { configShape } from '../../src/app/config/shape.ts';
import { startServer } from '../../src/app/server.ts';
import { LoadClient } from '../support/load-client.ts';
import type { Measure } from '../support/report.ts';
import type { BenchPart } from '../support/run.ts';
import { watch } from '../support/watch.ts';

const serversOfRoom = 20;

/**
 * A user of ours joins a room through another server: 10,000 members and 20,000 further auth events, unless told otherwise (`--set members=…`).
 * Our server runs in this process, so that its loop and its memory can be watched; the other one in a process of its own.
 */
export const joinPart: BenchPart = {
  name: 'join',
  async run({ set }) {
    const members = set.get('members') ?? 10_000;
    const folder = mkdtempSync(join(tmpdir(), 'lantern-bench-'));
    const files = await writeCertificates(folder);
    const other = await startOther([files.certificate, files.key, String(serversOfRoom), String(members)]);
    const server = await startOurs(folder, files.authority);
    const client = new LoadClient(server.listeners.find(({ serves }) => serves.includes('client'))?.url ?? '');
    try {
      const { token } = await client.register('alice');
      // The first request of all loads what such requests need.
      await client.request({ method: 'GET', path: `/_matrix/client/v3/profile/@creator:${other.server}`, token });
      const path = `/_matrix/client/v3/join/${encodeURIComponent(other.roomId)}?via=${other.server}`;
      const before = process.cpuUsage();
      const startedAt = performance.now();
      const watched = await watch(async () => {
        await client.json({ method: 'POST', path, token, body: {} });
        const wallMs = performance.now() - startedAt;
        const { user, system } = process.cpuUsage(before);
        await server.idle();
        return { wallMs, cpuMs: (user + system) / 1_000 };
      });
      const path2 = `/_matrix/client/v3/rooms/${encodeURIComponent(other.roomId)}/joined_members`;
      const { text } = await client.request({ method: 'GET', path: path2, token });
      const joined = Object.keys(JSON.parse(text).joined).length;
      if (joined !== members + 2) throw new Error(`${joined} members instead of ${members + 2}`);
      return measuresOf(members, other.answerBytes, watched);
    } finally {
      await client.stop();
      await server.stop();
      other.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

function measuresOf(
  members: number,
  answerBytes: number,
  watched: Awaited<ReturnType<typeof watch<{ wallMs: number; cpuMs: number }>>>,
): Measure[] {
  const what = `join of a room of ${members.toLocaleString('en-GB')}`;
  const { result, longestTurnMs, heapPeakMiB } = watched;
  return [
    { name: `${what}: until it is usable`, unit: 'ms', value: result.wallMs },
    {
      name: `${what}: CPU`,
      unit: 'ms',
      value: result.cpuMs,
      note: `The answer has ${(answerBytes / 1_048_576).toFixed(1)} MiB; its signatures count.`,
    },
    { name: `${what}: longest turn of the loop`, unit: 'ms', value: longestTurnMs, bound: { atMost: 50 } },
    { name: `${what}: heap and buffers at most`, unit: 'MiB', value: heapPeakMiB, bound: { atMost: 128 } },
  ];
}

interface Files {
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
}

async function writeCertificates(folder: string): Promise<Files> {
  const authority = await createAuthority(Date.now());
  const hosts = Array.from({ length: serversOfRoom }, (_, index) => `127.0.0.${index + 1}`);
  const made = await createCertificate(hosts, Date.now(), authority);
  const files = {
    authority: join(folder, 'ca.crt'),
    certificate: join(folder, 'tls.crt'),
    key: join(folder, 'tls.key'),
  };
  writeFileSync(files.authority, authority.certificate);
  writeFileSync(files.certificate, made.certificate);
  writeFileSync(files.key, made.key);
  return files;
}

async function startOther(args: readonly string[]) {
  const main = fileURLToPath(new URL('room-server.js', import.meta.url));
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await new Promise<string[]>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', (text) => resolve([text]));
    child.once('close', (code) => reject(new Error(`the other server ended with ${code}`)));
  });
  const said: { roomId: string; server: string; answerBytes: number } = JSON.parse(line ?? '');
  return { ...said, stop: () => void child.kill('SIGTERM') };
}

function startOurs(folder: string, authority: string) {
  mkdirSync(join(folder, 'data'));
  return startServer(
    configShape.parse({
      server_name: 'localhost:1',
      data_dir: join(folder, 'data'),
      signing_key: join(folder, 'signing.key'),
      database: { file: join(folder, 'data', 'lantern.db') },
      registration: 'open',
      log: { level: 'warn' },
      federation: { ca_file: authority, allow_private_addresses: true },
      listeners: [{ address: '127.0.0.1', port: 0, serves: ['client'], tls: false }],
    }),
  );
}
