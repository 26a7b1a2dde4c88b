import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { bundle, serverEntries } from './bundle.mjs';

/**
 * `node scripts/bench.mjs NAME [options]`: builds `bench/NAME.ts`, and the server beside it, into `dist/bench/NAME` and runs it.
 * A folder of its own, so that a build of the server meanwhile does not take the files away.
 */
const [name = '', ...options] = process.argv.slice(2);
const source = `bench/${name}.ts`;
if (!/^[a-z-]+$/.test(name) || !existsSync(source)) {
  process.stderr.write(`bench: there is no ${source}\n`);
  process.exit(2);
}
const folder = join('dist', 'bench', name);
/** What a bench may need in a process of its own: a bare program to compare with, another server. */
const companions = {
  'bare-verify': 'bench/federation/bare-verify.ts',
  'bare-poll-server': 'bench/support/bare-poll-server.ts',
  'room-server': 'bench/join/room-server.ts',
  'loop-watch': 'bench/support/loop-watch.ts',
  'bare-file-server': 'bench/media/bare-file-server.ts',
};
await bundle({ ...serverEntries, ...companions, bench: source }, folder);
const child = spawn(process.execPath, ['--expose-gc', join(folder, 'bench.js'), ...options], {
  stdio: 'inherit',
});
// Ctrl-C reaches the whole group: the bench ends what it started, and this waits for it.
process.on('SIGINT', () => {});
child.on('close', (code, signal) => process.exit(signal === null ? (code ?? 1) : 1));
