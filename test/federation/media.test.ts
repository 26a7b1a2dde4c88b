import { readdirSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ServerName } from '../../src/matrix/server-name.ts';
import { buildAuthorization } from '../../src/signing/request-auth.ts';
import { HostileServer } from '../support/hostile-server.ts';
import { callBytes, downloadPath, pngOf, sha256, splitMxc, thumbnailPath, upload } from '../support/media.ts';
import { settle, TestServer, testIdentity } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';

let a: TestServer;
let b: TestServer;
let alice: TestUser;
let bob: TestUser;
/** Another server, played by the test. */
let third: HostileServer;

beforeAll(async () => {
  a = await TestServer.start();
  b = await TestServer.start({
    clock: a.clock,
    config: { media: { remote_max_bytes: 100_000, remote_cache_bytes: 150_000 } },
  });
  alice = await a.register('alice');
  bob = await b.register('bob');
  third = await HostileServer.start(a.clock.now());
});
afterAll(async () => {
  await third.stop();
  await a.stop();
  await b.stop();
});

const refusal = ({ status, json }: { status: number; json: { errcode: string } }) => [status, json?.errcode];
const get = (user: TestUser, path: string) => callBytes(`${user.url}${path}`, user);
const keptBy = (server: TestServer) =>
  readdirSync(join(server.folder, 'media/files'), { recursive: true })
    .map(String)
    .filter((name) => name.includes('/'));
const isKept = (server: TestServer, bytes: Uint8Array) => keptBy(server).some((name) => name.endsWith(sha256(bytes)));

/** A request that the third server signs, for bytes. */
async function ask(
  server: TestServer,
  path: string,
  sign = true,
): Promise<{ status: number; type: string; bytes: Buffer }> {
  const uri = `/_matrix/federation/v1/media/${path}`;
  const destination = server.name as ServerName;
  const signed = { method: 'GET', uri, origin: third.name, destination, content: undefined };
  const headers = sign ? { authorization: buildAuthorization(signed, third.signer) } : {};
  const [host, port] = server.name.split(':');
  const ca = (await testIdentity()).authority.certificate;
  return new Promise((resolve, reject) => {
    const call = request({ host, port, path: uri, ca, headers }, async (response) => {
      const bytes = Buffer.concat(await response.toArray());
      resolve({ status: response.statusCode ?? 0, type: String(response.headers['content-type']), bytes });
    });
    call.on('error', reject).end();
  });
}

/** The second part, by its boundary alone. */
function secondPart({ type, bytes }: { type: string; bytes: Buffer }): { head: string; body: Buffer } {
  const boundary = /^multipart\/mixed; boundary=(\w+)$/.exec(type)?.[1];
  const text = bytes.toString('latin1');
  expect(text.startsWith(`--${boundary}\r\nContent-Type: application/json\r\n\r\n{}\r\n--${boundary}\r\n`)).toBe(true);
  expect(text.endsWith(`\r\n--${boundary}--\r\n`)).toBe(true);
  const part = text.split(`--${boundary}`)[2] ?? '';
  const [head = ''] = part.split('\r\n\r\n');
  return { head, body: Buffer.from(part.slice(head.length + 4, -2), 'latin1') };
}

describe('a content of another server', () => {
  it('is fetched once for all who ask, with its type and its name, and kept', async () => {
    const png = pngOf(40, 40);
    const uploaded = await upload(alice, png, { type: 'image/png', name: '☕ cup.png' });
    const answers = await Promise.all(Array.from({ length: 5 }, () => get(bob, downloadPath(uploaded))));
    for (const { status, headers, bytes } of answers) {
      expect([status, bytes.equals(png), headers.get('content-type')]).toEqual([200, true, 'image/png']);
      expect(headers.get('content-disposition')).toContain("filename*=utf-8''%E2%98%95%20cup.png");
    }
    expect(isKept(b, png)).toBe(true);
  });

  it('is made smaller here', async () => {
    const uploaded = await upload(alice, pngOf(1_000, 500), { type: 'image/png' });
    const { status, headers, bytes } = await get(bob, thumbnailPath(uploaded, 'width=320&height=240&method=scale'));
    expect([status, headers.get('content-type')]).toEqual([200, 'image/png']);
    expect([bytes.readUInt32BE(16), bytes.readUInt32BE(20)]).toEqual([320, 160]);
  });

  it('is not there where it is not, and that is remembered for a minute', async () => {
    const nothing = { server: third.name, id: 'nothing' };
    const before = third.asked('media').length;
    expect(refusal(await get(bob, downloadPath(nothing)))).toEqual([404, 'M_NOT_FOUND']);
    expect(refusal(await get(bob, downloadPath(nothing)))).toEqual([404, 'M_NOT_FOUND']);
    expect(third.asked('media').length - before).toBe(1);
    await b.clock.advance(60_001);
    await get(bob, downloadPath(nothing));
    expect(third.asked('media').length - before).toBe(2);
  });

  it('that is awaited there is waited for there', async () => {
    const created = await alice.ok('POST', '/_matrix/media/v1/create');
    const address = splitMxc(created.content_uri);
    const answer = await get(bob, `${downloadPath(address)}?timeout_ms=0`);
    expect(refusal(answer)).toEqual([504, 'M_NOT_YET_UPLOADED']);
    await callBytes(`${a.url}/_matrix/media/v3/upload/${address.server}/${address.id}`, alice, {
      method: 'PUT',
      body: Buffer.from('late'),
    });
    expect((await get(bob, `${downloadPath(address)}?timeout_ms=0`)).bytes.toString()).toBe('late');
  });

  it('that is too large here is refused, and nothing of it stays', async () => {
    const large = Buffer.alloc(100_001, 7);
    const uploaded = await upload(alice, large);
    expect(refusal(await get(bob, downloadPath(uploaded)))).toEqual([502, 'M_TOO_LARGE']);
    expect(isKept(b, large)).toBe(false);
    const exact = await upload(alice, Buffer.alloc(100_000, 7));
    expect((await get(bob, downloadPath(exact))).bytes.length).toBe(100_000);
  });

  it('makes room for others when there are too many, the one that was not used for the longest first', async () => {
    const [first, second] = [Buffer.alloc(90_000, 1), Buffer.alloc(90_000, 2)];
    await get(bob, downloadPath(await upload(alice, first)));
    await b.clock.advance(1_000);
    expect(isKept(b, first)).toBe(true);
    await get(bob, downloadPath(await upload(alice, second)));
    await settle(b);
    expect([isKept(b, first), isKept(b, second)]).toEqual([false, true]);
    // What our own users uploaded is never given up.
    expect(isKept(a, first)).toBe(true);
  });

  it('goes when nobody has used it for long, and comes again', async () => {
    const bytes = Buffer.from('seldom');
    const uploaded = await upload(alice, bytes);
    await get(bob, downloadPath(uploaded));
    const dayMs = 24 * 60 * 60_000;
    await b.clock.advance(80 * dayMs);
    await settle(b);
    await get(bob, downloadPath(uploaded));
    await b.clock.advance(80 * dayMs);
    await settle(b);
    expect(isKept(b, bytes)).toBe(true);
    await b.clock.advance(11 * dayMs);
    await settle(b);
    expect(isKept(b, bytes)).toBe(false);
    expect((await get(bob, downloadPath(uploaded))).bytes.toString()).toBe('seldom');
  });
});

