import type { Clock } from '../../base/clock.ts';
import type { UserId } from '../../matrix/ids.ts';
import type { PresenceCopyRow } from '../../storage/contract/presence.ts';
import { type Copy, everybody, type Recipients, readRecipients } from '../core/copies.ts';

/** How long it is remembered that a subject was seen here at all, so that an old client can be told that they are not. */
const recordKeptMs = 30 * 86_400_000;

/** Without copies: a trace, which says that the subject was seen here at all. */
export function rowsOfCopies(subject: UserId, copies: readonly Copy[], clock: Clock): PresenceCopyRow[] {
  const toWall = (instant: number) => Math.round(clock.now() + instant - clock.monotonic());
  const rows = copies.map(
    (copy, sequence): PresenceCopyRow => ({
      subject,
      sequence: sequence + 1,
      ...copy.shown,
      lastActiveAtMs: toWall(copy.activeAt),
      recipients: entriesOf(copy.recipients),
      expiresAtMs: copy.expiresAt === null ? null : toWall(copy.expiresAt),
    }),
  );
  if (rows.length > 0) return rows;
  const nothing = { state: 'offline', statusMsg: null, currentlyActive: false, recipients: [] } as const;
  return [{ subject, sequence: 1, ...nothing, lastActiveAtMs: 0, expiresAtMs: Math.round(clock.now() + recordKeptMs) }];
}

/** Null: a list that was left out. */
function entriesOf({ everybody, strangers, users, globs }: Recipients): readonly string[] | null {
  if (everybody) return strangers ? ['@*'] : null;
  return [...users, ...globs.map(({ text }) => text)];
}

/** Expires within `expiresMs`, whatever the machine's clock was set to. `trace`: nothing but that the subject was seen here; `forgotten`: that too long ago. */
export function copyOfRow(row: PresenceCopyRow, clock: Clock, expiresMs: number): Copy | 'trace' | 'forgotten' {
  const now = clock.monotonic();
  const toMonotonic = (ms: number) => now + ms - clock.now();
  const expiresAt = row.expiresAtMs === null ? null : toMonotonic(row.expiresAtMs);
  if (row.recipients?.length === 0) return expiresAt !== null && expiresAt <= now ? 'forgotten' : 'trace';
  return {
    shown: { state: row.state, statusMsg: row.statusMsg, currentlyActive: row.currentlyActive },
    activeAt: toMonotonic(row.lastActiveAtMs),
    recipients: row.recipients === null ? everybody : readRecipients(row.recipients),
    expiresAt: expiresAt === null ? null : Math.min(expiresAt, now + expiresMs),
    receivedAt: now,
    changedAt: now,
  };
}
