import type { EventId, RoomId, UserId } from '../../matrix/ids.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Position } from '../contract/numbers.ts';
import type { Membership, OutOfBandMembership, RoomReads, RoomRow, StoredMembership } from '../contract/rooms.ts';
import type { Connection } from './core/database.ts';
import type { Numbering } from './core/numbering.ts';
import type { Turn } from './core/turn.ts';

/** Rows of one query of a list that may be long. */
const rowsMax = 500;

type MembershipRecord = Omit<StoredMembership, 'forgotten' | 'outOfBand'> & {
  forgotten: 0 | 1;
  outOfBand: string | null;
};

function parse(record: MembershipRecord): StoredMembership {
  const outOfBand: OutOfBandMembership | null = record.outOfBand === null ? null : JSON.parse(record.outOfBand);
  return { ...record, forgotten: record.forgotten === 1, outOfBand };
}

const membershipColumns = `r.room_id AS roomId, m.user_id AS userId, m.membership, m.event_id AS eventId, m.sender, m.displayname,
    m.avatar_url AS avatarUrl, m.position, m.forgotten, m.out_of_band AS outOfBand`;

const memberships = `
  SELECT ${membershipColumns}
  FROM memberships m JOIN rooms r ON r.room_no = m.room_no`;

/** Rows of the log. Whether a room is forgotten is a matter of today. */
const loggedMemberships = `
  SELECT r.room_id AS roomId, l.user_id AS userId, l.membership, l.event_id AS eventId, l.sender, l.displayname,
    l.avatar_url AS avatarUrl, l.position, m.forgotten, l.out_of_band AS outOfBand
  FROM membership_log l
    JOIN rooms r ON r.room_no = l.room_no
    JOIN memberships m ON m.room_no = l.room_no AND m.user_id = l.user_id`;

type MemberReads = Pick<
  RoomReads,
  | 'findMembership'
  | 'listMembershipsIn'
  | 'countMembersOf'
  | 'listHeroesOf'
  | 'listMembershipsOfUser'
  | 'listMembers'
  | 'listMemberPage'
  | 'countMembers'
  | 'listHeroes'
  | 'listJoined'
  | 'listJoinedServers'
  | 'listInvitedOf'
>;

