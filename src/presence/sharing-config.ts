import { compileGlob } from '../base/glob.ts';
import { isUserId, type RoomId } from '../matrix/ids.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import { sharingConfigType, sharingConfigTypeUnstable } from '../matrix/presence.ts';
import type { ServerName } from '../matrix/server-name.ts';

/**
 * `m.presence_sharing_config` (MSC4325): whom its owner allows and denies. Read here and nowhere else; `policy.ts` is what
 * it means.
 */
export interface SharingConfig {
  readonly allowed: EntryList;
  readonly denied: EntryList;
}

export interface EntryList {
  /** Exact MXIDs. */
  readonly users: ReadonlySet<string>;
  /** Patterns, without the catch-alls of `denied`. */
  readonly globs: readonly Glob[];
  /** `denied` only: the pattern that means everybody, which is a default and not an exception. */
  readonly catchAll: string | null;
  readonly rooms: ReadonlySet<string>;
}

export interface Glob {
  readonly text: string;
  matches(userId: string): boolean;
}

export type ParsedConfig =
  | { readonly outcome: 'config'; readonly config: SharingConfig }
  | { readonly outcome: 'bad'; readonly problem: string };

export const entriesMax = 1_000;
export const globsMax = 100;
const entryBytesMax = 255;
/** The server itself adds the successors of denied rooms; that must not make a full list unreadable. */
const storedEntriesMax = 2 * entriesMax;

const noEntries: EntryList = { users: new Set(), globs: [], catchAll: null, rooms: new Set() };

/** The steps of a user without a config run over this. */
export const emptyConfig: SharingConfig = { allowed: noEntries, denied: noEntries };

export const sharingConfigTypes: readonly string[] = [sharingConfigType, sharingConfigTypeUnstable];

/** For a PUT: `problem` names the first bad entry. */
export function parseSharingConfig(content: JsonObject): ParsedConfig {
  return parse(content, entriesMax);
}

/** For what is stored: undefined where it cannot be read, and then it shares with nobody. */
export function readStoredConfig(content: JsonObject): SharingConfig | undefined {
  const parsed = parse(content, storedEntriesMax);
  return parsed.outcome === 'config' ? parsed.config : undefined;
}

class BadEntry extends Error {}

function parse(content: JsonObject, max: number): ParsedConfig {
  try {
    const allowed = parseList('allowed_users', content.allowed_users, max);
    const denied = parseList('denied_users', content.denied_users, max);
    const catchAll = denied.globs.find(({ text }) => isCatchAll(text))?.text ?? null;
    const globs = denied.globs.filter(({ text }) => !isCatchAll(text));
    return { outcome: 'config', config: { allowed, denied: { ...denied, globs, catchAll } } };
  } catch (error) {
    if (error instanceof BadEntry) return { outcome: 'bad', problem: error.message };
    throw error;
  }
}

function parseList(name: string, value: unknown, max: number): EntryList {
  if (value === undefined) return noEntries;
  if (!Array.isArray(value)) throw new BadEntry(`${name} is not a list`);
  const users = new Set<string>();
  const rooms = new Set<string>();
  const globs = new Map<string, Glob>();
  for (const [index, entry] of value.entries()) {
    const place = `${name}[${index}]`;
    if (index >= max) throw new BadEntry(`${place}: there are more than ${max} entries`);
    if (typeof entry !== 'string') throw new BadEntry(`${place} is not a string`);
    if (Buffer.byteLength(entry) > entryBytesMax) throw new BadEntry(`${place} is longer than ${entryBytesMax} bytes`);
    const kind = kindOf(entry);
    if (kind === 'invalid') throw new BadEntry(`${place}: ${JSON.stringify(entry)} is no user id, glob or room id`);
    if (kind === 'room') rooms.add(entry);
    if (kind === 'user') users.add(entry);
    if (kind === 'glob' && !globs.has(entry)) {
      if (globs.size >= globsMax) throw new BadEntry(`${place}: there are more than ${globsMax} globs`);
      globs.set(entry, { text: entry, matches: compileGlob(entry) });
    }
  }
  return { users, globs: [...globs.values()], catchAll: null, rooms };
}

/** "An entry that starts with `!` is a room ID and never a glob." */
function kindOf(entry: string): 'room' | 'user' | 'glob' | 'invalid' {
  if (entry.startsWith('!')) return entry.length > 1 ? 'room' : 'invalid';
  if (!entry.startsWith('@')) return 'invalid';
  if (/[*?]/.test(entry)) return 'glob';
  return isUserId(entry) ? 'user' : 'invalid';
}

/** Means everybody, of whatever server. */
export function isCatchAll(glob: string): boolean {
  const collapsed = glob.replace(/\*+/g, '*');
  return collapsed === '@*' || collapsed === '@*:*';
}

/** Matches every user of that server, whoever they will be. */
export function coversServer(glob: string, server: ServerName): boolean {
  return isCatchAll(glob) || glob.replace(/\*+/g, '*') === `@*:${server}`;
}

/** False only where no user id of that server can match: what follows the last `*` tells, `?` standing for anything. */
export function mayMatchServer(glob: string, server: ServerName): boolean {
  const ending = `:${server}`;
  const tail = glob.slice(glob.lastIndexOf('*') + 1);
  // Without a `*`, the beginning is the user's own part and only its end is compared.
  const length = Math.min(tail.length, ending.length);
  for (let back = 1; back <= length; back += 1) {
    const expected = tail.at(-back);
    if (expected !== '?' && expected !== ending.at(-back)) return false;
  }
  return true;
}

/** The document with the room taken out of `list`; undefined where it is not in it. */
export function withoutRoom(
  content: JsonObject,
  list: 'allowed_users' | 'denied_users',
  roomId: RoomId,
): JsonObject | undefined {
  const entries = content[list];
  if (!Array.isArray(entries) || !entries.includes(roomId)) return undefined;
  return { ...content, [list]: entries.filter((entry) => entry !== roomId) };
}

/** The document with the room denied too; undefined where it is already. */
export function withDeniedRoom(content: JsonObject, roomId: RoomId): JsonObject | undefined {
  const entries = content.denied_users;
  if (!Array.isArray(entries) || entries.includes(roomId)) return undefined;
  return { ...content, denied_users: [...entries, roomId] };
}

export function deniesRoom(content: JsonObject, roomId: RoomId): boolean {
  return Array.isArray(content.denied_users) && content.denied_users.includes(roomId);
}
