import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, statSync, watch } from 'node:fs';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import type { TestUser } from './user.ts';

export interface BytesAnswer {
  status: number;
  headers: Headers;
  bytes: Buffer;
  /** Of an answer in JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: a test reads whatever the server answered
  json: any;
}

/** Any call, with bytes in both directions. `user` undefined: without a token. */
export async function callBytes(
  url: string,
  user: TestUser | undefined,
  options: { method?: string; headers?: Record<string, string>; body?: Uint8Array<ArrayBuffer> } = {},
): Promise<BytesAnswer> {
  const authorization = user ? { authorization: `Bearer ${user.accessToken}` } : {};
  const response = await fetch(url, {
    method: options.method ?? 'GET',
    headers: { ...authorization, ...options.headers },
    ...(options.body ? { body: options.body } : {}),
  });
  const bytes = Buffer.from(await response.arrayBuffer());
  const isJson = response.headers.get('content-type')?.startsWith('application/json') === true;
  const text = bytes.toString('utf8');
  return {
    status: response.status,
    headers: response.headers,
    bytes,
    json: isJson && text !== '' ? JSON.parse(text) : undefined,
  };
}

/** Resolves when the folder holds so many files, each of so many bytes at least; looks again whenever the system tells of a change in it. */
export async function untilFiles(folder: string, count: number, bytes = 0): Promise<void> {
  const isThere = (): boolean => {
    const names = readdirSync(folder);
    return (
      names.length === count &&
      names.every((name) => (statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? -1) >= bytes)
    );
  };
  const watcher = watch(folder);
  try {
    while (!isThere()) await once(watcher, 'change');
  } finally {
    watcher.close();
  }
}

/** Uploads and gives the content's address, split. */
export async function upload(
  user: TestUser,
  bytes: Uint8Array<ArrayBuffer> | string,
  { type, name }: { type?: string; name?: string } = {},
): Promise<{ server: string; id: string; uri: string }> {
  const query = name === undefined ? '' : `?filename=${encodeURIComponent(name)}`;
  const answer = await callBytes(`${user.url}/_matrix/media/v3/upload${query}`, user, {
    method: 'POST',
    body: typeof bytes === 'string' ? Buffer.from(bytes) : bytes,
    headers: type === undefined ? {} : { 'content-type': type },
  });
  if (answer.status !== 200) throw new Error(`upload: ${answer.status} ${answer.bytes}`);
  return splitMxc(answer.json.content_uri);
}

export function splitMxc(uri: string): { server: string; id: string; uri: string } {
  const [, server = '', id = ''] = /^mxc:\/\/([^/]+)\/(.+)$/.exec(uri) ?? [];
  return { server, id, uri };
}

export const downloadPath = ({ server, id }: { server: string; id: string }) =>
  `/_matrix/client/v1/media/download/${server}/${id}`;
export const thumbnailPath = ({ server, id }: { server: string; id: string }, query: string) =>
  `/_matrix/client/v1/media/thumbnail/${server}/${id}?${query}`;

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A PNG of one colour, written by hand: a few bytes for any size. */
export function pngOf(width: number, height: number, shade = 120): Buffer<ArrayBuffer> {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  // Eight bits of grey.
  header.set([8, 0, 0, 0, 0], 8);
  const row = Buffer.concat([Buffer.from([0]), Buffer.alloc(width, shade)]);
  const pixels = deflateSync(Buffer.concat(Array.from({ length: height }, () => row)));
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', pixels), chunk('IEND', Buffer.alloc(0))]);
}

/** A PNG that says it is so large and holds next to nothing. */
export function hollowPng(width: number, height: number): Buffer<ArrayBuffer> {
  const png = pngOf(1, 1);
  png.writeUInt32BE(width, 16);
  png.writeUInt32BE(height, 20);
  png.writeUInt32BE(crc32(png.subarray(12, 29)), 29);
  return png;
}

function chunk(type: string, body: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), body]);
  const whole = Buffer.alloc(named.length + 8);
  whole.writeUInt32BE(body.length, 0);
  whole.set(named, 4);
  whole.writeUInt32BE(crc32(named), named.length + 4);
  return whole;
}

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/** A GIF with as many frames, each of one colour. */
export function gifOf(width: number, height: number, frames: number): Buffer<ArrayBuffer> {
  const parts: Buffer[] = [Buffer.from('GIF89a', 'latin1')];
  const screen = Buffer.alloc(7);
  screen.writeUInt16LE(width, 0);
  screen.writeUInt16LE(height, 2);
  screen[4] = 0x80;
  parts.push(screen, Buffer.from([0, 0, 0, 255, 255, 255]));
  parts.push(Buffer.from([0x21, 0xff, 0x0b]), Buffer.from('NETSCAPE2.0', 'latin1'), Buffer.from([3, 1, 0, 0, 0]));
  for (let frame = 0; frame < frames; frame += 1) {
    parts.push(Buffer.from([0x21, 0xf9, 4, 0, 10, 0, 0, 0]));
    const image = Buffer.alloc(10);
    image[0] = 0x2c;
    image.writeUInt16LE(width, 5);
    image.writeUInt16LE(height, 7);
    parts.push(image, lzwOf(width * height, frame % 2));
  }
  parts.push(Buffer.from([0x3b]));
  return Buffer.concat(parts);
}

/** Pixels of one colour, each as a code of its own: a table that never grows because it is cleared in time. */
function lzwOf(pixels: number, colour: number): Buffer {
  const [clear, end] = [4, 5];
  const codes: number[] = [];
  for (let at = 0; at < pixels; at += 1) {
    if (at % 2 === 0) codes.push(clear);
    codes.push(colour);
  }
  codes.push(end);
  const bytes: number[] = [];
  let held = 0;
  let bits = 0;
  for (const code of codes) {
    held |= code << bits;
    bits += 3;
    while (bits >= 8) {
      bytes.push(held & 0xff);
      held >>= 8;
      bits -= 8;
    }
  }
  if (bits > 0) bytes.push(held & 0xff);
  const blocks: Buffer[] = [Buffer.from([2])];
  for (let at = 0; at < bytes.length; at += 255) {
    const block = bytes.slice(at, at + 255);
    blocks.push(Buffer.from([block.length, ...block]));
  }
  blocks.push(Buffer.from([0]));
  return Buffer.concat(blocks);
}
