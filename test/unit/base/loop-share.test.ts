import { pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { createLoopShare } from '../../../src/base/loop-share.ts';

it('is all of the time while a turn lasts, and less when the loop waited', async () => {
  const read = createLoopShare();
  // In one turn from here.
  await new Promise((resolve) => setImmediate(resolve));
  read();
  let sum = 0;
  for (let n = 0; n < 1_000_000; n += 1) sum += n;
  expect(sum).toBeGreaterThan(0);
  expect(read()).toBe(1);
  // Work of another thread, for which the loop has nothing to do but wait.
  await promisify(pbkdf2)('words', 'salt', 50_000, 32, 'sha256');
  expect(read()).toBeLessThan(1);
});
