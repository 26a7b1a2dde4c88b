import { breathe } from '../../base/breathe.ts';
import type { RoomId, UserId } from '../../matrix/ids.ts';
import type { Roster } from '../../roster/roster.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import { mayBeNews, type SyncScope, type SyncStream, touches } from '../stream.ts';

export interface DeviceListsDeps {
  readonly storage: Pick<Storage, 'deviceLists' | 'rooms'>;
  readonly roster: Pick<Roster, 'roomsOf' | 'usersIn' | 'shareRoom'>;
}

/**
 * Client-server API, "Tracking the device list for a user": `changed` are those "who now share an encrypted room with the client",
 * or whose keys changed; `left` those "with whom the user does not share any encrypted rooms anymore since the previous sync response". Every room counts as
 * encrypted, since it may become so at any time. Lists of rooms in the filter do not matter: they are about what is shown.
 */
export function createDeviceListsStream(deps: DeviceListsDeps): SyncStream {
  return {
    mayTell: (question) =>
      mayBeNews(question, ({ deviceListUsers, joinRooms, departureRooms }) => {
        if (deviceListUsers.size > 0) return true;
        const rooms = deps.roster.roomsOf(question.viewer.userId);
        return touches(joinRooms, rooms) || touches(departureRooms, rooms);
      }),
    async read(scope, answer) {
      if (scope.since === null || scope.upTo <= scope.after) return;
      const arrivals = await listArrivals(deps, scope);
      const departures = await listDepartures(deps, scope);
      const viewer = scope.viewer.userId;
      const news = await deps.storage.deviceLists.listChanged(viewer, scope.after, scope.upTo);
      if (arrivals.size === 0 && departures.size === 0 && news.length === 0) return;
      const changed = new Set<UserId>();
      for (const userId of news) {
        await breathe();
        if (userId === viewer || deps.roster.shareRoom(viewer, userId)) changed.add(userId);
      }
      const known = changed.size;
      for (const [userId, rooms] of arrivals) {
        await breathe();
        if (userId === viewer || !deps.roster.shareRoom(viewer, userId)) continue;
        if (!sharedBefore(deps, scope, userId, rooms)) changed.add(userId);
      }
      // Who met others by coming to a room is met there too, with all their other devices.
      if (scope.rooms.newlyJoined.size > 0 && changed.size > known) changed.add(viewer);
      const left = [...departures].filter((userId) => userId !== viewer && !deps.roster.shareRoom(viewer, userId));
      answer.deviceLists = { changed: [...changed], left };
    },
  };
}

/** Who came to rooms of the viewer, and whom the viewer came to: user → the rooms that they share since then. */
async function listArrivals(deps: DeviceListsDeps, scope: SyncScope): Promise<Map<UserId, Set<RoomId>>> {
  const { joined, newlyJoined } = scope.rooms;
  const arrivals = new Map<UserId, Set<RoomId>>();
  const add = (userId: UserId, roomId: RoomId): void => {
    arrivals.set(userId, (arrivals.get(userId) ?? new Set()).add(roomId));
  };
  for (const roomId of newlyJoined) {
    for (const userId of [...deps.roster.usersIn(roomId)]) {
      add(userId, roomId);
      await breathe();
    }
  }
  const came = await deps.storage.rooms.listNewlyJoined(joined, scope.after, scope.upTo);
  for (const { roomId, userId } of came) {
    add(userId, roomId);
    await breathe();
  }
  return arrivals;
}

/** Who went from rooms that the client knows, and who is in those that the viewer went from. */
async function listDepartures(deps: DeviceListsDeps, scope: SyncScope): Promise<Set<UserId>> {
  const { joined, departed } = scope.rooms;
  const known = departed.size === 0 ? joined : new Set([...joined, ...departed]);
  const went = await deps.storage.rooms.listDepartures(known, scope.after, scope.upTo);
  const users = new Set(went.map(({ userId }) => userId));
  for (const roomId of departed) {
    // Not of the roster: once nobody of ours is in a room, only storage remembers who was.
    for (const { userId } of await deps.storage.rooms.listMembers(roomId, ['join'])) users.add(userId);
    await breathe();
  }
  return users;
}

/** Whether there is a room that both were in all the time. */
function sharedBefore(deps: DeviceListsDeps, scope: SyncScope, userId: UserId, since: ReadonlySet<RoomId>): boolean {
  const { joined, newlyJoined } = scope.rooms;
  const theirs = deps.roster.roomsOf(userId);
  const [few, many] = theirs.size < joined.size ? [theirs, joined] : [joined, theirs];
  for (const roomId of few) if (many.has(roomId) && !newlyJoined.has(roomId) && !since.has(roomId)) return true;
  return false;
}
