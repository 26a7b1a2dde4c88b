import { z } from 'zod';
import { invalidParam } from '../matrix/errors.ts';
import type { Requester } from './route.ts';

/** Whatever it is: for users it means nothing, as any parameter that nobody knows. */
export const sentAtQuery = z.object({ ts: z.unknown().optional() });

/**
 * When an event was sent elsewhere, Unix milliseconds: "Application services can alter the timestamp associated with an event" (application
 * service API, "Timestamp massaging"). Undefined where nobody says so. Throws M_INVALID_PARAM for what `origin_server_ts` does not take.
 */
export function sentAtOf({ service }: Requester, { ts }: z.infer<typeof sentAtQuery>): number | undefined {
  if (service === undefined || ts === undefined) return undefined;
  const sentAtMs = typeof ts === 'string' && /^\d{1,16}$/.test(ts) ? Number(ts) : undefined;
  if (sentAtMs === undefined || !Number.isSafeInteger(sentAtMs))
    throw invalidParam("'ts': is not a number of milliseconds");
  return sentAtMs;
}
