import { expect, test } from 'vitest';
import type { DeviceId, EventId, RoomId, UserId } from '../../../src/matrix/ids.ts';
import { LazyMemberMemory } from '../../../src/sync/lazy-members.ts';

const alice = '@alice:a' as UserId;
const bob = '@bob:a' as UserId;
const device = 'D' as DeviceId;
const room = '!r:a' as RoomId;
const event = '$e' as EventId;
const member = { roomId: room, userId: bob, eventId: event };

function told(): LazyMemberMemory {
  const memory = new LazyMemberMemory();
  memory.open(alice, device, null).tell('t1', [member]);
  return memory;
}

test('a member is known once the client comes back with the answer that told it', () => {
  const members = told().open(alice, device, 't1');
  expect(members.isKnown(room, bob, event)).toBe(true);
});

test('a member is not known while the answer that told it may be lost', () => {
  const memory = new LazyMemberMemory();
  memory.open(alice, device, null).tell('t1', []);
  memory.open(alice, device, 't1').tell('t2', [member]);
  expect(memory.open(alice, device, 't1').isKnown(room, bob, event)).toBe(false);
});

test('asking twice with the same token keeps what was confirmed', () => {
  const memory = told();
  memory.open(alice, device, 't1');
  expect(memory.open(alice, device, 't1').isKnown(room, bob, event)).toBe(true);
});

test('a client that resumes from an older token knows nothing', () => {
  const memory = told();
  memory.open(alice, device, 't1').tell('t2', []);
  memory.open(alice, device, 't2');
  expect(memory.open(alice, device, 't1').isKnown(room, bob, event)).toBe(false);
});

test('an initial sync starts anew', () => {
  const memory = told();
  memory.open(alice, device, 't1');
  expect(memory.open(alice, device, null).isKnown(room, bob, event)).toBe(false);
});

test('another event, room, member, device or user is not known', () => {
  const memory = told();
  const members = memory.open(alice, device, 't1');
  expect(members.isKnown(room, bob, '$other' as EventId)).toBe(false);
  expect(members.isKnown('!other:a' as RoomId, bob, event)).toBe(false);
  expect(members.isKnown(room, alice, event)).toBe(false);
  expect(memory.open(alice, 'E' as DeviceId, 't1').isKnown(room, bob, event)).toBe(false);
  expect(memory.open(bob, device, 't1').isKnown(room, bob, event)).toBe(false);
});

test('what was told over several answers adds up', () => {
  const memory = told();
  memory.open(alice, device, 't1').tell('t2', [{ ...member, userId: alice, eventId: '$a' as EventId }]);
  const members = memory.open(alice, device, 't2');
  expect(members.isKnown(room, bob, event)).toBe(true);
  expect(members.isKnown(room, alice, '$a' as EventId)).toBe(true);
});
