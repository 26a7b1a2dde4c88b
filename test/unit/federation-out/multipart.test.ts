import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findBoundary, MultipartError, readParts } from '../../../src/federation-out/multipart.ts';
import { propertyRuns } from '../../support/property-runs.ts';

const good = (boundary: string, parts: readonly { head: string; body: Buffer }[]) =>
  Buffer.concat([
    ...parts.flatMap(({ head, body }) => [Buffer.from(`--${boundary}\r\n${head}\r\n`), body, Buffer.from('\r\n')]),
    Buffer.from(`--${boundary}--\r\n`),
  ]);

async function* cut(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (let n = 0; at < bytes.length; n += 1) {
    const size = sizes[n % sizes.length] ?? 1;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

async function read(bytes: Buffer | string, boundary = 'b', sizes: readonly number[] = [7]) {
  const found: { headers: object; body: Buffer }[] = [];
  for await (const { headers, body } of readParts(cut(Buffer.from(bytes), sizes), boundary)) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of body) chunks.push(chunk);
    found.push({ headers, body: Buffer.concat(chunks) });
  }
  return found;
}

describe('a multipart body', () => {
  it('is read into its parts, however it is cut and whatever its parts hold', async () => {
    const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));
    // What nearly is a boundary.
    const near = fc
      .constantFrom('\r\n--', '\r\n--bound', '--boundary', '\r', '\r\n', '\r\n--boundarx')
      .map((text) => Buffer.from(text));
    const body = fc.array(fc.oneof(bytes, near), { maxLength: 6 }).map((parts) => Buffer.concat(parts));
    const apart = body.filter((one) => !Buffer.concat([Buffer.from('\r\n'), one]).includes('\r\n--boundary'));
    const sizes = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 10 });
    await fc.assert(
      fc.asyncProperty(fc.array(apart, { minLength: 1, maxLength: 4 }), sizes, async (bodies, cuts) => {
        const parts = bodies.map((one, index) => ({ head: `X-Index: ${index}\r\n`, body: one }));
        const found = await read(good('boundary', parts), 'boundary', cuts);
        expect(found.map(({ headers }) => ({ ...headers }))).toEqual(
          bodies.map((_, index) => ({ 'x-index': String(index) })),
        );
        expect(found.map(({ body: one }) => one.toString('hex'))).toEqual(bodies.map((one) => one.toString('hex')));
      }),
      { numRuns: propertyRuns(200) },
    );
  });

  it('never makes anything but a MultipartError of garbage, and ends', async () => {
    const piece = fc.oneof(
      fc.constantFrom('--b', '\r\n', '--b--', '\r\n--b\r\n', 'X: y', ': ', '\r\n\r\n', '--', ' '),
      fc.string({ maxLength: 5 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 20 }), async (pieces) => {
        try {
          await read(pieces.join(''));
        } catch (error) {
          expect(error).toBeInstanceOf(MultipartError);
        }
      }),
      { numRuns: propertyRuns(500) },
    );
  });

  it('may have a preamble, space behind a boundary, parts without headers, and something behind the end', async () => {
    const found = await read('hello\r\n--b \t\r\n\r\none\r\n--b\r\nA: 1\r\na: 2\r\n\r\n\r\n--b--\r\nbye');
    expect(found.map(({ headers, body }) => [{ ...headers }, body.toString()])).toEqual([
      [{}, 'one'],
      [{ a: '1' }, ''],
    ]);
  });

  it.each([
    ['nothing', ''],
    ['no boundary', 'x'.repeat(100)],
    ['no end of the headers', '--b\r\nA: 1'],
    ['no end of a body', '--b\r\n\r\nhalf'],
    ['a boundary cut in two', '--b\r\n\r\nhalf\r\n-'],
    ['no line behind a boundary', '--bx\r\n\r\n'],
    ['a header that is none', '--b\r\nno header\r\n\r\nx\r\n--b--'],
    ['a preamble without end', 'x'.repeat(20_000)],
    ['headers without end', `--b\r\nA: ${'x'.repeat(40_000)}`],
  ])('is refused with %s', async (_what, bytes) => {
    await expect(read(bytes, 'b', [1_000])).rejects.toBeInstanceOf(MultipartError);
  });

  it('ends its source when it is left', async () => {
    let ended = false;
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield Buffer.from('--b\r\n\r\nx');
      } finally {
        ended = true;
      }
    }
    for await (const _ of readParts(source(), 'b')) break;
    expect(ended).toBe(true);
  });
});

describe('a boundary', () => {
  it.each([
    ['multipart/mixed; boundary=abc', 'abc'],
    ['Multipart/Mixed;charset=utf-8;boundary="a b:c"', 'a b:c'],
    ['multipart/mixed; boundary=abc; charset=utf-8', 'abc'],
    ['multipart/mixed', undefined],
    ['multipart/mixed; boundary=', undefined],
    [`multipart/mixed; boundary=${'x'.repeat(71)}`, undefined],
    ['multipart/mixed; boundary="a\tb"', undefined],
    ['multipart/form-data; boundary=abc', undefined],
    ['text/plain; boundary=abc', undefined],
    [undefined, undefined],
  ])('of %s is %s', (header, boundary) => {
    expect(findBoundary(header)).toBe(boundary);
  });
});
