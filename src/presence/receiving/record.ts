import { type Copy, findGoverning, isSameCoverage, type Viewpoint } from '../core/copies.ts';
import type { Span } from '../core/past.ts';

/** What copies were is known exactly so many changes back; before that, which viewers they governed at some time or other. */
const pastMax = 4;
const versionsMax = 8;

interface Version {
  readonly until: number;
  readonly copies: readonly Copy[];
}

/** What is held of one remote subject, and what was. */
export interface SubjectRecord {
  copies: readonly Copy[];
  /** What the copies were until when, oldest first. */
  past: Version[];
  /** Before that: each that there was, with when it last was. */
  older: Version[];
  /** Before it, it is not known what they were. */
  knownSince: number;
}

export function newRecord(): SubjectRecord {
  return { copies: [], past: [], older: [], knownSince: Number.NEGATIVE_INFINITY };
}

export function replaceCopies(record: SubjectRecord, copies: readonly Copy[], now: number): void {
  record.past.push({ until: now, copies: record.copies });
  if (record.past.length > pastMax) forgetOrder(record);
  record.copies = copies;
}

/** Whether what was held at some time of the span told this viewer anything; undefined when that is forgotten. */
export function governedIn(record: SubjectRecord, viewer: Viewpoint, { from, to }: Span): boolean | undefined {
  if (from <= record.knownSince) return undefined;
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
  if (record.older.length > versionsMax) record.knownSince = record.older.shift()?.until ?? 0;
}
