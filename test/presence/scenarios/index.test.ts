import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

/** `README.md` says where each scenario is tried; a test that is renamed or removed is missed here. */

const folder = join(import.meta.dirname);
const rows = readFileSync(join(folder, 'README.md'), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| scenario'))
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .map(([, scenario = '', file = '', test = '']) => [scenario, file, test] as const);

describe('every scenario is tried', () => {
  it.each(rows)('%s', (_, file, test) => {
    const path = join(folder, file);
    expect(existsSync(path), path).toBe(true);
    expect(readFileSync(path, 'utf8')).toContain(test);
  });
});
