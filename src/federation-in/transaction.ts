import type { Clock } from '../base/clock.ts';
import { hasLooseNumbers } from '../base/json/json.ts';
import { SlotsFullError } from '../base/tasks/slots.ts';
import { SlotsByKey } from '../base/tasks/slots-by-key.ts';
import { transactionEdusMax, transactionPdusMax } from '../matrix/edu.ts';
import { badJson, limitExceeded } from '../matrix/errors.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { Storage } from '../storage/contract/storage.ts';
import type { EduReceiver } from './edus.ts';
import type { PduReceiver } from './pdus.ts';

export interface TransactionDeps {
  readonly storage: Pick<Storage, 'federation' | 'commit'>;
  readonly pdus: PduReceiver;
  readonly edus: EduReceiver;
  readonly clock: Clock;
}

export interface Transaction {
  origin: ServerName;
  transactionId: string;
  /** Read exactly. */
  body: JsonObject;
  /** What it was read from. */
  text: string;
}

/** event id → `{}` or `{ error }`, for each PDU whose id could be computed (server-server API, PUT /send/{txnId}). */
export interface TransactionAnswer extends JsonObject {
  pdus: { [eventId: string]: { error?: string } };
}

export interface TransactionReceiver {
  /**
   * Takes in a transaction once: the same (origin, id) again gets the stored answer, and arriving twice at once joins the
   * first. A bad PDU or EDU costs its own entry. Throws M_BAD_JSON when the transaction itself is not one, M_LIMIT_EXCEEDED when too many of
   * the origin's wait already.
   */
  receive(transaction: Transaction): Promise<TransactionAnswer>;
}

/** Server-server API, "Transactions": servers send one at a time. Some send a few; what goes beyond waits, and beyond that is refused. */
const ofOriginMax = { runningMax: 3, waitingMax: 20 };
const retryAfterMs = 1_000;

export function createTransactionReceiver(deps: TransactionDeps): TransactionReceiver {
  const underWay = new Map<string, Promise<TransactionAnswer>>();
  const slots = new SlotsByKey(ofOriginMax);
  return {
    receive(transaction) {
      const key = `${transaction.origin}|${transaction.transactionId}`;
      const running = underWay.get(key);
      if (running !== undefined) return running;
      const answer = slots
        .run(transaction.origin, () => receiveOnce(deps, transaction))
        .catch((error: unknown) => {
          throw error instanceof SlotsFullError ? limitExceeded(retryAfterMs) : error;
        })
        .finally(() => underWay.delete(key));
      underWay.set(key, answer);
      return answer;
    },
  };
}

async function receiveOnce(deps: TransactionDeps, transaction: Transaction): Promise<TransactionAnswer> {
  const { origin, transactionId } = transaction;
  const stored = await deps.storage.federation.findReceivedTransaction(origin, transactionId);
  if (stored) return stored as TransactionAnswer;
  const { pdus, edus } = parseTransaction(transaction);
  const results = await deps.pdus.receive(origin, pdus);
  // Behind the PDUs: a join may come with the joiner's presence.
  await deps.edus.receive(origin, edus);
  const answer: TransactionAnswer = { pdus: Object.fromEntries(results) };
  await deps.storage.commit({
    rows: [{ kind: 'received_transaction', origin, transactionId, answer, receivedAtMs: deps.clock.now() }],
  });
  return answer;
}

function parseTransaction({ body, text }: Transaction): { pdus: unknown[]; edus: unknown[] } {
  const pdus = body.pdus ?? [];
  const edus = body.edus ?? [];
  if (!Array.isArray(pdus)) throw badJson('pdus must be a list');
  if (!Array.isArray(edus)) throw badJson('edus must be a list');
  if (pdus.length > transactionPdusMax) throw badJson(`A transaction has at most ${transactionPdusMax} PDUs`);
  if (edus.length > transactionEdusMax) throw badJson(`A transaction has at most ${transactionEdusMax} EDUs`);
  return { pdus, edus: hasLooseNumbers(text) ? withPlainNumbers(edus) : edus };
}

/** Nobody hashes an EDU, and a fraction in one is a number like any other. */
function withPlainNumbers(edus: unknown[]): unknown[] {
  return JSON.parse(JSON.stringify(edus));
}
