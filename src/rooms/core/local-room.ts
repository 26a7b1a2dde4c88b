import type { RoomId } from '../../matrix/ids.ts';
import type { RoomsCore } from './deps.ts';

/**
 * Whether this server can speak for the room by what it knows itself: one of its users is joined, or nobody is any more. False for
 * rooms that are unknown, that it was only invited to, or that went on without it.
 */
export async function isLocalRoom(
  deps: Pick<RoomsCore, 'storage' | 'roster' | 'serverName'>,
  roomId: RoomId,
): Promise<boolean> {
  return (await deps.storage.state.findCurrentSnapshot(roomId)) !== undefined && isHeldHere(deps, roomId);
}

/** The same of a room whose state is known, as it is at this moment. */
export function isHeldHere(deps: Pick<RoomsCore, 'roster' | 'serverName'>, roomId: RoomId): boolean {
  const servers = deps.roster.serversIn(roomId);
  return servers.has(deps.serverName) || servers.size === 0;
}
