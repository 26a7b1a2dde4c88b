import { isServerAllowedBy } from '../../engine/server-acl.ts';
import type { RoomId } from '../../matrix/ids.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Storage } from '../../storage/contract/storage.ts';

/** Whether the room's current `m.room.server_acl` lets the server take part; true for rooms that we do not know. */
export async function isServerAllowed(
  storage: Pick<Storage, 'state'>,
  roomId: RoomId,
  server: ServerName,
): Promise<boolean> {
  const acl = await storage.state.findCurrent(roomId, 'm.room.server_acl', '');
  return isServerAllowedBy(acl?.event.pdu.content, server);
}
