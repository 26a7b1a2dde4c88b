/** What became of a test. */
export type Outcome = 'pass' | 'fail' | 'skip';

export const outcomes: readonly Outcome[] = ['pass', 'fail', 'skip'];

/** `<package>/<test>[/<subtest>]` → outcome; the package stands without its module's name: `tests/csapi/TestLogin/…`. */
export type Results = ReadonlyMap<string, Outcome>;

/** A mistake in what was given; its message is for the person who gave it. */
export class InputError extends Error {
  override name = 'InputError';
}

export function isOutcome(value: unknown): value is Outcome {
  return outcomes.some((outcome) => outcome === value);
}

/** Throws InputError. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new InputError(`not JSON: ${text.slice(0, 100)}`);
  }
}

export interface SplitName {
  /** `tests/csapi` */
  readonly package: string;
  /** `TestLogin` */
  readonly test: string;
  /** What follows; '' for the test itself. */
  readonly subtest: string;
}

/** Throws InputError for what is no name of a test. */
export function splitName(name: string): SplitName {
  const [, packageName, test, subtest = ''] = /^(.*?)\/(Test[^/]*)(?:\/(.*))?$/s.exec(name) ?? [];
  if (packageName === undefined || test === undefined) throw new InputError(`${name}: not the name of a test`);
  return { package: packageName, test, subtest };
}

/** The tests that have no subtests among these, whether they are subtests themselves or not. */
export function leavesOf(names: Iterable<string>): Set<string> {
  const all = new Set(names);
  const leaves = new Set(all);
  for (const name of all) {
    for (let at = name.lastIndexOf('/'); at > 0; at = name.lastIndexOf('/', at - 1)) leaves.delete(name.slice(0, at));
  }
  return leaves;
}
