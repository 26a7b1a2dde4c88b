import type { RoomId, UserId } from '../../matrix/ids.ts';
import type { MediaId } from '../../matrix/mxc.ts';
import type { ServerName } from '../../matrix/server-name.ts';

/** SHA-256 of a file's bytes, in hex. */
export type FileHash = string & { readonly __brand: 'FileHash' };

export interface MediaAddress {
  server: ServerName;
  mediaId: MediaId;
}

interface MediaFacts extends MediaAddress {
  /** upload: of a user of this server. remote: a copy of another server's. preview: a picture for a preview of a page. */
  source: 'upload' | 'remote' | 'preview';
  /** Null: nobody of this server. */
  uploader: UserId | null;
  createdAtMs: number;
}

/** Its address is given out, its content has not come yet. */
export interface AwaitedMediaRow extends MediaFacts {
  uploader: UserId;
  source: 'upload';
  expiresAtMs: number;
}

export interface MediaRow extends MediaFacts {
  hash: FileHash;
  size: number;
  /** As it was declared. */
  contentType: string;
  fileName: string | null;
  lastUsedAtMs: number;
}

export interface FileRow {
  hash: FileHash;
  size: number;
  /** What the first bytes say it is; null: nothing known. */
  sniffedType: string | null;
}

export interface ThumbnailKey {
  sourceHash: FileHash;
  width: number;
  height: number;
  method: 'crop' | 'scale';
  animated: boolean;
}

export interface ThumbnailRow extends ThumbnailKey {
  /** Of a small file its own. */
  hash: FileHash;
  size: number;
  contentType: string;
}

export type MediaTableRow =
  /** Before the file is put in its place: until something refers to it, it counts as unused. */
  | { kind: 'media_file'; file: FileRow; atMs: number }
  | { kind: 'media_awaited'; media: AwaitedMediaRow }
  /** Replaces what stood at its address. The file must be there. */
  | { kind: 'media'; media: MediaRow }
  | { kind: 'media_used'; address: MediaAddress; atMs: number }
  /** Files, and their thumbnails, to which nothing refers any more become unused. */
  | { kind: 'media_removed'; address: MediaAddress; atMs: number }
  /** Left out where there is one already, or where the source is nobody's content any more. */
  | { kind: 'media_thumbnail'; thumbnail: ThumbnailRow }
  /** Nobody gets this content, at whichever address; holds also for one that is not kept any more, or that comes later. */
  | { kind: 'media_quarantined'; hash: FileHash; by: UserId; atMs: number }
  | { kind: 'media_unquarantined'; hash: FileHash }
  /** Unless something refers to it. */
  | { kind: 'media_file_removed'; hash: FileHash };

export interface MediaReads {
  /** A content with what its file is, or one that is still awaited. */
  findMedia(
    address: MediaAddress,
  ): Promise<
    | (MediaRow & { awaited: false; sniffedType: string | null; quarantined: boolean })
    | (AwaitedMediaRow & { awaited: true })
    | undefined
  >;
  /** What these addresses have, once each, but for what is quarantined already. */
  listQuarantinable(addresses: readonly MediaAddress[]): Promise<FileHash[]>;
  /** The same of all that a user uploaded. */
  listQuarantinableOf(uploader: UserId): Promise<FileHash[]>;
  /** What of these addresses is quarantined, once each. */
  listQuarantined(addresses: readonly MediaAddress[]): Promise<FileHash[]>;
  /** The same of all that a user uploaded. */
  listQuarantinedOf(uploader: UserId): Promise<FileHash[]>;
  /** Addresses of media in a room's events, as the events write them. May take long, and keeps nobody waiting. */
  listUrlsInRoom(roomId: RoomId): Promise<string[]>;
  findThumbnail(key: ThumbnailKey): Promise<ThumbnailRow | undefined>;
  findFile(hash: FileHash): Promise<(FileRow & { isUsed: boolean }) | undefined>;
  /** Of a user: contents that are awaited and may still come. */
  countAwaited(uploader: UserId, nowMs: number): Promise<number>;
  /** Of all that a user uploaded. */
  sumUploads(uploader: UserId): Promise<number>;
  /** Of all copies. */
  sumCopies(): Promise<number>;
  /** Copies, the one that was not used for the longest first. `before`: only those last used before. */
  listCopiesByUse(before: number, limit: number): Promise<(MediaAddress & { size: number })[]>;
  /** Media whose content may not come any more. */
  listExpired(nowMs: number, limit: number): Promise<MediaAddress[]>;
  /** Files to which nothing has referred since `before`. */
  listUnusedFiles(before: number, limit: number): Promise<FileHash[]>;
}
