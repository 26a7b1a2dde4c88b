import type { UserId } from '../../matrix/ids.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Decision } from './decision.ts';

export interface ViewerLine extends Decision {
  readonly viewer: UserId;
  /** Without one, the viewer is told only if they want it; whether they do is not said. */
  readonly sharesRoom: boolean;
}

export interface ServerLine extends Decision {
  readonly server: ServerName;
  /** Every user there who shares a room, now and to come. They are not listed one by one. */
  readonly isWhole: boolean;
  /** How many there see the subject. */
  readonly viewers: number;
  /** Nothing is sent, because the server is not known to honour a list and the configuration says so. */
  readonly isWithheld: boolean;
  /** Whether the server is known to honour a list of recipients. */
  readonly honoursList: boolean;
}
