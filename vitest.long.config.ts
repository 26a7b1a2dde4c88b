import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

/** What takes long by nature, and every property test with many more cases than `npm test` tries. */
const longTests = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .map((name) => join('test', name))
  .filter((name) => name.endsWith('.test.ts'))
  .filter((name) => name.endsWith('.long.test.ts') || readFileSync(name, 'utf8').includes('fast-check'));

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
