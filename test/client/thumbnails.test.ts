import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BytesAnswer, callBytes, gifOf, hollowPng, pngOf, thumbnailPath, upload } from '../support/media.ts';
import { TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { newUser } from './rooms-support.ts';

let server: TestServer;
let alice: TestUser;
const pixelsMax = 1_000_000;

beforeAll(async () => {
  server = await TestServer.start({ config: { media: { thumbnail_max_pixels: pixelsMax } } });
  alice = await newUser(server);
});
afterAll(() => server.stop());

type Uploaded = Awaited<ReturnType<typeof upload>>;
const get = (uploaded: Uploaded, query: string) => callBytes(`${server.url}${thumbnailPath(uploaded, query)}`, alice);
const typeOf = ({ headers }: BytesAnswer) => headers.get('content-type');
const refusal = ({ status, json }: BytesAnswer) => [status, json?.errcode];
const sizeOf = ({ bytes }: BytesAnswer) => [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
const isAnimatedWebp = ({ bytes }: BytesAnswer) =>
  bytes.subarray(8, 16).toString('latin1') === 'WEBPVP8X' && bytes.includes('ANIM');

describe('a thumbnail', () => {
  it('is scaled into the next larger size, or cut to it', async () => {
    const picture = await upload(alice, pngOf(1_000, 500), { type: 'image/png' });
    const scaled = await get(picture, 'width=100&height=100&method=scale');
    expect([scaled.status, typeOf(scaled), sizeOf(scaled)]).toEqual([200, 'image/png', [320, 160]]);
    expect(scaled.headers.get('content-disposition')).toBe('inline; filename="thumbnail.png"');
    expect(scaled.headers.get('content-security-policy')).toContain('sandbox');
    expect(sizeOf(await get(picture, 'width=100&height=100'))).toEqual([320, 160]);
    expect(sizeOf(await get(picture, 'width=33&height=33&method=crop'))).toEqual([96, 96]);
  });

  it('is never larger than the picture, which stands for it where it is small or no size is large enough', async () => {
    const bytes = pngOf(50, 40);
    const small = await upload(alice, bytes, { type: 'image/png' });
    expect((await get(small, 'width=64&height=64&method=scale')).bytes.equals(bytes)).toBe(true);
    const large = pngOf(900, 700);
    const answer = await get(await upload(alice, large), 'width=5000&height=5000&method=scale');
    expect([answer.bytes.equals(large), typeOf(answer)]).toEqual([true, 'image/png']);
  });

  it('is made once, and the same for the same picture of another upload', async () => {
    const bytes = pngOf(700, 700, 3);
    const [first, second] = [await upload(alice, bytes), await upload(alice, bytes)];
    const query = 'width=320&height=240&method=scale';
    const answers = await Promise.all([get(first, query), get(first, query), get(second, query)]);
    expect(new Set(answers.map(({ headers }) => headers.get('etag'))).size).toBe(1);
    const etag = answers[0].headers.get('etag') ?? '';
    const again = await callBytes(`${server.url}${thumbnailPath(first, query)}`, alice, {
      headers: { 'if-none-match': etag },
    });
    expect(again.status).toBe(304);
  });

  it('moves only where that is asked for', async () => {
    const moving = await upload(alice, gifOf(700, 350, 3), { type: 'image/gif' });
    const query = 'width=320&height=240&method=scale';
    const still = await get(moving, query);
    expect([typeOf(still), sizeOf(still)]).toEqual(['image/png', [320, 160]]);
    expect(typeOf(await get(moving, `${query}&animated=false`))).toBe('image/png');
    const animated = await get(moving, `${query}&animated=true`);
    expect([typeOf(animated), isAnimatedWebp(animated)]).toEqual(['image/webp', true]);
    const small = await upload(alice, gifOf(20, 20, 2), { type: 'image/gif' });
    expect(typeOf(await get(small, query))).toBe('image/png');
    expect(typeOf(await get(small, `${query}&animated=true`))).toBe('image/gif');
    const picture = await upload(alice, pngOf(500, 500), { type: 'image/png' });
    expect(typeOf(await get(picture, `${query}&animated=true`))).toBe('image/png');
  });

  it.each([
    ['a text', Buffer.from('not a picture'), 'text/plain'],
    ['a text that says it is a picture', Buffer.from('not a picture'), 'image/png'],
    [
      'a drawing in SVG',
      Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
      'image/svg+xml',
    ],
    ['a document', Buffer.from('%PDF-1.4\n%%EOF'), 'application/pdf'],
    ['the beginning of a picture', Buffer.from(pngOf(600, 600).subarray(0, 60)), 'image/png'],
    ['a hollow picture', hollowPng(900, 900), 'image/png'],
    ['nothing', Buffer.alloc(0), 'image/png'],
  ])('is not made of %s, again and again', async (_what, bytes, type) => {
    const uploaded = await upload(alice, bytes, { type });
    for (let n = 0; n < 2; n += 1) {
      expect(refusal(await get(uploaded, 'width=32&height=32&method=crop'))).toEqual([400, 'M_UNKNOWN']);
    }
  });

  it('is not made of a picture with more pixels than the server decodes', async () => {
    const bomb = await upload(alice, hollowPng(30_000, 30_000), { type: 'image/png' });
    expect(refusal(await get(bomb, 'width=32&height=32&method=crop'))).toEqual([413, 'M_TOO_LARGE']);
    // One frame of it may be decoded, all together not.
    const frames = await upload(alice, gifOf(400, 400, 8), { type: 'image/gif' });
    expect(typeOf(await get(frames, 'width=32&height=32&method=crop&animated=true'))).toBe('image/png');
  });

  it.each([
    '',
    'width=32',
    'width=0&height=32',
    'width=-1&height=32',
    'width=1.5&height=2',
    'width=1&height=1&method=fit',
  ])('is refused for a wish like %s', async (query) => {
    const uploaded = await upload(alice, pngOf(10, 10));
    expect((await get(uploaded, query)).status).toBe(400);
  });
});
