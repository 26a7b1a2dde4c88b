import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { settle } from '../support/server.ts';
import { StatementCounter } from '../support/statements.ts';
import { a, guest, mallory, stub, useHostileServers, visit } from './visit.ts';

/** What a transaction asks of the database grows with its runs, hardly with its events. */
const counter = new StatementCounter();

useHostileServers();
beforeAll(() => counter.start());
beforeEach(visit);
afterAll(() => counter.stop());

/** What ran while a transaction with so many messages was taken in, until nothing was left to do. */
async function statementsOf(count: number): Promise<string[]> {
  const pdus = Array.from({ length: count }, (_, n) => guest.say(mallory, `message ${n}`).pdu);
  return counter.during(async () => {
    expect((await stub.send(a, { pdus })).status).toBe(200);
    await settle(a);
  });
}

it('fifty messages of one room are taken in by hardly more statements than two', async () => {
  // What is asked for once only.
  await statementsOf(3);
  const few = await statementsOf(2);
  const many = await statementsOf(50);
  // Of each of the tables that get a row for each event, three full statements of 16 rows and two more, and not one.
  const tables = ['events', 'notifications', 'change_log'];
  expect(many.length - few.length).toBeLessThanOrEqual(5 * tables.length);
  for (const table of tables) {
    const inserts = many.filter((sql) => sql.startsWith(`INSERT INTO ${table} `));
    expect(inserts.length).toBeLessThanOrEqual(6);
  }
});
