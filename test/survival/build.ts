import { execFileSync } from 'node:child_process';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');

/** A build of its own: the usual one may be replaced at any time, also between a kill and the start after it. */
export const builtServer = join(root, 'dist/survival/main.js');

/** Run once before all files. */
export default function setup(): void {
  execFileSync(process.execPath, ['scripts/build.mjs', 'dist/survival'], { cwd: root, stdio: 'inherit' });
}
