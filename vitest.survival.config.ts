import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What takes longest begins first: the others find their place beside it. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => (moduleId.endsWith('kill.survival.ts') ? 0 : 1);
    return [...files].sort((a, b) => rank(a) - rank(b));
  }
}

/** Whole servers as processes of their own, killed, cut off and lied to. Two files at a time: much of it is waiting. */
export default defineConfig({
  test: {
    include: ['test/survival/**/*.survival.ts'],
    globalSetup: ['test/survival/build.ts'],
    testTimeout: 900_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
  },
});
