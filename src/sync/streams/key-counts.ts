import type { KeyCounts } from '../../e2ee/key-counts.ts';
import type { SyncStream } from '../stream.ts';

/** An answer is due when the number of a device's keys changed; the numbers themselves stand in every answer. */
export function createKeyCountsStream({ keyCounts }: { readonly keyCounts: KeyCounts }): SyncStream {
  return {
    mayTell: ({ viewer, after, upTo }) => keyCounts.mayHaveChanged(viewer, after, upTo),
    async read({ viewer, after, upTo }, answer) {
      answer.keyCountsChanged = keyCounts.mayHaveChanged(viewer, after, upTo);
    },
  };
}
