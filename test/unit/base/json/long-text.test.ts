import { afterEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../../../src/base/clock.ts';
import { joinLong, LongText, TextWriter } from '../../../../src/base/json/long-text.ts';

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

  it('lets others run while it is joined', async () => {
    let passedMs = 0;
    vi.spyOn(systemClock, 'monotonic').mockImplementation(() => {
      passedMs += 6;
      return passedMs;
    });
    let others = 0;
    setImmediate(() => {
      others += 1;
    });
    await joinLong('[', many, ']');
    expect(others).toBe(1);
  });
});
