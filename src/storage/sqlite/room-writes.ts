import { type EventId, type RoomId, serverOfUser, type UserId } from '../../matrix/ids.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Position } from '../contract/numbers.ts';
import type { Membership, MembershipRow, RoomTableRow } from '../contract/rooms.ts';
import type { Connection } from './core/database.ts';
import type { Numbering } from './core/numbering.ts';
import { positionOf, type Writes } from './core/writes.ts';
import type { RoomListings } from './room-listings.ts';
import type { DirectoryNames } from './user-directory.ts';

interface Written extends MembershipRow {
  roomNo: number;
  server: ServerName;
  position: Position;
  before: Membership | null;
  outOfBandText: string | null;
}

interface Deps {
  connection: Connection;
  rooms: Numbering<RoomId>;
  events: Numbering<EventId>;
  listings: RoomListings;
  names: DirectoryNames;
}

export function createRoomWrites({ connection, rooms, events, listings, names }: Deps): Writes<RoomTableRow['kind']> {
  const setVersion = connection.prepare<[string, number]>('UPDATE rooms SET version = ? WHERE room_no = ?');
  const clearExtremities = connection.prepare<[number]>('DELETE FROM forward_extremities WHERE room_no = ?');
  const addExtremity = connection.prepare<[number, number]>(
    'INSERT OR IGNORE INTO forward_extremities (room_no, event_no) VALUES (?, ?)',
  );
  const find = connection.prepare<[number, UserId], { membership: Membership; displayname: string | null }>(
    'SELECT membership, displayname FROM memberships WHERE room_no = ? AND user_id = ?',
  );
  const put = connection.prepare<[Written]>(
    `INSERT INTO memberships (room_no, user_id, server, membership, event_id, sender, displayname, avatar_url,
       position, first_position, forgotten, out_of_band)
     VALUES (@roomNo, @userId, @server, @membership, @eventId, @sender, @displayname, @avatarUrl,
       @position, @position, 0, @outOfBandText)
     ON CONFLICT DO UPDATE SET membership = excluded.membership, event_id = excluded.event_id,
       sender = excluded.sender, displayname = excluded.displayname, avatar_url = excluded.avatar_url,
       position = excluded.position, forgotten = 0, out_of_band = excluded.out_of_band`,
  );
  const log = connection.prepare<[Written]>(
    `INSERT OR REPLACE INTO membership_log
       (user_id, room_no, position, membership, before, event_id, sender, displayname, avatar_url, out_of_band)
     VALUES (@userId, @roomNo, @position, @membership, @before, @eventId, @sender, @displayname, @avatarUrl,
       @outOfBandText)`,
  );
  const count = connection.prepare<[number, Membership, number]>(
    `INSERT INTO member_counts (room_no, membership, count) VALUES (?, ?, ?)
     ON CONFLICT DO UPDATE SET count = count + excluded.count`,
  );
  const forget = connection.prepare<[number, UserId]>(
    'UPDATE memberships SET forgotten = 1 WHERE room_no = ? AND user_id = ?',
  );

  return {
    room({ roomId, version }) {
      setVersion.run(version, rooms.put(roomId));
    },
    extremities({ roomId, eventIds }) {
      const roomNo = rooms.put(roomId);
      clearExtremities.run(roomNo);
      for (const eventNo of events.putAll(eventIds).values()) addExtremity.run(roomNo, eventNo);
    },
    membership(row, step) {
      const { roomId, userId, eventId } = row;
      const roomNo = rooms.put(roomId);
      const known = find.get(roomNo, userId);
      const before = known?.membership ?? null;
      const position = positionOf(step);
      const outOfBandText = row.outOfBand === undefined ? null : JSON.stringify(row.outOfBand);
      const written: Written = { ...row, roomNo, server: serverOfUser(userId), position, before, outOfBandText };
      put.run(written);
      log.run(written);
      if (before !== row.membership) {
        if (before !== null) count.run(roomNo, before, -1);
        count.run(roomNo, row.membership, 1);
        if (before === 'join') listings.countJoined(roomNo, -1);
        if (row.membership === 'join') listings.countJoined(roomNo, 1);
      }
      names.changeInRoom(userId, { before: nameIfJoined(known), after: nameIfJoined(row) });
      step.change({ kind: 'membership', position, roomId, userId, before, after: row.membership, eventId });
    },
    room_forgotten({ roomId, userId }, step) {
      const roomNo = rooms.find(roomId);
      if (roomNo === undefined || forget.run(roomNo, userId).changes === 0) return;
      step.change({ kind: 'room_forgotten', roomId, userId });
    },
  };
}

function nameIfJoined(
  row: { membership: Membership; displayname: string | null } | undefined,
): { name: string | null } | null {
  return row?.membership === 'join' ? { name: row.displayname } : null;
}
