import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The parsed content of a file below test/vectors. */
export function readVectors<T>(name: string): T {
  return JSON.parse(readFileSync(join(import.meta.dirname, '../vectors', name), 'utf8')) as T;
}