describe('another server', () => {
  beforeAll(async () => {
    await third.stop();
    // So much time has passed that the keys of the old one have ended.
    third = await HostileServer.start(a.clock.now());
  });

  it('gets what our users uploaded, in two parts', async () => {
    const { id } = await upload(alice, 'for all', { type: 'text/plain', name: 'a.txt' });
    const answer = await ask(a, `download/${id}`);
    expect(answer.status).toBe(200);
    const { head, body } = secondPart(answer);
    expect(head).toContain('Content-Type: text/plain\r\nContent-Disposition: inline; filename="a.txt"');
    expect(body.toString()).toBe('for all');
  });

  it('gets a thumbnail, the very bytes that a user gets', async () => {
    const uploaded = await upload(alice, pngOf(500, 500), { type: 'image/png' });
    const query = 'width=32&height=32&method=crop';
    const { bytes } = await get(alice, thumbnailPath(uploaded, query));
    const { head, body } = secondPart(await ask(a, `thumbnail/${uploaded.id}?${query}`));
    expect([head.includes('Content-Type: image/png'), body.equals(bytes)]).toEqual([true, true]);
  });

  it('gets nothing without a signature, nothing that is not there, and nothing that we have from others', async () => {
    const uploaded = await upload(alice, 'only from its home');
    expect((await ask(a, `download/${uploaded.id}`, false)).status).toBe(401);
    await get(bob, downloadPath(uploaded));
    expect((await ask(b, `download/${uploaded.id}`)).status).toBe(404);
    expect((await ask(b, 'download/..%2f..%2fx')).status).toBe(404);
    expect((await ask(b, `thumbnail/${uploaded.id}?width=1&height=1`)).status).toBe(404);
  });
});

describe('a server that gives media to whoever knows the address', () => {
  it('asks for no token on the older paths alone, and fetches for strangers what they do not decline', async () => {
    const open = await TestServer.start({ clock: a.clock, config: { media: { unauthenticated: true } } });
    const stranger = (path: string) => callBytes(`${open.url}${path}`, undefined);
    const older = ({ server, id }: { server: string; id: string }, kind = 'download') =>
      `/_matrix/media/v3/${kind}/${server}/${id}`;
    const picture = pngOf(120, 120);
    const own = await upload(await open.register('own'), picture, { type: 'image/png' });
    const given = await stranger(older(own));
    expect([given.status, given.bytes.equals(picture)]).toEqual([200, true]);
    expect(given.headers.get('content-security-policy')).toContain('sandbox');
    expect((await stranger(`${older(own)}/x.png`)).status).toBe(200);
    expect((await stranger(`${older(own, 'thumbnail')}?width=32&height=32&method=crop`)).status).toBe(200);
    expect(refusal(await stranger(downloadPath(own)))).toEqual([401, 'M_MISSING_TOKEN']);
    expect(refusal(await stranger(thumbnailPath(own, 'width=32&height=32')))).toEqual([401, 'M_MISSING_TOKEN']);

    const remote = await upload(alice, 'of another server');
    expect(refusal(await stranger(`${older(remote)}?allow_remote=false`))).toEqual([404, 'M_NOT_FOUND']);
    expect(isKept(open, Buffer.from('of another server'))).toBe(false);
    expect((await stranger(older(remote))).bytes.toString()).toBe('of another server');
    expect((await stranger(`${older(remote)}?allow_remote=false`)).status).toBe(200);
    await open.stop();
  });
});

describe('a restart', () => {
  it('keeps what was uploaded and what was fetched', async () => {
    const [own, theirs] = [await upload(bob, 'own'), await upload(alice, 'theirs')];
    await get(bob, downloadPath(theirs));
    b = await b.restart();
    bob.url = b.url;
    expect((await get(bob, downloadPath(own))).bytes.toString()).toBe('own');
    expect((await get(bob, downloadPath(theirs))).bytes.toString()).toBe('theirs');
  });
});
