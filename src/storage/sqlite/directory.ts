import type { RoomAlias, RoomId } from '../../matrix/ids.ts';
import type { AliasRow, DirectoryReads, DirectoryTableRow } from '../contract/directory.ts';
import type { Connection } from './core/database.ts';
import type { Numbering } from './core/numbering.ts';
import type { Turn } from './core/turn.ts';
import type { Writes } from './core/writes.ts';
import { createListingReads, type RoomListings } from './room-listings.ts';
import { createUserReads } from './user-directory.ts';

export function createDirectoryReads(connection: Connection, turn: Turn): DirectoryReads {
  const alias = connection.prepare<[RoomAlias], AliasRow>(
    'SELECT alias, room_id AS roomId, creator FROM aliases WHERE alias = ?',
  );
  const aliases = connection.prepare<[RoomId], AliasRow>(
    'SELECT alias, room_id AS roomId, creator FROM aliases WHERE room_id = ? ORDER BY alias',
  );

  return {
    findAlias: (name) => turn.read(() => alias.get(name)),
    listAliases: (roomId) => turn.read(() => aliases.all(roomId)),
    ...createListingReads(connection, turn),
    ...createUserReads(connection, turn),
  };
}

interface WriteDeps {
  connection: Connection;
  rooms: Numbering<RoomId>;
  listings: RoomListings;
}

export function createDirectoryWrites({ connection, rooms, listings }: WriteDeps): Writes<DirectoryTableRow['kind']> {
  const putAlias = connection.prepare<[AliasRow]>(
    'INSERT INTO aliases (alias, room_id, creator) VALUES (@alias, @roomId, @creator)',
  );
  const putNetworkRoom = connection.prepare<[string, number]>(
    'INSERT OR IGNORE INTO network_rooms (network, room_no) VALUES (?, ?)',
  );
  const removeNetworkRoom = connection.prepare<[string, number]>(
    'DELETE FROM network_rooms WHERE network = ? AND room_no = ?',
  );
  const removeAlias = connection
    .prepare<[RoomAlias], RoomId>('DELETE FROM aliases WHERE alias = ? RETURNING room_id')
    .pluck();

  return {
    alias(row, step) {
      for (const roomId of removeAlias.all(row.alias)) step.change({ kind: 'aliases', roomId });
      putAlias.run(row);
      step.change({ kind: 'aliases', roomId: row.roomId });
    },
    alias_removed({ alias }, step) {
      for (const roomId of removeAlias.all(alias)) step.change({ kind: 'aliases', roomId });
    },
    network_room({ network, roomId, visibility }) {
      (visibility === 'public' ? putNetworkRoom : removeNetworkRoom).run(network, rooms.put(roomId));
    },
    room_visibility({ roomId, visibility }) {
      listings.publish(rooms.put(roomId), visibility === 'public');
    },
  };
}
