import { defineConfig } from 'vitest/config';

/** What the README promises, by the commands it names; needs the ports 8008, 8448, 9008 and 9448 of loopback. */
export default defineConfig({
  test: {
    include: ['test/smoke/**/*.smoke.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    fileParallelism: false,
  },
});
