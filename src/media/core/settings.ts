/** What the content repository may cost. Sizes in bytes; null: any. */
export interface MediaSettings {
  readonly uploadBytesMax: number;
  /** Of all that one user uploaded. */
  readonly userBytesMax: number | null;
  /** Addresses that one user may hold without content, and how long each waits for it. */
  readonly awaitedMax: number;
  readonly awaitedMs: number;
  /** Of one content of another server. */
  readonly remoteBytesMax: number;
  /** Of all copies of other servers' contents and of pictures for previews; beyond it go those not used for the longest. */
  readonly copiesBytesMax: number | null;
  /** How long a copy is kept that nobody uses. */
  readonly copiesKeepMs: number | null;
  readonly thumbnailSizes: readonly ThumbnailSize[];
  /** Larger pictures, counted with all their frames, get no thumbnail. */
  readonly thumbnailPixelsMax: number;
}

export interface ThumbnailSize {
  readonly width: number;
  readonly height: number;
  readonly method: 'crop' | 'scale';
}
