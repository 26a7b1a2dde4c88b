import type { Edu } from '../../src/matrix/edu.ts';
import type { EventId, RoomId } from '../../src/matrix/ids.ts';
import type { ServerName } from '../../src/matrix/server-name.ts';
import type { Batch, CommitResult, Row } from '../../src/storage/contract/commit.ts';
import type {
  DestinationHealthRow,
  OutgoingReads,
  OutgoingTransactionRow,
} from '../../src/storage/contract/outgoing.ts';

interface LoggedPdu {
  position: number;
  eventId: EventId;
  roomId: RoomId;
  destinations: readonly ServerName[];
}

/** The outgoing log alone, in memory: what survives a crash of the sender. Commits can be made to fail. */
export class OutgoingLog {
  readonly pdus: LoggedPdu[] = [];
  edus: { eduId: number; destination: ServerName; edu: Edu; key: string | null }[] = [];
  readonly cursors = new Map<ServerName, number>();
  readonly transactions = new Map<ServerName, OutgoingTransactionRow>();
  /** Called before a commit is applied; what it throws is the commit's failure. */
  beforeCommit: (row: Row) => void = () => {};
  #position = 0;
  #eduId = 0;

  addPdu(roomId: string, ...destinations: string[]): EventId {
    this.#position += 1;
    const eventId = `$${this.#position}` as EventId;
    for (const destination of destinations as ServerName[]) {
      if (!this.cursors.has(destination)) this.cursors.set(destination, this.#position - 1);
    }
    const position = this.#position;
    this.pdus.push({ position, eventId, roomId: roomId as RoomId, destinations: destinations as ServerName[] });
    return eventId;
  }

  addEdu(destination: string, edu: Edu, key: string | null = null): void {
    this.#eduId += 1;
    this.edus = this.edus.filter((row) => key === null || row.destination !== destination || row.key !== key);
    this.edus.push({ eduId: this.#eduId, destination: destination as ServerName, edu, key });
  }

  async commit(batch: Batch): Promise<CommitResult> {
    await Promise.resolve();
    for (const row of batch.rows) this.beforeCommit(row);
    for (const row of batch.rows) this.#apply(row);
    return { outcome: 'committed', position: this.#position, positions: batch.rows.map(() => null) };
  }

  #apply(row: Row): void {
    if (row.kind === 'outgoing_transaction') {
      const { kind, ...transaction } = row;
      this.transactions.set(row.destination, transaction);
    } else if (row.kind === 'outgoing_withdrawn') {
      this.transactions.delete(row.destination);
    } else if (row.kind === 'outgoing_delivered') {
      const transaction = this.transactions.get(row.destination);
      if (transaction?.transactionId !== row.transactionId) throw new Error('delivered what was not under way');
      this.transactions.delete(row.destination);
      this.edus = this.edus.filter(({ eduId }) => !transaction.eduIds.includes(eduId));
      this.cursors.set(row.destination, row.cursor);
    } else {
      throw new Error(`the outgoing log has no ${row.kind}`);
    }
  }

  readonly events = {
    listPduTexts: async (eventIds: readonly EventId[]) => eventIds.map((eventId) => `{"id":"${eventId}"}`),
  };

  readonly outgoing: OutgoingReads = {
    findDestination: async (destination) => {
      const cursor = this.cursors.get(destination);
      if (cursor === undefined) return undefined;
      return { destination, cursor, failingSinceMs: null, retryAtMs: null, failures: 0 };
    },
    listFailingDestinations: async (): Promise<DestinationHealthRow[]> => [],
    listPendingDestinations: async () => {
      const pending = new Set<ServerName>([...this.transactions.keys(), ...this.edus.map((row) => row.destination)]);
      for (const { position, destinations } of this.pdus) {
        for (const destination of destinations) {
          if (position > (this.cursors.get(destination) ?? 0)) pending.add(destination);
        }
      }
      return [...pending];
    },
    findTransaction: async (destination) => this.transactions.get(destination),
    listPdus: async (destination, after, limit) =>
      this.pdus
        .filter(({ position, destinations }) => position > after && destinations.includes(destination))
        .slice(0, limit),
    listEdus: async (destination, limit) => this.edus.filter((row) => row.destination === destination).slice(0, limit),
  };
}
