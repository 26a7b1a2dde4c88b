import { createReadStream, existsSync, readdirSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callBytes, downloadPath, pngOf, sha256, splitMxc, untilFiles, upload } from '../support/media.ts';
import { TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { newUser } from './rooms-support.ts';

let server: TestServer;
let alice: TestUser;
let bob: TestUser;
const uploadMax = 200_000;

beforeAll(async () => {
  const media = { upload_max_bytes: uploadMax, user_quota_bytes: 2_000_000, pending_uploads_max: 2 };
  server = await TestServer.start({ config: { media } });
  alice = await newUser(server);
  bob = await newUser(server);
});
afterAll(() => server.stop());

const at = (path: string) => `${server.url}${path}`;
const get = (path: string, headers: Record<string, string> = {}, user: TestUser | undefined = alice) =>
  callBytes(at(path), user, { headers });
const filesOf = (folder: string) => {
  const files = join(server.folder, 'media', folder);
  return readdirSync(files, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
};
const incoming = () => join(server.folder, 'media/incoming');
const fileOf = (hash: string) => join(server.folder, 'media/files', hash.slice(0, 2), hash);
const refusal = ({ status, json }: { status: number; json: { errcode: string } }) => [status, json?.errcode];
const put = (user: TestUser, path: string, body: string) =>
  callBytes(at(path), user, { method: 'PUT', body: Buffer.from(body), headers: { 'content-type': 'text/plain' } });

describe('a quota', () => {
  it('is kept by eight uploads at once, and what they leave is there for the next', async () => {
    const small = await TestServer.start({ config: { media: { user_quota_bytes: 100_000 } } });
    const user = await newUser(small);
    const send = () =>
      callBytes(`${small.url}/_matrix/media/v3/upload`, user, { method: 'POST', body: Buffer.alloc(30_000) });
    const answers = await Promise.all(Array.from({ length: 8 }, send));
    const taken = answers.filter(({ status }) => status === 200);
    expect(taken).toHaveLength(3);
    for (const answer of answers.filter(({ status }) => status !== 200)) {
      expect([
        [429, 'M_LIMIT_EXCEEDED'],
        [403, 'M_FORBIDDEN'],
      ]).toContainEqual(refusal(answer));
    }
    expect(refusal(await send())).toEqual([403, 'M_FORBIDDEN']);
    const rest = { method: 'POST', body: Buffer.alloc(10_000) };
    expect((await callBytes(`${small.url}/_matrix/media/v3/upload`, user, rest)).status).toBe(200);
    await small.stop();
  });
});

describe('a content', () => {
  it('comes back as it was uploaded, for whoever is signed in', async () => {
    const png = pngOf(20, 20);
    const uploaded = await upload(alice, png, { type: 'image/png', name: 'a picture.png' });
    expect(uploaded).toMatchObject({ server: server.name, id: expect.stringMatching(/^[A-Za-z0-9]{32}$/) });
    const answer = await get(downloadPath(uploaded), {}, bob);
    expect([answer.status, answer.bytes.equals(png)]).toEqual([200, true]);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-type': 'image/png',
      'content-length': String(png.length),
      'content-disposition': 'inline; filename="a picture.png"',
      'content-security-policy': expect.stringContaining("sandbox; default-src 'none'"),
      'cross-origin-resource-policy': 'cross-origin',
      'x-content-type-options': 'nosniff',
      'cache-control': 'private, max-age=31536000, immutable',
      etag: `"${sha256(png)}"`,
      'access-control-allow-origin': '*',
    });
  });

  it('is for nobody who is not signed in, by no path', async () => {
    const { server: name, id } = await upload(alice, 'x');
    const own = await callBytes(at(downloadPath({ server: name, id })), undefined);
    expect(refusal(own)).toEqual([401, 'M_MISSING_TOKEN']);
    for (const version of ['v3', 'r0', 'v1']) {
      for (const path of [
        `download/${name}/${id}`,
        `download/${name}/${id}/x.png`,
        `thumbnail/${name}/${id}?width=1&height=1`,
      ]) {
        const answer = await callBytes(at(`/_matrix/media/${version}/${path}`), undefined);
        expect(refusal(answer)).toEqual([404, 'M_NOT_FOUND']);
      }
    }
  });

  it('gets the name that is asked for, in any script, and nothing that could end the header', async () => {
    const named = await upload(alice, 'x', { name: '🐔.txt' });
    const dispositionOf = async (path: string) => (await get(path)).headers.get('content-disposition');
    expect(await dispositionOf(downloadPath(named))).toBe(
      `attachment; filename="_.txt"; filename*=utf-8''%F0%9F%90%94.txt`,
    );
    expect(await dispositionOf(`${downloadPath(named)}/other.txt`)).toBe('attachment; filename="other.txt"');
    expect(await dispositionOf(`${downloadPath(named)}/${encodeURIComponent('a"\r\nX: y;\\')}`)).toBe(
      'attachment; filename="a\\"X: y;\\\\"',
    );
    expect(await dispositionOf(downloadPath(await upload(alice, 'x')))).toBe('attachment');
  });

  it.each([
    ['text/html', '<script>', 'text/html', 'attachment'],
    ['image/svg+xml', '<svg/>', 'image/svg+xml', 'attachment'],
    ['application/pdf', '%PDF-1.4', 'application/pdf', 'attachment'],
    ['Text/Plain; charset=utf-8', 'x', 'Text/Plain; charset=utf-8', 'inline'],
    ['img/png', 'x', 'img/png', 'attachment'],
    ['image/png', '<html>', 'application/octet-stream', 'attachment'],
    ['no type', 'x', 'application/octet-stream', 'attachment'],
    [undefined, 'x', 'application/octet-stream', 'attachment'],
  ])('of the type %s that holds %s is shown as %s, %s', async (type, body, served, disposition) => {
    const uploaded = await upload(alice, body, type === undefined ? {} : { type });
    const { headers } = await get(downloadPath(uploaded));
    expect([headers.get('content-type'), headers.get('content-disposition')]).toEqual([served, disposition]);
  });

  it('is not sent again to who has it, and in parts to who wants a part', async () => {
    const uploaded = await upload(alice, '0123456789');
    const path = downloadPath(uploaded);
    const etag = (await get(path)).headers.get('etag') ?? '';
    const again = await get(path, { 'if-none-match': `"other", W/${etag}` });
    expect([again.status, again.bytes.length, again.headers.get('etag')]).toEqual([304, 0, etag]);
    expect((await get(path, { 'if-none-match': '"other"' })).status).toBe(200);
    const part = async (range: string, more: Record<string, string> = {}) => {
      const { status, bytes, headers } = await get(path, { range, ...more });
      return [status, bytes.toString(), headers.get('content-range')];
    };
    expect(await part('bytes=2-4')).toEqual([206, '234', 'bytes 2-4/10']);
    expect(await part('bytes=7-')).toEqual([206, '789', 'bytes 7-9/10']);
    expect(await part('bytes=-2')).toEqual([206, '89', 'bytes 8-9/10']);
    expect(await part('bytes=5-99')).toEqual([206, '56789', 'bytes 5-9/10']);
    expect((await part('bytes=10-')).slice(0, 1)).toEqual([416]);
    for (const odd of ['bytes=4-2', 'bytes=0-1,3-4', 'lines=1-2', 'bytes=-', 'bytes=x-']) {
      expect(await part(odd)).toEqual([200, '0123456789', null]);
    }
    expect(await part('bytes=2-4', { 'if-range': '"other"' })).toEqual([200, '0123456789', null]);
    expect(await part('bytes=2-4', { 'if-range': etag })).toEqual([206, '234', 'bytes 2-4/10']);
  });

  it('is told of by HEAD without its bytes', async () => {
    const path = downloadPath(await upload(alice, '0123456789'));
    const { status, bytes, headers } = await callBytes(at(path), alice, { method: 'HEAD' });
    expect([status, bytes.length, headers.get('content-length')]).toEqual([200, 0, '10']);
  });

  it('may be empty', async () => {
    const uploaded = await upload(alice, '');
    const answer = await get(downloadPath(uploaded));
    expect([answer.status, answer.bytes.length]).toEqual([200, 0]);
  });

  it.each(['..', '%2e%2e%2f%2e%2e%2fetc%2fpasswd', 'a%2Fb', 'a%00', 'a.b', '%F0%9F%90%94', 'x'.repeat(300), 'unknown'])(
    'is not found under the id %s',
    async (id) => {
      expect(refusal(await get(`/_matrix/client/v1/media/download/${server.name}/${id}`))).toEqual(
        id === '..' ? [404, 'M_UNRECOGNIZED'] : [404, 'M_NOT_FOUND'],
      );
    },
  );

  it.each(['a%20b', '..%2f..', 'a@b', 'http:%2f%2fa'])('is not found on what is no server: %s', async (name) => {
    expect(refusal(await get(`/_matrix/client/v1/media/download/${name}/abc`))).toEqual([404, 'M_NOT_FOUND']);
  });
});

