import type { RoomId, UserId } from '../../matrix/ids.ts';
import type { FileHash, MediaReads, MediaTableRow } from '../contract/media.ts';
import type { Connection } from './core/database.ts';
import type { Numbering } from './core/numbering.ts';
import type { SlowReads } from './core/reading-thread.ts';
import type { Turn } from './core/turn.ts';
import type { Writes } from './core/writes.ts';

type Reads = Pick<
  MediaReads,
  'listQuarantinable' | 'listQuarantinableOf' | 'listQuarantined' | 'listQuarantinedOf' | 'listUrlsInRoom'
>;

/** Where events name a content: the event's own, its smaller picture, and both where they are encrypted. */
const places = ['url', 'info.thumbnail_url', 'file.url', 'info.thumbnail_file.url', 'avatar_url'];

/** Each place is a look of its own at the rooms' events, so that the database finds none twice. */
const urlsInRoom = places
  .map(
    (place) =>
      `SELECT client_text ->> '$.content.${place}' AS url FROM events
       WHERE room_no = @room AND verdict = 'accepted' AND position IS NOT NULL AND url LIKE 'mxc://%'`,
  )
  .join(' UNION ');

export function createQuarantineReads(deps: {
  connection: Connection;
  turn: Turn;
  rooms: Numbering<RoomId>;
  slow: SlowReads;
}): Reads {
  const { connection, turn } = deps;
  const isIn = 'EXISTS (SELECT 1 FROM media_quarantine q WHERE q.hash = m.hash)';
  const notYet = `m.hash IS NOT NULL AND NOT ${isIn}`;
  const atAddresses = (which: string) =>
    connection
      .prepare<[string], FileHash>(
        `SELECT DISTINCT m.hash FROM json_each(?) a JOIN media m
           ON m.server = a.value ->> '$.server' AND m.media_id = a.value ->> '$.mediaId'
         WHERE ${which}`,
      )
      .pluck();
  const ofUploader = (which: string) =>
    connection
      .prepare<[UserId], FileHash>(`SELECT DISTINCT m.hash FROM media m WHERE m.uploader = ? AND ${which}`)
      .pluck();
  const [freeAtAddresses, freeOfUploader] = [atAddresses(notYet), ofUploader(notYet)];
  const [heldAtAddresses, heldOfUploader] = [atAddresses(isIn), ofUploader(isIn)];
  return {
    listQuarantinable: (addresses) => turn.read(() => freeAtAddresses.all(JSON.stringify(addresses))),
    listQuarantinableOf: (uploader) => turn.read(() => freeOfUploader.all(uploader)),
    listQuarantined: (addresses) => turn.read(() => heldAtAddresses.all(JSON.stringify(addresses))),
    listQuarantinedOf: (uploader) => turn.read(() => heldOfUploader.all(uploader)),
    async listUrlsInRoom(roomId) {
      const room = await turn.read(() => deps.rooms.find(roomId));
      if (room === undefined) return [];
      return (await deps.slow.all<{ url: string }>(urlsInRoom, { room })).map(({ url }) => url);
    },
  };
}

type Kinds = Extract<MediaTableRow['kind'], 'media_quarantined' | 'media_unquarantined'>;

export function createQuarantineWrites(connection: Connection): Writes<Kinds> {
  const put = connection.prepare<[FileHash, UserId, number]>(
    'INSERT INTO media_quarantine (hash, by, at_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
  );
  const remove = connection.prepare<[FileHash]>('DELETE FROM media_quarantine WHERE hash = ?');
  return {
    media_quarantined({ hash, by, atMs }) {
      put.run(hash, by, atMs);
    },
    media_unquarantined({ hash }) {
      remove.run(hash);
    },
  };
}
