import type { RoomEvent } from '../../matrix/pdu.ts';
import type { RoomVersion } from '../../matrix/room-versions.ts';
import { isSameEvent } from './event-id.ts';
import { isContentHashValid } from './hash.ts';

/**
 * Whether `copy` has what `known`, the same event, lost because it came with a wrong content hash. Id and signatures of an event cover its
 * redacted form only, so whoever brings it first can alter the rest, and all that is left of it is that form; the hash tells which
 * copy is the one that its server made.
 */
export function restoresContent(known: RoomEvent, copy: RoomEvent, version: RoomVersion): boolean {
  return isContentHashValid(copy.pdu) && !isContentHashValid(known.pdu) && isSameEvent(known, copy, version);
}
