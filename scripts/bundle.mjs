import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { build } from 'rolldown';

/**
 * Bundles entries (name → source) into `folder`, one file each and what they share: our sources only, so that a start reads
 * that and not some 350 files; packages stay as they are installed. Replaces the files of the folder, not its subfolders.
 */
export async function bundle(input, folder) {
  mkdirSync(folder, { recursive: true });
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isFile()) rmSync(join(folder, entry.name));
  }
  await build({
    input,
    platform: 'node',
    external: (id) => !id.startsWith('.') && !isAbsolute(id),
    output: { dir: folder, format: 'esm' },
  });
}

/** What the server is made of: each name becomes one file. */
export const serverEntries = {
  main: 'src/main.ts',
  'checkpoint-thread': 'src/storage/sqlite/core/checkpoint-thread.js',
  'reading-thread': 'src/storage/sqlite/core/reading-thread.js',
};
