import { breathe } from '../../base/breathe.ts';
import type { Clock } from '../../base/clock.ts';
import { isUserId, serverOfUser, type UserId } from '../../matrix/ids.ts';
import { isPresenceState, type PresenceState } from '../../matrix/presence.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import { type Copy, everybody, type Recipients, readRecipients, wholeServer } from '../core/copies.ts';
import type { PresenceMetrics } from '../core/metrics.ts';
import type { Shown } from '../core/shown.ts';
import type { PresenceSettings } from '../settings.ts';
import { coversServer, mayMatchServer } from '../sharing-config.ts';
import type { CopyStore } from './copy-store.ts';

/** Of one transaction, over all its EDUs; what stands behind is dropped. */
const entriesMax = 10_000;
/** Of one subject, in one turn of the event loop: more than a narrowing and the chunks of an update that fill a transaction. */
const entriesAtOnce = 256;
/** Of one list; whom the rest names is not shown the update. */
const recipientsMax = 1_000;
const globsMax = 100;
/** Longer ones are cut. */
export const statusLengthMax = 2_048;
const idBytesMax = 255;
const lastActiveAgoMaxMs = 10 * 365 * 86_400_000;

export interface PushEntry {
  readonly subject: UserId;
  readonly shown: Shown;
  readonly lastActiveAgoMs: number;
  readonly recipients: Recipients;
  /** It was addressed: whoever does that knows `allowed_recipients`. */
  readonly isAddressed: boolean;
}

export interface ReceiverDeps {
  serverName: ServerName;
  remote: Pick<CopyStore, 'apply' | 'copiesOf' | 'isUnwritten' | 'write'>;
  clock: Clock;
  settings: Pick<PresenceSettings, 'enabled' | 'inbound' | 'copyExpiresMs'>;
  /** Copies begin to change. To be called with what they were before, once the transaction is applied as a whole and stored. */
  beginReceiving(): (before: ReadonlyMap<UserId, readonly Copy[]>) => Promise<void>;
  /** The server knows `allowed_recipients`. */
  onAware(origin: ServerName): void;
  metrics: Pick<PresenceMetrics, 'received'>;
  /** Entries that were refused. */
  onDropped(origin: ServerName, entries: number): void;
}

/**
 * Takes in the presence EDUs of one transaction, in their order, all of it before anybody is told: several entries for one
 * subject do not replace each other's recipients. Total. What takes sight from somebody is stored when it resolves, so that
 * the 200 does not promise what a crash would undo.
 */
export async function receivePresence(
  deps: ReceiverDeps,
  origin: ServerName,
  contents: readonly unknown[],
): Promise<void> {
  if (!deps.settings.enabled || origin === deps.serverName) return;
  const now = deps.clock.monotonic();
  const tell = deps.beginReceiving();
  const { bySubject, accepted, dropped, isAware } = await readEntries(contents, {
    origin,
    serverName: deps.serverName,
  });
  if (isAware) deps.onAware(origin);
  deps.metrics.received.add(deps.settings.inbound ? accepted : 0, 'accepted');
  deps.metrics.received.add(dropped, 'dropped');
  if (dropped > 0) deps.onDropped(origin, dropped);
  if (!deps.settings.inbound) return;
  const before = new Map<UserId, readonly Copy[]>();
  const changed = new Set<UserId>();
  for (const [subject, entries] of bySubject) {
    before.set(subject, deps.remote.copiesOf(subject));
    // What these take back may be gone here already, but not in storage.
    if (deps.remote.isUnwritten(subject)) changed.add(subject);
    for (let start = 0; start < entries.length; start += entriesAtOnce) {
      await breathe();
      if (applyEntries(deps, entries.slice(start, start + entriesAtOnce), now)) changed.add(subject);
    }
  }
  if (changed.size > 0) await deps.remote.write([...changed]);
  await tell(before);
}

interface ReadEntries {
  /** In their order; of one subject all together, or who keeps access through a narrowing could see what lies between. */
  readonly bySubject: ReadonlyMap<UserId, readonly PushEntry[]>;
  readonly accepted: number;
  readonly dropped: number;
  /** Some entry was addressed. */
  readonly isAware: boolean;
}

