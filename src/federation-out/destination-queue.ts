import { assert } from '../base/assert.ts';
import { breathe } from '../base/breathe.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Count } from '../base/metrics.ts';
import type { Random } from '../base/random.ts';
import { type Edu, transactionEdusMax, transactionPdusMax } from '../matrix/edu.ts';
import type { EventId, RoomId } from '../matrix/ids.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { Position } from '../storage/contract/commit.ts';
import type { OutgoingTransactionRow } from '../storage/contract/outgoing.ts';
import type { Storage } from '../storage/contract/storage.ts';
import { FederationError, type FederationRequests } from './requests-contract.ts';
import { encodeEdu, listPduErrors, newTransactionId, transactionText } from './transaction.ts';
import { emptyLoad, type VolatileEdus, type VolatileLoad } from './volatile-edus.ts';

/** A destination further behind than this catches up: of each room it gets the newest event only, and asks for the rest. */
export const behindMax = 500;
const pageSize = 1_000;
/** Transactions in a row before another destination that waits has its turn. */
const transactionsPerTurn = 10;

export interface QueueDeps {
  serverName: ServerName;
  storage: {
    outgoing: Storage['outgoing'];
    events: Pick<Storage['events'], 'listPduTexts'>;
    commit: Storage['commit'];
  };
  requests: Pick<FederationRequests, 'sendTransaction'>;
  clock: Clock;
  random: Random;
  log: Log;
  /** Events and EDUs that a destination would not take, alone either. */
  skipped: Count;
}

/** `more`: its turn is over, there may be more. */
export type TurnOutcome = { outcome: 'drained' } | { outcome: 'more' } | { outcome: 'failed'; error: unknown };

interface Step {
  position: Position;
  eventId: EventId;
}

interface Durable {
  pdus: readonly Step[];
  edus: readonly { eduId: number; edu: Edu }[];
  cursor: Position;
}

/**
 * One destination with something to send, one transaction at a time. Durable content is stored under the transaction's id
 * before the first attempt; a retry repeats exactly it. Exists only while there is something to send.
 */
export class DestinationQueue {
  readonly destination: ServerName;
  /** Set by a poke: look once more before saying that nothing is left. */
  again = false;
  readonly #deps: QueueDeps;
  readonly #volatile: VolatileEdus;
  readonly #signal: AbortSignal;
  /** Events to send next, in order of position: one transaction of them, or all that is left of a catch-up. */
  #planned: Step[] = [];
  /** How many more events and EDUs are sent one by one, to find those for which a transaction of theirs was refused. */
  #alone = 0;

  /** Once `signal` is aborted no further attempt is begun, and the answer to one under way is not looked at. */
  constructor(deps: QueueDeps, what: { destination: ServerName; volatile: VolatileEdus; signal: AbortSignal }) {
    this.#deps = deps;
    this.destination = what.destination;
    this.#volatile = what.volatile;
    this.#signal = what.signal;
  }

  /** Sends until nothing is left, an attempt fails, or the turn is over. Never throws. */
  async takeTurn(mayGoOn: () => boolean): Promise<TurnOutcome> {
    try {
      const stored = await this.#deps.storage.outgoing.findTransaction(this.destination);
      if (stored) await this.#attempt(stored, emptyLoad);
      for (let sent = stored ? 1 : 0; mayGoOn(); sent += 1) {
        if (sent >= transactionsPerTurn) return { outcome: 'more' };
        this.again = false;
        const progress = await this.#sendNext();
        if (!progress && !this.again) return { outcome: 'drained' };
      }
      return { outcome: 'more' };
    } catch (error) {
      this.#planned = [];
      return { outcome: 'failed', error };
    }
  }

  /** False when there was nothing to send. */
  async #sendNext(): Promise<boolean> {
    const durable = await this.#readDurable();
    const room = transactionEdusMax - durable.edus.length;
    const transaction: OutgoingTransactionRow = {
      destination: this.destination,
      transactionId: newTransactionId(this.#deps.clock, this.#deps.random),
      eventIds: durable.pdus.map(({ eventId }) => eventId),
      eduIds: durable.edus.map(({ eduId }) => eduId),
      edus: durable.edus.map(({ edu }) => edu).filter((edu) => this.#canEncode(edu)),
      cursor: durable.cursor,
    };
    const hasDurable = transaction.eventIds.length > 0 || transaction.eduIds.length > 0;
    if (hasDurable) await this.#commit({ kind: 'outgoing_transaction', ...transaction });
    const load = room > 0 && this.#alone === 0 ? await this.#volatile.take(this.destination, room) : emptyLoad;
    if (!hasDurable && load.eduTexts.length === 0) {
      load.settle('refused');
      return false;
    }
    await this.#attempt(transaction, load);
    return true;
  }

  async #readDurable(): Promise<Durable> {
    const { outgoing } = this.#deps.storage;
    // A destination without a row was never sent an event; its first one sets the cursor.
    const cursor = (await outgoing.findDestination(this.destination))?.cursor ?? 0;
    if (this.#planned.length === 0) await this.#readPdus(cursor);
    const pdus = this.#planned.splice(0, this.#alone > 0 ? 1 : transactionPdusMax);
    const edusMax = this.#alone === 0 ? transactionEdusMax : 1 - pdus.length;
    const edus = edusMax > 0 ? await outgoing.listEdus(this.destination, edusMax) : [];
    return { pdus, edus, cursor: pdus.at(-1)?.position ?? cursor };
  }

  async #readPdus(cursor: Position): Promise<void> {
    const pdus = await this.#deps.storage.outgoing.listPdus(this.destination, cursor, behindMax + 1);
    this.#planned = pdus.length > behindMax ? await this.#planCatchUp(cursor) : pdus.slice(0, transactionPdusMax);
  }