function createMemberReads(connection: Connection, turn: Turn, rooms: Numbering<RoomId>): MemberReads {
  const find = connection.prepare<[number, UserId], MembershipRecord>(
    `${memberships} WHERE m.room_no = ? AND m.user_id = ?`,
  );
  const page = connection.prepare<[number, string, number], MembershipRecord>(
    `${memberships} WHERE m.room_no = ? AND m.user_id > ? ORDER BY m.user_id LIMIT ?`,
  );
  const ofUserIn = connection.prepare<[string, UserId], MembershipRecord>(
    `SELECT ${membershipColumns}
     FROM json_each(?) j CROSS JOIN memberships m ON m.room_no = j.value AND m.user_id = ?
       JOIN rooms r ON r.room_no = m.room_no`,
  );
  const invitedOf = connection
    .prepare<[string, ServerName], number>(
      `SELECT j.value FROM json_each(?) j WHERE EXISTS (
         SELECT 1 FROM memberships m WHERE m.room_no = j.value AND m.membership = 'invite' AND m.server = ?
       )`,
    )
    .pluck();
  const ofUser = connection.prepare<[UserId, string], MembershipRecord>(
    `${memberships}
     WHERE m.user_id = ? AND m.membership IN (SELECT value FROM json_each(?)) AND NOT m.forgotten
     ORDER BY m.position`,
  );
  const membersOf = connection
    .prepare<[number, string], UserId>(
      `SELECT user_id FROM memberships
       WHERE room_no = ? AND membership IN (SELECT value FROM json_each(?)) ORDER BY first_position, user_id`,
    )
    .pluck();
  const theseOfRoom = connection.prepare<[string, number, string], MembershipRecord>(
    `SELECT ${membershipColumns}
     FROM json_each(?) j CROSS JOIN memberships m ON m.room_no = ? AND m.user_id = j.value
       JOIN rooms r ON r.room_no = m.room_no
     WHERE m.membership IN (SELECT value FROM json_each(?)) ORDER BY j.key`,
  );
  const count = connection
    .prepare<[number, Membership], number>('SELECT count FROM member_counts WHERE room_no = ? AND membership = ?')
    .pluck();
  const present = connection.prepare<[number, UserId, number], MembershipRecord>(
    `${memberships}
     WHERE m.room_no = ? AND (m.membership IN ('join', 'invite')) = 1 AND m.user_id <> ?
     ORDER BY m.first_position, m.user_id LIMIT ?`,
  );
  const gone = connection.prepare<[number, UserId, number], MembershipRecord>(
    `${memberships}
     WHERE m.room_no = ? AND (m.membership IN ('join', 'invite')) = 0 AND m.membership <> 'knock' AND m.user_id <> ?
     ORDER BY m.first_position, m.user_id LIMIT ?`,
  );
  const counts = connection.prepare<[string, Membership], { roomNo: number; count: number }>(
    `SELECT c.room_no AS roomNo, c.count
     FROM json_each(?) j CROSS JOIN member_counts c ON c.room_no = j.value AND c.membership = ?`,
  );
  const heroes = (condition: string) =>
    connection.prepare<[{ rooms: string; except: UserId; limit: number }], MembershipRecord>(
      `SELECT ${membershipColumns}
       FROM json_each(@rooms) j CROSS JOIN memberships m ON m.room_no = j.value AND m.user_id IN (
           SELECT x.user_id FROM memberships x
           WHERE x.room_no = j.value AND ${condition} AND x.user_id <> @except
           ORDER BY x.first_position, x.user_id LIMIT @limit
         ) JOIN rooms r ON r.room_no = m.room_no
       ORDER BY m.first_position, m.user_id`,
    );
  const allPresent = heroes(`(x.membership IN ('join', 'invite')) = 1`);
  const allGone = heroes(`(x.membership IN ('join', 'invite')) = 0 AND x.membership <> 'knock'`);
  const joinedRooms = connection.prepare<[string, number], { roomNo: number; roomId: RoomId }>(
    `SELECT room_no AS roomNo, room_id AS roomId FROM rooms r
     WHERE room_id > ?
       AND EXISTS (SELECT 1 FROM memberships m WHERE m.room_no = r.room_no AND m.membership = 'join')
     ORDER BY room_id LIMIT ?`,
  );
  const joinedUsers = connection.prepare<[string], { roomNo: number; userId: UserId }>(
    `SELECT m.room_no AS roomNo, m.user_id AS userId
     FROM json_each(?) CROSS JOIN memberships m ON m.room_no = value AND m.membership = 'join'`,
  );
  const servers = connection
    .prepare<[number], ServerName>(
      `SELECT DISTINCT server FROM memberships WHERE room_no = ? AND membership = 'join' ORDER BY server`,
    )
    .pluck();

  return {
    findMembership: (roomId, userId) =>
      turn.read(() => {
        const record = find.get(rooms.find(roomId) ?? 0, userId);
        return record && parse(record);
      }),
    listMembershipsIn: (userId, roomIds) =>
      turn.read(() => {
        const found = ofUserIn.all(JSON.stringify([...rooms.findAll(roomIds).values()]), userId);
        return new Map(found.map((record): [RoomId, StoredMembership] => [record.roomId, parse(record)]));
      }),
    listInvitedOf: (server, roomIds) =>
      turn.read(() => {
        const numbers = invitedOf.all(JSON.stringify([...rooms.findAll(roomIds).values()]), server);
        return new Set(numbers.map((roomNo) => rooms.text(roomNo)));
      }),
    countMembersOf: (roomIds, membership) =>
      turn.read(() => {
        const found = counts.all(JSON.stringify([...rooms.findAll(roomIds).values()]), membership);
        return new Map(
          found.filter(({ count: members }) => members > 0).map((row) => [rooms.text(row.roomNo), row.count]),
        );
      }),
    listHeroesOf: (roomIds, except, limit) =>
      turn.read(() => {
        const roomNos = rooms.findAll(roomIds);
        const read = (statement: typeof allPresent, asked: Iterable<number>): StoredMembership[] =>
          statement.all({ rooms: JSON.stringify([...asked]), except, limit }).map(parse);
        const here = byRoom(read(allPresent, roomNos.values()));
        const empty = [...roomNos].filter(([roomId]) => !here.has(roomId)).map(([, roomNo]) => roomNo);
        const gone = empty.length > 0 ? byRoom(read(allGone, empty)) : [];
        return new Map([...here, ...gone]);
      }),
    listMembershipsOfUser: (userId, wanted) => turn.read(() => ofUser.all(userId, JSON.stringify(wanted)).map(parse)),
    listMembers: async (roomId, wanted) => {
      const list = JSON.stringify(wanted);
      const roomNo = await turn.read(() => rooms.find(roomId) ?? 0);
      const userIds = await turn.read(() => membersOf.all(roomNo, list));
      const found: StoredMembership[] = [];
      for (let start = 0; start < userIds.length; start += rowsMax) {
        const some = JSON.stringify(userIds.slice(start, start + rowsMax));
        found.push(...(await turn.read(() => theseOfRoom.all(some, roomNo, list).map(parse))));
      }
      return found;
    },
    listMemberPage: (roomId, after, limit) =>
      turn.read(() => page.all(rooms.find(roomId) ?? 0, after ?? '', limit).map(parse)),
    countMembers: (roomId, membership) => turn.read(() => count.get(rooms.find(roomId) ?? 0, membership) ?? 0),
    listHeroes: (roomId, except, limit) =>
      turn.read(() => {
        const roomNo = rooms.find(roomId) ?? 0;
        const here = present.all(roomNo, except, limit);
        return (here.length > 0 ? here : gone.all(roomNo, except, limit)).map(parse);
      }),
    listJoined: (afterRoom, limit) =>
      turn.read(() => {
        const page = joinedRooms.all(afterRoom ?? '', limit);
        const usersOfRoom = new Map(page.map(({ roomNo }): [number, UserId[]] => [roomNo, []]));
        for (const { roomNo, userId } of joinedUsers.all(JSON.stringify([...usersOfRoom.keys()]))) {
          usersOfRoom.get(roomNo)?.push(userId);
        }
        return page.map(({ roomNo, roomId }) => ({ roomId, userIds: usersOfRoom.get(roomNo) ?? [] }));
      }),
    listJoinedServers: (roomId) => turn.read(() => servers.all(rooms.find(roomId) ?? 0)),
  };
}

