import { compileGlob } from '../../base/glob.ts';
import type { UserId } from '../../matrix/ids.ts';
import { listensTo, type PolicyFacts } from '../policy.ts';
import { type Glob, isCatchAll } from '../sharing-config.ts';
import { isBlank, isSameShown, type Shown, shownOffline } from './shown.ts';

/**
 * What other servers told of one remote subject, pure. Copies are immutable and stand in order of arrival; each governs the
 * viewers that it was the last to name. All instants are monotonic.
 */
export interface Copy {
  readonly shown: Shown;
  readonly activeAt: number;
  readonly recipients: Recipients;
  /** Null: does not expire. */
  readonly expiresAt: number | null;
  readonly receivedAt: number;
  /** When it last began to tell somebody something new. */
  readonly changedAt: number;
}

/** Whom an update names among our users. Whoever shares no room with the subject has to want it besides. */
export interface Recipients {
  /** Who shares a room; with `strangers` all the others too. */
  readonly everybody: boolean;
  readonly strangers: boolean;
  readonly users: ReadonlySet<string>;
  readonly globs: readonly Glob[];
}

/** A list was left out. */
export const everybody: Recipients = { everybody: true, strangers: false, users: new Set(), globs: [] };
/** Every user of this server was named by a glob. */
export const wholeServer: Recipients = { ...everybody, strangers: true };

/** A list that names somebody. Whoever calls has checked its entries. */
export function readRecipients(entries: readonly string[]): Recipients {
  if (entries.some(isCatchAll)) return wholeServer;
  const isGlob = (entry: string) => /[*?]/.test(entry);
  return {
    ...nobody,
    users: new Set(entries.filter((entry) => !isGlob(entry))),
    globs: [...new Set(entries.filter(isGlob))].map((text) => ({ text, matches: compileGlob(text) })),
  };
}

const nobody: Recipients = { everybody: false, strangers: false, users: new Set(), globs: [] };

/** Named by exact id, over all copies of a subject; beyond it the oldest copies go, and their viewers see `offline`. */
const usersMax = 50_000;
const copiesMax = 64;

/** A viewer, and whether they share a room with the subject. */
export interface Viewpoint {
  readonly viewer: UserId;
  readonly shares: boolean;
}

export function names(recipients: Recipients, { viewer, shares }: Viewpoint): boolean {
  if (recipients.everybody && (shares || recipients.strangers)) return true;
  return recipients.users.has(viewer) || recipients.globs.some((glob) => glob.matches(viewer));
}

/** What the viewer may see of the subject: what the copies tell them, if they share a room or want it. */
export function findVisible(
  copies: readonly Copy[],
  { subject, viewer }: { readonly subject: UserId; readonly viewer: UserId },
  { facts, now }: { readonly facts: PolicyFacts; readonly now: number },
): Copy | undefined {
  if (copies.length === 0 || !listensTo(viewer, subject, facts)) return undefined;
  return findGoverning(copies, { viewer, shares: facts.shareRoom(subject, viewer) }, now);
}

/** What the copies tell this viewer; undefined: nothing, which is shown as offline. */
export function findGoverning(copies: readonly Copy[], viewer: Viewpoint, now: number): Copy | undefined {
  for (let index = copies.length - 1; index >= 0; index -= 1) {
    const copy = copies[index];
    if (!copy || !names(copy.recipients, viewer)) continue;
    return isExpired(copy, now) || isBlank(copy.shown) ? undefined : copy;
  }
  return undefined;
}

export function isExpired(copy: Copy, now: number): boolean {
  return copy.expiresAt !== null && copy.expiresAt <= now;
}

/** The copies after an update. `renewed`: nobody can see a difference but for how long it holds. */
export function applyUpdate(
  copies: readonly Copy[],
  update: Omit<Copy, 'changedAt'>,
): { readonly copies: readonly Copy[]; readonly renewed: boolean } {
  const former = copies.find((copy) => isSameRecipients(copy.recipients, update.recipients));
  const isNewest = former === copies.at(-1);
  const renewed = former !== undefined && isNewest && isSameShown(former.shown, update.shown);
  const gone = { ...update.recipients, isGone: update.shown.state === 'offline' };
  const rest = withoutIdleTraces(copies.flatMap((copy) => withoutRecipients(copy, gone) ?? []));
  // Told to be offline and without a word: the copy is erased. It leaves a trace only where an older, wider copy would
  // otherwise speak again.
  if (isBlank(update.shown) && !rest.some(({ recipients }) => isOpen(recipients))) {
    return {
      copies: rest,
      renewed: rest.length === copies.length && rest.every((copy, index) => copy === copies[index]),
    };
  }
  const known = renewed ? { shown: former.shown, changedAt: former.changedAt } : { changedAt: update.receivedAt };
  return { copies: bounded(merged(rest, { ...update, ...known })), renewed };
}

