import type { UserId } from '../../matrix/ids.ts';
import type {
  AwaitedMediaRow,
  FileHash,
  FileRow,
  MediaAddress,
  MediaReads,
  MediaRow,
  MediaTableRow,
  ThumbnailKey,
  ThumbnailRow,
} from '../contract/media.ts';
import type { Connection } from './core/database.ts';
import type { Turn } from './core/turn.ts';
import type { Writes } from './core/writes.ts';
import type { createQuarantineReads, createQuarantineWrites } from './media-quarantine.ts';

type Found = Omit<MediaRow, 'hash'> & {
  hash: FileHash | null;
  expiresAtMs: number | null;
  sniffedType: string | null;
  quarantined: number;
};
type StoredKey = Omit<ThumbnailKey, 'animated'> & { animated: number };

type QuarantineReads = ReturnType<typeof createQuarantineReads>;
type QuarantineKind = keyof ReturnType<typeof createQuarantineWrites>;

export function createMediaReads(connection: Connection, turn: Turn): Omit<MediaReads, keyof QuarantineReads> {
  const media = connection.prepare<[MediaAddress], Found>(
    `SELECT m.server, m.media_id AS mediaId, m.source, m.uploader, m.hash, m.size, m.content_type AS contentType,
       m.file_name AS fileName, m.created_at_ms AS createdAtMs, m.expires_at_ms AS expiresAtMs,
       m.last_used_at_ms AS lastUsedAtMs, f.sniffed_type AS sniffedType,
       EXISTS (SELECT 1 FROM media_quarantine q WHERE q.hash = m.hash) AS quarantined
     FROM media m LEFT JOIN media_files f ON f.hash = m.hash WHERE m.server = @server AND m.media_id = @mediaId`,
  );
  const thumbnail = connection.prepare<[StoredKey], { hash: FileHash; size: number; contentType: string }>(
    `SELECT hash, size, content_type AS contentType FROM media_thumbnails
     WHERE source_hash = @sourceHash AND width = @width AND height = @height AND method = @method AND animated = @animated`,
  );
  const file = connection.prepare<[FileHash], FileRow & { unusedSinceMs: number | null }>(
    `SELECT hash, size, sniffed_type AS sniffedType, unused_since_ms AS unusedSinceMs FROM media_files WHERE hash = ?`,
  );
  const awaited = connection
    .prepare<[UserId, number], number>(
      'SELECT COUNT(*) FROM media WHERE hash IS NULL AND uploader = ? AND expires_at_ms > ?',
    )
    .pluck();
  const uploads = connection
    .prepare<[UserId], number>(
      'SELECT COALESCE(SUM(size), 0) FROM media WHERE uploader = ? AND uploader IS NOT NULL AND hash IS NOT NULL',
    )
    .pluck();
  const copies = connection.prepare<[], number>('SELECT bytes FROM media_copies_size WHERE one = 1').pluck();
  const byUse = connection.prepare<[number, number], MediaAddress & { size: number }>(
    `SELECT server, media_id AS mediaId, size FROM media WHERE source <> 'upload' AND last_used_at_ms < ?
     ORDER BY last_used_at_ms LIMIT ?`,
  );
  const expired = connection.prepare<[number, number], MediaAddress>(
    'SELECT server, media_id AS mediaId FROM media WHERE hash IS NULL AND expires_at_ms <= ? ORDER BY expires_at_ms LIMIT ?',
  );
  const unused = connection
    .prepare<[number, number], FileHash>(
      `SELECT hash FROM media_files WHERE unused_since_ms IS NOT NULL AND unused_since_ms < ?
       ORDER BY unused_since_ms LIMIT ?`,
    )
    .pluck();

  return {
    findMedia: (address) =>
      turn.read(() => {
        const found = media.get(address);
        return found && presentMedia(found);
      }),
    findThumbnail: (key) =>
      turn.read(() => {
        const found = thumbnail.get(storeKey(key));
        return found && { ...key, ...found };
      }),
    findFile: (hash) =>
      turn.read(() => {
        const found = file.get(hash);
        if (!found) return undefined;
        const { unusedSinceMs, ...row } = found;
        return { ...row, isUsed: unusedSinceMs === null };
      }),
    countAwaited: (uploader, nowMs) => turn.read(() => awaited.get(uploader, nowMs) ?? 0),
    sumUploads: (uploader) => turn.read(() => uploads.get(uploader) ?? 0),
    sumCopies: () => turn.read(() => copies.get() ?? 0),
    listCopiesByUse: (before, limit) => turn.read(() => byUse.all(before, limit)),
    listExpired: (nowMs, limit) => turn.read(() => expired.all(nowMs, limit)),
    listUnusedFiles: (before, limit) => turn.read(() => unused.all(before, limit)),
  };
}

function presentMedia(found: Found): Awaited<ReturnType<MediaReads['findMedia']>> {
  const { hash, expiresAtMs, sniffedType, quarantined, ...row } = found;
  if (hash !== null) return { ...row, hash, sniffedType, quarantined: quarantined === 1, awaited: false };
  const { server, mediaId, uploader, createdAtMs } = row;
  // Both are written with every row without content.
  if (uploader === null || expiresAtMs === null) throw new Error(`the media ${mediaId} has neither content nor owner`);
  return { server, mediaId, source: 'upload', uploader, createdAtMs, expiresAtMs, awaited: true };
}