describe('an upload', () => {
  it('is kept once, however often it comes', async () => {
    const bytes = Buffer.from('the same');
    const [first, second] = [await upload(alice, bytes), await upload(bob, bytes)];
    expect(first.id).not.toBe(second.id);
    expect(filesOf('files').filter(({ name }) => name === sha256(bytes))).toHaveLength(1);
  });

  it('is refused as soon as it is too long, announced or not, and leaves nothing', async () => {
    const long = Buffer.alloc(uploadMax + 1);
    const exact = await upload(alice, Buffer.alloc(uploadMax));
    expect((await get(downloadPath(exact))).bytes.length).toBe(uploadMax);
    const announced = await callBytes(at('/_matrix/media/v3/upload'), alice, { method: 'POST', body: long });
    expect(refusal(announced)).toEqual([413, 'M_TOO_LARGE']);
    expect(await sendChunked(uploadMax + 1)).toEqual([413, 'M_TOO_LARGE']);
    expect(filesOf('incoming')).toEqual([]);
    expect(existsSync(fileOf(sha256(long)))).toBe(false);
  });

  it('of a user who has no room left is refused', async () => {
    const carol = await newUser(server);
    for (let n = 0; n < 10; n += 1) await upload(carol, Buffer.alloc(uploadMax, n));
    const answer = await callBytes(at('/_matrix/media/v3/upload'), carol, { method: 'POST', body: Buffer.from('x') });
    expect(refusal(answer)).toEqual([403, 'M_FORBIDDEN']);
    expect(await upload(bob, 'x')).toMatchObject({ server: server.name });
  });

  it('that breaks off leaves nothing', async () => {
    const before = filesOf('files').length;
    await new Promise<void>((resolve) => {
      const call = openUpload({ 'content-length': '1000' });
      call.on('error', () => resolve());
      call.write('half of it');
      void untilFiles(incoming(), 1).then(() => call.destroy());
    });
    await untilFiles(incoming(), 0);
    expect(filesOf('files').length).toBe(before);
  });

  it('that stalls is ended by the clock', async () => {
    const answered = new Promise<number>((resolve) => {
      const call = openUpload({ 'content-length': '1000' });
      call.on('error', () => resolve(0)).on('response', (response) => resolve(response.statusCode ?? 0));
      call.write('half of it');
    });
    await untilFiles(incoming(), 1, 'half of it'.length);
    await server.clock.untilTimerIn(60_000);
    await server.clock.advance(60_000);
    expect(await answered).toBe(408);
    await untilFiles(incoming(), 0);
  });

  it('comes by the older paths too', async () => {
    const file = new URL('../../package-lock.json', import.meta.url);
    const chunks = await createReadStream(file, { end: 99_999 }).toArray();
    const body = Buffer.concat(chunks);
    const { json } = await callBytes(at('/_matrix/media/r0/upload'), alice, { method: 'POST', body });
    const uploaded = splitMxc(json.content_uri);
    expect((await get(downloadPath(uploaded))).bytes.length).toBe(100_000);
  });

  it('says in the configuration how much it may be', async () => {
    for (const path of ['/_matrix/client/v1/media/config', '/_matrix/media/v3/config', '/_matrix/media/r0/config']) {
      expect((await get(path)).json).toEqual({ 'm.upload.size': uploadMax });
    }
  });
});