function byRoom(memberships: readonly StoredMembership[]): Map<RoomId, StoredMembership[]> {
  const lists = new Map<RoomId, StoredMembership[]>();
  for (const membership of memberships) {
    const list = lists.get(membership.roomId);
    if (list) list.push(membership);
    else lists.set(membership.roomId, [membership]);
  }
  return lists;
}

interface LoggedPlace {
  roomNo: number;
  userId: UserId;
  position: Position;
}

type LogReads = Pick<
  RoomReads,
  | 'listMembershipChanges'
  | 'findMembershipAt'
  | 'listMembershipsAt'
  | 'listLastDepartures'
  | 'findLastDeparture'
  | 'listNewlyJoined'
  | 'listDepartures'
>;

function createLogReads(connection: Connection, turn: Turn, rooms: Numbering<RoomId>): LogReads {
  const changes = connection.prepare<[UserId, Position, Position], MembershipRecord>(
    `${loggedMemberships} WHERE l.user_id = ? AND l.position > ? AND l.position <= ? ORDER BY l.position`,
  );
  const at = connection.prepare<[UserId, number, Position], MembershipRecord>(
    `${loggedMemberships}
     WHERE l.user_id = ? AND l.room_no = ? AND l.position <= ? ORDER BY l.position DESC LIMIT 1`,
  );
  const allAt = connection.prepare<{ userId: UserId; roomNos: string; at: Position }, MembershipRecord>(
    `${loggedMemberships}
     WHERE l.user_id = @userId AND (l.room_no, l.position) IN (
       SELECT value, (
         SELECT max(position) FROM membership_log
         WHERE user_id = @userId AND room_no = value AND position <= @at
       ) FROM json_each(@roomNos)
     )`,
  );
  const newJoins = connection.prepare<[Position, Position, number], LoggedPlace>(
    `SELECT room_no AS roomNo, user_id AS userId, position FROM membership_log
     WHERE membership = 'join' AND before IS NOT 'join' AND position > ? AND position <= ? ORDER BY position LIMIT ?`,
  );
  const lastDepartures = connection.prepare<{ userId: UserId; roomNos: string }, MembershipRecord>(
    `${loggedMemberships}
     WHERE l.user_id = @userId AND (l.room_no, l.position) IN (
       SELECT value, (
         SELECT min(position) FROM membership_log
         WHERE user_id = @userId AND room_no = value AND position > (
           SELECT max(position) FROM membership_log WHERE user_id = @userId AND room_no = value AND membership = 'join'
         )
       ) FROM json_each(@roomNos)
     )`,
  );
  const departures = connection.prepare<[Position, Position, number], LoggedPlace>(
    `SELECT room_no AS roomNo, user_id AS userId, position FROM membership_log
     WHERE before = 'join' AND membership <> 'join' AND position > ? AND position <= ? ORDER BY position LIMIT ?`,
  );
  const lastDepartureOfServer = connection
    .prepare<[number, ServerName], Position | null>(
      `SELECT max(l.position)
       FROM memberships m CROSS JOIN membership_log l ON l.user_id = m.user_id AND l.room_no = m.room_no
       WHERE m.room_no = ? AND m.membership IN ('leave', 'ban', 'invite', 'knock') AND m.server = ?
         AND l.before = 'join' AND l.membership <> 'join'`,
    )
    .pluck();
  /** Page by page: each change has a position of its own. */
  const listInRooms = async (
    statement: typeof newJoins,
    roomIds: ReadonlySet<RoomId>,
    range: { readonly after: Position; readonly upTo: Position },
  ): Promise<{ roomId: RoomId; userId: UserId }[]> => {
    const found: { roomId: RoomId; userId: UserId }[] = [];
    for (let { after } = range; ; ) {
      const page = await turn.read(() => statement.all(after, range.upTo, rowsMax));
      for (const { roomNo, userId } of page) {
        const roomId = rooms.text(roomNo);
        if (roomIds.has(roomId)) found.push({ roomId, userId });
      }
      after = page.at(-1)?.position ?? after;
      if (page.length < rowsMax) return found;
    }
  };

  return {
    listMembershipChanges: (userId, after, upTo) => turn.read(() => changes.all(userId, after, upTo).map(parse)),
    findMembershipAt: (roomId, userId, position) =>
      turn.read(() => {
        const record = at.get(userId, rooms.find(roomId) ?? 0, position);
        return record && parse(record);
      }),
    listMembershipsAt: (userId, roomIds, position) =>
      turn.read(() => {
        const roomNos = JSON.stringify([...rooms.findAll(roomIds).values()]);
        const records = allAt.all({ userId, roomNos, at: position });
        return new Map(records.map((record): [RoomId, StoredMembership] => [record.roomId, parse(record)]));
      }),
    listLastDepartures: (userId, roomIds) =>
      turn.read(() => {
        const found = lastDepartures.all({ userId, roomNos: JSON.stringify([...rooms.findAll(roomIds).values()]) });
        return new Map(found.map((record): [RoomId, StoredMembership] => [record.roomId, parse(record)]));
      }),
    findLastDeparture: (roomId, server) =>
      turn.read(() => lastDepartureOfServer.get(rooms.find(roomId) ?? 0, server) ?? undefined),
    listNewlyJoined: (roomIds, after, upTo) => listInRooms(newJoins, roomIds, { after, upTo }),
    listDepartures: (roomIds, after, upTo) => listInRooms(departures, roomIds, { after, upTo }),
  };
}

export function createRoomReads(connection: Connection, turn: Turn, rooms: Numbering<RoomId>): RoomReads {
  const find = connection.prepare<[RoomId], RoomRow>(
    'SELECT room_id AS roomId, version FROM rooms WHERE room_id = ? AND version IS NOT NULL',
  );
  const list = connection.prepare<[string, number], RoomRow>(
    'SELECT room_id AS roomId, version FROM rooms WHERE room_id > ? AND version IS NOT NULL ORDER BY room_id LIMIT ?',
  );
  const extremities = connection
    .prepare<[number], EventId>(
      'SELECT i.event_id FROM forward_extremities f JOIN event_ids i ON i.event_no = f.event_no WHERE f.room_no = ?',
    )
    .pluck();

  return {
    find: (roomId) => turn.read(() => find.get(roomId)),
    listRooms: (afterRoom, limit) => turn.read(() => list.all(afterRoom ?? '', limit)),
    listExtremities: (roomId) => turn.read(() => extremities.all(rooms.find(roomId) ?? 0)),
    ...createMemberReads(connection, turn, rooms),
    ...createLogReads(connection, turn, rooms),
  };
}
