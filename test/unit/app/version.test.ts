import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import { lanternVersion } from '../../../src/app/version.ts';

it('the version that the server tells is that of the package', () => {
  const file = readFileSync(resolve(import.meta.dirname, '../../../package.json'), 'utf8');
  expect(lanternVersion).toBe(JSON.parse(file).version);
});
