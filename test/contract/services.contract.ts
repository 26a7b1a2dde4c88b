import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RoomId, UserId } from '../../src/matrix/ids.ts';
import type { Row } from '../../src/storage/contract/commit.ts';
import { arrivedMax } from '../../src/storage/contract/services.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import { alias, alice, attic, bob, commit, device, eventId, eventRow, lobby, type OpenStorage } from './make.ts';

export function describeServices(open: OpenStorage): void {
  describe('application services', () => {
    let storage: Storage;
    beforeEach(async () => {
      storage = await open();
    });
    afterEach(() => storage.stop());

    const phone = { userId: alice, deviceId: device('PHONE') };
    const progress = (position: number, serviceId = 'bridge'): Row => ({
      kind: 'service_progress',
      serviceId,
      position,
    });
    const transaction = (fields: { transactionId?: string; upTo?: number } = {}) => ({
      serviceId: 'bridge',
      transactionId: 't1',
      body: '{"events":[]}',
      upTo: 7,
      collected: [],
      ...fields,
    });
    const delivered = (transactionId: string): Row => ({
      kind: 'service_delivered',
      serviceId: 'bridge',
      transactionId,
    });
    const membership = (roomId: RoomId, userId: UserId, how: 'join' | 'leave' | 'invite', outOfBand = false): Row => ({
      kind: 'membership',
      roomId,
      userId,
      membership: how,
      eventId: eventId(`${how}-${roomId}-${userId}`),
      sender: userId,
      displayname: null,
      avatarUrl: null,
      ...(outOfBand ? { outOfBand: { event: { type: 'm.room.member' }, strippedState: [{ type: 'x' }] } } : {}),
    });
    const rooms: Row[] = [
      { kind: 'room', roomId: lobby, version: '11' },
      { kind: 'room', roomId: attic, version: '11' },
    ];

    it('stand at a place of their own, none before they were told of anything', async () => {
      expect(await storage.services.findProgress('bridge')).toBeUndefined();
      await commit(storage, [progress(3), progress(5, 'other')]);
      await commit(storage, [progress(4)]);
      expect(await storage.services.findProgress('bridge')).toBe(4);
      expect(await storage.services.findProgress('other')).toBe(5);
    });

    it('keep their transaction exactly until it is delivered, which moves their place; another one changes nothing', async () => {
      await commit(storage, [progress(3), { kind: 'service_transaction', ...transaction() }]);
      expect(await storage.services.findTransaction('bridge')).toEqual(transaction());
      await commit(storage, [delivered('t0')]);
      expect(await storage.services.findTransaction('bridge')).toEqual(transaction());
      expect(await storage.services.findProgress('bridge')).toBe(3);
      await commit(storage, [delivered('t1')]);
      expect(await storage.services.findTransaction('bridge')).toBeUndefined();
      expect(await storage.services.findProgress('bridge')).toBe(7);
    });

    it('are forgotten whole when they are not kept', async () => {
      await commit(storage, [progress(3), progress(3, 'other'), { kind: 'service_transaction', ...transaction() }]);
      await commit(storage, [{ kind: 'services_kept', serviceIds: ['other'] }]);
      expect(await storage.services.findProgress('bridge')).toBeUndefined();
      expect(await storage.services.findTransaction('bridge')).toBeUndefined();
      expect(await storage.services.findProgress('other')).toBe(3);
    });

    it('take the messages that a delivered transaction held from their inboxes, and leave those behind them', async () => {
      const to = (text: string): Row => ({ kind: 'to_device', messages: [{ ...phone, text }] });
      const newDevice: Row = {
        ...{ kind: 'device', ...phone, displayName: null },
        ...{ createdAtMs: 1, lastSeenAtMs: null, lastSeenIp: null },
      };
      await commit(storage, [newDevice, progress(0)]);
      expect(await storage.services.listWaitingDevices(null, 10)).toEqual([]);
      await commit(storage, [to('{"n":1}')]);
      await commit(storage, [to('{"n":2}')]);
      const [first] = await storage.services.listMessages([phone], 1);
      expect(first).toEqual({ ...phone, position: first?.position, text: '{"n":1}' });
      expect(await storage.services.listMessages([{ ...phone, userId: bob }], 10)).toEqual([]);
      const collected = [{ ...phone, upTo: first?.position ?? 0 }];
      await commit(storage, [{ kind: 'service_transaction', ...transaction(), collected }]);
      await commit(storage, [delivered('t1')]);
      expect((await storage.services.listMessages([phone], 10)).map(({ text }) => text)).toEqual(['{"n":2}']);
      expect(await storage.services.listWaitingDevices(null, 10)).toEqual([phone]);
      expect(await storage.services.listWaitingDevices(phone, 10)).toEqual([]);
    });

    it('hear of accepted events of all rooms in one order, and of nothing refused or not in the timeline', async () => {
      const before = storage.position();
      await commit(storage, [...rooms, eventRow('one'), eventRow('bad', { verdict: 'rejected' })]);
      await commit(storage, [eventRow('old', { placement: 'historical' }), eventRow('two', { roomId: attic })]);
      await commit(storage, [eventRow('three', { type: 'm.room.name', stateKey: '', sender: bob })]);
      const { events, upTo } = await storage.services.listArrived(before, storage.position());
      expect(events.map((event) => event.eventId)).toEqual(['$one', '$two', '$three']);
      expect(events[2]).toMatchObject({ roomId: lobby, sender: bob, type: 'm.room.name', stateKey: '' });
      expect(upTo).toBe(storage.position());
      const [first, second] = events;
      const part = await storage.services.listArrived(first?.position ?? 0, second?.position ?? 0);
      expect(part.events).toEqual([second]);
    });

    it('look past what holds no event, and not at more than so many positions at once', async () => {
      await commit(storage, [...rooms, eventRow('one')]);
      const far = storage.position();
      const fromStart = await storage.services.listArrived(0, far);
      expect(fromStart.events.map((event) => event.eventId)).toEqual(['$one']);
      const receipts: Row[] = Array.from({ length: arrivedMax }, (_, index) => ({
        ...{ kind: 'receipt', roomId: lobby, userId: alice, receiptType: 'm.read' },
        ...{ threadId: `$${index}`, eventId: eventId('one'), ts: 1 },
      }));
      await commit(storage, [...receipts, eventRow('two')]);
      const first = await storage.services.listArrived(far - 1, storage.position());
      expect(first.events.map((event) => event.eventId)).toEqual(['$one']);
      expect(first.upTo).toBeLessThan(storage.position());
      const second = await storage.services.listArrived(first.upTo, storage.position());
      expect(second.events.map((event) => event.eventId)).toEqual(['$two']);
      expect(await storage.services.listArrived(storage.position(), storage.position() + 5_000)).toEqual({
        events: [],
        upTo: storage.position() + 5_000,
      });
    });

    it('hear of receipts of all rooms in their order', async () => {
      const before = storage.position();
      const receipt = (roomId: RoomId, threadId: string | null): Row => ({
        ...{ kind: 'receipt', roomId, userId: alice, receiptType: 'm.read', threadId, eventId: eventId('one'), ts: 1 },
      });
      await commit(storage, [...rooms, receipt(attic, null)]);
      const between = storage.position();
      await commit(storage, [receipt(lobby, 'main')]);
      const all = await storage.services.listReceipts(before, storage.position(), 10);
      expect(all.map(({ roomId, threadId }) => [roomId, threadId])).toEqual([
        [attic, null],
        [lobby, 'main'],
      ]);
      expect(await storage.services.listReceipts(before, between, 10)).toEqual(all.slice(0, 1));
      expect(await storage.services.listReceipts(before, storage.position(), 1)).toEqual(all.slice(0, 1));
    });

    it('hear of memberships that other servers told of, and of no others', async () => {
      const before = storage.position();
      await commit(storage, [membership(lobby, alice, 'invite', true), membership(attic, bob, 'invite')]);
      const found = await storage.services.listOutOfBand(before, storage.position(), 10);
      expect(found).toMatchObject([{ roomId: lobby, userId: alice, outOfBand: { strippedState: [{ type: 'x' }] } }]);
      expect(await storage.services.listOutOfBand(storage.position(), storage.position() + 1, 10)).toEqual([]);
    });

    it('learn who came and went behind a place, newest first, in the rooms they ask for', async () => {
      await commit(storage, [...rooms, membership(lobby, alice, 'join')]);
      const before = storage.position();
      await commit(storage, [membership(lobby, bob, 'invite'), membership(attic, bob, 'join')]);
      await commit(storage, [membership(lobby, bob, 'join'), membership(lobby, alice, 'leave')]);
      const found = await storage.services.listJoinChanges(new Set([lobby]), before, 10);
      expect(found.map(({ userId, joined }) => [userId, joined])).toEqual([
        [alice, false],
        [bob, true],
      ]);
      expect(await storage.services.listJoinChanges(new Set([lobby]), before, 1)).toEqual(found.slice(0, 1));
    });

    it('learn the aliases of many rooms at once, and every change of them is told', async () => {
      const told: RoomId[] = [];
      await storage.stop();
      storage = await open();
      storage.onCommit((changes) => {
        for (const change of changes) if (change.kind === 'aliases') told.push(change.roomId);
      });
      await commit(storage, [
        ...rooms,
        { kind: 'alias', alias: alias('b'), roomId: lobby, creator: alice },
        { kind: 'alias', alias: alias('a'), roomId: lobby, creator: alice },
      ]);
      expect(await storage.services.listAliases(new Set([lobby, attic]))).toEqual(
        new Map([[lobby, [alias('a'), alias('b')]]]),
      );
      await commit(storage, [{ kind: 'alias', alias: alias('a'), roomId: attic, creator: alice }]);
      await commit(storage, [
        { kind: 'alias_removed', alias: alias('b') },
        { kind: 'alias_removed', alias: alias('b') },
      ]);
      expect(await storage.services.listAliases(new Set([lobby]))).toEqual(new Map());
      expect(told).toEqual([lobby, lobby, lobby, attic, lobby]);
    });
  });
}
