import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Edu } from '../../src/matrix/edu.ts';
import type { ServerName } from '../../src/matrix/server-name.ts';
import type { Change } from '../../src/storage/contract/changes.ts';
import { edusKeptMax, keptMax } from '../../src/storage/contract/outgoing.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import { attic, commit, eventId, eventRow, lobby, type OpenStorage, positionAt, server } from './make.ts';

const [one, two, three] = [server('one.test'), server('two.test'), server('three.test')];
const edu = (n: number): Edu => ({ edu_type: 'm.test', content: { n } });

export function describeOutgoing(open: OpenStorage): void {
  describe('what other servers are to be told', () => {
    let storage: Storage;
    let told: Change[];
    beforeEach(async () => {
      storage = await open();
      told = [];
      storage.onCommit((changes) => told.push(...changes));
    });
    afterEach(() => storage.stop());

    const send = async (name: string, destinations: readonly ServerName[], roomId = lobby) =>
      positionAt(
        await commit(storage, [
          eventRow(name, { roomId }),
          { kind: 'outgoing_pdu', eventId: eventId(name), roomId, destinations },
        ]),
      );
    const queue = (destination: ServerName, n: number, key: string | null = null) =>
      commit(storage, [{ kind: 'outgoing_edu', destination, edu: edu(n), key }]);
    const deliver = (destination: ServerName, cursor: number, transactionId = 't') =>
      commit(storage, [{ kind: 'outgoing_delivered', destination, transactionId, cursor }]);
    const pdusFor = async (destination: ServerName, after = 0, limit = 10) =>
      (await storage.outgoing.listPdus(destination, after, limit)).map((pdu) => pdu.eventId);
    const edusFor = async (destination: ServerName) =>
      (await storage.outgoing.listEdus(destination, 10)).map((row) => row.edu.content.n);

    it('lists the events for each destination in order, at the position of the event', async () => {
      const first = await send('a', [one, two]);
      await send('b', [two, one]);
      const third = await send('c', [two], attic);
      await send('d', [one, two, three]);
      expect(await pdusFor(one)).toEqual(['$a', '$b', '$d']);
      expect(await pdusFor(two, first)).toEqual(['$b', '$c', '$d']);
      expect(await pdusFor(two, first, 1)).toEqual(['$b']);
      expect(await pdusFor(three)).toEqual(['$d']);
      expect(await pdusFor(server('other.test'))).toEqual([]);
      expect(await storage.outgoing.listPdus(two, third - 1, 1)).toEqual([
        { position: third, eventId: '$c', roomId: attic },
      ]);
    });

    it('says for whom something waits', async () => {
      await send('a', [one, two]);
      await queue(three, 1);
      expect(told.filter(({ kind }) => kind === 'outgoing')).toEqual([
        { kind: 'outgoing', destinations: [one, two] },
        { kind: 'outgoing', destinations: [three] },
      ]);
      expect(await storage.outgoing.listPendingDestinations()).toEqual([one, three, two]);
    });

    it('starts a destination right before the first thing for it', async () => {
      expect(await storage.outgoing.findDestination(one)).toBeUndefined();
      await send('a', [two]);
      const position = await send('b', [one]);
      expect(await storage.outgoing.findDestination(one)).toEqual({
        destination: one,
        cursor: position - 1,
        failingSinceMs: null,
        retryAtMs: null,
        failures: 0,
      });
      await commit(storage, [
        { kind: 'outgoing_edu', destination: three, edu: edu(1), key: null },
        eventRow('c'),
        { kind: 'outgoing_pdu', eventId: eventId('c'), roomId: lobby, destinations: [three] },
      ]);
      const cursor = (await storage.outgoing.findDestination(three))?.cursor ?? Number.NaN;
      expect(await pdusFor(three, cursor)).toEqual(['$c']);
    });

    it('keeps how a destination fares', async () => {
      const failing = { destination: one, cursor: 5, failingSinceMs: 1, retryAtMs: 9, failures: 2 };
      await commit(storage, [{ kind: 'destination', ...failing }]);
      expect(await storage.outgoing.findDestination(one)).toEqual(failing);
      await commit(storage, [
        { kind: 'destination_health', destination: one, failingSinceMs: 1, retryAtMs: 20, failures: 3 },
        { kind: 'destination_health', destination: two, failingSinceMs: 1, retryAtMs: 20, failures: 3 },
      ]);
      expect(await storage.outgoing.findDestination(one)).toEqual({ ...failing, retryAtMs: 20, failures: 3 });
      expect(await storage.outgoing.findDestination(two)).toBeUndefined();
    });

    it('lists those that fail, the last one first', async () => {
      const row = (destination: ServerName, retryAtMs: number | null) => ({
        kind: 'destination' as const,
        destination,
        cursor: 1,
        failingSinceMs: retryAtMs,
        retryAtMs,
        failures: retryAtMs === null ? 0 : 1,
      });
      await commit(storage, [row(one, 10), row(two, 30), row(three, null)]);
      const failing = await storage.outgoing.listFailingDestinations(5);
      expect(failing).toEqual([
        { destination: two, failingSinceMs: 30, retryAtMs: 30, failures: 1 },
        { destination: one, failingSinceMs: 10, retryAtMs: 10, failures: 1 },
      ]);
      expect(await storage.outgoing.listFailingDestinations(1)).toHaveLength(1);
    });

    it('queues EDUs in order, a later one in the place of one with its key', async () => {
      await queue(one, 1, 'k');
      await queue(one, 2);
      await queue(two, 3, 'k');
      await queue(one, 4, 'k');
      await queue(one, 5);
      expect(await edusFor(one)).toEqual([2, 4, 5]);
      expect(await edusFor(two)).toEqual([3]);
      expect(await storage.outgoing.listEdus(one, 1)).toHaveLength(1);
    });

    describe('of too many EDUs for one destination', () => {
      const more = 200;
      const queueMany = (destination: ServerName, edus: readonly { n: number; key?: string; series?: string }[]) =>
        commit(
          storage,
          edus.map(({ n, key = null, ...series }) => ({
            kind: 'outgoing_edu',
            destination,
            edu: edu(n),
            key,
            ...series,
          })),
        );
      const numbersFor = async (destination: ServerName) =>
        (await storage.outgoing.listEdus(destination, 2 * edusKeptMax)).map((row) => Number(row.edu.content.n));
      const range = (count: number) => Array.from({ length: count }, (_, n) => n);

      it('keeps the newest, and all of another destination', async () => {
        await queueMany(
          two,
          range(500).map((n) => ({ n })),
        );
        await queueMany(
          one,
          range(edusKeptMax + more).map((n) => ({ n })),
        );
        const kept = await numbersFor(one);
        expect(kept.length).toBeGreaterThanOrEqual(edusKeptMax);
        expect(kept.length).toBeLessThan(edusKeptMax + more);
        expect(kept.at(-1)).toBe(edusKeptMax + more - 1);
        expect(kept).toEqual([...kept].sort((a, b) => a - b));
        expect(await numbersFor(two)).toHaveLength(500);
      });

      it('keeps all of a series until there are too many, then the newest', async () => {
        const ofMany = range(edusKeptMax + more).map((n) => ({ n: 100 + n, key: `c${n}`, series: `c${n}` }));
        await queueMany(
          one,
          range(20).map((n) => ({ n, key: `a${n}`, series: 'a' })),
        );
        expect(await numbersFor(one)).toEqual(range(20));
        await queueMany(one, ofMany);
        await queueMany(one, [{ n: 99_999, key: 'a99', series: 'a' }]);
        // Of each series the newest, however long it has waited.
        expect(await numbersFor(one)).toEqual([...ofMany.map(({ n }) => n), 99_999]);
      });

      it('has a bound for one series, too', async () => {
        await queueMany(
          one,
          range(2 * edusKeptMax).map((n) => ({ n, key: `c${n}`, series: 'c' })),
        );
        const kept = await numbersFor(one);
        expect(kept.length).toBeLessThan(edusKeptMax + more);
        expect(kept.at(-1)).toBe(2 * edusKeptMax - 1);
      });

      it('counts those of series apart from the others', async () => {
        await queueMany(one, [{ n: 1 }]);
        await queueMany(
          one,
          range(edusKeptMax + more).map((n) => ({ n: 100 + n, key: `c${n}`, series: `${n}` })),
        );
        expect(await numbersFor(one)).toHaveLength(edusKeptMax + more + 1);
      });
    });

    it('stores one transaction a destination and repeats it exactly', async () => {
      const transaction = {
        destination: one,
        transactionId: 't',
        eventIds: [eventId('a')],
        eduIds: [1, 2],
        edus: [edu(1), edu(2)],
        cursor: 7,
      };
      await commit(storage, [{ kind: 'outgoing_transaction', ...transaction }]);
      expect(await storage.outgoing.findTransaction(one)).toEqual(transaction);
      expect(await storage.outgoing.findTransaction(two)).toBeUndefined();
      expect(await storage.outgoing.listPendingDestinations()).toEqual([one]);
    });

    it('forgets a transaction that is withdrawn, and nothing of what it carried', async () => {
      const position = await send('a', [one]);
      await queue(one, 1);
      const [carried] = await storage.outgoing.listEdus(one, 1);
      const transaction = { destination: one, transactionId: 't', eventIds: [eventId('a')], cursor: position };
      await commit(storage, [
        { kind: 'outgoing_transaction', ...transaction, eduIds: [carried?.eduId ?? 0], edus: [edu(1)] },
      ]);
      await commit(storage, [{ kind: 'outgoing_withdrawn', destination: one, transactionId: 'other' }]);
      expect(await storage.outgoing.findTransaction(one)).toMatchObject({ transactionId: 't' });
      await commit(storage, [{ kind: 'outgoing_withdrawn', destination: one, transactionId: 't' }]);
      expect(await storage.outgoing.findTransaction(one)).toBeUndefined();
      expect(await pdusFor(one)).toEqual(['$a']);
      expect(await edusFor(one)).toEqual([1]);
      expect(await storage.outgoing.findDestination(one)).toMatchObject({ cursor: position - 1 });
    });

    it('removes with a delivery what was delivered, and nothing that came meanwhile', async () => {
      const position = await send('a', [one]);
      await queue(one, 1, 'k');
      await queue(one, 2);
      await queue(two, 3);
      const carried = await storage.outgoing.listEdus(one, 10);
      await commit(storage, [
        {
          kind: 'outgoing_transaction',
          destination: one,
          transactionId: 't',
          eventIds: [eventId('a')],
          eduIds: carried.map(({ eduId }) => eduId),
          edus: carried.map((row) => row.edu),
          cursor: position,
        },
      ]);
      const later = await send('b', [one]);
      await queue(one, 4, 'k');
      await deliver(one, position);
      expect(await storage.outgoing.findTransaction(one)).toBeUndefined();
      expect(await edusFor(one)).toEqual([4]);
      expect(await edusFor(two)).toEqual([3]);
      expect(await storage.outgoing.findDestination(one)).toMatchObject({ cursor: position });
      expect(await pdusFor(one, position)).toEqual(['$b']);
      expect(await storage.outgoing.listPendingDestinations()).toEqual([one, two]);
      await deliver(one, later);
      expect(await edusFor(one)).toEqual([4]);
    });

    it('has nothing pending once everything was delivered', async () => {
      const position = await send('a', [one]);
      await deliver(one, position);
      expect(await storage.outgoing.listPendingDestinations()).toEqual([]);
      const later = await send('b', [one]);
      expect(await storage.outgoing.listPendingDestinations()).toEqual([one]);
      await deliver(one, later);
      expect(await storage.outgoing.listPendingDestinations()).toEqual([]);
    });

    it('of a log that became too long keeps the newest event of each room for who has not got it, and only for them', async () => {
      const quiet = await send('quiet', [one, two], attic);
      await send('early', [one, two]);
      const late = await send('late', [one, two]);
      await deliver(two, late);
      for (let from = 0; from < keptMax + 500; from += 500) {
        const names = Array.from({ length: 500 }, (_, index) => `busy ${from + index}`);
        await commit(
          storage,
          names.flatMap((name) => [
            eventRow(name, { roomId: lobby }),
            { kind: 'outgoing_pdu', eventId: eventId(name), roomId: lobby, destinations: [two, three] },
          ]),
        );
      }
      const waiting = await pdusFor(one, 0, 20_000);
      expect(waiting).toEqual(['$quiet', '$late']);
      const ofTwo = await pdusFor(two, late, 20_000);
      expect(ofTwo.length).toBeLessThan(keptMax + 100);
      expect(ofTwo.at(-1)).toBe(`$busy ${keptMax + 499}`);
      expect(await storage.outgoing.listPendingDestinations()).toEqual([one, three, two]);
      await deliver(one, quiet);
      expect(await pdusFor(one, quiet)).toEqual(['$late']);
      await deliver(one, late);
      expect(await storage.outgoing.listPendingDestinations()).toEqual([three, two]);
      await send('again', [one], attic);
      expect(await pdusFor(one, late)).toEqual(['$again']);
    });

    it('keeps an event for the slowest destination', async () => {
      const first = await send('a', [one, two]);
      await deliver(one, first);
      await deliver(one, first);
      expect(await pdusFor(two)).toEqual(['$a']);
      await deliver(two, first);
      expect(await pdusFor(two)).toEqual([]);
    });
  });
}
