import { afterEach, describe, expect, it, vi } from 'vitest';
import { breathe } from '../../../src/base/breathe.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { encodeWithPdus } from '../../../src/http/federation/encode-pdus.ts';

const pdusOf = (count: number) => Array.from({ length: count }, (_, n) => JSON.stringify({ n, text: 'x'.repeat(300) }));

afterEach(async () => {
  vi.restoreAllMocks();
  // The next one begins in a turn that has all its time left.
  await new Promise((resolve) => setImmediate(resolve));
});

describe('an answer with PDUs', () => {
  it('is the JSON of its members, in their order', async () => {
    const text = String(await encodeWithPdus({ event: '{"a":1}', state: pdusOf(2), auth_chain: [], omitted: 'false' }));
    expect(Object.keys(JSON.parse(text))).toEqual(['event', 'state', 'auth_chain', 'omitted']);
    expect(JSON.parse(text)).toEqual({
      event: { a: 1 },
      state: pdusOf(2).map((pdu) => JSON.parse(pdu)),
      auth_chain: [],
      omitted: false,
    });
  });

  it('stands between what goes around it', async () => {
    const text = String(await encodeWithPdus({ state: pdusOf(1) }, { before: '[200,', after: ']' }));
    expect(JSON.parse(text)).toEqual([200, { state: [{ n: 0, text: 'x'.repeat(300) }] }]);
  });

  it('is whole where it is long', async () => {
    const pdus = pdusOf(5_000);
    const answer = await encodeWithPdus({ pdus });
    expect(typeof answer).not.toBe('string');
    expect(JSON.parse(String(answer)).pdus).toHaveLength(5_000);
  });

  it('lets others have turns between some hundred PDUs', async () => {
    let passedMs = 0;
    vi.spyOn(systemClock, 'monotonic').mockImplementation(() => {
      passedMs += 20;
      return passedMs;
    });
    let turns = 0;
    let isOver = false;
    const tick = (): void => {
      turns += 1;
      if (!isOver) setImmediate(tick);
    };
    setImmediate(tick);
    await breathe();
    await encodeWithPdus({ pdus: pdusOf(1_000) });
    isOver = true;
    expect(turns).toBeGreaterThanOrEqual(5);
  });
});
