const standardAlphabet = /^[A-Za-z0-9+/]*$/;
const urlSafeAlphabet = /^[A-Za-z0-9_-]*$/;

/** Unpadded standard Base64 (appendices, "Unpadded Base64"). */
export function encodeBase64(bytes: Uint8Array): string {
  return viewOf(bytes).toString('base64').replace(/=+$/, '');
}

/** Unpadded URL-safe Base64. */
export function encodeBase64Url(bytes: Uint8Array): string {
  return viewOf(bytes).toString('base64url');
}

/**
 * Undefined unless `text` is standard Base64 throughout: Node's own decoder skips what it does not know. Correct padding is
 * accepted ("implementations SHOULD accept input with or without padding"), and so are stray bits in the last character,
 * which the specification's own test key has.
 */
export function decodeBase64(text: string): Buffer | undefined {
  return decode(text, standardAlphabet, 'base64');
}

/** The same for the URL-safe alphabet. */
export function decodeBase64Url(text: string): Buffer | undefined {
  return decode(text, urlSafeAlphabet, 'base64url');
}

function decode(text: string, alphabet: RegExp, encoding: 'base64' | 'base64url'): Buffer | undefined {
  const body = text.length % 4 === 0 ? text.replace(/={1,2}$/, '') : text;
  // One character alone holds six bits, which is no byte.
  if (body.length % 4 === 1 || !alphabet.test(body)) return undefined;
  return Buffer.from(body, encoding);
}

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
