import { InputError, isOutcome, type Outcome, type Results } from './results.ts';

/** What `go test -json` told of one run. */
export interface TestRun {
  /** A test that began and never ended (a crash, a time-out) has failed. */
  readonly results: Results;
  /** Packages that came to their end. */
  readonly packages: ReadonlySet<string>;
  /** Tests with more than one result. */
  readonly repeated: ReadonlySet<string>;
}

interface TestEvent {
  readonly action: string;
  readonly package: string;
  readonly test: string | undefined;
}

/** Reads one or more outputs as one run. Throws InputError for a line that go did not write. */
export function parseGoTestOutput(outputs: readonly string[]): TestRun {
  const results = new Map<string, Outcome>();
  const ended = new Set<string>();
  const packages = new Set<string>();
  const repeated = new Set<string>();
  for (const line of outputs.flatMap((text) => text.split('\n'))) {
    if (!line.startsWith('{')) continue; // what the compiler or a crash printed
    const event = parseEvent(line);
    const outcome = isOutcome(event.action) ? event.action : undefined;
    if (event.test === undefined) {
      if (outcome) packages.add(event.package);
      continue;
    }
    const name = `${event.package}/${event.test}`;
    if (event.action === 'run' && results.has(name)) repeated.add(name);
    if (event.action === 'run') results.set(name, 'fail'); // unless an outcome follows
    if (!outcome) continue;
    if (ended.has(name)) repeated.add(name);
    ended.add(name);
    results.set(name, outcome);
  }
  return { results, packages, repeated };
}

/** https://pkg.go.dev/cmd/test2json */
function parseEvent(line: string): TestEvent {
  let event: unknown;
  try {
    event = JSON.parse(line);
  } catch {
    throw new InputError(`not a line of go test -json: ${line.slice(0, 100)}`);
  }
  const { Action, Package, Test } = event as Record<string, unknown>; // a line that begins with { is an object
  if (typeof Action !== 'string') throw new InputError(`not a line of go test -json: ${line.slice(0, 100)}`);
  return {
    action: Action,
    // What is about the build of a package has an ImportPath instead, and is no test's result.
    package: typeof Package === 'string' ? Package.replace(/^.*?\/complement\//, '') : '',
    test: typeof Test === 'string' ? Test : undefined,
  };
}
