import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Change } from '../../src/storage/contract/changes.ts';
import type { Expectation, Row } from '../../src/storage/contract/commit.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import {
  alias,
  alice,
  attic,
  bob,
  commit,
  device,
  eventId,
  eventRow,
  lobby,
  memberRow,
  type OpenStorage,
  positionAt,
} from './make.ts';

const aliceProfile: Row = { kind: 'profile', userId: alice, displayname: 'A', avatarUrl: null };
const bobProfile: Row = { kind: 'profile', userId: bob, displayname: 'B', avatarUrl: null };

export function describeCommit(open: OpenStorage): void {
  describe('commit', () => {
    let storage: Storage;
    beforeEach(async () => {
      storage = await open();
    });
    afterEach(() => storage.stop());

    it('gives a position to each row that takes one, in the order of the rows', async () => {
      const before = storage.position();
      const result = await commit(storage, [
        aliceProfile,
        { kind: 'filter', userId: alice, filterId: '1', definition: {} },
        { kind: 'account_data', userId: alice, roomId: null, type: 'a', content: {} },
      ]);
      expect(result.positions).toEqual([before + 1, null, before + 2]);
      expect(result.position).toBe(before + 2);
      expect(storage.position()).toBe(before + 2);
    });

    it('answers with the visible position where no row takes one', async () => {
      const { position } = await commit(storage, [aliceProfile]);
      const result = await commit(storage, [{ kind: 'filter', userId: alice, filterId: '1', definition: {} }]);
      expect(result).toEqual({ outcome: 'committed', position, positions: [null] });
      expect(await commit(storage, [])).toEqual({ outcome: 'committed', position, positions: [] });
    });

    it('gives an event, its membership and its outgoing row one position, whatever their order', async () => {
      const member = eventRow('join', { type: 'm.room.member', stateKey: alice });
      const result = await commit(storage, [
        memberRow(alice, 'join', { eventId: eventId('join') }),
        { kind: 'outgoing_pdu', eventId: eventId('join'), roomId: lobby, destinations: [] },
        member,
        memberRow(bob, 'invite'),
      ]);
      const position = positionAt(result, 2);
      expect(result.positions).toEqual([position, position, position, position + 1]);
    });

    it('lets history go downwards and below zero', async () => {
      const visible = storage.position();
      const result = await commit(storage, [
        eventRow('old', { placement: 'historical' }),
        eventRow('older', { placement: 'historical' }),
        eventRow('aside', { placement: 'outlier' }),
      ]);
      const first = positionAt(result, 0);
      expect(first).toBeLessThan(0);
      expect(result.positions).toEqual([first, first - 1, null]);
      expect(result.position).toBe(visible);
    });

    it('shows nothing to readers before it resolves', async () => {
      const before = storage.position();
      const committing = commit(storage, [aliceProfile]);
      const meanwhile = await storage.accounts.findProfile(alice);
      expect(meanwhile).toBeUndefined();
      expect(storage.position()).toBe(before);
      await committing;
      expect(await storage.accounts.findProfile(alice)).toBeDefined();
    });

    it('tells the listener after the write is visible and before the commit resolves', async () => {
      const order: string[] = [];
      storage.onCommit((changes) => {
        const [change] = changes;
        if (change?.kind === 'profile') order.push(`told at ${change.position - storage.position()}`);
      });
      await commit(storage, [aliceProfile]).then(() => order.push('resolved'));
      expect(order).toEqual(['told at 0', 'resolved']);
    });

    it('tells the commits of one tick in their order, each by itself', async () => {
      const told: Change['kind'][][] = [];
      storage.onCommit((changes) => told.push(changes.map(({ kind }) => kind)));
      await Promise.all([
        commit(storage, [aliceProfile]),
        commit(storage, [{ kind: 'access_tokens_removed', userId: alice, deviceId: null }, bobProfile]),
        commit(storage, [{ kind: 'filter', userId: alice, filterId: '1', definition: {} }]),
      ]);
      expect(told).toEqual([['profile'], ['access_tokens_removed', 'profile']]);
    });

    it('goes on when the listener throws', async () => {
      storage.onCommit(() => {
        throw new Error('broken listener');
      });
      await commit(storage, [aliceProfile]);
      expect(await storage.accounts.findProfile(alice)).toBeDefined();
    });

    it('takes one listener', () => {
      storage.onCommit(() => {});
      expect(() => storage.onCommit(() => {})).toThrow();
    });

    it('leaves nothing of a conflict behind and spares its neighbours', async () => {
      const told: Change[] = [];
      storage.onCommit((changes) => told.push(...changes));
      await commit(storage, [{ kind: 'room', roomId: lobby, version: '11' }]);
      const before = storage.position();
      const expectation: Expectation = { kind: 'room_unknown', roomId: lobby };
      const [first, refused, last] = await Promise.all([
        storage.commit({ rows: [aliceProfile] }),
        storage.commit({
          rows: [{ kind: 'filter', userId: alice, filterId: '1', definition: {} }],
          expect: [expectation],
        }),
        storage.commit({ rows: [bobProfile] }),
      ]);
      expect(refused).toEqual({ outcome: 'conflict', expectation });
      expect(first).toMatchObject({ outcome: 'committed', positions: [before + 1] });
      expect(last).toMatchObject({ outcome: 'committed', positions: [before + 2] });
      expect(await storage.accounts.findFilter(alice, '1')).toBeUndefined();
      expect(told).toHaveLength(2);
    });

    it('leaves nothing of a failing batch behind and spares its neighbours', async () => {
      const token: Row = {
        kind: 'access_token',
        tokenHash: 'same',
        userId: alice,
        deviceId: device('D'),
        generation: 0,
        createdAtMs: 1,
        expiresAtMs: null,
      };
      const told: Change[] = [];
      storage.onCommit((changes) => told.push(...changes));
      const before = storage.position();
      const results = await Promise.allSettled([
        storage.commit({ rows: [aliceProfile] }),
        storage.commit({
          rows: [
            { kind: 'room', roomId: attic, version: '11' },
            eventRow('lost', { roomId: attic, prev: ['ghost'] }),
            memberRow(alice, 'join', { roomId: attic }),
            token,
            token,
          ],
        }),
        storage.commit({ rows: [bobProfile] }),
      ]);
      expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
      expect(await storage.rooms.find(attic)).toBeUndefined();
      expect(await storage.rooms.findMembership(attic, alice)).toBeUndefined();
      expect(await storage.events.find(eventId('lost'))).toBeUndefined();
      expect(await storage.accounts.findAccessToken('same')).toBeUndefined();
      expect(await storage.accounts.findProfile(bob)).toBeDefined();
      expect(storage.position()).toBe(before + 2);
      expect(told.map(({ kind }) => kind)).toEqual(['profile', 'profile']);

      // What was numbered inside the undone batch is numbered anew.
      await commit(storage, [
        { kind: 'room', roomId: attic, version: '11' },
        eventRow('lost', { roomId: attic, prev: ['ghost'] }),
      ]);
      expect(await storage.events.find(eventId('lost'))).toMatchObject({ event: { roomId: attic } });
      expect(await storage.events.listSuccessors(eventId('ghost'))).toEqual([eventId('lost')]);
    });

    it('sees in its expectations what the batches before it wrote, also in the same tick', async () => {
      const claim = (userId: typeof alice) =>
        storage.commit({
          rows: [{ kind: 'alias', alias: alias('name'), roomId: lobby, creator: userId }],
          expect: [{ kind: 'alias_unused', alias: alias('name') }],
        });
      const [first, second] = await Promise.all([claim(alice), claim(bob)]);
      expect([first.outcome, second.outcome]).toEqual(['committed', 'conflict']);
      expect(await storage.directory.findAlias(alias('name'))).toMatchObject({ creator: alice });
    });

    it('applies more batches than fit one transaction', async () => {
      const batches = Array.from({ length: 450 }, (_, index) =>
        commit(storage, [{ kind: 'account_data', userId: alice, roomId: null, type: `type ${index}`, content: {} }]),
      );
      const positions = (await Promise.all(batches)).map((result) => positionAt(result));
      expect(new Set(positions).size).toBe(450);
      expect(positions).toEqual([...positions].sort((left, right) => left - right));
    });

    it('writes what it was handed before it stops, and refuses what comes later', async () => {
      const committing = commit(storage, [aliceProfile]);
      const stopping = storage.stop();
      expect(await committing).toMatchObject({ outcome: 'committed' });
      await stopping;
      await expect(storage.commit({ rows: [] })).rejects.toThrow();
      await storage.stop();
    });

    it('takes durable batches among others', async () => {
      await Promise.all([commit(storage, [aliceProfile], { durable: true }), commit(storage, [bobProfile])]);
      expect(await storage.accounts.findProfile(alice)).toBeDefined();
      expect(await storage.accounts.findProfile(bob)).toBeDefined();
    });

    describe('expects', () => {
      const holds = async (expectation: Expectation): Promise<boolean> => {
        const result = await storage.commit({ rows: [], expect: [expectation] });
        return result.outcome === 'committed';
      };

      it('an account that nobody has', async () => {
        await commit(storage, [
          { kind: 'account', userId: alice, passwordHash: null, createdAtMs: 1, deactivatedAtMs: 2 },
        ]);
        expect(await holds({ kind: 'account_unused', userId: bob })).toBe(true);
        expect(await holds({ kind: 'account_unused', userId: alice })).toBe(false);
      });

      it('a room that is not known, though an invite may have named it', async () => {
        await commit(storage, [
          { kind: 'room', roomId: lobby, version: '11' },
          memberRow(alice, 'invite', { roomId: attic }),
        ]);
        expect(await holds({ kind: 'room_unknown', roomId: attic })).toBe(true);
        expect(await holds({ kind: 'room_unknown', roomId: lobby })).toBe(false);
      });

      it('exactly these extremities, in any order', async () => {
        await commit(storage, [{ kind: 'extremities', roomId: lobby, eventIds: [eventId('a'), eventId('b')] }]);
        expect(await holds({ kind: 'extremities', roomId: lobby, eventIds: ['$b', '$a'] })).toBe(true);
        expect(await holds({ kind: 'extremities', roomId: lobby, eventIds: ['$a'] })).toBe(false);
        expect(await holds({ kind: 'extremities', roomId: lobby, eventIds: ['$a', '$b', '$c'] })).toBe(false);
        expect(await holds({ kind: 'extremities', roomId: attic, eventIds: [] })).toBe(true);
      });

      it('events of which none is stored, though others may name them', async () => {
        await commit(storage, [eventRow('a', { prev: ['b'] })]);
        const [a, b, c] = [eventId('a'), eventId('b'), eventId('c')];
        expect(await holds({ kind: 'events_unknown', eventIds: [b, c] })).toBe(true);
        expect(await holds({ kind: 'events_unknown', eventIds: [a] })).toBe(false);
        expect(await holds({ kind: 'events_unknown', eventIds: [b, a] })).toBe(false);
      });

      it('a transaction id that the device did not use in this scope', async () => {
        const key = { userId: alice, deviceId: device('D'), scope: 'send', transactionId: '1' };
        await commit(storage, [
          { kind: 'client_transaction', ...key, eventId: eventId('a'), createdAtMs: Number.MAX_SAFE_INTEGER },
        ]);
        expect(await holds({ kind: 'client_transaction_unused', ...key })).toBe(false);
        expect(await holds({ kind: 'client_transaction_unused', ...key, scope: 'redact' })).toBe(true);
        expect(await holds({ kind: 'client_transaction_unused', ...key, deviceId: 'E' })).toBe(true);
        expect(await holds({ kind: 'client_transaction_unused', ...key, transactionId: '2' })).toBe(true);
      });

      it('a revision of account data', async () => {
        const row = { userId: alice, roomId: null, type: 'a' };
        const revision = { kind: 'account_data_revision' as const, ...row };
        expect(await holds({ ...revision, position: null })).toBe(true);
        const position = positionAt(await commit(storage, [{ kind: 'account_data', ...row, content: {} }]));
        expect(await holds({ ...revision, position })).toBe(true);
        expect(await holds({ ...revision, position: null })).toBe(false);
        expect(await holds({ ...revision, position: position - 1 })).toBe(false);
        expect(await holds({ ...revision, roomId: lobby, position: null })).toBe(true);
      });
    });
  });
}
