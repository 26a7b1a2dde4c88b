import { type Copy, findGoverning, isSameCoverage, names, type Recipients, type Viewpoint } from '../core/copies.ts';
import type { Span } from '../core/past.ts';
import { isBlank } from '../core/shown.ts';

/** What copies were is known exactly so many changes back; before that, which viewers they governed at some time or other. */
const pastMax = 4;
const versionsMax = 8;
/** Users, and globs, whom versions named that are forgotten themselves; beyond it anybody may have been. */
const formerUsersMax = 10_000;
const formerGlobsMax = 100;

interface Version {
  readonly until: number;
  readonly copies: readonly Copy[];
}

/** What is held of one remote subject, and what was. */
export interface SubjectRecord {
  /** When this process first heard of the subject. */
  readonly heardAt: number;
  copies: readonly Copy[];
  /** What the copies were until when, oldest first. */
  past: Version[];
  /** Before that: each that there was, with when it last was. */
  older: Version[];
  /** Before it, it is not known what they were, but whom they told anything: undefined where that is too much. */
  knownSince: number;
  former: Recipients | undefined;
}

export function newRecord(heardAt: number): SubjectRecord {
  const former = { everybody: false, strangers: false, users: new Set<string>(), globs: [] };
  return { heardAt, copies: [], past: [], older: [], knownSince: Number.NEGATIVE_INFINITY, former };
}

export function replaceCopies(record: SubjectRecord, copies: readonly Copy[], now: number): void {
  record.past.push({ until: now, copies: record.copies });
  if (record.past.length > pastMax) forgetOrder(record);
  record.copies = copies;
}

/**
 * Whether what was held at some time of the span told this viewer anything; undefined when that is forgotten. Of whom nothing ever told anything that is
 * always known: an answer for them would say that others here are told of the subject.
 */
export function governedIn(record: SubjectRecord, viewer: Viewpoint, { from, to }: Span): boolean | undefined {
  if (from <= record.knownSince && (!record.former || names(record.former, viewer))) return undefined;
  const versions = record.older.flatMap(({ until, copies }) => (until >= from ? [copies] : []));
  let since = record.older.at(-1)?.until ?? Number.NEGATIVE_INFINITY;
  for (const { until, copies } of [...record.past, { until: Number.POSITIVE_INFINITY, copies: record.copies }]) {
    if (since <= to && until >= from) versions.push(copies);
    since = until;
  }
  return versions.some((copies) => findGoverning(copies, viewer, from) !== undefined);
}

/**
 * Of the oldest it is only remembered what there was and until when, not from when. So one who is not let in, then as now, is
 * known to have been out, however often the others were told something.
 */
function forgetOrder(record: SubjectRecord): void {
  const oldest = record.past.shift();
  if (!oldest) return;
  const others = record.older.filter(({ copies }) => !isSameCoverage(copies, oldest.copies));
  record.older = [...others, oldest];
  if (record.older.length <= versionsMax) return;
  const forgotten = record.older.shift();
  if (!forgotten) return;
  record.knownSince = forgotten.until;
  record.former = record.former && withCopies(record.former, forgotten.copies);
}

function withCopies(former: Recipients, copies: readonly Copy[]): Recipients | undefined {
  const told = [former, ...copies.filter(({ shown }) => !isBlank(shown)).map(({ recipients }) => recipients)];
  const users = new Set(told.flatMap((recipients) => [...recipients.users]));
  const globs = new Map(told.flatMap((recipients) => recipients.globs.map((glob) => [glob.text, glob])));
  if (users.size > formerUsersMax || globs.size > formerGlobsMax) return undefined;
  return {
    everybody: told.some((recipients) => recipients.everybody),
    strangers: told.some((recipients) => recipients.strangers),
    users,
    globs: [...globs.values()],
  };
}
