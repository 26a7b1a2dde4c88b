import { spawn } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pinned, pinThisProcess, serverCore } from '../support/cores.ts';
import { LoadClient } from '../support/load-client.ts';
import type { Measure } from '../support/report.ts';
import type { BenchPart } from '../support/run.ts';
import { ServerProcess } from '../support/server-process.ts';

const mebibyte = 1024 * 1024;
const fileMiB = 100;
const rounds = 5;
/** A slow reader and a fast one, an upload and a download at once: what is in memory must not grow with any of it. */
const atOnce = 4;
const growthMiBMax = 48;

/** Files of 100 MB, in and out: how fast beside a bare server that does the same, and how much memory. */
export const largeFilesPart: BenchPart = {
  name: 'files of 100 MB',
  run: async () => {
    pinThisProcess();
    const bare = await BareServer.start();
    const server = await ServerProcess.start({
      config: { presence: { enabled: false }, media: { upload_max_bytes: fileMiB * mebibyte } },
    });
    try {
      return await measure(server, bare);
    } finally {
      await server.stop();
      await bare.stop();
    }
  },
};

async function measure(server: ServerProcess, bare: BareServer): Promise<Measure[]> {
  const client = new LoadClient(server.clientUrl);
  const { token } = await client.register('alice');
  await client.stop();
  const upload = (size = fileMiB) =>
    send({ url: `${server.clientUrl}/_matrix/media/v3/upload`, method: 'POST', token, sizeMiB: size });
  const pathOf = ({ text }: { text: string }) =>
    String(JSON.parse(text).content_uri).replace('mxc://', '/_matrix/client/v1/media/download/');
  const download = (path: string) => send({ url: `${server.clientUrl}${path}`, method: 'GET', token });
  let path = pathOf(await upload(1));
  await download(path);
  await send({ url: bare.url, method: 'POST', sizeMiB: 1 });
  const before = server.usage().rssMiB;
  const rates = { in: [] as number[], bareIn: [] as number[], out: [] as number[], bareOut: [] as number[] };
  for (let round = 0; round < rounds; round += 1) {
    const uploaded = await upload();
    rates.in.push(uploaded.mebibytesPerSecond);
    rates.bareIn.push((await send({ url: bare.url, method: 'POST', sizeMiB: fileMiB })).mebibytesPerSecond);
    path = pathOf(uploaded);
    rates.out.push((await download(path)).mebibytesPerSecond);
    rates.bareOut.push((await send({ url: bare.url, method: 'GET' })).mebibytesPerSecond);
  }
  await Promise.all(Array.from({ length: atOnce }, () => upload()));
  await Promise.all(Array.from({ length: atOnce }, () => download(path)));
  const grown = server.usage().rssPeakMiB - before;
  const share = { shareOfLimit: 0.6 };
  return [
    {
      name: 'upload',
      unit: 'MiB/s',
      value: median(rates.in),
      limit: { what: 'node:http, sha256, fsync', value: median(rates.bareIn) },
      bound: share,
    },
    {
      name: 'download',
      unit: 'MiB/s',
      value: median(rates.out),
      limit: { what: 'node:http, fs', value: median(rates.bareOut) },
      bound: share,
    },
    {
      name: 'memory that they took at most',
      unit: 'MiB',
      value: grown,
      bound: { atMost: growthMiBMax },
      note: `${atOnce} of them at once`,
    },
  ];
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

interface Sending {
  readonly url: string;
  readonly method: 'GET' | 'POST';
  readonly token?: string;
  readonly sizeMiB?: number;
}

/** Sends as much, each time other bytes, or takes what comes; none of it is kept. */
function send({ url, method, token, sizeMiB = 0 }: Sending): Promise<{ text: string; mebibytesPerSecond: number }> {
  const piece = randomFillSync(Buffer.alloc(mebibyte));
  const startedAt = performance.now();
  return new Promise((resolve, reject) => {
    const headers = { ...(token ? { authorization: `Bearer ${token}` } : {}), 'content-length': sizeMiB * mebibyte };
    const call = request(url, { method, headers }, (response) => {
      let bytes = 0;
      let text = '';
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes < 1_000) text += chunk.toString('latin1');
      });
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode !== 200) return reject(new Error(`${method} ${url}: ${response.statusCode} ${text}`));
        const seconds = (performance.now() - startedAt) / 1_000;
        resolve({ text, mebibytesPerSecond: (method === 'POST' ? sizeMiB : bytes / mebibyte) / seconds });
      });
    });
    call.on('error', reject);
    let left = sizeMiB;
    const write = (): void => {
      while (left > 0) {
        left -= 1;
        piece.writeUInt32LE(left, 0);
        if (!call.write(Buffer.from(piece)) && left > 0) return void call.once('drain', write);
      }
      call.end();
    };
    write();
  });
}

class BareServer {
  readonly url: string;
  readonly #end: () => Promise<void>;

  private constructor(url: string, end: () => Promise<void>) {
    this.url = url;
    this.#end = end;
  }

  static async start(): Promise<BareServer> {
    const folder = mkdtempSync(join(tmpdir(), 'lantern-bench-'));
    const program = fileURLToPath(new URL('bare-file-server.js', import.meta.url));
    const [command = '', ...args] = pinned([process.execPath, program, folder], serverCore);
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = new Promise((resolve) => child.once('close', resolve));
    const port = await new Promise<string>((resolve, reject) => {
      child.stdout.once('data', (chunk: Buffer) => resolve(/port (\d+)/.exec(chunk.toString())?.[1] ?? ''));
      child.once('close', () => reject(new Error('the bare server ended')));
    });
    return new BareServer(`http://127.0.0.1:${port}/`, async () => {
      child.kill('SIGTERM');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    });
  }

  stop(): Promise<void> {
    return this.#end();
  }
}
