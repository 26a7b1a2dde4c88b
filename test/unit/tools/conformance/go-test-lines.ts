import type { Outcome } from '../../../../tools/conformance/results.ts';

/** What `go test -json` prints for a package whose tests, subtests included, ended like this. */
export function goTestOutput(
  packageName: string,
  tests: readonly (readonly [name: string, outcome: Outcome])[],
): string {
  const Package = `github.com/matrix-org/complement/${packageName}`;
  const events = [
    { Action: 'start', Package },
    ...tests.flatMap(([Test, Action]) => [
      { Action: 'run', Package, Test },
      { Action: 'output', Package, Test, Output: `=== RUN   ${Test}\n` },
      { Action, Package, Test, Elapsed: 0.1 },
    ]),
    { Action: tests.some(([, outcome]) => outcome === 'fail') ? 'fail' : 'pass', Package, Elapsed: 1 },
  ];
  return events.map((event) => `${JSON.stringify(event)}\n`).join('');
}
