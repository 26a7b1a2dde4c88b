import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../base/clock.ts';
import { type Log, silentLog } from '../../base/log.ts';
import { TurnBudget, turnBudgetMs } from '../../base/turn-budget.ts';
import type { EventId, RoomId } from '../../matrix/ids.ts';
import type { StateKey } from '../../matrix/pdu.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { SnapshotId } from '../contract/numbers.ts';
import type { Storage } from '../contract/storage.ts';
import { createAccountDataReads, createAccountDataWrites } from './account-data.ts';
import { createAccountReads, createAccountWrites } from './accounts.ts';
import { createChangeReads, createChangeWrites } from './changes.ts';
import { CheckpointThread } from './core/checkpoint-thread.ts';
import { Checkpoints } from './core/checkpoints.ts';
import { Committer } from './core/committer.ts';
import { createCurrentStates } from './core/current-states.ts';
import { type Connection, openDatabase, openError, type Synchronous } from './core/database.ts';
import { ErasedUsers } from './core/erased-users.ts';
import { EventRecords } from './core/event-records.ts';
import { Leftovers } from './core/leftovers.ts';
import { defaultMigrationsDir, migrate } from './core/migrations.ts';
import { Numbering } from './core/numbering.ts';
import { Positions } from './core/positions.ts';
import { ReadingThread, readHere, type SlowReads } from './core/reading-thread.ts';
import { SnapshotLayers } from './core/snapshot-layers.ts';
import { Turn } from './core/turn.ts';
import type { Entry, ManyWrites, RowKind, RowOf, Step, Writes } from './core/writes.ts';
import { createDeviceLeftovers } from './device-leftovers.ts';
import { createDirectoryReads, createDirectoryWrites } from './directory.ts';
import { createEventWrites } from './event-writes.ts';
import { createEventReads } from './events.ts';
import { createExpectations } from './expectations.ts';
import { createFederationReads, createFederationWrites } from './federation.ts';
import { createImportReads, createImportWrites } from './imports.ts';
import { createKeyBackupReads, createKeyBackupWrites } from './key-backups.ts';
import { createKeyReads, createKeyStore } from './key-store.ts';
import { createMediaReads, createMediaWrites } from './media.ts';
import { createQuarantineReads, createQuarantineWrites } from './media-quarantine.ts';
import { createMessageWords } from './message-words.ts';
import { createOutgoingReads } from './outgoing.ts';
import { createOutgoingWrites } from './outgoing-writes.ts';
import { createPresenceReads, createPresenceWrites } from './presence.ts';
import { createPushReads, createPushWrites } from './push.ts';
import { createReceiptReads, createReceiptWrites } from './receipts.ts';
import { createRelationReads } from './relations.ts';
import { createReportReads, createReportWrites } from './reports.ts';
import { createRoomListings } from './room-listings.ts';
import { createRoomWrites } from './room-writes.ts';
import { createRoomReads } from './rooms.ts';
import { createSearchReads } from './search.ts';
import { createServiceReads, createServiceWrites } from './services.ts';
import { createStateReads } from './state.ts';
import { createStateWrites } from './state-writes.ts';
import { createToDeviceReads, createToDeviceWrites } from './to-device.ts';
import { createUnreadReads } from './unread.ts';
import { createUnreadWrites } from './unread-writes.ts';
import { createDirectoryNames } from './user-directory.ts';
import { createWaitingEventReads, createWaitingEventWrites } from './waiting-events.ts';

export interface SqliteStorageOptions {
  /** Path of the database file, made if there is none; `:memory:` for one that is never stored. */
  file: string;
  clock: Clock;
  log?: Log;
  /**
   * normal (the default): an acknowledged write survives the end of the process, but maybe not a power cut, unless its batch
   * was durable. full: it survives both.
   */
  synchronous?: Synchronous;
  /** What all share who keep the event loop; one of its own, by the clock, if not given. */
  turn?: TurnBudget;
  /** Where the migrations are; those of this package if not given. */
  migrationsDir?: string;
}

/**
 * Opens the database, alone, and brings it to the version of this program. Throws StorageOpenError, whose message is one
 * line for the administrator, when it cannot be used.
 */
