import { isUserId, serverOfUser } from '../../matrix/ids.ts';
import type { RoomEvent } from '../../matrix/pdu.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Row } from '../../storage/contract/commit.ts';
import { membershipOf } from '../state-reads.ts';
import type { RoomsCore } from './deps.ts';

type OutgoingDeps = Pick<RoomsCore, 'roster' | 'serverName'>;

/**
 * The servers that get a local event: all that were in the room before it, so that a server learns of the departure of its last
 * user, and the server of a user whose membership it ends or refuses. An invited user's server gets the invite by a request of its
 * own. `also`: servers that the event brings into the room.
 */
export function listDestinations(deps: OutgoingDeps, event: RoomEvent, also: readonly ServerName[] = []): ServerName[] {
  const destinations = new Set<ServerName>([...deps.roster.serversIn(event.roomId), ...also]);
  const { type, state_key: stateKey, content } = event.pdu;
  if (type === 'm.room.member' && isUserId(stateKey)) {
    const membership = membershipOf(content);
    if (membership === 'leave' || membership === 'ban') destinations.add(serverOfUser(stateKey));
  }
  destinations.delete(deps.serverName);
  return [...destinations];
}

/** One row of the outgoing log for each event that some other server gets. */
export function outgoingRows(deps: OutgoingDeps, events: readonly RoomEvent[]): Row[] {
  const rows: Row[] = [];
  for (const event of events) {
    const destinations = listDestinations(deps, event);
    if (destinations.length === 0) continue;
    rows.push({ kind: 'outgoing_pdu', eventId: event.eventId, roomId: event.roomId, destinations });
  }
  return rows;
}
