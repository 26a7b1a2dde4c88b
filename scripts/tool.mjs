import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bundle } from './bundle.mjs';

/** `node scripts/tool.mjs NAME [arguments]`: builds `tools/NAME/main.ts` into `dist/tools/NAME` and runs it in this process. */
const [name = '', ...args] = process.argv.slice(2);
const source = join('tools', name, 'main.ts');
if (!/^[a-z-]+$/.test(name) || !existsSync(source)) {
  process.stderr.write(`tool: there is no ${source}\n`);
  process.exit(2);
}
const folder = join('dist', 'tools', name);
await bundle({ main: source }, folder);
const file = resolve(folder, 'main.js');
process.argv.splice(1, process.argv.length, file, ...args);
await import(pathToFileURL(file).href);
