import type { OutgoingHttp } from '../base/network/outgoing-http.ts';
import { OutgoingHttpError, type OutgoingResponse } from '../base/network/outgoing-http.ts';
import type { MediaId } from '../matrix/mxc.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { Discovery } from './discovery.ts';
import { findBoundary, MultipartError, type Part, readParts } from './multipart.ts';
import { FederationError } from './requests-contract.ts';
import { type CallDeps, createSignedCall, tryTargets } from './signed-call.ts';

/** What another server says of a content, unchecked. */
export interface ContentHeaders {
  readonly contentType: string | undefined;
  readonly contentDisposition: string | undefined;
  /** How long the answer is said to be, with all that frames the content. */
  readonly announcedBytes: number | undefined;
}

/** Takes the bytes while they arrive. What it throws ends the download and is thrown on. */
export type TakeContent = (headers: ContentHeaders, chunks: AsyncIterable<Uint8Array>) => Promise<void>;

export interface DownloadWish {
  /** How long the other server may wait for a content that is not yet uploaded. */
  readonly waitMs: number;
  /** From the call to the last byte. */
  readonly timeoutMs: number;
  /** Bounds the size. */
  readonly take: TakeContent;
}

export type Downloaded =
  | { readonly outcome: 'taken' }
  /** "a `Location` header to redirect the caller to where the media can be retrieved": unchecked. */
  | { readonly outcome: 'elsewhere'; readonly location: string };

export interface MediaRequests {
  /** A content of another server (server-server API, "Content Repository"). Throws FederationError, and what `take` throws. */
  downloadMedia(server: ServerName, mediaId: MediaId, wish: DownloadWish): Promise<Downloaded>;
}

/** What stands around the content is bounded where it is read, and the content by whoever takes it. */
const responseBytesMax = Number.MAX_SAFE_INTEGER;
/** "Currently, this will always be an empty object." */
const metadataBytesMax = 64 * 1024;

export function createMediaRequests(deps: CallDeps): MediaRequests {
  const send = createSignedCall(deps);
  return {
    async downloadMedia(server, mediaId, wish) {
      let downloaded: Downloaded = { outcome: 'taken' };
      try {
        await send({
          server,
          method: 'GET',
          path: ['v1', 'media', 'download', mediaId],
          query: [['timeout_ms', String(wish.waitMs)]],
          timeoutMs: wish.timeoutMs,
          responseBytesMax,
          // Clients ask for the pictures of everybody in a room at once.
          heedBackoff: 'yes',
          async readBody(chunks, headers) {
            downloaded = await takeAnswer(server, headers, chunks, wish.take);
            return {};
          },
        });
        return downloaded;
      } catch (error) {
        if (!isUnrecognized(error)) throw error;
        await downloadUnsigned(deps, server, mediaId, wish);
        return { outcome: 'taken' };
      }
    },
  };
}

/** "servers MUST try the endpoints described below before falling back … when they receive a `404 M_UNRECOGNIZED` error." */
function isUnrecognized(error: unknown): boolean {
  if (!(error instanceof FederationError) || ![400, 404, 405].includes(error.status ?? 0)) return false;
  // Old servers, and what stands before them, say it without a word.
  return error.body?.errcode === undefined || error.body.errcode === 'M_UNRECOGNIZED';
}

async function takeAnswer(
  server: ServerName,
  headers: OutgoingResponse['headers'],
  chunks: AsyncIterable<Uint8Array>,
  take: TakeContent,
): Promise<Downloaded> {
  const boundary = findBoundary(headers['content-type']);
  if (boundary === undefined) {
    // Not what the specification says, but what some servers do: the content itself.
    await take(contentHeaders(headers), chunks);
    return { outcome: 'taken' };
  }
  try {
    return await takeSecondPart(readParts(chunks, boundary), headers, take);
  } catch (error) {
    if (!(error instanceof MultipartError)) throw error;
    throw new FederationError('bad_answer', `${server}: ${error.message}`, 200);
  }
}

async function takeSecondPart(
  parts: AsyncIterable<Part>,
  { 'content-length': length }: OutgoingResponse['headers'],
  take: TakeContent,
): Promise<Downloaded> {
  let isFirst = true;
  for await (const { headers, body } of parts) {
    if (isFirst) {
      await skipMetadata(body);
      isFirst = false;
    } else if (headers.location !== undefined) {
      return { outcome: 'elsewhere', location: headers.location };
    } else {
      await take(contentHeaders({ ...headers, ...(length === undefined ? {} : { 'content-length': length }) }), body);
      return { outcome: 'taken' };
    }
  }
  throw new MultipartError('there is no second part');
}

async function skipMetadata(body: AsyncIterable<Uint8Array>): Promise<void> {
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > metadataBytesMax) throw new MultipartError('the metadata of the content is too long');
  }
}

function contentHeaders(headers: Readonly<Record<string, string>>): ContentHeaders {
  const length = headers['content-length'];
  return {
    contentType: headers['content-type'],
    contentDisposition: headers['content-disposition'],
    announcedBytes: length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : undefined,
  };
}

/** "When falling back, servers MUST be sure to set `allow_remote` to `false`." */
async function downloadUnsigned(
  { discovery, http }: { discovery: Discovery; http: OutgoingHttp },
  server: ServerName,
  mediaId: MediaId,
  wish: DownloadWish,
): Promise<void> {
  const path = `/_matrix/media/v3/download/${encodeURIComponent(server)}/${mediaId}`;
  try {
    const response = await tryTargets(await discovery.resolve(server), (target, resolved) =>
      http.request({
        target: { scheme: 'https', ...target, certificateName: resolved.certificateName },
        method: 'GET',
        path: `${path}?allow_remote=false&timeout_ms=${wish.waitMs}`,
        headers: { host: resolved.hostHeader },
        timeoutMs: wish.timeoutMs,
        responseBytesMax,
        takeBody: (chunks, headers) => wish.take(contentHeaders(headers), chunks),
      }),
    );
    if (response.status === 200) return;
    throw new FederationError('refused', `${server} answered ${response.status}`, response.status);
  } catch (error) {
    if (!(error instanceof OutgoingHttpError)) throw error;
    throw new FederationError('unreachable', `${server}: ${error.message}`);
  }
}
