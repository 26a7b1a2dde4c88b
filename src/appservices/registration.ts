import type { OutgoingTarget } from '../base/network/outgoing-http.ts';
import { isUserId, type UserId, userIdOf } from '../matrix/ids.ts';
import type { ServerName } from '../matrix/server-name.ts';

/** What an application service says of itself in its registration file (application service API, "Registration"). */
export interface Registration {
  /** Never changes; what waits for the service is kept under it. */
  readonly id: string;
  /** Null: it is asked nothing and sent nothing. */
  readonly url: ServiceUrl | null;
  /** By which the service is known to us. */
  readonly asToken: string;
  /** By which we are known to the service. */
  readonly hsToken: string;
  /** Of this server; whom the service acts as where it names nobody. */
  readonly sender: UserId;
  readonly users: readonly Namespace[];
  readonly aliases: readonly Namespace[];
  readonly rooms: readonly Namespace[];
  /** Whether its users are bound by rate limits; the sender never is. */
  readonly rateLimited: boolean;
  readonly protocols: readonly string[];
  /** MSC2409, in the specification since v1.13. */
  readonly receiveEphemeral: boolean;
  /** The service was written for the proposal, and reads what is ephemeral under its name. */
  readonly knowsProposalOnly: boolean;
}

export interface ServiceUrl {
  readonly target: OutgoingTarget;
  /** For the `Host` header. */
  readonly host: string;
  /** What stands before every path; without a slash at its end. */
  readonly basePath: string;
}

export interface Namespace {
  readonly exclusive: boolean;
  matches(id: string): boolean;
}

/** Says which field is wrong and why, for a person who has the file open. */
export class RegistrationError extends Error {
  override name = 'RegistrationError';
}

const textLengthMax = 1_000;
const namespacesMax = 1_000;
const patternLengthMax = 1_000;

/** `value` is the file's YAML, read. Keys that we do not know are another server's and no error. Throws RegistrationError. */
export function parseRegistration(value: unknown, serverName: ServerName): Registration {
  const fields = objectOf(value, 'the file');
  const namespaces = fields.namespaces == null ? {} : objectOf(fields.namespaces, 'namespaces');
  return {
    id: textOf(fields.id, 'id'),
    url: parseUrl(fields.url),
    asToken: parseToken(fields.as_token, 'as_token'),
    hsToken: parseToken(fields.hs_token, 'hs_token'),
    sender: parseSender(fields.sender_localpart, serverName),
    users: parseNamespaces(namespaces.users, 'namespaces.users'),
    aliases: parseNamespaces(namespaces.aliases, 'namespaces.aliases'),
    rooms: parseNamespaces(namespaces.rooms, 'namespaces.rooms'),
    rateLimited: flagOf(fields.rate_limited, 'rate_limited') ?? true,
    protocols: parseProtocols(fields.protocols),
    ...parseReceiveEphemeral(fields),
  };
}

type Fields = Readonly<Record<string, unknown>>;

function objectOf(value: unknown, name: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new RegistrationError(`${name} must be a mapping`);
  }
  // An object that is no list has string keys; each value is looked at where it is used.
  return value as Fields;
}

function textOf(value: unknown, name: string): string {
  if (typeof value !== 'string' || value === '')
    throw new RegistrationError(`${name} must be a text that is not empty`);
  if (value.length > textLengthMax) throw new RegistrationError(`${name} is longer than ${textLengthMax} characters`);
  return value;
}

function flagOf(value: unknown, name: string): boolean | undefined {
  if (value === undefined || value === null || typeof value === 'boolean') return value ?? undefined;
  throw new RegistrationError(`${name} must be true or false`);
}

/** As headers carry it: anything else could never be sent back by the service. */
function parseToken(value: unknown, name: string): string {
  const token = textOf(value, name);
  if (!/^[\x21-\x7e]+$/.test(token)) throw new RegistrationError(`${name} may hold visible ASCII characters only`);
  return token;
}

/** Bridges draw it at random, capitals among it, so the older grammar of user ids holds but for what would need encoding. */
function parseSender(value: unknown, serverName: ServerName): UserId {
  const localpart = textOf(value, 'sender_localpart');
  if (!/^[A-Za-z0-9._=\-/+]+$/.test(localpart)) {
    throw new RegistrationError('sender_localpart may only hold letters, 0-9 and the characters . _ = - / +');
  }
  const userId = userIdOf(localpart, serverName);
  if (!isUserId(userId)) throw new RegistrationError('sender_localpart is too long');
  return userId;
}

