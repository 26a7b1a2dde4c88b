import type { RoomsCore } from '../core/deps.ts';
import type { Imports } from './import/imports.ts';

/** What the parts of rooms share that ask other servers for events. */
export interface RemoteCore extends RoomsCore {
  readonly imports: Imports;
}
