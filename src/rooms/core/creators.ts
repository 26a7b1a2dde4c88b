import { creatorsOf } from '../../engine/power.ts';
import type { RoomId } from '../../matrix/ids.ts';
import { getRoomVersion } from '../../matrix/room-versions.ts';
import type { RoomsCore } from './deps.ts';

const nobody: ReadonlySet<string> = new Set();

/** The creators of a room; `privileged` are those above every power level, none before room version 12. */
export async function readCreators(
  deps: Pick<RoomsCore, 'storage'>,
  roomId: RoomId,
): Promise<{ readonly creators: ReadonlySet<string>; readonly privileged: ReadonlySet<string> }> {
  const create = await deps.storage.state.findCurrent(roomId, 'm.room.create', '');
  if (!create) return { creators: nobody, privileged: nobody };
  const version = getRoomVersion(create.event.roomVersion);
  const creators = creatorsOf(create.event, version);
  return { creators, privileged: version.privilegedCreators ? creators : nobody };
}
