import { notFound } from '../matrix/errors.ts';
import type { RoomId, UserId } from '../matrix/ids.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { Membership } from '../storage/contract/rooms.ts';
import type { LocalRooms } from './local-rooms.ts';
import type { RemoteRooms } from './remote-rooms.ts';
import { mayAnybodySee } from './room-access.ts';
import { type RoomSummary, summaryOf } from './room-summary.ts';

export type RoomSummaryAnswer = RoomSummary & { readonly membership?: Membership };

/** Client-server API, "GET /room_summary". */
export interface RoomSummaries {
  /**
   * A room as somebody sees it who need not be in it. Strangers who are not signed in learn of rooms of this server only, and only what anybody may.
   * Throws M_NOT_FOUND, for a room that is not there as for one that they may not learn of.
   */
  get(
    userId: UserId | undefined,
    room: { readonly roomId: RoomId; readonly servers: readonly ServerName[] },
  ): Promise<RoomSummaryAnswer>;
}

export function createRoomSummaries({ local, remote }: { local: LocalRooms; remote: RemoteRooms }): RoomSummaries {
  const ofUser = async (userId: UserId, roomId: RoomId, servers: readonly ServerName[]) => {
    const membership = (await local.readMemberships(userId, [roomId])).get(roomId);
    const facts = (await local.read([roomId])).get(roomId);
    if (facts) {
      if (local.isSeenByUser(facts, userId, membership))
        return { ...summaryOf(facts), membership: membership ?? 'leave' };
      return undefined;
    }
    const told = (await remote.find(roomId, servers, false))?.summary;
    if (!told || !remote.isSeenByUser(told, userId, membership)) return undefined;
    return { ...told, membership: membership ?? 'leave' };
  };

  return {
    async get(userId, { roomId, servers }) {
      if (userId !== undefined) {
        const found = await ofUser(userId, roomId, servers);
        if (found) return found;
      } else {
        const facts = (await local.read([roomId])).get(roomId);
        if (facts && mayAnybodySee(facts)) return summaryOf(facts);
      }
      throw notFound('Room not found');
    },
  };
}