/** "Optionally set to null if no traffic is required." Some bridges write an empty text for that. */
function parseUrl(value: unknown): ServiceUrl | null {
  if (value === null || value === '') return null;
  if (value === undefined)
    throw new RegistrationError('url is missing; null means that nothing is sent to the service');
  const text = textOf(value, 'url');
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const scheme = url?.protocol.slice(0, -1);
  if (!url || (scheme !== 'http' && scheme !== 'https'))
    throw new RegistrationError('url must begin with http or https');
  if (url.username || url.password || url.search || url.hash) {
    throw new RegistrationError('url may hold a host, a port and a path, nothing else');
  }
  const port = url.port === '' ? (scheme === 'https' ? 443 : 80) : Number(url.port);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return { target: { scheme, host, port }, host: url.host, basePath: url.pathname.replace(/\/+$/, '') };
}

function listOf(value: unknown, name: string, max: number): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new RegistrationError(`${name} must be a list`);
  if (value.length > max) throw new RegistrationError(`${name} has more than ${max} entries`);
  return value;
}

function parseProtocols(value: unknown): readonly string[] {
  return listOf(value, 'protocols', namespacesMax).map((entry, index) => textOf(entry, `protocols[${index}]`));
}

function parseReceiveEphemeral(fields: Fields): Pick<Registration, 'receiveEphemeral' | 'knowsProposalOnly'> {
  const proposed = 'de.sorunome.msc2409.push_ephemeral';
  for (const name of ['receive_ephemeral', 'push_ephemeral', proposed]) {
    const flag = flagOf(fields[name], name);
    if (flag !== undefined) return { receiveEphemeral: flag, knowsProposalOnly: name === proposed };
  }
  return { receiveEphemeral: false, knowsProposalOnly: false };
}

function parseNamespaces(value: unknown, name: string): readonly Namespace[] {
  return listOf(value, name, namespacesMax).map((entry, index) => {
    const place = `${name}[${index}]`;
    const { exclusive, regex } = objectOf(entry, place);
    if (typeof exclusive !== 'boolean') throw new RegistrationError(`${place}.exclusive must be true or false`);
    const pattern = compile(textOf(regex, `${place}.regex`), `${place}.regex`);
    return { exclusive, matches: (id) => pattern.test(id) };
  });
}

/**
 * A namespace is matched from the beginning of an id, and its end is free unless the pattern says `$`: what bridges are written for, since
 * Synapse does so. What it is matched with is never longer than an id, 255 bytes. A repeated group in which something repeats could take
 * years over as many, and the ids are chosen by strangers, so such a pattern is refused.
 */
function compile(text: string, place: string): RegExp {
  if (text.length > patternLengthMax) {
    throw new RegistrationError(`${place} is longer than ${patternLengthMax} characters`);
  }
  if (/\[[:.=]/.test(text)) throw new RegistrationError(`${place}: write classes as a-z, not as [:alpha:]`);
  if (repeatsRepetition(text))
    throw new RegistrationError(`${place} repeats a group in which there is a repetition or a choice`);
  try {
    return new RegExp(`^(?:${text})`);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RegistrationError(`${place} is no regular expression: ${reason}`);
  }
}

/** Whether a group that holds `*`, `+`, `{` or `|` is itself followed by `*`, `+` or `{`. */
function repeatsRepetition(text: string): boolean {
  // What is escaped and what stands in brackets repeats nothing.
  const bare = text.replace(/\\./gs, 'x').replace(/\[[^\]]*\]/g, 'x');
  const open: boolean[] = [];
  let repeats = false;
  for (const [index, character] of [...bare].entries()) {
    if (character === '(') {
      open.push(repeats);
      repeats = false;
    } else if (character === ')') {
      const isRepeated = /[*+{]/.test(bare[index + 1] ?? '');
      if (isRepeated && repeats) return true;
      const outer = open.pop() ?? false;
      repeats = repeats || isRepeated || outer;
    } else if (/[*+{|]/.test(character)) repeats = true;
  }
  return false;
}
