import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'vitest';
import { openSqliteStorage } from '../../src/storage/sqlite/open.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { openTestStorage } from '../support/storage.ts';
import { describeAccountData } from './account-data.contract.ts';
import { describeAccounts } from './accounts.contract.ts';
import { describeChanges } from './changes.contract.ts';
import { describeCommit } from './commit.contract.ts';
import { describeCrossSigning } from './cross-signing.contract.ts';
import { describeDeviceKeys } from './device-keys.contract.ts';
import { describeDeviceLists } from './device-lists.contract.ts';
import { describeDirectory } from './directory.contract.ts';
import { describeEvents } from './events.contract.ts';
import { describeFederation } from './federation.contract.ts';
import { describeImports } from './imports.contract.ts';
import { describeKeyBackups } from './key-backups.contract.ts';
import { describeManyRooms } from './many-rooms.contract.ts';
import { describeMedia } from './media.contract.ts';
import { describeOneTimeKeys } from './one-time-keys.contract.ts';
import { describeOutgoing } from './outgoing.contract.ts';
import { describePresence } from './presence.contract.ts';
import { describePush } from './push.contract.ts';
import { describeReceipts } from './receipts.contract.ts';
import { describeRelations } from './relations.contract.ts';
import { describeReports } from './reports.contract.ts';
import { describeRestart, type Place } from './restart.contract.ts';
import { describeRooms } from './rooms.contract.ts';
import { describeSearch } from './search.contract.ts';
import { describeServices } from './services.contract.ts';
import { describeState } from './state.contract.ts';
import { describeToDevice } from './to-device.contract.ts';
import { describeUnread } from './unread.contract.ts';
import { describeWaitingEvents } from './waiting-events.contract.ts';

const open = () => openTestStorage();

async function openWithClock() {
  const clock = new ManualClock();
  return { storage: await openTestStorage(clock), clock };
}

function placeIn(folder: string): Place {
  return {
    open: () => openSqliteStorage({ file: join(folder, 'lantern.db'), clock: new ManualClock() }),
    async crash() {
      const copy = await mkdtemp(join(tmpdir(), 'lantern-storage-'));
      await cp(folder, copy, { recursive: true });
      return placeIn(copy);
    },
    remove: () => rm(folder, { recursive: true }),
  };
}

describe('SQLite storage', () => {
  describeAccounts(open);
  describeAccountData(open);
  describeChanges(open);
  describeCommit(open);
  describeCrossSigning(open);
  describeDeviceKeys(open);
  describeDeviceLists(open);
  describeDirectory(open);
  describeEvents(openWithClock);
  describeFederation(openWithClock);
  describeImports(open);
  describeKeyBackups(open);
  describeManyRooms(open);
  describeMedia(open);
  describeOneTimeKeys(openWithClock);
  describeOutgoing(open);
  describePresence(open);
  describePush(open);
  describeReceipts(open);
  describeRelations(open);
  describeReports(open);
  describeRooms(open);
  describeSearch(open);
  describeServices(open);
  describeState(open);
  describeToDevice(openWithClock);
  describeUnread(open);
  describeWaitingEvents(open);
  describeRestart(async () => placeIn(await mkdtemp(join(tmpdir(), 'lantern-storage-'))));
});
