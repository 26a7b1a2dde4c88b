import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

/** What takes long by nature, and what tries more than `npm test` does: property tests, and whole servers in every room version. */
const triesMore = /fast-check|roomVersionsToTry/;
const longTests = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .map((name) => join('test', name))
  .filter((name) => name.endsWith('.test.ts'))
  .filter((name) => name.endsWith('.long.test.ts') || triesMore.test(readFileSync(name, 'utf8')));

export default defineConfig({
  test: {
    include: longTests,
    setupFiles: ['test/support/long-setup.ts', 'test/support/seed-setup.ts'],
    env: { LANTERN_TEST_LONG: '1' },
    testTimeout: 600_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
  },
});