export async function openSqliteStorage(options: SqliteStorageOptions): Promise<Storage> {
  const { file, clock, log = silentLog, synchronous = 'normal' } = options;
  const database = openDatabase(file, synchronous);
  try {
    migrate(database.connection, options.migrationsDir ?? defaultMigrationsDir, clock.now());
    const isInMemory = file === ':memory:';
    const slow = isInMemory ? readHere(database.connection) : new ReadingThread(file);
    const checkpointWorker = isInMemory ? undefined : new CheckpointThread(file);
    const turn = new Turn(options.turn ?? new TurnBudget(clock, turnBudgetMs));
    return assemble({ ...database, slow, checkpointWorker, clock, turn, log, synchronous });
  } catch (error) {
    database.close();
    throw openError(file, error);
  }
}

interface Parts {
  connection: Connection;
  close(): void;
  slow: SlowReads;
  /** None where there is no log. */
  checkpointWorker: CheckpointThread | undefined;
  clock: Clock;
  turn: Turn;
  log: Log;
  synchronous: Synchronous;
}

function createNumberings(connection: Connection) {
  return {
    rooms: new Numbering<RoomId>(connection, {
      table: 'rooms',
      number: 'room_no',
      text: 'room_id',
      cacheMax: 20_000,
    }),
    events: new Numbering<EventId>(connection, {
      table: 'event_ids',
      number: 'event_no',
      text: 'event_id',
      cacheMax: 100_000,
    }),
    keys: new Numbering<StateKey>(connection, {
      table: 'state_keys',
      number: 'key_no',
      text: 'key',
      cacheMax: 100_000,
    }),
    destinations: new Numbering<ServerName>(connection, {
      table: 'destinations',
      number: 'destination_no',
      text: 'destination',
      cacheMax: 20_000,
    }),
  };
}

function assemble({ connection, close, slow, checkpointWorker, clock, turn, log, synchronous }: Parts): Storage {
  const numberings = createNumberings(connection);
  const { rooms, keys, destinations } = numberings;
  const snapshots = new SnapshotLayers(connection, keys);
  const listings = createRoomListings(connection);
  const names = createDirectoryNames(connection);
  const states = createCurrentStates(connection);
  const waiting = createWaitingEventWrites(connection);
  const records = new EventRecords(rooms);
  const erased = new ErasedUsers(connection);
  const unread = createUnreadWrites({ connection, ...numberings });
  const words = createMessageWords(connection);
  const deps = { connection, turn, ...numberings, snapshots, states, listings, names, waiting, records, unread, words };
  const events = createEventWrites(deps);
  const imports = createImportWrites(deps);
  const keyStore = createKeyStore(connection);
  const leftovers = new Leftovers();
  const left = createDeviceLeftovers(connection, leftovers);
  const backups = createKeyBackupWrites(connection, leftovers);
  const toDevice = createToDeviceWrites(connection, left);
  const changeWrites = createChangeWrites(connection);
  const presence = createPresenceWrites(connection, leftovers);
  const many: ManyWrites<ManyKind> = { ...events.many, ...unread.many, ...presence.many };
  const writes: Writes<Exclude<RowKind, ManyKind>> = {
    ...createAccountWrites(connection, { names, erased, keys: keyStore.removal, backups: backups.removal, left }),
    ...createAccountDataWrites(connection),
    reaction_cursor: changeWrites.reaction_cursor,
    ...createDirectoryWrites(deps),
    ...events.rows,
    ...createFederationWrites(connection),
    ...imports.rows,
    ...backups.rows,
    ...keyStore.rows,
    ...createMediaWrites(connection),
    ...createQuarantineWrites(connection),
    ...createOutgoingWrites(deps),
    ...presence.rows,
    ...createReportWrites(connection),
    ...createPushWrites(connection),
    ...createReceiptWrites(connection, rooms),
    ...createRoomWrites(deps),
    ...createServiceWrites(connection, toDevice.collect),
    ...createStateWrites(deps),
    ...unread.rows,
    ...toDevice.rows,
    ...waiting.rows,
  };
  const committer: Committer = new Committer({
    connection,
    clock,
    log,
    synchronous,
    positions: new Positions(connection),
    holds: createExpectations(deps),
    write: (entries) => writeEntries({ many, writes }, entries),
    writeLast() {
      words.write();
      leftovers.removeSome();
    },
    logChanges: (changes) => changeWrites.log(changes),
    undone() {
      for (const numbering of Object.values(numberings)) numbering.forget();
      snapshots.forget();
      erased.forget();
      waiting.forget();
      imports.forget();
      leftovers.expect();
    },
    wrote(rows) {
      checkpoints?.wrote(rows + leftovers.takeRemoved());
      removeLeftovers();
    },
  });
  const checkpoints = checkpointWorker
    ? new Checkpoints({ worker: checkpointWorker, holdCommits: (task) => committer.hold(task), log })
    : undefined;
  let snapshotId = findLastSnapshot(connection);
  let stopping: Promise<void> | undefined;
  let isRemoving = false;
  /** By transactions of their own, where no others come. After a failure the next transaction goes on. */
  const removeLeftovers = (): void => {
    if (isRemoving || stopping !== undefined || !leftovers.mayBeLeft) return;
    isRemoving = true;
    const done = (): void => {
      isRemoving = false;
    };
    committer.commit({ rows: [] }).then(
      () => {
        done();
        removeLeftovers();
      },
      (err: unknown) => {
        done();
        if (stopping === undefined) log.warn({ err }, 'what is left over was not deleted, and will be later');
      },
    );
  };
  removeLeftovers();

  return {
    accounts: createAccountReads(connection, turn, erased),
    accountData: createAccountDataReads(connection, turn),
    changes: createChangeReads(connection, turn),
    ...createKeyReads(connection, turn),
    directory: createDirectoryReads(connection, turn),
    events: createEventReads(deps),
    federation: createFederationReads(connection, turn),
    imports: createImportReads(connection, turn),
    keyBackups: createKeyBackupReads(connection, turn),
    media: {
      ...createMediaReads(connection, turn),
      ...createQuarantineReads({ connection, turn, rooms, slow }),
    },
    outgoing: createOutgoingReads(connection, turn, destinations),
    presence: createPresenceReads(connection, turn),
    push: createPushReads(connection, turn),
    receipts: createReceiptReads(connection, turn, rooms),
    relations: createRelationReads(deps),
    reports: createReportReads(connection, turn),
    rooms: createRoomReads(connection, turn, rooms),
    search: createSearchReads({ connection, turn, rooms, slow }),
    services: createServiceReads(connection, turn, rooms),
    state: createStateReads(deps),
    toDevice: createToDeviceReads(connection, turn),
    unread: createUnreadReads(deps),
    waitingEvents: createWaitingEventReads(connection, turn),
    commit: (batch) => committer.commit(batch),
    position: () => committer.position,
    newSnapshotId() {
      snapshotId += 1;
      return snapshotId as SnapshotId;
    },
    onCommit: (listener) => committer.listen(listener),
    stop() {
      stopping ??= (async () => {
        committer.stop();
        // Who waited for these commits reads on before the database goes.
        await nextTurn();
        await slow.stop();
        await checkpoints?.stop();
        connection.exec('PRAGMA optimize');
        close();
      })();
      return stopping;
    },
  };
}