/** Without what governs these viewers, who share no room with the subject any more. */
export function withoutViewers(copies: readonly Copy[], viewers: readonly UserId[], now: number): readonly Copy[] {
  const users = viewers.filter((viewer) =>
    copies.some(({ recipients }) => names(recipients, { viewer, shares: true })),
  );
  if (users.length === 0) return copies;
  const recipients: Recipients = { ...nobody, users: new Set(users) };
  const nothing = { shown: shownOffline, activeAt: now, recipients, expiresAt: null, receivedAt: now };
  return applyUpdate(copies, nothing).copies;
}

/** Whether both govern the same viewers, whatever they tell them. */
export function isSameCoverage(a: readonly Copy[], b: readonly Copy[]): boolean {
  return (
    a.length === b.length &&
    a.every((copy, index) => {
      const other = b[index];
      return (
        other !== undefined &&
        isBlank(copy.shown) === isBlank(other.shown) &&
        isSameRecipients(copy.recipients, other.recipients)
      );
    })
  );
}

/** May name users whom nobody has heard of. */
function isOpen(recipients: Recipients): boolean {
  return recipients.everybody || recipients.globs.length > 0;
}

/** A trace keeps older copies from speaking again, and has no other purpose. */
function withoutIdleTraces(copies: readonly Copy[]): readonly Copy[] {
  return copies.every(({ shown }) => isBlank(shown)) ? [] : copies;
}

/** `isGone`: the subject is offline. "A viewer who holds a copy but may not get the status receives a bare offline." */
function withoutRecipients(copy: Copy, gone: Recipients & { readonly isGone: boolean }): Copy | undefined {
  const { recipients } = copy;
  if (gone.everybody) {
    // An update without a list says nothing to strangers: what names them goes on to govern them, until the subject has gone.
    const concernsStrangers = !recipients.everybody || recipients.strangers;
    return !gone.strangers && !gone.isGone && concernsStrangers ? copy : undefined;
  }
  const isGone = (user: string) => gone.users.has(user) || gone.globs.some((glob) => glob.matches(user));
  const users = [...recipients.users].filter((user) => !isGone(user));
  const globs = recipients.globs.filter(({ text }) => !gone.globs.some((glob) => glob.text === text));
  if (!recipients.everybody && users.length === 0 && globs.length === 0) return undefined;
  if (users.length === recipients.users.size && globs.length === recipients.globs.length) return copy;
  return { ...copy, recipients: { ...recipients, users: new Set(users), globs } };
}

/** Chunks of one update become one copy again, and the traces of all who were told to be offline one trace. */
function merged(copies: readonly Copy[], copy: Copy): readonly Copy[] {
  if (isBlank(copy.shown) && !isOpen(copy.recipients)) {
    const isTrace = ({ shown, recipients }: Copy) => isBlank(shown) && !isOpen(recipients);
    // Whom a trace names no later copy names, so it may as well stand last; but for one that is for everybody without a list.
    const newest = copies.findLastIndex(({ recipients }) => recipients.everybody) + 1;
    const [older, newer] = [copies.slice(0, newest), copies.slice(newest)];
    const users = new Set([...newer.filter(isTrace), copy].flatMap(({ recipients }) => [...recipients.users]));
    const rest = newer.filter((other) => !isTrace(other));
    return [...older, ...rest, { ...copy, recipients: { ...nobody, users } }];
  }
  const last = copies.at(-1);
  const isChunk =
    last !== undefined &&
    last.receivedAt === copy.receivedAt &&
    isSameShown(last.shown, copy.shown) &&
    !isOpen(last.recipients) &&
    !isOpen(copy.recipients);
  if (!isChunk) return [...copies, copy];
  const users = new Set([...last.recipients.users, ...copy.recipients.users]);
  return [...copies.slice(0, -1), { ...copy, recipients: { ...nobody, users } }];
}

function bounded(copies: readonly Copy[]): readonly Copy[] {
  let kept = copies;
  const countUsers = () => kept.reduce((sum, { recipients }) => sum + recipients.users.size, 0);
  while (kept.length > copiesMax || (kept.length > 1 && countUsers() > usersMax)) kept = kept.slice(1);
  return kept;
}

function isSameRecipients(a: Recipients, b: Recipients): boolean {
  if (a.everybody || b.everybody) return a.everybody === b.everybody && a.strangers === b.strangers;
  if (a.users.size !== b.users.size || a.globs.length !== b.globs.length) return false;
  for (const user of a.users) if (!b.users.has(user)) return false;
  return a.globs.every(({ text }) => b.globs.some((glob) => glob.text === text));
}
