import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/**/*.long.test.ts'],
    setupFiles: ['test/support/seed-setup.ts'],

    testTimeout: 30_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
    // Files of one worker share their modules: importing the server a hundred times would take longer than the tests.
    isolate: false,
    restoreMocks: true,
    // A part of matrix-js-sdk takes its logger while it is loaded, before anybody could silence it.
    onConsoleLog: (text) => !text.startsWith('MatrixRTCSessionManager'),
  },
});
