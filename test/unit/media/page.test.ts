import { describe, expect, it } from 'vitest';
import { readPage } from '../../../src/media/page.ts';

async function* pieces(bytes: Uint8Array, size: number, counted: { taken: number } = { taken: 0 }) {
  for (let at = 0; at < bytes.length; at += size) {
    counted.taken += 1;
    yield bytes.subarray(at, at + size);
  }
}

const read = (html: string | Uint8Array, { type = 'text/html', size = 11, bytesMax = 100_000 } = {}) =>
  readPage(pieces(typeof html === 'string' ? Buffer.from(html) : html, size), { contentType: type, bytesMax });

describe('a page', () => {
  it('is what its Open Graph properties say, the first of each', async () => {
    const page = await read(`<html><head><title>Not this</title>
      <meta property="og:title" content="The &amp; Rock"><meta property="og:title" content="Second">
      <meta property="og:url" content="https://a.test/"><meta property="og:odd" content="x">
      <meta property="og:image" content="/a.png"><meta property="og:image:alt" content="A rock"></head>`);
    expect(page).toEqual({
      properties: { 'og:title': 'The & Rock', 'og:url': 'https://a.test/' },
      imageUrl: '/a.png',
      imageAlt: 'A rock',
    });
  });

  it('is called by its title and description where it says nothing else', async () => {
    const page = await read('<title> A\n title </title><meta name="Description" content="What it is"><title>B</title>');
    expect(page.properties).toEqual({ 'og:title': 'A title', 'og:description': 'What it is' });
    expect(page.imageUrl).toBeUndefined();
  });

  it.each([
    ['its header', 'text/html; charset=iso-8859-1', ''],
    ['itself', 'text/html', '<meta charset="windows-1252">'],
    ['its older self', 'text/html', '<meta http-equiv="Content-Type" content="text/html; charset=latin1">'],
    ['its header, before itself', 'text/html; charset=latin1', '<meta charset="utf-8">'],
  ])('is read in the encoding that %s names', async (_what, type, head) => {
    const bytes = Buffer.from(`${head}<title>Café</title>`, 'latin1');
    expect((await read(bytes, { type, size: 1_000 })).properties['og:title']).toBe('Café');
  });

  it('is read as UTF-8 where it names an encoding that nobody knows, also when a character is cut in two', async () => {
    expect((await read('<title>☕☕☕</title>', { type: 'text/html; charset=none', size: 1 })).properties).toEqual({
      'og:title': '☕☕☕',
    });
  });

  it('is left where its head ends, and at the limit', async () => {
    const counted = { taken: 0 };
    const head = Buffer.from(`<title>A</title><body>${'x'.repeat(100_000)}`);
    await readPage(pieces(head, 100, counted), { contentType: 'text/html', bytesMax: 1_000_000 });
    expect(counted.taken).toBe(1);
    counted.taken = 0;
    const endless = Buffer.from(`<title>A</title><p>${'x'.repeat(100_000)}`);
    const options = { contentType: 'text/html', bytesMax: 1_000 };
    expect((await readPage(pieces(endless, 100, counted), options)).properties).toEqual({ 'og:title': 'A' });
    expect(counted.taken).toBe(10);
  });

  it('is never longer than it may be in what is told of it', async () => {
    const page = await read(`<title>${'x'.repeat(5_000)}</title>`);
    expect(page.properties['og:title']).toHaveLength(1_000);
    expect((await read(`<meta property="og:image" content="${'x'.repeat(5_000)}">`)).imageUrl).toBeUndefined();
  });

  it('is nothing where it is garbage', async () => {
    for (const garbage of ['', '<', '<meta', '<meta property=og:title>', '<!--', '\0\0\0', '<title>']) {
      expect((await read(garbage)).properties).toEqual({});
    }
  });
});
