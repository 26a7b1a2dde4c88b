import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { callBytes, downloadPath, pngOf, splitMxc } from '../support/media.ts';
import { TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { newUser } from './rooms-support.ts';

let server: TestServer;
let alice: TestUser;
let web: Server;
let base: string;
let asked: string[];
let answer: (request: IncomingMessage, response: ServerResponse) => void;

beforeAll(async () => {
  const media = { url_previews: true, url_previews_of_private_addresses: true };
  server = await TestServer.start({ config: { media } });
  alice = await newUser(server);
  web = createServer((request, response) => {
    asked.push(request.url ?? '');
    answer(request, response);
  });
  await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
});
beforeEach(() => {
  asked = [];
  // Another address each time, since answers are kept.
  pages += 1;
  base = `http://127.0.0.1:${(web.address() as AddressInfo).port}/${pages}`;
});
afterAll(async () => {
  web.closeAllConnections();
  web.close();
  await server.stop();
});
let pages = 0;

const html = { 'content-type': 'text/html; charset=utf-8' };
const preview = (url: string, user = alice, at = server.url) =>
  callBytes(`${at}/_matrix/client/v1/media/preview_url?url=${encodeURIComponent(url)}`, user);
const refusal = ({ status, json }: { status: number; json: { errcode: string } }) => [status, json?.errcode];
const serve = (pagesByEnd: Record<string, { body: string | Buffer; type?: string; location?: string }>) => {
  answer = ({ url = '' }, response) => {
    const page = Object.entries(pagesByEnd).find(([end]) => url.endsWith(end))?.[1];
    if (page === undefined) response.writeHead(404).end();
    else if (page.location) response.writeHead(302, { location: page.location }).end();
    else response.writeHead(200, { 'content-type': page.type ?? html['content-type'] }).end(page.body);
  };
};

describe('a preview', () => {
  it('is what the page says of itself, with its picture as media of this server', async () => {
    const png = pngOf(30, 20);
    serve({
      '/page': {
        body: '<head><meta property="og:title" content="Title"><meta property="og:image" content="img.png"></head>',
      },
      '/img.png': { body: png, type: 'image/png' },
    });
    const { json } = await preview(`${base}/page#part`);
    expect(json).toEqual({
      'og:title': 'Title',
      'og:image': expect.stringMatching(`^mxc://${server.name}/`),
      'og:image:type': 'image/png',
      'og:image:width': 30,
      'og:image:height': 20,
      'matrix:image:size': png.length,
    });
    const picture = await callBytes(`${server.url}${downloadPath(splitMxc(json['og:image']))}`, alice);
    expect(picture.bytes.equals(png)).toBe(true);
  });

  it('is fetched once within the hour, for all who ask', async () => {
    serve({ '/page': { body: '<title>Once</title>' } });
    const answers = await Promise.all([preview(`${base}/page`), preview(`${base}/page`)]);
    expect(answers.map(({ json }) => json)).toEqual([{ 'og:title': 'Once' }, { 'og:title': 'Once' }]);
    await preview(`${base}/page`);
    expect(asked).toHaveLength(1);
    await server.clock.advance(60 * 60_000 + 1);
    await preview(`${base}/page`);
    expect(asked).toHaveLength(2);
  });

  it('follows redirects, a few of them', async () => {
    serve({ '/start': { body: '', location: `${base}/page` }, '/page': { body: '<title>There</title>' } });
    expect((await preview(`${base}/start`)).json).toEqual({ 'og:title': 'There' });
    serve({ '/loop': { body: '', location: `${base}/loop` } });
    expect(refusal(await preview(`${base}/loop`))).toEqual([404, 'M_NOT_FOUND']);
    expect(asked.length).toBeLessThan(12);
  });

  it('is of a picture itself too', async () => {
    serve({ '/a.png': { body: pngOf(5, 5), type: 'image/png' } });
    expect((await preview(`${base}/a.png`)).json).toMatchObject({ 'og:image:width': 5, 'og:image:type': 'image/png' });
  });

  it('goes without a picture that is none or is not there', async () => {
    const body = '<title>A</title><meta property="og:image" content="img">';
    serve({ '/page': { body }, '/img': { body: '<svg/>', type: 'image/svg+xml' } });
    expect((await preview(`${base}/page`)).json).toEqual({ 'og:title': 'A' });
    serve({ '/page2': { body } });
    expect((await preview(`${base}/page2`)).json).toEqual({ 'og:title': 'A' });
  });

  it('of an endless page is made of its beginning', async () => {
    let closed: Promise<void> = Promise.resolve();
    answer = (_request, response) => {
      closed = new Promise((resolve) => response.once('close', resolve));
      response.writeHead(200, html).write('<title>Endless</title><p>');
      const more = (): void => {
        if (!response.destroyed) response.write('x'.repeat(50_000), () => setImmediate(more));
      };
      more();
    };
    expect((await preview(`${base}/page`)).json).toEqual({ 'og:title': 'Endless' });
    await closed;
  });

  it('of something else there is not', async () => {
    serve({ '/page': { body: 'x', type: 'application/zip' } });
    expect(refusal(await preview(`${base}/page`))).toEqual([404, 'M_NOT_FOUND']);
    expect(refusal(await preview(`${base}/nothing`))).toEqual([404, 'M_NOT_FOUND']);
  });

  it.each([
    '',
    'x',
    'ftp://a.test/',
    'file:///etc/passwd',
    'http://user:password@a.test/',
    'javascript:alert(1)',
    `http://a.test/${'x'.repeat(5_000)}`,
  ])('is never of %s', async (url) => {
    expect(refusal(await preview(url))).toEqual([400, 'M_INVALID_PARAM']);
  });
});

describe('a server that previews public pages alone', () => {
  it('reaches nothing private, neither named nor by a redirect, an address in another form, or a picture', async () => {
    const media = { url_previews: true };
    const guarded = await TestServer.start({ config: { media } });
    const user = await guarded.register('user');
    serve({ '': { body: '<title>Secret</title>' } });
    const { port } = web.address() as AddressInfo;
    for (const host of ['127.0.0.1', 'localhost', '[::1]', '2130706433', '0x7f.1', '[::ffff:127.0.0.1]', '0.0.0.0']) {
      const { status, json } = await preview(`http://${host}:${port}/${pages}`, user, guarded.url);
      expect([host, status, json.errcode]).toEqual([host, 502, 'M_UNKNOWN']);
    }
    expect(asked).toEqual([]);
    await guarded.stop();
  });
});

describe('a server without previews', () => {
  it('says so, and asks nobody', async () => {
    const plain = await TestServer.start();
    const user = await plain.register('user');
    expect(refusal(await preview(`${base}/page`, user, plain.url))).toEqual([404, 'M_UNRECOGNIZED']);
    expect(asked).toEqual([]);
    await plain.stop();
  });
});
