import { bundle, serverEntries } from './bundle.mjs';

/** `node scripts/build.mjs [FOLDER]`: the server, in `dist` where no folder is named. Types are checked elsewhere. */
await bundle(serverEntries, process.argv[2] ?? 'dist');
