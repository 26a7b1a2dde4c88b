import { runBench } from './support/run.ts';
import { deepHistoryPart } from './sync/deep-history.ts';
import { initialSyncPart } from './sync/initial-sync.ts';
import { nothingNewPart } from './sync/nothing-new.ts';
import { turnsCrowdPart } from './sync/turns/crowd.ts';
import { turnsReadingPart } from './sync/turns/reading.ts';
import { turnsRemovingPart } from './sync/turns/removing.ts';
import { turnsStartingPart } from './sync/turns/starting.ts';

await runBench('sync', [
  initialSyncPart,
  nothingNewPart,
  deepHistoryPart,
  turnsStartingPart,
  turnsReadingPart,
  turnsRemovingPart,
  turnsCrowdPart,
]);
