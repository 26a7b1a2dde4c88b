import type { Clock } from '../../base/clock.ts';
import { TurnBudget, turnBudgetMs } from '../../base/turn-budget.ts';
import type { RoomId } from '../../matrix/ids.ts';
import type { StorageReading } from '../contract/storage.ts';
import { createAccountDataReads } from './account-data.ts';
import { openToRead, reasonOf } from './core/database.ts';
import { checkMigrated, defaultMigrationsDir } from './core/migrations.ts';
import { Numbering } from './core/numbering.ts';
import { StorageOpenError } from './core/open-error.ts';
import { Turn } from './core/turn.ts';
import { createPresenceReads } from './presence.ts';
import { createRoomReads } from './rooms.ts';

/**
 * Opens a database beside the server that has it open, to read it as it is at this moment. Throws StorageOpenError for one
 * that is not there or of another version than this program.
 */
export async function openSqliteToRead(options: { file: string; clock: Clock }): Promise<StorageReading> {
  const { connection, close } = openToRead(options.file);
  try {
    checkMigrated(connection, defaultMigrationsDir);
    // One moment for all reads, whatever the server writes meanwhile.
    connection.exec('BEGIN');
    const turn = new Turn(new TurnBudget(options.clock, turnBudgetMs));
    const rooms = new Numbering<RoomId>(connection, {
      table: 'rooms',
      number: 'room_no',
      text: 'room_id',
      cacheMax: 1_000,
    });
    return {
      accountData: createAccountDataReads(connection, turn),
      presence: createPresenceReads(connection, turn),
      rooms: createRoomReads(connection, turn, rooms),
      async stop() {
        connection.exec('COMMIT');
        close();
      },
    };
  } catch (error) {
    close();
    if (error instanceof StorageOpenError) throw error;
    throw new StorageOpenError(`cannot read the database ${options.file}: ${reasonOf(error)}`);
  }
}
