import { z } from 'zod';
import { isPresenceState } from '../../matrix/presence.ts';
import type { Sync, SyncRequest } from '../../sync/sync.ts';
import { RememberedQuery } from '../remembered-query.ts';
import { clientPath, type Route, userRoute, withAnyDevice } from '../route.ts';
import { queryBoolean } from '../shapes.ts';

export interface SyncRoutesDeps {
  readonly sync: Sync;
}

/** A longer wish to wait is cut to this: proxies between end requests at some point. */
const timeoutMsMax = 300_000;

const shape = z.object({
  since: z.string().optional(),
  filter: z.string().optional(),
  full_state: queryBoolean.optional(),
  use_state_after: queryBoolean.optional(),
  'org.matrix.msc4222.use_state_after': queryBoolean.optional(),
  set_presence: z.string().refine(isPresenceState, 'must be online, unavailable or offline').optional(),
  timeout: z
    .string()
    .regex(/^\d{1,16}$/, 'must be a number of milliseconds')
    .optional(),
});
const query = new RememberedQuery(shape, { changing: 'since' });

/** Under the name by which the client asked: before MSC4222 was merged, clients asked for it by another. */
function stateAfterOf(asked: z.infer<typeof shape>): SyncRequest['useStateAfter'] {
  if (asked.use_state_after === true) return 'stable';
  return asked['org.matrix.msc4222.use_state_after'] === true ? 'unstable' : 'no';
}

/** Client-server API, "Syncing". */
export function syncRoutes(deps: SyncRoutesDeps): Route[] {
  return [
    userRoute({
      method: 'GET',
      path: clientPath('/sync'),
      query,
      waits: true,
      handle({ query: asked, requester, ending }) {
        return deps.sync({
          requester: withAnyDevice(requester),
          since: asked.since ?? null,
          timeoutMs: Math.min(Number(asked.timeout ?? 0), timeoutMsMax),
          fullState: asked.full_state ?? false,
          setPresence: isPresenceState(asked.set_presence) ? asked.set_presence : 'online',
          setPresenceWritten: asked.set_presence !== undefined,
          filter: asked.filter ?? null,
          useStateAfter: stateAfterOf(asked),
          signal: ending,
        });
      },
    }),
  ];
}