describe('an address without content', () => {
  const create = async (user: TestUser) => {
    const body = await user.ok('POST', '/_matrix/media/v1/create');
    expect(body.unused_expires_at).toBe(server.clock.now() + 24 * 60 * 60_000);
    const { server: name, id } = splitMxc(body.content_uri);
    return { server: name, id, path: `/_matrix/media/v3/upload/${name}/${id}` };
  };

  it('gets it once, from who created it', async () => {
    const created = await create(alice);
    expect(refusal(await put(bob, created.path, 'his'))).toEqual([403, 'M_FORBIDDEN']);
    expect((await put(alice, created.path, 'hers')).json).toEqual({});
    expect((await get(downloadPath(created))).bytes.toString()).toBe('hers');
    expect(refusal(await put(alice, created.path, 'more'))).toEqual([409, 'M_CANNOT_OVERWRITE_MEDIA']);
    expect((await get(downloadPath(created))).bytes.toString()).toBe('hers');
  });

  it('gets one of two contents that come at once', async () => {
    const created = await create(alice);
    const answers = await Promise.all([put(alice, created.path, 'one'), put(alice, created.path, 'two')]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
    const kept = (await get(downloadPath(created))).bytes.toString();
    expect(kept).toBe(answers[0].status === 200 ? 'one' : 'two');
  });

  it('is waited for as long as the caller wants', async () => {
    const created = await create(alice);
    const path = `${downloadPath(created)}?timeout_ms=5000`;
    const early = get(path);
    const content = get(`${downloadPath(created)}?timeout_ms=60000`);
    await Promise.all([server.clock.untilTimerIn(5_000), server.clock.untilTimerIn(60_000)]);
    await server.clock.advance(5_000);
    expect(refusal(await early)).toEqual([504, 'M_NOT_YET_UPLOADED']);
    await put(alice, created.path, 'late');
    expect((await content).bytes.toString()).toBe('late');
    const pending = await create(alice);
    expect(refusal(await get(`${downloadPath(pending)}?timeout_ms=0`))).toEqual([504, 'M_NOT_YET_UPLOADED']);
    await put(alice, pending.path, 'x');
  });

  it('expires', async () => {
    const created = await create(alice);
    await server.clock.advance(24 * 60 * 60_000 + 1);
    expect(refusal(await put(alice, created.path, 'x'))).toEqual([404, 'M_NOT_FOUND']);
    expect(refusal(await get(downloadPath(created)))).toEqual([404, 'M_NOT_FOUND']);
    await server.settle();
    expect(refusal(await put(alice, created.path, 'x'))).toEqual([404, 'M_NOT_FOUND']);
  });

  it('is one of a few that a user may hold', async () => {
    const dora = await newUser(server);
    const first = await create(dora);
    await create(dora);
    expect(await dora.call('POST', '/_matrix/media/v1/create')).toMatchObject({
      status: 429,
      body: { errcode: 'M_LIMIT_EXCEEDED' },
    });
    await put(dora, first.path, 'x');
    await create(dora);
  });

  it('must have been created here', async () => {
    for (const path of [`${server.name}/unknown`, `b.test/unknown`, `${server.name}/a.b`]) {
      expect(refusal(await put(alice, `/_matrix/media/v3/upload/${path}`, 'x'))).toEqual([404, 'M_NOT_FOUND']);
    }
  });
});

function openUpload(headers: Record<string, string>) {
  return request(at('/_matrix/media/v3/upload'), {
    method: 'POST',
    headers: { authorization: `Bearer ${alice.accessToken}`, ...headers },
  });
}

function sendChunked(length: number): Promise<[number, string]> {
  return new Promise((resolve, reject) => {
    const call = openUpload({ 'transfer-encoding': 'chunked' });
    call.on('error', reject);
    call.on('response', async (response) => {
      const chunks = await Readable.from(response).toArray();
      resolve([response.statusCode ?? 0, JSON.parse(Buffer.concat(chunks).toString()).errcode]);
    });
    for (let sent = 0; sent < length; sent += 50_000) call.write(Buffer.alloc(Math.min(50_000, length - sent)));
    call.end();
  });
}
