import type { RoomAlias, RoomId } from '../../matrix/ids.ts';
import type { AliasRow, DirectoryReads, DirectoryTableRow } from '../contract/directory.ts';
import type { Connection } from './core/database.ts';
import type { Turn } from './core/turn.ts';
import type { Writes } from './core/writes.ts';

export function createDirectoryReads(connection: Connection, turn: Turn): DirectoryReads {
  const alias = connection.prepare<[RoomAlias], AliasRow>(
    'SELECT alias, room_id AS roomId, creator FROM aliases WHERE alias = ?',
  );
  const aliases = connection.prepare<[RoomId], AliasRow>(
    'SELECT alias, room_id AS roomId, creator FROM aliases WHERE room_id = ? ORDER BY alias',
  );
  const isPublic = connection.prepare<[RoomId]>('SELECT 1 FROM public_rooms WHERE room_id = ?');

  return {
    findAlias: (name) => turn.read(() => alias.get(name)),
    listAliases: (roomId) => turn.read(() => aliases.all(roomId)),
    getVisibility: (roomId) => turn.read(() => (isPublic.get(roomId) === undefined ? 'private' : 'public')),
  };
}

export function createDirectoryWrites(connection: Connection): Writes<DirectoryTableRow['kind']> {
  const putAlias = connection.prepare<[AliasRow]>(
    'INSERT OR REPLACE INTO aliases (alias, room_id, creator) VALUES (@alias, @roomId, @creator)',
  );
  const removeAlias = connection.prepare<[RoomAlias]>('DELETE FROM aliases WHERE alias = ?');
  const publish = connection.prepare<[RoomId]>('INSERT OR IGNORE INTO public_rooms (room_id) VALUES (?)');
  const withdraw = connection.prepare<[RoomId]>('DELETE FROM public_rooms WHERE room_id = ?');

  return {
    alias(row) {
      putAlias.run(row);
    },
    alias_removed(row) {
      removeAlias.run(row.alias);
    },
    room_visibility({ roomId, visibility }) {
      if (visibility === 'public') publish.run(roomId);
      else withdraw.run(roomId);
    },
  };
}
