import { bundle, serverEntries } from './bundle.mjs';

/** The server in `dist`. Types are checked elsewhere. */
await bundle(serverEntries, 'dist');
