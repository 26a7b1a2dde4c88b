import { expect, test } from 'vitest';
import type { RoomId, UserId } from '../../../src/matrix/ids.ts';
import type { Change } from '../../../src/storage/contract/changes.ts';
import { createSyncWakes } from '../../../src/sync/wakes.ts';

const room = '!r:a' as RoomId;
const [alice, bob, carol] = ['@alice:a', '@bob:a', '@carol:a'] as [UserId, UserId, UserId];

/** alice and bob sync and are in the room; carol syncs and is not; everybody else does not sync. */
function wokenBy(...changes: unknown[]): string[] {
  const woken: string[] = [];
  const connected = new Set([alice, bob, carol]);
  createSyncWakes({
    roster: {
      connectedUsersIn: (roomId) => new Set(roomId === room ? [alice, bob] : []),
      isConnected: (userId) => connected.has(userId),
      roomsOf: (userId) => new Set(userId === '@dave:b' ? [room] : []),
    },
    waiters: { wake: (userId) => woken.push(userId) },
  })(changes as Change[]);
  return woken.sort();
}

test.each([
  ['an event', { kind: 'event', roomId: room }, [alice, bob]],
  ['an event of another room', { kind: 'event', roomId: '!other:a' }, []],
  ['a change of the current state', { kind: 'current_state', roomId: room }, [alice, bob]],
  ['a receipt', { kind: 'receipt', roomId: room, userId: bob, receiptType: 'm.read' }, [alice, bob]],
  ['a private receipt', { kind: 'receipt', roomId: room, userId: bob, receiptType: 'm.read.private' }, [bob]],
  ['a membership, such as an invite', { kind: 'membership', roomId: room, userId: carol }, [carol]],
  ['a membership of somebody who does not sync', { kind: 'membership', roomId: room, userId: '@dave:b' }, []],
  ['account data', { kind: 'account_data', userId: alice }, [alice]],
  ['a profile, whose member events follow', { kind: 'profile', userId: alice }, []],
  ['a change of keys', { kind: 'device_list', userId: '@dave:b', viewer: null, here: true }, [alice, bob]],
  ['a change of own keys', { kind: 'device_list', userId: carol, viewer: null, here: true }, [carol]],
  ['a change of keys for one', { kind: 'device_list', userId: '@dave:b', viewer: carol, here: true }, [carol]],
  ['a device without keys', { kind: 'device_list', userId: '@dave:b', viewer: null, here: false }, []],
  ['a one-time key that was given out', { kind: 'key_counts', userId: carol }, [carol]],
  ['something for other servers', { kind: 'outgoing', destinations: ['b'] }, []],
])('%s wakes whom it concerns', (_, change, expected) => {
  expect(wokenBy(change)).toEqual(expected);
});

test('one commit wakes each user once', () => {
  expect(
    wokenBy({ kind: 'event', roomId: room }, { kind: 'event', roomId: room }, { kind: 'account_data', userId: alice }),
  ).toEqual([alice, bob]);
});
