import { describe, expect, it } from 'vitest';
import { parseExactJson } from '../../../src/base/json/exact-json.ts';
import { LooseNumber } from '../../../src/base/json/loose-number.ts';
import type { PduResults } from '../../../src/federation-in/pdus.ts';
import { createTransactionReceiver, type Transaction } from '../../../src/federation-in/transaction.ts';
import type { EventId } from '../../../src/matrix/ids.ts';
import type { JsonObject } from '../../../src/matrix/pdu.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import type { Batch, CommitResult } from '../../../src/storage/contract/commit.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const origin = 'other.example' as ServerName;

function setUp(results: Promise<[EventId, { error?: string }][]> = Promise.resolve([])) {
  const seen: string[] = [];
  const stored = new Map<string, JsonObject>();
  let taken: readonly unknown[] = [];
  const receiver = createTransactionReceiver({
    storage: {
      federation: {
        listServerKeys: async () => [],
        listPublishedKeys: async () => [],
        findReceivedTransaction: async (server, id) => stored.get(`${server} ${id}`),
      },
      async commit({ rows }: Batch): Promise<CommitResult> {
        for (const row of rows)
          if (row.kind === 'received_transaction') stored.set(`${row.origin} ${row.transactionId}`, row.answer);
        return { outcome: 'committed', position: 1, positions: [null] };
      },
    },
    pdus: {
      async receive(_origin, pdus: readonly unknown[]): Promise<PduResults> {
        seen.push(`pdus ${JSON.stringify(pdus)}`);
        taken = pdus;
        return new Map(await results);
      },
    },
    edus: {
      async receive(_origin, edus) {
        seen.push(`edus ${JSON.stringify(edus)}`);
      },
    },
    clock: new ManualClock(),
  });
  return { receiver, seen, stored, taken: () => taken };
}

function transaction(body: JsonObject, transactionId = 't1'): Transaction {
  return { origin, transactionId, body, text: JSON.stringify(body) };
}

describe('a transaction', () => {
  it('hands its PDUs and then its EDUs on, and answers what became of each PDU', async () => {
    const id = '$event' as EventId;
    const { receiver, seen } = setUp(Promise.resolve([[id, { error: 'no' }]]));
    expect(await receiver.receive(transaction({ pdus: [{ a: 1 }], edus: [{ b: 2 }] }))).toEqual({
      pdus: { [id]: { error: 'no' } },
    });
    expect(seen).toEqual(['pdus [{"a":1}]', 'edus [{"b":2}]']);
  });

  it('keeps the numbers of its PDUs as they were written; those of EDUs are plain', async () => {
    const { receiver, seen, taken } = setUp();
    const text = '{"pdus":[{"depth":1.0}],"edus":[{"ago":2.5}]}';
    const parsed = parseExactJson(text);
    if (parsed.outcome !== 'parsed') throw new Error(parsed.reason);
    await receiver.receive({ origin, transactionId: 't', body: parsed.value as JsonObject, text });
    expect(seen).toEqual(['pdus [{"depth":1}]', 'edus [{"ago":2.5}]']);
    expect(taken()).toEqual([{ depth: expect.any(LooseNumber) }]);
  });

  it('that arrives again gets the stored answer and does nothing', async () => {
    const { receiver, seen } = setUp();
    const first = await receiver.receive(transaction({ pdus: [] }));
    const count = seen.length;
    expect(await receiver.receive(transaction({ pdus: [{ other: true }] }))).toEqual(first);
    expect(seen).toHaveLength(count);
  });

  it('of another server, or with another id, is another one', async () => {
    const { receiver, seen } = setUp();
    await receiver.receive(transaction({ pdus: [] }, 't1'));
    await receiver.receive(transaction({ pdus: [] }, 't2'));
    await receiver.receive({ ...transaction({ pdus: [] }, 't1'), origin: 'third.example' as ServerName });
    expect(seen.filter((line) => line.startsWith('pdus'))).toHaveLength(3);
  });

  it('that arrives twice at once is taken in once', async () => {
    const { receiver, seen } = setUp();
    const [a, b] = await Promise.all([receiver.receive(transaction({})), receiver.receive(transaction({}))]);
    expect(a).toBe(b);
    expect(seen.filter((line) => line.startsWith('pdus'))).toHaveLength(1);
  });

  it('gives its EDUs behind its PDUs', async () => {
    let finish: (list: [EventId, object][]) => void = () => {};
    const { receiver, seen } = setUp(new Promise((done) => (finish = done)));
    const answer = receiver.receive(transaction({ pdus: [{}], edus: [{}] }));
    await new Promise((done) => setImmediate(done));
    expect(seen).toEqual(['pdus [{}]']);
    finish([]);
    expect(await answer).toEqual({ pdus: {} });
    expect(seen).toEqual(['pdus [{}]', 'edus [{}]']);
  });

  it('waits behind three others of its server, and is turned away behind twenty that wait', async () => {
    let finish: () => void = () => undefined;
    const { receiver, seen } = setUp(new Promise((done) => (finish = () => done([]))));
    const send = (count: number, from = origin) =>
      receiver.receive({ ...transaction({ pdus: [{ count }] }, `t${count}`), origin: from });
    const answers = Array.from({ length: 23 }, (_, count) => send(count));
    await new Promise((done) => setImmediate(done));
    expect(seen).toHaveLength(3);
    await expect(send(23)).rejects.toMatchObject({ status: 429, errcode: 'M_LIMIT_EXCEEDED' });
    const others = send(0, 'third.example' as ServerName);
    await new Promise((done) => setImmediate(done));
    expect(seen).toHaveLength(4);
    finish();
    expect(await Promise.all([...answers, others])).toHaveLength(24);
    expect(await send(23)).toEqual({ pdus: {} });
  });

  it.each([
    ['51 PDUs', { pdus: Array.from({ length: 51 }, () => ({})) }],
    ['101 EDUs', { edus: Array.from({ length: 101 }, () => ({})) }],
    ['PDUs that are no list', { pdus: {} }],
    ['EDUs that are no list', { edus: 'x' }],
  ])('with %s is refused whole with M_BAD_JSON and leaves nothing', async (_what, body) => {
    const { receiver, seen, stored } = setUp();
    await expect(receiver.receive(transaction(body))).rejects.toMatchObject({ status: 400, errcode: 'M_BAD_JSON' });
    expect([seen, stored.size]).toEqual([[], 0]);
  });

  it('with 50 PDUs and 100 EDUs is taken', async () => {
    const { receiver } = setUp();
    const body = { pdus: Array.from({ length: 50 }, () => ({})), edus: Array.from({ length: 100 }, () => ({})) };
    expect(await receiver.receive(transaction(body))).toEqual({ pdus: {} });
  });
});
