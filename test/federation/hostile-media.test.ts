import { readdirSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { HostileReply, HostileServer, HostileStream } from '../support/hostile-server.ts';
import { type BytesAnswer, callBytes, downloadPath, untilFiles } from '../support/media.ts';
import { TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';

let server: TestServer;
let alice: TestUser;
let stub: HostileServer;
let ids = 0;

beforeAll(async () => {
  server = await TestServer.start({ config: { media: { remote_max_bytes: 50_000 } } });
  alice = await server.register('alice');
});
beforeEach(async () => {
  // One that has failed before would be left alone for a while.
  stub = await HostileServer.start(server.clock.now());
  return () => stub.stop();
});
afterAll(() => server.stop());

const refusal = ({ status, json }: BytesAnswer) => [status, json?.errcode];
const notFound = [404, 'M_NOT_FOUND'];
const tooLarge = [502, 'M_TOO_LARGE'];
const fetchIt = (id = `media${++ids}`) => callBytes(`${server.url}${downloadPath({ server: stub.name, id })}`, alice);
const incoming = () => join(server.folder, 'media/incoming');
const files = () =>
  readdirSync(join(server.folder, 'media/files'), { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );

const mixed = { 'content-type': 'multipart/mixed; boundary=b' };
const head = '--b\r\nContent-Type: application/json\r\n\r\n{}\r\n--b\r\n';
const serve = (write: (response: ServerResponse) => void) => stub.on('media', () => new HostileStream(write));
const serveText = (text: string, headers: Record<string, string> = mixed) =>
  serve((response) => response.writeHead(200, headers).end(text));

async function expectNothingLeft(before: number): Promise<void> {
  await server.settle();
  expect(readdirSync(incoming())).toEqual([]);
  expect(files().length).toBe(before);
}

describe('what another server answers', () => {
  it('is taken where it is as the specification says', async () => {
    serveText(`${head}Content-Type: text/plain\r\nContent-Disposition: inline; filename="x.txt"\r\n\r\nhello\r\n--b--`);
    const { status, bytes, headers } = await fetchIt();
    expect([status, bytes.toString(), headers.get('content-type')]).toEqual([200, 'hello', 'text/plain']);
    expect(headers.get('content-disposition')).toBe('inline; filename="x.txt"');
    expect(stub.asked('media').at(-1)?.query.get('timeout_ms')).toBe('20000');
  });

  it.each([
    ['no parts', 'x'],
    ['one part', '--b\r\n\r\n{}\r\n--b--'],
    ['metadata without end', `--b\r\n\r\n${'x'.repeat(200_000)}`],
    ['a second part without end', `${head}\r\nhello`],
    ['a header without end', `${head}X: ${'x'.repeat(100_000)}`],
    ['a broken header', `${head}nothing\r\n\r\nx\r\n--b--`],
  ])('is refused with %s, and leaves nothing', async (_what, text) => {
    const before = files().length;
    serveText(text);
    expect(refusal(await fetchIt())).toEqual(notFound);
    await expectNothingLeft(before);
  });

  it('is never trusted in what would end our own header, or in what it is', async () => {
    serveText(
      `${head}Content-Type: text/html; x="\u0001"\r\nContent-Disposition: inline; filename*=utf-8''a%0d%0aX%3a1\r\n\r\n<script>\r\n--b--`,
    );
    const { headers } = await fetchIt();
    expect(headers.get('content-type')).toBe('application/octet-stream');
    expect(headers.get('content-disposition')).toBe('attachment; filename="aX:1"');
  });

  it('is cut off where it is too long, and where it says so it is not even begun', async () => {
    const before = files().length;
    let closed: Promise<void> = Promise.resolve();
    serve((response) => {
      closed = new Promise((resolve) => response.once('close', resolve));
      response.writeHead(200, mixed).write(`${head}\r\n`);
      const more = (): void => {
        if (!response.destroyed) response.write('x'.repeat(10_000), () => setImmediate(more));
      };
      more();
    });
    expect(refusal(await fetchIt())).toEqual(tooLarge);
    await closed;
    serve((response) => {
      closed = new Promise((resolve) => response.once('close', resolve));
      response.writeHead(200, { ...mixed, 'content-length': '1000000000' }).write(`${head}\r\nx`);
    });
    expect(refusal(await fetchIt())).toEqual(tooLarge);
    await closed;
    await expectNothingLeft(before);
  });

  it('is ended when nothing more comes', async () => {
    const before = files().length;
    let begun: () => void = () => {};
    const written = new Promise<void>((resolve) => {
      begun = resolve;
    });
    serve((response) => void response.writeHead(200, mixed).write(`${head}\r\n${'half '.repeat(20)}`, begun));
    const answer = fetchIt();
    await written;
    await untilFiles(incoming(), 1, 'half'.length);
    await server.clock.untilTimerIn(30_000);
    await server.clock.advance(30_000);
    expect(refusal(await answer)).toEqual(notFound);
    await expectNothingLeft(before);
  });

  it('is refused where it breaks off, also when its length was announced', async () => {
    const before = files().length;
    serve((response) => {
      response.writeHead(200, { ...mixed, 'content-length': '500' }).write(`${head}\r\nhalf`);
      void untilFiles(incoming(), 1).then(() => response.destroy());
    });
    expect(refusal(await fetchIt())).toEqual(notFound);
    await expectNothingLeft(before);
  });

  it.each([
    [403, { errcode: 'M_FORBIDDEN' }, notFound],
    [404, { errcode: 'M_NOT_FOUND' }, notFound],
    [500, { errcode: 'M_UNKNOWN' }, notFound],
    [413, { errcode: 'M_TOO_LARGE' }, tooLarge],
    [502, { errcode: 'M_TOO_LARGE' }, tooLarge],
    [504, { errcode: 'M_NOT_YET_UPLOADED' }, [504, 'M_NOT_YET_UPLOADED']],
    [302, {}, notFound],
  ])('with the status %i and %j is told as what it is', async (status, body, expected) => {
    stub.on('media', () => new HostileReply(status, body));
    expect(refusal(await fetchIt())).toEqual(expected);
    expect(stub.asked('download')).toEqual([]);
  });
});

describe('a server that does not know the signed endpoint', () => {
  it.each([
    [404, '{"errcode":"M_UNRECOGNIZED"}'],
    [405, '{"errcode":"M_UNRECOGNIZED"}'],
    [404, '<html>'],
    [400, 'what?'],
  ])('and says so by %i %s is asked by the older one, for nothing of others', async (status, text) => {
    stub.on('media', () => new HostileReply(status, text));
    stub.on(
      'download',
      () => new HostileStream((response) => response.writeHead(200, { 'content-type': 'text/plain' }).end('old')),
    );
    const { bytes, headers } = await fetchIt('old_one');
    expect([bytes.toString(), headers.get('content-type')]).toEqual(['old', 'text/plain']);
    const [asked] = stub.asked('download');
    expect([asked?.version, asked?.rest, asked?.query.get('allow_remote')]).toEqual([
      'v3',
      [stub.name, 'old_one'],
      'false',
    ]);
  });

  it('or answers it with the content itself is understood', async () => {
    serveText('plainly', { 'content-type': 'text/plain' });
    expect((await fetchIt()).bytes.toString()).toBe('plainly');
  });
});

describe('a content that is kept elsewhere', () => {
  const elsewhere = (location: string) => serveText(`${head}Location: ${location}\r\n\r\n\r\n--b--`);

  it('is fetched there', async () => {
    const cdn = await HostileServer.start(server.clock.now());
    cdn.on(
      'file',
      () => new HostileStream((response) => response.writeHead(200, { 'content-type': 'text/plain' }).end('there')),
    );
    elsewhere(`https://${cdn.name}/_matrix/cdn/v1/file`);
    expect((await fetchIt()).bytes.toString()).toBe('there');
    cdn.on(
      'file',
      () => new HostileStream((response) => response.writeHead(302, { location: '/_matrix/cdn/v1/next' }).end()),
    );
    cdn.on('next', () => new HostileStream((response) => response.writeHead(200).end('next')));
    expect((await fetchIt()).bytes.toString()).toBe('next');
    cdn.on(
      'file',
      () => new HostileStream((response) => response.writeHead(302, { location: '/_matrix/cdn/v1/file' }).end()),
    );
    expect(refusal(await fetchIt())).toEqual(notFound);
    expect(cdn.asked('file').length).toBeLessThan(10);
    await cdn.stop();
  });

  it.each([
    'http://127.0.0.1/x',
    'file:///etc/passwd',
    'ftp://a.test/x',
    'https://user:secret@a.test/',
    'nonsense',
    '',
  ])('is not fetched from %s', async (location) => {
    elsewhere(location);
    expect(refusal(await fetchIt())).toEqual(notFound);
  });
});

describe('a server that may not reach private addresses', () => {
  it('does not, whatever another server or a caller names', async () => {
    const guarded = await TestServer.start({ config: { federation: { allow_private_addresses: false } } });
    const user = await guarded.register('user');
    for (const name of [stub.name, '127.0.0.1:22', '[::1]:8448', '10.0.0.1', '169.254.169.254']) {
      const answer = await callBytes(`${guarded.url}${downloadPath({ server: name, id: 'x' })}`, user);
      expect(refusal(answer)).toEqual(notFound);
    }
    expect(stub.requests).toEqual([]);
    await guarded.stop();
  });
});
