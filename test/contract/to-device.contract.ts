import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DeviceId, UserId } from '../../src/matrix/ids.ts';
import type { Change } from '../../src/storage/contract/changes.ts';
import type { Row } from '../../src/storage/contract/commit.ts';
import type { Position } from '../../src/storage/contract/numbers.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import { inboxMessagesMax } from '../../src/storage/contract/to-device.ts';
import type { ManualClock } from '../support/manual-clock.ts';
import { alice, bob, commit, device, positionAt, server } from './make.ts';

export function describeToDevice(open: () => Promise<{ storage: Storage; clock: ManualClock }>): void {
  describe('messages to devices', () => {
    let storage: Storage;
    let clock: ManualClock;
    const [phone, laptop] = [device('PHONE'), device('LAPTOP')];
    beforeEach(async () => {
      ({ storage, clock } = await open());
      await commit(storage, [newDevice(alice, phone), newDevice(alice, laptop), newDevice(bob, phone)]);
    });
    afterEach(() => storage.stop());

    const newDevice = (userId: UserId, deviceId: DeviceId): Row => ({
      kind: 'device',
      userId,
      deviceId,
      displayName: null,
      createdAtMs: 1,
      lastSeenAtMs: null,
      lastSeenIp: null,
    });
    const to = (userId: UserId, deviceId: DeviceId | null, text: string): Row => ({
      kind: 'to_device',
      messages: [{ userId, deviceId, text }],
    });
    const inbox = async (userId: UserId, deviceId: DeviceId, range: { after?: Position; upTo?: Position } = {}) => {
      const whole = { after: 0, upTo: storage.position(), limit: 100, ...range };
      return (await storage.toDevice.listMessages({ userId, deviceId }, whole)).map(({ text }) => text);
    };
    const received = (messageId: string): Row => ({
      kind: 'to_device_received',
      origin: server('there.test'),
      messageId,
      receivedAtMs: clock.now(),
    });

    it('wait in order, each under its position, for the device they are for', async () => {
      const first = await commit(storage, [to(alice, phone, '1'), to(bob, phone, 'other')]);
      await commit(storage, [to(alice, phone, '2')]);
      await commit(storage, [to(alice, phone, '3')]);
      expect(await inbox(alice, phone)).toEqual(['1', '2', '3']);
      expect(await inbox(alice, laptop)).toEqual([]);
      expect(await inbox(bob, phone)).toEqual(['other']);
      expect(await inbox(alice, phone, { after: positionAt(first) })).toEqual(['2', '3']);
      expect(await inbox(alice, phone, { upTo: positionAt(first) })).toEqual(['1']);
      const one = { after: 0, upTo: storage.position(), limit: 1 };
      expect(await storage.toDevice.listMessages({ userId: alice, deviceId: phone }, one)).toEqual([
        { position: positionAt(first), text: '1' },
      ]);
    });

    it('reach all devices of a user, none that there is not, and the change names whom they reached', async () => {
      const changes: Change[] = [];
      storage.onCommit((told) => void changes.push(...told));
      const nobody = '@nobody:here.test' as UserId;
      const rows = [to(alice, null, 'all'), to(alice, device('NONE'), 'lost'), to(nobody, null, 'lost')];
      const result = await commit(storage, rows);
      expect([await inbox(alice, phone), await inbox(alice, laptop), await inbox(bob, phone)]).toEqual([
        ['all'],
        ['all'],
        [],
      ]);
      const devices = [laptop, phone].map((deviceId) => ({ userId: alice, deviceId }));
      expect(changes).toEqual([{ kind: 'to_device', position: positionAt(result), devices }]);
    });

    it('are gone when they were collected, later ones are not', async () => {
      const first = await commit(storage, [to(alice, null, '1')]);
      await commit(storage, [to(alice, null, '2')]);
      const upTo = positionAt(first);
      await commit(storage, [{ kind: 'to_device_collected', userId: alice, deviceId: phone, upTo }]);
      expect([await inbox(alice, phone), await inbox(alice, laptop)]).toEqual([['2'], ['1', '2']]);
    });

    it('go with their device, and do not wait for a new one of the same name', async () => {
      await commit(storage, [to(alice, null, '1')]);
      await commit(storage, [{ kind: 'device_removed', userId: alice, deviceId: phone }]);
      await commit(storage, [newDevice(alice, phone)]);
      expect([await inbox(alice, phone), await inbox(alice, laptop)]).toEqual([[], ['1']]);
    });

    it('stay when the device is seen again', async () => {
      await commit(storage, [to(alice, phone, '1')]);
      await commit(storage, [newDevice(alice, phone)]);
      expect(await inbox(alice, phone)).toEqual(['1']);
    });

    it('are given up, the oldest first, where nobody collects them', async () => {
      const rows = Array.from({ length: inboxMessagesMax }, (_, n) => to(alice, phone, String(n)));
      await commit(storage, rows);
      expect((await inbox(alice, phone))[0]).toBe('0');
      await commit(storage, [to(alice, phone, 'new'), to(alice, phone, 'newer')]);
      expect((await inbox(alice, phone))[0]).toBe('2');
      const end = await storage.toDevice.listMessages(
        { userId: alice, deviceId: phone },
        { after: 0, upTo: storage.position(), limit: inboxMessagesMax + 10 },
      );
      expect([end.length, end.at(-1)?.text]).toEqual([inboxMessagesMax, 'newer']);
    });

    it('of another server are remembered, refuse a commit that expects them unseen, and are forgotten after a month', async () => {
      const origin = server('there.test');
      await commit(storage, [received('a')]);
      expect(await storage.toDevice.listReceived(origin, ['a', 'b'])).toEqual(new Set(['a']));
      expect(await storage.toDevice.listReceived(server('else.test'), ['a'])).toEqual(new Set());
      const unseen = (messageId: string) => ({ kind: 'to_device_unseen' as const, origin, messageId });
      const again = await storage.commit({ rows: [to(alice, phone, 'again')], expect: [unseen('a')] });
      expect(again).toEqual({ outcome: 'conflict', expectation: unseen('a') });
      expect(await inbox(alice, phone)).toEqual([]);
      await commit(storage, [received('b')], { expect: [unseen('b')] });
      await clock.advance(31 * 24 * 60 * 60 * 1000);
      await commit(storage, [received('c')]);
      expect(await storage.toDevice.listReceived(origin, ['a', 'b', 'c'])).toEqual(new Set(['c']));
    });

    it('know their transaction by itself: it made no event', async () => {
      const transaction = { userId: alice, deviceId: phone, scope: 'sendToDevice a.type', transactionId: 't' };
      const rows: Row[] = [{ kind: 'client_transaction', ...transaction, eventId: null, createdAtMs: clock.now() }];
      await commit(storage, rows);
      const expectation = { kind: 'client_transaction_unused' as const, ...transaction };
      expect((await storage.commit({ rows, expect: [expectation] })).outcome).toBe('conflict');
    });
  });
}