type ManyKind = 'event' | 'notification' | 'presence_loss';

interface RowWrites {
  readonly many: ManyWrites<ManyKind>;
  readonly writes: Writes<Exclude<RowKind, ManyKind>>;
}

/** All of one kind. */
function writeEntries({ many, writes }: RowWrites, entries: readonly Entry[]): void {
  const events = entries.flatMap(({ row, step }) => (row.kind === 'event' ? { row, step } : []));
  if (events.length > 0) many.event(events);
  const losses = entries.flatMap(({ row, step }) => (row.kind === 'presence_loss' ? { row, step } : []));
  if (losses.length > 0) many.presence_loss(losses);
  const notifications = entries.flatMap(({ row, step }) => (row.kind === 'notification' ? { row, step } : []));
  if (notifications.length > 0) many.notification(notifications);
  for (const { row, step } of entries) {
    if (row.kind === 'event' || row.kind === 'notification' || row.kind === 'presence_loss') continue;
    writeRow(writes, row.kind, row, step);
  }
}

function writeRow<Kind extends Exclude<RowKind, ManyKind>>(
  writes: RowWrites['writes'],
  kind: Kind,
  row: RowOf<Kind>,
  step: Step,
): void {
  writes[kind](row, step);
}

/** The last number that snapshots, imports and what these put together bear. */
function findLastSnapshot(connection: Connection): number {
  const last = connection.prepare<[], number>(
    `SELECT max(coalesce((SELECT max(snapshot_no) FROM snapshots), 0), coalesce((SELECT max(import_no) FROM imports), 0),
       coalesce((SELECT max(state_no) FROM rooms WHERE state_no IS NOT NULL), 0))`,
  );
  return last.pluck().get() ?? 0;
}
