import { breathe } from '../breathe.ts';
import { type CanonicalOptions, canonicalJson, compareByCodePoint } from './canonical-json.ts';
import { LooseNumber } from './loose-number.ts';

/** Values that are encoded at once: far less than a turn of the loop. */
const atOnceMax = 2_000;

/** As `canonicalJson`, for values of megabytes: others run in between. The depth must be bounded already. */
export async function canonicalJsonInTurns(value: unknown, options: CanonicalOptions = {}): Promise<string> {
  if (countValues(value, atOnceMax) <= atOnceMax) {
    await breathe();
    return canonicalJson(value, options);
  }
  if (Array.isArray(value)) {
    const pieces = await encodeSlices(value, (item) => item, { whole: (items) => items, options });
    return `[${pieces.join(',')}]`;
  }
  const members = Object.entries(value as object).sort(([left], [right]) => compareByCodePoint(left, right));
  const pieces = await encodeSlices(members, ([, member]) => member, {
    whole: (slice) => Object.fromEntries(slice),
    options,
    before: ([key]) => `${canonicalJson(key)}:`,
  });
  return `{${pieces.join(',')}}`;
}

interface Slicing<T> {
  /** What holds a few of the parts, between brackets of one character each. */
  readonly whole: (parts: T[]) => unknown;
  readonly options: CanonicalOptions;
  /** What stands before a part that is encoded by itself. */
  readonly before?: (part: T) => string;
}

/** Small parts together, large ones by themselves. */
async function encodeSlices<T>(
  parts: readonly T[],
  readValue: (part: T) => unknown,
  { whole, options, before = () => '' }: Slicing<T>,
): Promise<string[]> {
  const pieces: string[] = [];
  let slice: T[] = [];
  let count = 0;
  const flush = async (): Promise<void> => {
    if (slice.length > 0) pieces.push(canonicalJson(whole(slice), options).slice(1, -1));
    slice = [];
    count = 0;
    await breathe();
  };
  for (const part of parts) {
    const ofPart = countValues(readValue(part), atOnceMax);
    if (ofPart > atOnceMax) {
      await flush();
      pieces.push(`${before(part)}${await canonicalJsonInTurns(readValue(part), options)}`);
      continue;
    }
    slice.push(part);
    count += ofPart;
    if (count >= atOnceMax) await flush();
  }
  await flush();
  return pieces;
}

/** How many values there are in it, itself and keys included; counts no further than `max`. */
function countValues(value: unknown, max: number): number {
  let count = 1;
  if (typeof value !== 'object' || value === null || value instanceof LooseNumber) return count;
  for (const member of Array.isArray(value) ? value : Object.values(value)) {
    count += 1 + countValues(member, max - count);
    if (count > max) break;
  }
  return count;
}
