import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { compareLedgers, describeComparison } from './compare.ts';
import { parseGoTestOutput } from './go-test-output.ts';
import { encodeInterop, type PairRun, parsePair } from './interop.ts';
import { encodeLedger, makeLedger, parseLedger } from './ledger.ts';
import { describeResults, encodeReport } from './report.ts';
import { InputError } from './results.ts';
import { parseTiers, type TieredTest } from './tiers.ts';

/** Counts what Complement said, and keeps it. See README.md. */

const usage = `Usage: npm run conformance:show -- OUTPUT...
       npm run conformance:record -- --complement COMMIT OUTPUT...
       npm run conformance:interop -- --complement COMMIT HS1/HS2=OUTPUT...
       npm run conformance:compare -- OLD NEW

show      counts a run, whole or not, and lists what did not pass
record    writes conformance/complement.json and conformance/README.md from a whole run
interop   writes conformance/interop.md from runs with two implementations, each named as the table shall say
compare   says what got better and worse between two such ledgers; exit status 1 if anything got worse

OUTPUT is what \`go test -json\` printed.`;

const folder = 'conformance';

function main(args: readonly string[]): number {
  const { command, files, complement } = parseCommandLine(args);
  switch (command) {
    case 'show':
      return show(files);
    case 'record':
      if (complement === undefined) throw new InputError(`--complement is missing\n\n${usage}`);
      return record(files, complement);
    case 'interop':
      if (complement === undefined) throw new InputError(`--complement is missing\n\n${usage}`);
      return interop(files, complement);
    case 'compare':
      return compare(files);
    default:
      throw new InputError(usage);
  }
}

function parseCommandLine(args: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { complement: { type: 'string' } },
    });
    const [command, ...files] = positionals;
    if (files.length === 0) throw new InputError(usage);
    return { command, files, complement: values.complement };
  } catch (error) {
    throw new InputError(error instanceof Error ? error.message : String(error));
  }
}

function show(files: readonly string[]): number {
  const { results } = parseGoTestOutput(files.map(read));
  process.stdout.write(describeResults(results, readTiers()));
  return 0;
}

function record(files: readonly string[], complement: string): number {
  const tests = readTiers();
  const ledger = makeLedger(parseGoTestOutput(files.map(read)), tests, complement);
  writeFileSync(join(folder, 'complement.json'), encodeLedger(ledger));
  writeFileSync(join(folder, 'README.md'), encodeReport(ledger, tests));
  return 0;
}

/** Outputs of the same pair are read as one run. */
function interop(pairs: readonly string[], complement: string): number {
  const outputs = new Map<string, { first: string; second: string; texts: string[] }>();
  for (const { first, second, file } of pairs.map(parsePair)) {
    const pair = outputs.get(`${first}/${second}`) ?? { first, second, texts: [] };
    outputs.set(`${first}/${second}`, pair);
    pair.texts.push(read(file));
  }
  const runs = [...outputs.values()].map(
    ({ first, second, texts }): PairRun => ({ first, second, run: parseGoTestOutput(texts) }),
  );
  writeFileSync(join(folder, 'interop.md'), encodeInterop(runs, readTiers(), complement));
  return 0;
}

function compare([before, after, ...rest]: readonly string[]): number {
  if (before === undefined || after === undefined || rest.length > 0) throw new InputError(usage);
  const comparison = compareLedgers(parseLedger(read(before)), parseLedger(read(after)));
  process.stdout.write(describeComparison(comparison));
  return comparison.worse.length === 0 ? 0 : 1;
}

function readTiers(): readonly TieredTest[] {
  return parseTiers(read(join(folder, 'tiers.json')));
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new InputError(`${file}: cannot be read (${error instanceof Error ? error.message : String(error)})`);
  }
}

try {
  process.exitCode = main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof InputError)) throw error;
  process.stderr.write(`conformance: ${error.message}\n`);
  process.exitCode = 2;
}
