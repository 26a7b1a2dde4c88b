import { describe, expect, it } from 'vitest';
import { inTime, StalledError } from '../../../src/base/chunks.ts';
import { ManualClock, settle } from '../../support/manual-clock.ts';

const stallTimeoutMs = 1_000;

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all).toString();
}

describe('chunks in time', () => {
  it('are the same, each with its own time', async () => {
    const clock = new ManualClock();
    let next: () => void = () => {};
    async function* slow(): AsyncGenerator<Uint8Array> {
      for (const letter of 'abc') {
        await new Promise<void>((resolve) => {
          next = resolve;
        });
        yield Buffer.from(letter);
      }
    }
    const collected = collect(inTime(slow(), { clock, stallTimeoutMs }));
    for (let n = 0; n < 3; n += 1) {
      await settle();
      await clock.advance(stallTimeoutMs - 1);
      next();
    }
    expect(await collected).toBe('abc');
    expect(clock.pendingCount).toBe(0);
  });

  it('end when one of them takes too long, also where the source is stuck', async () => {
    const clock = new ManualClock();
    async function* stuck(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('a');
      await new Promise(() => {});
    }
    const collected = collect(inTime(stuck(), { clock, stallTimeoutMs })).catch((error: unknown) => error);
    await settle();
    await clock.advance(stallTimeoutMs);
    expect(await collected).toBeInstanceOf(StalledError);
  });

  it('end their source with whoever leaves, and fail as it does', async () => {
    const clock = new ManualClock();
    let ended = false;
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        yield Buffer.from('a');
        throw new TypeError('broken');
      } finally {
        ended = true;
      }
    }
    for await (const _ of inTime(source(), { clock, stallTimeoutMs })) break;
    expect(ended).toBe(true);
    await expect(collect(inTime(source(), { clock, stallTimeoutMs }))).rejects.toBeInstanceOf(TypeError);
    expect(clock.pendingCount).toBe(0);
  });
});
