import type { RoomId, UserId } from '../matrix/ids.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { Roster } from '../roster/roster.ts';
import type { RoomFacts } from '../storage/contract/directory.ts';
import type { Membership } from '../storage/contract/rooms.ts';
import type { Storage } from '../storage/contract/storage.ts';
import { mayServerSee, mayUserSee } from './room-access.ts';
import { inOrder, isSuggested, parseChild, type SpaceChild, spaceType } from './room-summary.ts';

export interface LocalRoomsDeps {
  readonly storage: Pick<Storage, 'directory' | 'rooms' | 'state'>;
  readonly roster: Pick<Roster, 'isJoined' | 'serversIn' | 'usersOfServerIn'>;
  readonly serverName: ServerName;
}

/** Children of one space that are looked at; the first in order. */
export const childrenMax = 1_000;

/** The rooms that this server is in, and knows itself. A fixed number of queries, however many rooms. */
export interface LocalRooms {
  isHere(roomId: RoomId): boolean;
  /** What we know of those that we are in. */
  read(roomIds: Iterable<RoomId>): Promise<Map<RoomId, RoomFacts>>;
  /** The memberships of a user of ours, here or out of band. */
  readMemberships(userId: UserId, roomIds: Iterable<RoomId>): Promise<Map<RoomId, Membership>>;
  /** In order; none of a room that is no space. */
  listChildren(room: RoomFacts, suggestedOnly: boolean): Promise<SpaceChild[]>;
  /** Those that one of the server's users might learn of. */
  listSeenByServer(server: ServerName, rooms: ReadonlyMap<RoomId, RoomFacts>): Promise<Set<RoomId>>;
  isSeenByUser(room: RoomFacts, userId: UserId, membership: Membership | undefined): boolean;
}

export function createLocalRooms({ storage, roster, serverName }: LocalRoomsDeps): LocalRooms {
  const isHere = (roomId: RoomId): boolean => roster.usersOfServerIn(roomId, serverName).size > 0;
  return {
    isHere,
    async read(roomIds) {
      const here = new Set([...roomIds].filter(isHere));
      const facts = here.size > 0 ? await storage.directory.listRoomFacts(here) : [];
      return new Map(facts.map((room) => [room.roomId, room]));
    },
    async readMemberships(userId, roomIds) {
      const rows = await storage.rooms.listMembershipsIn(userId, new Set(roomIds));
      return new Map([...rows].map(([roomId, { membership }]) => [roomId, membership]));
    },
    async listChildren(room, suggestedOnly) {
      if (room.roomType !== spaceType) return [];
      const events = await storage.state.listCurrent(room.roomId, 'm.space.child');
      const children = events.flatMap(({ stateKey, sender, originServerTs, type, clientText }) => {
        const { content }: { content: unknown } = JSON.parse(clientText);
        const event = { type, state_key: stateKey, sender, content, origin_server_ts: originServerTs };
        return parseChild(event) ?? [];
      });
      return inOrder(children.filter((child) => !suggestedOnly || isSuggested(child))).slice(0, childrenMax);
    },
    async listSeenByServer(server, rooms) {
      const invited = await storage.rooms.listInvitedOf(server, new Set(rooms.keys()));
      const seen = [...rooms.values()].filter((room) =>
        mayServerSee(roster, room, { name: server, isInvited: invited.has(room.roomId) }),
      );
      return new Set(seen.map(({ roomId }) => roomId));
    },
    isSeenByUser: (room, userId, membership) => mayUserSee(roster, room, { userId, membership }),
  };
}
