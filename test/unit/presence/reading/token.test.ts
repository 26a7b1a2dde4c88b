import { expect, it } from 'vitest';
import { Hour } from '../../../../src/presence/core/hour.ts';
import { PresenceTokens } from '../../../../src/presence/reading/token.ts';
import { ManualClock } from '../../../support/manual-clock.ts';
import { fixedRandom } from '../../../support/presence-world.ts';

const tokens = (clock: ManualClock, seed: number) =>
  new PresenceTokens({ hour: new Hour(clock), random: fixedRandom(seed) });

it('a token of this process comes back as its number, with the hour it was given', async () => {
  const clock = new ManualClock(1_700_000_000_000);
  await clock.advance(1_000);
  const ours = tokens(clock, 1);
  const text = ours.encode(5_000_123);
  expect(text).toMatch(/^[a-z0-9]+$/);
  expect(ours.parse(text)).toEqual({
    epoch: 'ours',
    number: 5_000_123,
    elapsedMs: 5_000.123,
    givenAtMs: 1_700_000_005_000,
  });
});

it('a token of another process says when it was given, and no more', () => {
  const clock = new ManualClock(1_700_000_000_000);
  const text = tokens(clock, 1).encode(5_000_000);
  clock.step(60_000);
  expect(tokens(clock, 2).parse(text)).toEqual({ epoch: 'other', givenAtMs: 1_700_000_005_000 });
});

it('a token of another process that claims to be newer than this one is as old as this one', () => {
  const clock = new ManualClock(1_700_000_000_000);
  const text = tokens(clock, 1).encode(5_000_000);
  clock.step(-3_600_000);
  expect(tokens(clock, 2).parse(text)).toEqual({ epoch: 'other', givenAtMs: 1_699_996_400_000 });
});

it.each(['', 'p', 'x', 'p1e2n', 'p1e2n99999999999999999', 'p-1e2n3', 'p1e2n3 '])('%j was written by nobody', (text) => {
  expect(tokens(new ManualClock(), 1).parse(text)).toEqual({ epoch: 'other', givenAtMs: 0 });
});