  /**
   * Events are taken in order of position, so the cursor may stand behind the last one sent: what it passes over has a
   * newer event of the same room, sent already or still to come. So a restart in between loses nothing.
   */
  async #planCatchUp(cursor: Position): Promise<Step[]> {
    const newest = new Map<RoomId, Step>();
    let after = cursor;
    for (;;) {
      const page = await this.#deps.storage.outgoing.listPdus(this.destination, after, pageSize);
      for (const { position, eventId, roomId } of page) newest.set(roomId, { position, eventId });
      const last = page.at(-1);
      if (!last || page.length < pageSize) break;
      after = last.position;
      await breathe();
    }
    this.#deps.log.info({ destination: this.destination, rooms: newest.size }, 'a destination far behind catches up');
    return [...newest.values()].sort((a, b) => a.position - b.position);
  }

  /**
   * Throws when the attempt failed. Then the transaction is to be repeated, unless it was refused for what is in it: such a one would be refused
   * for ever, and everything behind it would wait. Its content is sent one by one, and what is refused alone too is skipped.
   */
  async #attempt(transaction: OutgoingTransactionRow, load: VolatileLoad): Promise<void> {
    const { destination, transactionId, eventIds, eduIds, cursor } = transaction;
    const size = eventIds.length + eduIds.length;
    try {
      await this.#send(transaction, load);
    } catch (error) {
      if (size === 0 || !isForItsContent(error)) throw error;
      if (size > 1) {
        this.#alone = size;
        await this.#commit({ kind: 'outgoing_withdrawn', destination, transactionId });
        throw error;
      }
      const fields = {
        destination,
        eventId: eventIds[0],
        eduType: transaction.edus[0]?.edu_type,
        reason: error.message,
      };
      this.#deps.log.warn(fields, 'another server refuses this for good; it is not sent to it again');
      this.#deps.skipped.add();
      await this.#settle({ kind: 'outgoing_delivered', destination, transactionId, cursor });
      throw error;
    }
    if (size > 0) await this.#settle({ kind: 'outgoing_delivered', destination, transactionId, cursor });
  }

  async #settle(row: Delivered): Promise<void> {
    await this.#commit(row);
    this.#alone = Math.max(0, this.#alone - 1);
  }

  async #send(transaction: OutgoingTransactionRow, load: VolatileLoad): Promise<void> {
    const { transactionId, eventIds } = transaction;
    let fate: 'accepted' | 'refused' = 'refused';
    try {
      const pduTexts = eventIds.length > 0 ? await this.#deps.storage.events.listPduTexts(eventIds) : [];
      const eduTexts = [...transaction.edus.flatMap((edu) => encodeEdu(edu) ?? []), ...load.eduTexts];
      const text = transactionText({ origin: this.#deps.serverName, transactionId, eduTexts, pduTexts });
      this.#signal.throwIfAborted();
      const answer = await this.#deps.requests.sendTransaction(this.destination, transactionId, { text });
      this.#signal.throwIfAborted();
      fate = 'accepted';
      for (const { eventId, error } of listPduErrors(answer.pdus, eventIds)) {
        this.#deps.log.warn({ destination: this.destination, eventId, error }, 'another server refused an event');
      }
    } finally {
      load.settle(fate);
    }
  }

  #canEncode(edu: Edu): boolean {
    if (encodeEdu(edu) !== undefined) return true;
    const fields = { destination: this.destination, eduType: edu.edu_type };
    this.#deps.log.error(fields, 'an EDU without a canonical form cannot be sent and is dropped');
    return false;
  }

  async #commit(
    row:
      | ({ kind: 'outgoing_transaction' } & OutgoingTransactionRow)
      | { kind: 'outgoing_withdrawn'; destination: ServerName; transactionId: string }
      | Delivered,
  ): Promise<void> {
    const result = await this.#deps.storage.commit({ rows: [row] });
    assert(result.outcome === 'committed', 'a batch that expects nothing is never refused');
  }
}

type Delivered = { kind: 'outgoing_delivered'; destination: ServerName; transactionId: string; cursor: Position };

/** "Bad request", "content too large", "unprocessable content". */
const contentStatuses = new Set([400, 413, 422]);

/**
 * Whether the answer is about what was sent, and so the same tomorrow; or nothing could be sent, since it has no form that can be signed. Who is
 * asked for a signature (401), keeps us out (403), is not there (404), or has too much to do (429, 5xx) may think otherwise later.
 */
function isForItsContent(error: unknown): error is FederationError {
  if (!(error instanceof FederationError) || error.outcome !== 'refused') return false;
  return error.status === undefined || contentStatuses.has(error.status);
}
