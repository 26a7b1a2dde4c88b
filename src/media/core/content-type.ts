/** For what was sent without a type, with none that can be written into a header, or obviously with a wrong one. */
export const unknownType = 'application/octet-stream';

/**
 * "Servers SHOULD restrict Content-Type headers to one of the following values when serving content with Content-Disposition: inline"
 * (client-server API, "Serving inline content").
 */
const inlineTypes: ReadonlySet<string> = new Set([
  'text/css',
  'text/plain',
  'text/csv',
  'application/json',
  'application/ld+json',
  'image/jpeg',
  'image/gif',
  'image/png',
  'image/apng',
  'image/webp',
  'image/avif',
  'video/mp4',
  'video/webm',
  'video/ogg',
  'video/quicktime',
  'audio/mp4',
  'audio/webm',
  'audio/aac',
  'audio/mpeg',
  'audio/ogg',
  'audio/wave',
  'audio/wav',
  'audio/x-wav',
  'audio/x-pn-wav',
  'audio/flac',
  'audio/x-flac',
]);

const typeBytesMax = 255;

/** The type without its parameters, in lower case. */
export function essenceOf(contentType: string): string {
  return (contentType.split(';', 1)[0] ?? '').trim().toLowerCase();
}

export function isInlineType(contentType: string): boolean {
  return inlineTypes.has(essenceOf(contentType));
}

/** A type as it is kept: what no header may hold is no type. */
export function declaredType(contentType: string | undefined): string {
  const type = contentType?.trim() ?? '';
  if (type.length > typeBytesMax || !/^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+[ \t]*(;[ -~\t]*)?$/.test(type))
    return unknownType;
  return type;
}

/**
 * "The server MUST return a Content-Type which is either exactly the same as the original upload, or reasonably close": the declared one, but
 * for a picture that obviously is none, such as an encrypted file or a page. A better one is never guessed.
 */
export function servedType(declared: string, sniffed: string | null): string {
  const isFalsePicture =
    inlineTypes.has(essenceOf(declared)) && /^image\//i.test(declared) && !/^image\//.test(sniffed ?? '');
  return isFalsePicture ? unknownType : declared;
}
