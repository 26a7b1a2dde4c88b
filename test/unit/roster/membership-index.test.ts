import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EventId, RoomId, UserId } from '../../../src/matrix/ids.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import { MembershipIndex } from '../../../src/roster/membership-index.ts';
import type { Change } from '../../../src/storage/contract/changes.ts';
import type { Membership } from '../../../src/storage/contract/rooms.ts';
import { propertyRuns } from '../../support/property-runs.ts';

const here = 'here.test' as ServerName;
const there = 'there.test' as ServerName;
const elsewhere = 'elsewhere.test:8448' as ServerName;
const alice = '@alice:here.test' as UserId;
const anna = '@anna:here.test' as UserId;
const bob = '@bob:there.test' as UserId;
const bea = '@bea:there.test' as UserId;
const carl = '@carl:elsewhere.test:8448' as UserId;
const den = '!den:here.test' as RoomId;
const hall = '!hall:there.test' as RoomId;

let position = 0;
function membership(roomId: RoomId, userId: UserId, after: Membership, before: Membership | null = null): Change {
  position += 1;
  return { kind: 'membership', position, roomId, userId, before, after, eventId: `$${position}` as EventId };
}

function createIndex(...joined: [RoomId, UserId][]): MembershipIndex {
  const roster = new MembershipIndex({ serverName: here });
  roster.apply(joined.map(([roomId, userId]) => membership(roomId, userId, 'join')));
  return roster;
}

