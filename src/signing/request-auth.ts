import { decodeBase64, encodeBase64 } from '../base/base64.ts';
import { CanonicalJsonError } from '../base/json/canonical-json.ts';
import { canonicalJsonInTurns } from '../base/json/canonical-json-in-turns.ts';
import { holdsLooseNumber } from '../base/json/loose-number.ts';
import { isServerName, type ServerName } from '../matrix/server-name.ts';
import { importPublicKey, verifySignature } from './ed25519.ts';
import { type Signer, signedBytes } from './sign-json.ts';

/** What the signature of a federation request covers (server-server API, "Request Authentication"). */
export interface SignedRequest {
  method: string;
  /** Path and query, raw as they go over the wire: `/_matrix/…?…`. */
  uri: string;
  origin: ServerName;
  /** Who is asked: always signed, also by servers that do not name it in the header. */
  destination: ServerName;
  /** The parsed body; undefined where there is none. */
  content: unknown;
}

export interface ReceivedRequest extends SignedRequest {
  /** The body as it came, of which `content` was parsed; where it is known. */
  contentText?: string;
}

/** The parameters of one `Authorization: X-Matrix` header. */
export interface RequestAuth {
  origin: ServerName;
  /** Undefined only from servers of before v1.3: "recipients should accept requests without this parameter". */
  destination: ServerName | undefined;
  keyId: string;
  /** As it stood in the header, unverified. */
  signature: string;
}

function toJson(request: SignedRequest): Record<string, unknown> {
  return {
    method: request.method,
    uri: request.uri,
    origin: request.origin,
    destination: request.destination,
    ...(request.content === undefined ? {} : { content: request.content }),
  };
}

/** The value of the `Authorization` header. Throws CanonicalJsonError where the content has no canonical form. */
export function buildAuthorization(request: SignedRequest, signer: Signer): string {
  const signature = encodeBase64(signer.key.sign(signedBytes(toJson(request))));
  return (
    `X-Matrix origin="${request.origin}",destination="${request.destination}",` +
    `key="${signer.key.keyId}",sig="${signature}"`
  );
}

/**
 * Whether the header's signature is good for this request under the public key (base64). Never throws.
 *
 * Most servers send the canonical form that they signed: then the text need not be written anew, which costs more than all else. Whoever
 * signed a text in which the body stands signed the body.
 *
 * Canonical JSON has only integers, so servers differ in what they sign for a body with other numbers, as events of room versions 1 to 5 may
 * hold them: what Python makes of a number, or the number as it was sent. Both stand for the same body, so both are good.
 */
export async function verifyRequest(request: ReceivedRequest, auth: RequestAuth, publicKey: string): Promise<boolean> {
  const key = importPublicKey(publicKey);
  const signature = auth.signature.length <= signatureLengthMax ? decodeBase64(auth.signature) : undefined;
  if (!key || !signature) return false;
  const { content, contentText } = request;
  const isGood = (text: string): boolean => verifySignature(key, Buffer.from(textAround(request, text)), signature);
  if (content === undefined) return isGood('');
  if (contentText !== undefined && isGood(contentText)) return true;
  for (const numbers of holdsLooseNumber(content) ? (['as hashed', 'as sent'] as const) : (['as hashed'] as const)) {
    const text = await encodeContent(content, numbers);
    if (text !== undefined && text !== contentText && isGood(text)) return true;
  }
  return false;
}

/** The canonical form of the request with this text of its content. */
function textAround({ method, uri, origin, destination }: SignedRequest, content: string): string {
  const before = content === '' ? '' : `"content":${content},`;
  const rest = [destination, method, origin, uri].map((text) => JSON.stringify(text));
  return `{${before}"destination":${rest[0]},"method":${rest[1]},"origin":${rest[2]},"uri":${rest[3]}}`;
}

async function encodeContent(content: unknown, numbers: 'as hashed' | 'as sent'): Promise<string | undefined> {
  try {
    return await canonicalJsonInTurns(content, { numbers });
  } catch (error) {
    if (error instanceof CanonicalJsonError) return undefined;
    throw error;
  }
}

const signatureLengthMax = 88;
const headerLengthMax = 4_096;
const keyIdPattern = /^ed25519:[A-Za-z0-9_]{1,128}$/;

/**
 * The parameters of the header; undefined for another scheme, for anything that does not fit the grammar, and when a parameter
 * we need is missing, doubled or malformed. Total and linear, whatever it is given.
 */
export function parseAuthorization(header: string | undefined): RequestAuth | undefined {
  if (header === undefined || header.length > headerLengthMax) return undefined;
  const scheme = /^X-Matrix +/i.exec(header);
  const parameters = scheme ? parseParameters(header, scheme[0].length) : undefined;
  if (!parameters) return undefined;
  const origin = parameters.get('origin');
  const destination = parameters.get('destination');
  const keyId = parameters.get('key');
  const signature = parameters.get('sig');
  if (!isServerName(origin) || keyId === undefined || !keyIdPattern.test(keyId) || !signature) return undefined;
  if (destination !== undefined && !isServerName(destination)) return undefined;
  return { origin, destination, keyId, signature };
}

/** A value without quotes: a token of RFC 9110, section 5.6.2, or a colon, "for compatibility with older servers". */
const nameCharacter = /[!#$%&'*+\-.^_`|~0-9A-Za-z]/;
/** Base64 has `/` and `=`, which older servers left unquoted too, as they did with the brackets of an IPv6 address. */
const bareCharacter = /[!#$%&'*+\-.^_`|~0-9A-Za-z:/=[\]]/;

/** Names in lower case. Undefined when the list is malformed or names one parameter twice. */
function parseParameters(text: string, from: number): Map<string, string> | undefined {
  const parameters = new Map<string, string>();
  let at = from;
  for (;;) {
    const nameEnd = skipWhile(text, at, nameCharacter);
    const name = text.slice(at, nameEnd).toLowerCase();
    if (name === '' || text[nameEnd] !== '=' || parameters.has(name)) return undefined;
    const value = text[nameEnd + 1] === '"' ? parseQuoted(text, nameEnd + 2) : parseBare(text, nameEnd + 1);
    if (!value) return undefined;
    parameters.set(name, value.text);
    at = skipSpace(text, value.end);
    if (at === text.length) return parameters;
    if (text[at] !== ',') return undefined;
    at = skipSpace(text, at + 1);
  }
}

interface Value {
  text: string;
  end: number;
}

function parseBare(text: string, from: number): Value | undefined {
  const end = skipWhile(text, from, bareCharacter);
  return end === from ? undefined : { text: text.slice(from, end), end };
}

/** "a backslash-character pair is replaced by the character that follows the backslash" */
function parseQuoted(text: string, from: number): Value | undefined {
  let value = '';
  for (let at = from; at < text.length; at += 1) {
    if (text[at] === '"') return { text: value, end: at + 1 };
    if (text[at] === '\\') at += 1;
    value += text[at] ?? '';
  }
  return undefined;
}

function skipWhile(text: string, from: number, pattern: RegExp): number {
  let at = from;
  while (at < text.length && pattern.test(text[at] ?? '')) at += 1;
  return at;
}

function skipSpace(text: string, from: number): number {
  return skipWhile(text, from, /[ \t]/);
}
