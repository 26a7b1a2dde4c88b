import type { Clock } from '../../src/base/clock.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import { openSqliteStorage } from '../../src/storage/sqlite/open.ts';
import { ManualClock } from './manual-clock.ts';

/** A fresh, empty storage in memory. Stop it, or let it go with the test's process. */
export function openTestStorage(clock: Clock = new ManualClock()): Promise<Storage> {
  return openSqliteStorage({ file: ':memory:', clock });
}
