import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Change } from '../../src/storage/contract/changes.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import type { WaitingEventTableRow } from '../../src/storage/contract/waiting-events.ts';
import { attic, commit, eventId, eventRow, lobby, type OpenStorage, server } from './make.ts';

type PutRow = Extract<WaitingEventTableRow, { kind: 'waiting_event' }>;

const there = server('there.test');
const other = server('other.test');

function waitingRow(name: string, more: Partial<PutRow> = {}): PutRow {
  return {
    kind: 'waiting_event',
    eventId: eventId(name),
    origin: there,
    roomId: lobby,
    pduText: `{"name":"${name}"}`,
    isVerified: true,
    missing: [],
    attempts: 0,
    receivedAtMs: 1,
    retryAtMs: 100,
    ...more,
  };
}

const namesOf = (events: readonly { eventId: string }[]) => events.map((event) => event.eventId.slice(1));

export function describeWaitingEvents(open: OpenStorage): void {
  describe('events that wait', () => {
    let storage: Storage;
    let told: Change[];
    beforeEach(async () => {
      storage = await open();
      told = [];
      storage.onCommit((changes) => void told.push(...changes));
    });
    afterEach(() => storage.stop());

    const waiting = () => storage.waitingEvents;

    it('are kept as they came, in the order of their arrival', async () => {
      await commit(storage, [waitingRow('b'), waitingRow('a', { isVerified: false, attempts: 2 })]);
      const [first, second] = await waiting().list(0, 10);
      expect(first).toEqual({
        number: expect.any(Number),
        eventId: '$b',
        origin: there,
        roomId: lobby,
        pduText: '{"name":"b"}',
        isVerified: true,
        attempts: 0,
        receivedAtMs: 1,
        retryAtMs: 100,
      });
      expect(second).toMatchObject({ eventId: '$a', isVerified: false, attempts: 2 });
      expect(namesOf(await waiting().list(first?.number ?? 0, 10))).toEqual(['a']);
      expect(namesOf(await waiting().list(0, 1))).toEqual(['b']);
    });

    it('are kept once for each server that brought them, and the later copy of one server counts', async () => {
      await commit(storage, [waitingRow('a'), waitingRow('a', { origin: other })]);
      await commit(storage, [waitingRow('a', { pduText: '{"later":1}' })]);
      const copies = await waiting().listByKeys([
        { eventId: eventId('a'), origin: there },
        { eventId: eventId('a'), origin: other },
        { eventId: eventId('b'), origin: other },
      ]);
      expect(copies.map(({ origin, pduText }) => [origin, pduText])).toEqual([
        [there, '{"later":1}'],
        [other, '{"name":"a"}'],
      ]);
    });

    it('are found by what they miss, and by themselves', async () => {
      await commit(storage, [
        waitingRow('a', { missing: [eventId('x'), eventId('y')] }),
        waitingRow('b', { missing: [eventId('y')] }),
        waitingRow('c', { missing: [eventId('z')] }),
      ]);
      const found = async (...names: string[]) => namesOf(await waiting().listAwaiting(names.map(eventId), 10)).sort();
      expect(await found('x')).toEqual(['a']);
      expect(await found('y')).toEqual(['a', 'b']);
      expect(await found('c', 'x')).toEqual(['a', 'c']);
      expect(await found('w')).toEqual([]);
      expect(await waiting().listAwaiting([eventId('y')], 1)).toHaveLength(1);
    });

    it('miss after an attempt what was found missing then', async () => {
      await commit(storage, [waitingRow('a', { missing: [eventId('x')], isVerified: false })]);
      const key = { eventId: eventId('a'), origin: there };
      const attempt = { ...key, isVerified: true, missing: [eventId('y')], attempts: 1, retryAtMs: 500 };
      await commit(storage, [{ kind: 'waiting_event_tried', ...attempt }]);
      expect(await waiting().listAwaiting([eventId('x')], 10)).toEqual([]);
      expect(await waiting().listAwaiting([eventId('y')], 10)).toMatchObject([{ isVerified: true, attempts: 1 }]);
      expect(await waiting().findNextRetry()).toBe(500);
    });

    it('are gone once removed, and an attempt that ends later does not bring them back', async () => {
      await commit(storage, [waitingRow('a', { missing: [eventId('x')] })]);
      const key = { eventId: eventId('a'), origin: there };
      await commit(storage, [{ kind: 'waiting_event_removed', ...key }]);
      const attempt = { ...key, isVerified: true, missing: [eventId('x')], attempts: 1, retryAtMs: 500 };
      await commit(storage, [{ kind: 'waiting_event_tried', ...attempt }]);
      expect(await waiting().list(0, 10)).toEqual([]);
      expect(await waiting().listAwaiting([eventId('x')], 10)).toEqual([]);
      expect(await waiting().findNextRetry()).toBeUndefined();
    });

    it('are due by their time, the longest due first', async () => {
      await commit(storage, [
        waitingRow('late', { retryAtMs: 300 }),
        waitingRow('soon', { retryAtMs: 200 }),
        waitingRow('now', { retryAtMs: 100 }),
      ]);
      expect(await waiting().findNextRetry()).toBe(100);
      expect(namesOf(await waiting().listDue(200, 10))).toEqual(['now', 'soon']);
      expect(namesOf(await waiting().listDue(200, 1))).toEqual(['now']);
      expect(await waiting().listDue(99, 10)).toEqual([]);
    });

    it('are counted by server, in a room and in all, and the oldest of each are known', async () => {
      await commit(storage, [
        waitingRow('a'),
        waitingRow('b', { origin: other }),
        waitingRow('c', { origin: other, roomId: attic }),
        waitingRow('d', { origin: other }),
      ]);
      expect(await waiting().countByOrigin(null)).toEqual([
        { origin: other, count: 3 },
        { origin: there, count: 1 },
      ]);
      expect(await waiting().countByOrigin(attic)).toEqual([{ origin: other, count: 1 }]);
      expect(namesOf(await waiting().listOldest(other, null, 2))).toEqual(['b', 'c']);
      expect(namesOf(await waiting().listOldest(other, lobby, 2))).toEqual(['b', 'd']);
      expect(namesOf(await waiting().listOfRoom(lobby, 10))).toEqual(['a', 'b', 'd']);
    });

    it('are told of when what they miss comes, as an outlier or rejected too, and of nothing else', async () => {
      const awaited = () => told.filter(({ kind }) => kind === 'event_awaited');
      await commit(storage, [eventRow('before')]);
      await commit(storage, [waitingRow('a', { missing: ['x', 'y', 'z'].map(eventId) })]);
      expect(awaited()).toEqual([]);
      await commit(storage, [
        eventRow('x', { placement: 'outlier' }),
        eventRow('y', { verdict: 'rejected' }),
        eventRow('w'),
      ]);
      const change = (name: string) => ({ kind: 'event_awaited', roomId: lobby, eventId: eventId(name) });
      expect(awaited()).toEqual([change('x'), change('y')]);
      told.length = 0;
      await commit(storage, [{ ...eventRow('x'), kind: 'event_placed', eventId: eventId('x') }, eventRow('a')]);
      expect(awaited()).toEqual([change('x'), change('a')]);
    });

    it('that were undone with their batch are not waited for', async () => {
      await commit(storage, [eventRow('first')]);
      const rows = [waitingRow('a', { missing: [eventId('x')] }), eventRow('first')];
      await expect(storage.commit({ rows })).rejects.toThrow();
      await commit(storage, [eventRow('x')]);
      expect(told.filter(({ kind }) => kind === 'event_awaited')).toEqual([]);
    });
  });
}
