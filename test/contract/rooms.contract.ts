import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { UserId } from '../../src/matrix/ids.ts';
import type { Change } from '../../src/storage/contract/changes.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import {
  alice,
  attic,
  bob,
  carol,
  commit,
  eventId,
  lobby,
  memberRow,
  type OpenStorage,
  positionAt,
  room,
  user,
} from './make.ts';

const usersOf = (rows: readonly { userId: UserId }[]) => rows.map(({ userId }) => userId);

export function describeRooms(open: OpenStorage): void {
  describe('rooms', () => {
    let storage: Storage;
    let told: Change[];
    beforeEach(async () => {
      storage = await open();
      told = [];
      storage.onCommit((changes) => told.push(...changes));
    });
    afterEach(() => storage.stop());

    const change = async (...row: Parameters<typeof memberRow>) =>
      positionAt(await commit(storage, [memberRow(...row)]));

    it('are known with their version, unlike those that were only heard of', async () => {
      await commit(storage, [
        { kind: 'room', roomId: lobby, version: '11' },
        memberRow(alice, 'invite', { roomId: attic }),
      ]);
      expect(await storage.rooms.find(lobby)).toEqual({ roomId: lobby, version: '11' });
      expect(await storage.rooms.find(attic)).toBeUndefined();
      expect(await storage.rooms.listRooms(null, 10)).toEqual([{ roomId: lobby, version: '11' }]);
      expect(await storage.rooms.listRooms(lobby, 10)).toEqual([]);
    });

    it('have exactly the extremities last said', async () => {
      await commit(storage, [{ kind: 'extremities', roomId: lobby, eventIds: [eventId('a'), eventId('b')] }]);
      expect((await storage.rooms.listExtremities(lobby)).sort()).toEqual(['$a', '$b']);
      await commit(storage, [{ kind: 'extremities', roomId: lobby, eventIds: [eventId('c')] }]);
      expect(await storage.rooms.listExtremities(lobby)).toEqual(['$c']);
      expect(await storage.rooms.listExtremities(attic)).toEqual([]);
    });

    it('remember each member, what the membership was before, and when', async () => {
      await change(alice, 'invite');
      const position = await change(alice, 'join', { displayname: 'Alice' });
      expect(await storage.rooms.findMembership(lobby, alice)).toEqual({
        roomId: lobby,
        userId: alice,
        membership: 'join',
        eventId: `$join-${alice}`,
        sender: alice,
        displayname: 'Alice',
        avatarUrl: null,
        position,
        forgotten: false,
        outOfBand: null,
      });
      expect(await storage.rooms.findMembership(lobby, bob)).toBeUndefined();
      expect(told).toMatchObject([
        { kind: 'membership', before: null, after: 'invite' },
        { kind: 'membership', before: 'invite', after: 'join', position, roomId: lobby, userId: alice },
      ]);
    });

    it('are listed page by page, whatever they are', async () => {
      await commit(storage, [
        memberRow(carol, 'ban'),
        memberRow(alice, 'leave'),
        memberRow(bob, 'join'),
        memberRow(bob, 'join', { roomId: attic }),
      ]);
      const page = async (after: UserId | null, limit: number) =>
        (await storage.rooms.listMemberPage(lobby, after, limit)).map((row) => `${row.userId} ${row.membership}`);
      expect(await page(null, 2)).toEqual([`${alice} leave`, `${bob} join`]);
      expect(await page(bob, 2)).toEqual([`${carol} ban`]);
      expect(await page(carol, 2)).toEqual([]);
    });

    it('keep what another server told of an invite', async () => {
      const outOfBand = { event: { type: 'm.room.member' }, strippedState: [{ type: 'm.room.name' }] };
      const row = memberRow(alice, 'invite');
      if (row.kind !== 'membership') throw new Error('a membership row');
      await commit(storage, [{ ...row, outOfBand }]);
      expect(await storage.rooms.findMembership(lobby, alice)).toMatchObject({ outOfBand });
      await change(alice, 'leave');
      expect(await storage.rooms.findMembership(lobby, alice)).toMatchObject({ outOfBand: null });
      expect(await storage.rooms.listMembershipChanges(alice, 0, storage.position())).toMatchObject([
        { membership: 'invite', outOfBand },
        { membership: 'leave', outOfBand: null },
      ]);
    });

    it('are forgotten until the membership changes again', async () => {
      await change(alice, 'leave');
      await commit(storage, [
        { kind: 'room_forgotten', roomId: lobby, userId: alice },
        { kind: 'room_forgotten', roomId: attic, userId: alice },
      ]);
      expect(told.filter(({ kind }) => kind === 'room_forgotten')).toEqual([
        { kind: 'room_forgotten', roomId: lobby, userId: alice },
      ]);
      expect(await storage.rooms.findMembership(lobby, alice)).toMatchObject({ forgotten: true });
      expect(await storage.rooms.listMembershipsOfUser(alice, ['leave'])).toEqual([]);
      await change(alice, 'invite');
      expect(await storage.rooms.findMembership(lobby, alice)).toMatchObject({ forgotten: false });
    });

    it('are listed by user and membership', async () => {
      await change(alice, 'join');
      await change(alice, 'invite', { roomId: attic });
      await change(bob, 'join');
      const list = async (...wanted: Parameters<Storage['rooms']['listMembershipsOfUser']>[1][]) =>
        (await storage.rooms.listMembershipsOfUser(alice, wanted.flat())).map(({ roomId }) => roomId);
      expect(await list(['join'])).toEqual([lobby]);
      expect(await list(['join', 'invite'])).toEqual([lobby, attic]);
      expect(await list(['ban'])).toEqual([]);
    });

    it('list and count their members, in the order of their first row', async () => {
      for (const userId of [carol, alice, bob]) await change(userId, 'join');
      await change(carol, 'join', { displayname: 'C' });
      await change(bob, 'leave');
      await change(user('dan'), 'join', { roomId: attic });
      expect(usersOf(await storage.rooms.listMembers(lobby, ['join']))).toEqual([carol, alice]);
      expect(usersOf(await storage.rooms.listMembers(lobby, ['join', 'leave']))).toEqual([carol, alice, bob]);
      expect(await storage.rooms.countMembers(lobby, 'join')).toBe(2);
      expect(await storage.rooms.countMembers(lobby, 'leave')).toBe(1);
      expect(await storage.rooms.countMembers(lobby, 'ban')).toBe(0);
      expect(await storage.rooms.listMembers(room('nowhere'), ['join'])).toEqual([]);
      expect(await storage.rooms.listJoinedServers(lobby)).toEqual(['here.test', 'there.test']);
      expect(await storage.rooms.listJoinedServers(attic)).toEqual(['here.test']);
    });

    it('name as heroes those who are here, else those who were', async () => {
      await change(alice, 'join');
      await change(carol, 'leave');
      await change(user('kim'), 'knock');
      const heroes = async (limit: number) => usersOf(await storage.rooms.listHeroes(lobby, alice, limit));
      expect(await heroes(5)).toEqual([carol]);
      await change(bob, 'invite');
      await change(user('dan'), 'join');
      expect(await heroes(5)).toEqual([bob, user('dan')]);
      expect(await heroes(1)).toEqual([bob]);
    });

    it('remember every change of a user between two positions', async () => {
      const first = await change(alice, 'join');
      await change(alice, 'leave');
      await change(bob, 'join');
      const last = await change(alice, 'join', { roomId: attic });
      await change(alice, 'join');
      const found = await storage.rooms.listMembershipChanges(alice, first, last);
      expect(found.map(({ roomId, membership }) => [roomId, membership])).toEqual([
        [lobby, 'leave'],
        [attic, 'join'],
      ]);
    });

    it('tell the membership as of a position', async () => {
      const before = storage.position();
      const joined = await change(alice, 'join');
      const left = await change(alice, 'leave');
      const elsewhere = await change(alice, 'invite', { roomId: attic });
      const at = async (position: number) => (await storage.rooms.findMembershipAt(lobby, alice, position))?.membership;
      expect(await at(before)).toBeUndefined();
      expect(await at(joined)).toBe('join');
      expect(await at(left)).toBe('leave');
      expect(await at(elsewhere + 100)).toBe('leave');
      expect(await storage.rooms.findMembershipAt(lobby, bob, left)).toBeUndefined();

      const all = async (position: number) => {
        const found = await storage.rooms.listMembershipsAt(alice, new Set([lobby, attic, room('nowhere')]), position);
        return [...found].map(([roomId, { membership }]) => [roomId, membership]).sort();
      };
      expect(await all(before)).toEqual([]);
      expect(await all(joined)).toEqual([[lobby, 'join']]);
      expect(await all(elsewhere)).toEqual([
        [attic, 'invite'],
        [lobby, 'leave'],
      ]);
    });

    it('tell who newly joined between two positions', async () => {
      const before = storage.position();
      await change(alice, 'join');
      await change(alice, 'join', { displayname: 'only a new name' });
      await change(bob, 'invite');
      const joined = await change(bob, 'join');
      await change(carol, 'join', { roomId: attic });
      await change(carol, 'join', { roomId: room('cellar') });
      const list = (after: number, upTo: number) => storage.rooms.listNewlyJoined(new Set([lobby, attic]), after, upTo);
      expect(await list(before, storage.position())).toEqual([
        { roomId: lobby, userId: alice },
        { roomId: lobby, userId: bob },
        { roomId: attic, userId: carol },
      ]);
      expect(await list(joined - 1, joined)).toEqual([{ roomId: lobby, userId: bob }]);
      expect(await list(before + 1, joined - 1)).toEqual([]);
    });

    it('tell of all who newly joined and departed, however many', async () => {
      const many = Array.from({ length: 1_100 }, (_, n) => user(`one${n}`));
      const before = storage.position();
      await commit(
        storage,
        many.map((userId) => memberRow(userId, 'join')),
      );
      const between = storage.position();
      await commit(
        storage,
        many.map((userId) => memberRow(userId, 'leave')),
      );
      const rooms = new Set([lobby]);
      const joined = await storage.rooms.listNewlyJoined(rooms, before, storage.position());
      expect(joined.map(({ userId }) => userId)).toEqual(many);
      const departed = await storage.rooms.listDepartures(rooms, before, storage.position());
      expect(departed.map(({ userId }) => userId)).toEqual(many);
      expect(await storage.rooms.listDepartures(rooms, before, between)).toEqual([]);
    });

    it('tell who departed between two positions, however they went', async () => {
      await change(alice, 'join');
      await change(bob, 'join');
      await change(carol, 'join', { roomId: attic });
      await change(carol, 'join', { roomId: room('cellar') });
      const before = storage.position();
      await change(alice, 'join', { displayname: 'only a new name' });
      const left = await change(alice, 'leave');
      await change(bob, 'ban');
      await change(carol, 'leave', { roomId: attic });
      await change(carol, 'leave', { roomId: room('cellar') });
      await change(alice, 'invite');
      await change(alice, 'leave');
      const list = (after: number, upTo: number) => storage.rooms.listDepartures(new Set([lobby, attic]), after, upTo);
      expect(await list(before, storage.position())).toEqual([
        { roomId: lobby, userId: alice },
        { roomId: lobby, userId: bob },
        { roomId: attic, userId: carol },
      ]);
      expect(await list(left - 1, left)).toEqual([{ roomId: lobby, userId: alice }]);
      expect(await list(before, left - 1)).toEqual([]);
    });

    it('give all who are joined, by room, page by page', async () => {
      await change(alice, 'join');
      await change(carol, 'join');
      await change(bob, 'invite');
      await change(alice, 'join', { roomId: attic });
      await change(alice, 'leave', { roomId: room('empty') });
      const first = await storage.rooms.listJoined(null, 1);
      expect(first).toEqual([{ roomId: attic, userIds: [alice] }]);
      const rest = await storage.rooms.listJoined(attic, 10);
      expect(rest.map(({ roomId, userIds }) => [roomId, [...userIds].sort()])).toEqual([
        [lobby, [alice, carol].sort()],
      ]);
      expect(await storage.rooms.listJoined(lobby, 10)).toEqual([]);
    });
  });
}
