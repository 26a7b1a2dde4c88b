import { parseArgs } from 'node:util';

export interface BenchOptions {
  /** One JSON object on stdout instead of the table. */
  readonly json: boolean;
  /** Only the parts whose name holds this text; all where it is empty. */
  readonly only: string;
  /** Numbers that a part asks for, such as `members` of `--set members=1000`. */
  readonly set: ReadonlyMap<string, number>;
}

/** Reads the command line. Throws an Error that says what is wrong with it. */
export function parseBenchOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'boolean', default: false },
      only: { type: 'string', default: '' },
      set: { type: 'string', multiple: true, default: [] },
    },
  });
  const set = new Map<string, number>();
  for (const text of values.set) {
    const [, name, number] = /^([a-z-]+)=(\d+(?:\.\d+)?)$/.exec(text) ?? [];
    if (name === undefined || number === undefined) throw new Error(`--set ${text}: write it as --set name=number`);
    set.set(name, Number(number));
  }
  return { json: values.json, only: values.only, set };
}