function storeKey({ sourceHash, width, height, method, animated }: ThumbnailKey): StoredKey {
  return { sourceHash, width, height, method, animated: Number(animated) };
}

export function createMediaWrites(connection: Connection): Writes<Exclude<MediaTableRow['kind'], QuarantineKind>> {
  const release = createRelease(connection);
  const putFile = connection.prepare<[FileRow & { atMs: number }]>(
    `INSERT INTO media_files (hash, size, sniffed_type, unused_since_ms) VALUES (@hash, @size, @sniffedType, @atMs)
     ON CONFLICT (hash) DO UPDATE SET unused_since_ms = @atMs WHERE unused_since_ms IS NOT NULL`,
  );
  const use = connection.prepare<[FileHash]>('UPDATE media_files SET unused_since_ms = NULL WHERE hash = ?');
  const removeFile = connection.prepare<[FileHash]>(
    'DELETE FROM media_files WHERE hash = ? AND unused_since_ms IS NOT NULL',
  );
  const putAwaited = connection.prepare<[AwaitedMediaRow]>(
    `INSERT INTO media (server, media_id, source, uploader, hash, size, content_type, file_name, created_at_ms, expires_at_ms,
       last_used_at_ms)
     VALUES (@server, @mediaId, @source, @uploader, NULL, 0, '', NULL, @createdAtMs, @expiresAtMs, @createdAtMs)`,
  );
  const put = connection.prepare<[MediaRow]>(
    `INSERT INTO media (server, media_id, source, uploader, hash, size, content_type, file_name, created_at_ms, expires_at_ms,
       last_used_at_ms)
     VALUES (@server, @mediaId, @source, @uploader, @hash, @size, @contentType, @fileName, @createdAtMs, NULL, @lastUsedAtMs)`,
  );
  const remove = connection.prepare<
    [MediaAddress],
    { source: MediaRow['source']; hash: FileHash | null; size: number }
  >('DELETE FROM media WHERE server = @server AND media_id = @mediaId RETURNING source, hash, size');
  const touch = connection.prepare<[MediaAddress & { atMs: number }]>(
    'UPDATE media SET last_used_at_ms = @atMs WHERE server = @server AND media_id = @mediaId',
  );
  const addCopies = connection.prepare<[number]>('UPDATE media_copies_size SET bytes = bytes + ? WHERE one = 1');
  const putThumbnail = connection.prepare<[StoredKey & Pick<ThumbnailRow, 'hash' | 'size' | 'contentType'>]>(
    `INSERT INTO media_thumbnails (source_hash, width, height, method, animated, hash, size, content_type)
     SELECT @sourceHash, @width, @height, @method, @animated, @hash, @size, @contentType
     WHERE EXISTS (SELECT 1 FROM media WHERE hash = @sourceHash AND hash IS NOT NULL)
     ON CONFLICT DO NOTHING`,
  );

  const take = (address: MediaAddress): FileHash | null => {
    const old = remove.get({ server: address.server, mediaId: address.mediaId });
    if (old && old.source !== 'upload') addCopies.run(-old.size);
    return old?.hash ?? null;
  };
  return {
    media_file({ file, atMs }) {
      putFile.run({ ...file, atMs });
    },
    media_awaited({ media }) {
      putAwaited.run(media);
    },
    media({ media }, step) {
      const oldHash = take(media);
      put.run(media);
      use.run(media.hash);
      if (media.source !== 'upload') addCopies.run(media.size);
      if (oldHash !== null) release(oldHash, step.nowMs);
    },
    media_used({ address, atMs }) {
      touch.run({ server: address.server, mediaId: address.mediaId, atMs });
    },
    media_removed({ address, atMs }) {
      const hash = take(address);
      if (hash !== null) release(hash, atMs);
    },
    media_thumbnail({ thumbnail }) {
      const { hash, size, contentType } = thumbnail;
      const { changes } = putThumbnail.run({ ...storeKey(thumbnail), hash, size, contentType });
      if (changes > 0) use.run(hash);
    },
    media_file_removed({ hash }) {
      removeFile.run(hash);
    },
  };
}

/** A file that is no media's content any more loses its thumbnails; files to which nothing refers become unused. */
function createRelease(connection: Connection): (hash: FileHash, atMs: number) => void {
  const isContent = connection.prepare<[FileHash]>('SELECT 1 FROM media WHERE hash = ? AND hash IS NOT NULL LIMIT 1');
  const dropThumbnails = connection
    .prepare<[FileHash], FileHash>('DELETE FROM media_thumbnails WHERE source_hash = ? RETURNING hash')
    .pluck();
  const markUnused = connection.prepare<[{ hash: FileHash; atMs: number }]>(
    `UPDATE media_files SET unused_since_ms = @atMs WHERE hash = @hash
       AND NOT EXISTS (SELECT 1 FROM media WHERE hash = @hash AND hash IS NOT NULL)
       AND NOT EXISTS (SELECT 1 FROM media_thumbnails WHERE hash = @hash)`,
  );
  return (hash, atMs) => {
    if (isContent.get(hash) !== undefined) return;
    for (const used of new Set([...dropThumbnails.all(hash), hash])) markUnused.run({ hash: used, atMs });
  };
}
