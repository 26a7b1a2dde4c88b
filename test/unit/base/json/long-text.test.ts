import { afterEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../../../src/base/clock.ts';
import { encodeByMembers, joinLong, LongText, TextWriter } from '../../../../src/base/json/long-text.ts';

afterEach(async () => {
  vi.restoreAllMocks();
  await new Promise((resolve) => setImmediate(resolve));
});

const part = '"Grüße 🦊"';
const many = Array.from({ length: 40_000 }, (_, n) => `${part}${n}`);

function written(parts: readonly string[]): string | LongText {
  const writer = new TextWriter();
  for (const one of parts) writer.write(one);
  return writer.end();
}

describe('a text that is put together', () => {
  it('is a string while it is short', () => {
    expect(written([])).toBe('');
    expect(written([part, part])).toBe(part + part);
  });

  it('is the same text in chunks when it is long', () => {
    const text = written(many);
    expect(text).toBeInstanceOf(LongText);
    expect(String(text)).toBe(many.join(''));
    if (!(text instanceof LongText)) return;
    expect(text.chunks.length).toBeGreaterThan(2);
    expect(text.byteLength).toBe(Buffer.byteLength(many.join('')));
  });

  it('has commas between what is joined', async () => {
    expect(await joinLong('[', [], ']')).toBe('[]');
    expect(await joinLong('[', ['1'], ']')).toBe('[1]');
    expect(await joinLong('{"a":[', ['1', '2', '3'], ']}')).toBe('{"a":[1,2,3]}');
    expect(String(await joinLong('[', many, ']'))).toBe(`[${many.join(',')}]`);
  });

  it('is the JSON of an object, also where its members have many', async () => {
    const short = { keys: { '@a:b': { 'ed25519:x': [1, null] }, 'ü"': {} }, failures: {} };
    expect(await encodeByMembers(short)).toBe(JSON.stringify(short));
    expect(await encodeByMembers({})).toBe('{}');
    const long = { first: {}, keys: Object.fromEntries(many.map((text, n) => [`@user${n}:b`, { text }])) };
    expect(JSON.parse(String(await encodeByMembers(long)))).toEqual(long);
  });

  it.each([
    ['joined', () => joinLong('[', many, ']')],
    ['made of an object', () => encodeByMembers({ keys: Object.fromEntries(many.map((text, n) => [`${n}`, text])) })],
  ])('lets others run while it is %s', async (_, make) => {
    let passedMs = 0;
    vi.spyOn(systemClock, 'monotonic').mockImplementation(() => {
      passedMs += 6;
      return passedMs;
    });
    let others = 0;
    setImmediate(() => {
      others += 1;
    });
    await make();
    expect(others).toBe(1);
  });
});
