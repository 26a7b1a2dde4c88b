import { defineConfig } from 'vitest/config';

/** Whole servers as processes of their own, killed, cut off and lied to; one file after the other, since each needs the machine. */
export default defineConfig({
  test: {
    include: ['test/survival/**/*.survival.ts'],
    globalSetup: ['test/survival/build.ts'],
    testTimeout: 900_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 1,
    fileParallelism: false,
  },
});
