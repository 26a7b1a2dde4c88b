import { isAbsolute } from 'node:path';
import { build } from 'rolldown';

/** One file of ours, so that a start reads that and not some 350; packages stay as they are installed. Types are checked elsewhere. */
await build({
  input: 'src/main.ts',
  platform: 'node',
  external: (id) => !id.startsWith('.') && !isAbsolute(id),
  output: { dir: 'dist', format: 'esm', cleanDir: true },
});