async function readEntries(
  contents: readonly unknown[],
  servers: { readonly origin: ServerName; readonly serverName: ServerName },
): Promise<ReadEntries> {
  const bySubject = new Map<UserId, PushEntry[]>();
  let count = 0;
  let accepted = 0;
  let isAware = false;
  for (const value of listEntries(contents)) {
    count += 1;
    if (count % 100 === 0) await breathe();
    const entry = count > entriesMax ? undefined : parsePush(value, servers);
    if (!entry) continue;
    accepted += 1;
    isAware ||= entry.isAddressed;
    const entries = bySubject.get(entry.subject);
    if (entries) entries.push(entry);
    else bySubject.set(entry.subject, [entry]);
  }
  return { bySubject, accepted, dropped: count - accepted, isAware };
}

/** All that the transaction says of one subject, in one turn. Whether anything is different for somebody. */
function applyEntries(
  { remote, settings }: Pick<ReceiverDeps, 'remote' | 'settings'>,
  entries: readonly PushEntry[],
  now: number,
): boolean {
  let isChange = false;
  for (const { subject, shown, recipients, lastActiveAgoMs } of entries) {
    const isNew = remote.apply(subject, {
      shown,
      activeAt: now - lastActiveAgoMs,
      recipients,
      expiresAt: shown.state === 'offline' ? null : now + settings.copyExpiresMs,
      receivedAt: now,
    });
    isChange ||= isNew;
  }
  return isChange;
}

function* listEntries(contents: readonly unknown[]): Generator<unknown> {
  for (const content of contents) {
    const push = typeof content === 'object' && content !== null && 'push' in content ? content.push : undefined;
    if (Array.isArray(push)) yield* push;
  }
}

/** Undefined for an entry that counts for nothing: not the origin's user, a malformed field, or nobody here named. */
export function parsePush(
  value: unknown,
  servers: { readonly origin: ServerName; readonly serverName: ServerName },
): PushEntry | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const entry = value as Record<string, unknown>;
  const { user_id: subject, presence, status_msg: status, currently_active: active } = entry;
  if (!isUserId(subject) || serverOfUser(subject) !== servers.origin) return undefined;
  if (typeof presence !== 'string') return undefined;
  if (status !== undefined && status !== null && typeof status !== 'string') return undefined;
  if (active !== undefined && active !== null && typeof active !== 'boolean') return undefined;
  // `busy` and whatever else others invent is somebody who is there but not free.
  const state: PresenceState = isPresenceState(presence) ? presence : 'unavailable';
  const shown: Shown = {
    state,
    statusMsg: status ? status.slice(0, statusLengthMax) : null,
    currentlyActive: active === true && state === 'online',
  };
  const list = entry.allowed_recipients;
  const recipients = parseRecipients(list, servers.serverName);
  if (!recipients) return undefined;
  const isAddressed = Array.isArray(list) && list.length > 0;
  return { subject, shown, lastActiveAgoMs: clampAgo(entry.last_active_ago), recipients, isAddressed };
}

function clampAgo(value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) return 0;
  return Math.min(Math.max(0, Math.trunc(value)), lastActiveAgoMaxMs);
}

/**
 * "If `allowed_recipients` is not present, empty, or null, the update is to be treated as before" (MSC4325). A value that is
 * no list, or a list in which no entry is valid or concerns us, reaches nobody: undefined.
 */
function parseRecipients(value: unknown, serverName: ServerName): Recipients | undefined {
  if (value === undefined || value === null) return everybody;
  if (!Array.isArray(value)) return undefined;
  if (value.length === 0) return everybody;
  const entries = value.slice(0, recipientsMax).filter((entry) => isRecipientHere(entry, serverName));
  if (entries.length === 0) return undefined;
  // The sender's announcement "means the same" as no list: the audience is who shares a room. Only what takes back is for all, list or not.
  if (entries.every((entry) => entry === `@*:${serverName}`)) return everybody;
  if (entries.some((entry) => coversServer(entry, serverName))) return wholeServer;
  const recipients = readRecipients(entries);
  return { ...recipients, globs: recipients.globs.slice(0, globsMax) };
}

function isRecipientHere(entry: unknown, serverName: ServerName): entry is string {
  if (typeof entry !== 'string' || !entry.startsWith('@') || Buffer.byteLength(entry) > idBytesMax) return false;
  if (/[*?]/.test(entry)) return mayMatchServer(entry, serverName);
  return isUserId(entry) && serverOfUser(entry) === serverName;
}
