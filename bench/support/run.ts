import { cpus } from 'node:os';
import { type BenchOptions, parseBenchOptions } from './options.ts';
import { boundOf, judge, type Measure, tableOf } from './report.ts';

/** One part of a bench: what it measures belongs together and is set up once. */
export interface BenchPart {
  readonly name: string;
  readonly run: (options: BenchOptions) => Promise<readonly Measure[]>;
}

/**
 * Runs the parts one after the other and prints their figures. Exit status: 1 when a bound was missed by more than half, 2 for a wrong
 * command line.
 */
export async function runBench(name: string, parts: readonly BenchPart[]): Promise<void> {
  let options: BenchOptions;
  try {
    options = parseBenchOptions(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : 'bad options'}\n`);
    process.exitCode = 2;
    return;
  }
  const measures: Measure[] = [];
  for (const part of parts.filter((candidate) => candidate.name.includes(options.only))) {
    if (!options.json) process.stderr.write(`${name}: ${part.name} …\n`);
    measures.push(...(await part.run(options)));
  }
  const machine = { node: process.version, cpu: cpus()[0]?.model ?? 'unknown', cores: cpus().length };
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ bench: name, machine, measures: measures.map(withJudgement) })}\n`
      : `\n${name} on Node ${machine.node}, ${machine.cores} × ${machine.cpu}\n\n${tableOf(measures)}`,
  );
  if (measures.some((measure) => judge(measure) === 'failed')) process.exitCode = 1;
}

function withJudgement(measure: Measure) {
  return { ...measure, boundValue: boundOf(measure)?.value, judgement: judge(measure) };
}
