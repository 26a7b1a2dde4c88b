import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import type { Random } from '../base/random.ts';
import type { Content } from '../media/contents.ts';
import { cleanFileName, encodeDisposition } from '../media/core/content-disposition.ts';
import { ByteReply, Reply } from './route.ts';

/** "The recommended policy" (client-server API, "Content repository"): whatever it is, it runs nothing and loads nothing. */
const contentSecurityPolicy =
  "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; style-src 'unsafe-inline'; object-src 'self';";
const yearSeconds = 365 * 24 * 60 * 60;

export interface AnswerWish {
  readonly raw: IncomingMessage;
  /** In place of the content's own. */
  readonly fileName?: string | undefined;
  /** Whether caches on the way may keep it. */
  readonly cache: 'private' | 'public';
}

/** A content as a client gets it: whole, in part, or not again. */
export function answerContent(content: Content, wish: AnswerWish): Reply | ByteReply {
  const asked = wish.raw.headers;
  const etag = `"${content.hash}"`;
  const headers = {
    'Content-Type': content.contentType,
    'Content-Disposition': encodeDisposition(content.disposition, cleanFileName(wish.fileName) ?? content.fileName),
    'Content-Security-Policy': contentSecurityPolicy,
    'Cross-Origin-Resource-Policy': 'cross-origin',
    'X-Content-Type-Options': 'nosniff',
    // The bytes behind an address never change.
    'Cache-Control': `${wish.cache}, max-age=${yearSeconds}, immutable`,
    ETag: etag,
    'Accept-Ranges': 'bytes',
  };
  if (matches(asked['if-none-match'], etag)) return new Reply(304, {}, headers);
  const ifRange = asked['if-range'];
  const range = ifRange === undefined || ifRange === etag ? findRange(asked.range, content.size) : undefined;
  if (range === 'outside') {
    const body = { errcode: 'M_INVALID_PARAM', error: 'The range lies outside the content' };
    return new Reply(416, body, { 'Content-Range': `bytes */${content.size}` });
  }
  if (range === undefined) {
    return new ByteReply(200, { ...headers, 'Content-Length': String(content.size) }, () => content.read());
  }
  const partial = {
    'Content-Range': `bytes ${range.start}-${range.end}/${content.size}`,
    'Content-Length': String(range.end - range.start + 1),
  };
  return new ByteReply(206, { ...headers, ...partial }, () => content.read(range));
}

/** RFC 9110, section 13.1.2: a list, or `*`; weak tags count too. */
function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  return header.split(',').some((tag) => tag.trim() === '*' || tag.trim().replace(/^W\//, '') === etag);
}

/** RFC 9110, section 14.2. What is not one range of bytes is no wish; all is sent then. */
export function findRange(
  header: string | undefined,
  size: number,
): { readonly start: number; readonly end: number } | 'outside' | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '');
  if (!match || (match[1] === '' && match[2] === '')) return undefined;
  const [first, last] = [Number(match[1]), Number(match[2])];
  if (match[1] === '') return last === 0 || size === 0 ? 'outside' : { start: Math.max(0, size - last), end: size - 1 };
  if (match[2] !== '' && last < first) return undefined;
  if (first >= size) return 'outside';
  return { start: first, end: match[2] === '' ? size - 1 : Math.min(last, size - 1) };
}

/**
 * A content as another server gets it: "exactly two parts", the metadata and the bytes (server-server API, `GET
 * /media/download/{mediaId}`).
 */
export function answerServer(content: Content, random: Random): ByteReply {
  const boundary = random.token(40);
  const disposition = encodeDisposition(content.disposition, content.fileName);
  const head = Buffer.from(
    `--${boundary}\r\nContent-Type: application/json\r\n\r\n{}\r\n` +
      `--${boundary}\r\nContent-Type: ${content.contentType}\r\nContent-Disposition: ${disposition}\r\n\r\n`,
  );
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`);
  const headers = {
    'Content-Type': `multipart/mixed; boundary=${boundary}`,
    'Content-Length': String(head.length + content.size + tail.length),
  };
  return new ByteReply(200, headers, async () => {
    const bytes = await content.read();
    return Readable.from(
      (async function* () {
        try {
          yield head;
          yield* bytes;
          yield tail;
        } finally {
          bytes.destroy();
        }
      })(),
    );
  });
}
