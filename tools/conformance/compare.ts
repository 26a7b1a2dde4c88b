import type { Ledger } from './ledger.ts';
import type { Outcome } from './results.ts';

/** A test or leaf whose outcome differs. */
export interface Difference {
  readonly name: string;
  readonly before: Outcome | 'absent';
  readonly after: Outcome | 'absent';
}

export interface Comparison {
  /** Passes now and did not before. */
  readonly better: readonly Difference[];
  /** Passed before and does not now. */
  readonly worse: readonly Difference[];
  /** Did not pass and does not, in another way; or passed, and another commit of Complement no longer has it. */
  readonly other: readonly Difference[];
}

export function compareLedgers(before: Ledger, after: Ledger): Comparison {
  const names = [...new Set([...before.results.keys(), ...after.results.keys()])].sort();
  const differences = names
    .map(
      (name): Difference => ({
        name,
        before: before.results.get(name) ?? 'absent',
        after: after.results.get(name) ?? 'absent',
      }),
    )
    .filter((difference) => difference.before !== difference.after);
  const isGone = (difference: Difference) => difference.after === 'absent' && before.complement !== after.complement;
  const isWorse = (difference: Difference) => difference.before === 'pass' && !isGone(difference);
  return {
    better: differences.filter((difference) => difference.after === 'pass'),
    worse: differences.filter(isWorse),
    other: differences.filter((difference) => difference.after !== 'pass' && !isWorse(difference)),
  };
}

/** One line for each difference, the worse ones last, and a line that counts. */
export function describeComparison({ better, worse, other }: Comparison): string {
  const lines = (title: string, differences: readonly Difference[]): string[] =>
    differences.map(({ name, before, after }) => `${title}  ${before} → ${after}  ${name}`);
  return [
    ...lines('other ', other),
    ...lines('better', better),
    ...lines('worse ', worse),
    `${better.length} better, ${worse.length} worse, ${other.length} different otherwise`,
    '',
  ].join('\n');
}