describe('the roster', () => {
  it('loads every page of joined memberships', async () => {
    const all = Array.from({ length: 1_201 }, (_, index) => ({
      roomId: `!r${String(index).padStart(5, '0')}:here.test` as RoomId,
      userIds: index % 2 === 0 ? [alice] : [alice, bob],
    }));
    const roster = new MembershipIndex({ serverName: here });
    await roster.load({
      listJoined: async (afterRoom, limit) =>
        all.filter((room) => afterRoom === null || room.roomId > afterRoom).slice(0, limit),
    });
    expect(roster.roomsOf(alice).size).toBe(1_201);
    expect(roster.roomsOf(bob).size).toBe(600);
    expect(roster.roomsOfServer(there).size).toBe(600);
  });

  it('answers by user, by room and by server', () => {
    const roster = createIndex([den, alice], [den, bob], [den, bea], [hall, bob], [hall, carl]);
    expect([...roster.roomsOf(bob)]).toEqual([den, hall]);
    expect([...roster.usersIn(den)]).toEqual([alice, bob, bea]);
    expect([...roster.localUsersIn(den)]).toEqual([alice]);
    expect([...roster.localUsersIn(hall)]).toEqual([]);
    expect([...roster.serversIn(den)]).toEqual([here, there]);
    expect([...roster.usersOfServerIn(den, there)]).toEqual([bob, bea]);
    expect([...roster.usersOfServerIn(hall, elsewhere)]).toEqual([carl]);
    expect([...roster.usersOfServerIn(den, elsewhere)]).toEqual([]);
    expect([...roster.roomsOfServer(there)]).toEqual([den, hall]);
    expect(roster.isJoined(den, alice)).toBe(true);
    expect(roster.isJoined(hall, alice)).toBe(false);
  });

  it('knows nothing of users, rooms and servers that it never heard of', () => {
    const roster = createIndex();
    expect(roster.roomsOf(alice).size).toBe(0);
    expect(roster.usersIn(den).size).toBe(0);
    expect(roster.serversIn(den).size).toBe(0);
    expect(roster.roomsOfServer(there).size).toBe(0);
    expect(roster.shareRoom(alice, bob)).toBe(false);
  });

  it('counts only a join as being in the room', () => {
    const roster = createIndex();
    for (const kind of ['invite', 'knock', 'ban', 'leave'] as const) roster.apply([membership(den, alice, kind)]);
    expect(roster.usersIn(den).size).toBe(0);
    roster.apply([membership(den, alice, 'join', 'invite'), membership(den, alice, 'join', 'join')]);
    expect([...roster.usersIn(den)]).toEqual([alice]);
  });

  it('forgets a server when its last user leaves, and not before', () => {
    const roster = createIndex([den, alice], [den, bob], [den, bea]);
    roster.apply([membership(den, bob, 'leave', 'join')]);
    expect([...roster.serversIn(den)]).toEqual([here, there]);
    expect([...roster.usersOfServerIn(den, there)]).toEqual([bea]);
    roster.apply([membership(den, bea, 'ban', 'join')]);
    expect([...roster.serversIn(den)]).toEqual([here]);
    expect(roster.roomsOfServer(there).size).toBe(0);
  });

  it('says who shares a room with whom', () => {
    const roster = createIndex([den, alice], [den, bob], [hall, bob], [hall, carl]);
    expect(roster.shareRoom(alice, bob)).toBe(true);
    expect(roster.shareRoom(alice, carl)).toBe(false);
    expect(roster.usersSharingWith(bob)).toEqual(new Set([alice, carl]));
    expect(roster.serversSharingWith(bob)).toEqual(new Set([here, there, elsewhere]));
    roster.apply([membership(den, bob, 'leave', 'join')]);
    expect(roster.shareRoom(alice, bob)).toBe(false);
  });

  it('shows a user as connected in each of their rooms while any of their devices syncs', () => {
    const roster = createIndex([den, alice], [den, anna]);
    roster.connect(alice);
    roster.connect(alice);
    roster.disconnect(alice);
    expect(roster.isConnected(alice)).toBe(true);
    expect([...roster.connectedUsersIn(den)]).toEqual([alice]);
    roster.disconnect(alice);
    expect(roster.isConnected(alice)).toBe(false);
    expect(roster.connectedUsersIn(den).size).toBe(0);
    expect(roster.connectedUsers().size).toBe(0);
  });

  it('follows a connected user into a room and out of it', () => {
    const roster = createIndex([den, anna]);
    roster.connect(alice);
    expect(roster.connectedUsersIn(den).size).toBe(0);
    roster.apply([membership(den, alice, 'join')]);
    expect([...roster.connectedUsersIn(den)]).toEqual([alice]);
    roster.apply([membership(den, alice, 'leave', 'join')]);
    expect(roster.connectedUsersIn(den).size).toBe(0);
    expect([...roster.connectedUsers()]).toEqual([alice]);
  });

  it('takes a disconnect too many for nothing', () => {
    const roster = createIndex([den, alice]);
    roster.disconnect(alice);
    roster.connect(alice);
    expect(roster.isConnected(alice)).toBe(true);
  });

  it('agrees with a plain list of pairs after any history', () => {
    const users = [alice, anna, bob, bea, carl];
    const rooms = [den, hall];
    const step = fc.record({
      roomId: fc.constantFrom(...rooms),
      userId: fc.constantFrom(...users),
      what: fc.constantFrom('join', 'leave', 'connect', 'disconnect'),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const roster = createIndex();
        const pairs = new Set<string>();
        const connections = new Map<UserId, number>();
        for (const { roomId, userId, what } of steps) {
          const count = connections.get(userId) ?? 0;
          if (what === 'connect') connections.set(userId, count + 1);
          if (what === 'disconnect') connections.set(userId, Math.max(0, count - 1));
          if (what === 'connect') roster.connect(userId);
          else if (what === 'disconnect') roster.disconnect(userId);
          else {
            roster.apply([membership(roomId, userId, what as Membership)]);
            if (what === 'join') pairs.add(`${roomId} ${userId}`);
            else pairs.delete(`${roomId} ${userId}`);
          }
        }
        for (const roomId of rooms) {
          const members = users.filter((userId) => pairs.has(`${roomId} ${userId}`));
          expect(roster.usersIn(roomId)).toEqual(new Set(members));
          const connected = members.filter((userId) => (connections.get(userId) ?? 0) > 0);
          expect(roster.connectedUsersIn(roomId)).toEqual(new Set(connected));
          for (const server of [here, there, elsewhere]) {
            const ofServer = members.filter((userId) => userId.endsWith(`:${server}`));
            expect(roster.usersOfServerIn(roomId, server)).toEqual(new Set(ofServer));
            expect(roster.serversIn(roomId).has(server)).toBe(ofServer.length > 0);
            expect(roster.roomsOfServer(server).has(roomId)).toBe(ofServer.length > 0);
          }
        }
      }),
      { numRuns: propertyRuns(300) },
    );
  });
});

describe('a snapshot of the rooms of a user', () => {
  const user = '@held:a.test' as UserId;
  const [first, second] = ['!first:a.test', '!second:a.test'] as RoomId[] as [RoomId, RoomId];
  const change = (roomId: RoomId, after: 'join' | 'leave') =>
    ({ kind: 'membership', position: 1, roomId, userId: user, before: null, after, eventId: '$e' as EventId }) as const;

  it('stays what it was, and costs nothing while the rooms stay the same', () => {
    const index = new MembershipIndex({ serverName: 'a.test' as ServerName });
    index.apply([change(first, 'join')]);
    const before = index.snapshotOfRooms(user);
    expect(index.snapshotOfRooms(user)).toBe(before);
    index.apply([change(second, 'join')]);
    expect([...before]).toEqual([first]);
    const between = index.snapshotOfRooms(user);
    index.apply([change(first, 'leave')]);
    expect([...between]).toEqual([first, second]);
    expect([...index.snapshotOfRooms(user)]).toEqual([second]);
    expect([...index.roomsOf(user)]).toEqual([second]);
  });

  it('is empty for somebody unknown', () => {
    expect(new MembershipIndex({ serverName: 'a.test' as ServerName }).snapshotOfRooms(user).size).toBe(0);
  });
});
