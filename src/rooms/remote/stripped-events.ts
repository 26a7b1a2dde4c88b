import { isUserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';

/** Of what another server tells of a room to somebody who is not in it. */
export const strippedStateMax = 100;

/** Whether a client can be shown it as a stripped state event. */
export function isStateLike(event: JsonObject): boolean {
  const { type, state_key: stateKey, sender, content } = event;
  const isObject = typeof content === 'object' && content !== null && !Array.isArray(content);
  return typeof type === 'string' && typeof stateKey === 'string' && isUserId(sender) && isObject;
}
