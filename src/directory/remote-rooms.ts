import { LRUCache } from 'lru-cache';
import type { Clock } from '../base/clock.ts';
import { FederationError, type FederationRequests } from '../federation-out/requests-contract.ts';
import { findServerOfRoom, isRoomId, type RoomId, type UserId } from '../matrix/ids.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { Roster } from '../roster/roster.ts';
import type { Membership } from '../storage/contract/rooms.ts';
import { childrenMax } from './local-rooms.ts';
import { inOrder, isSuggested, parseChild, parseSummary, type RoomSummary, type SpaceChild } from './room-summary.ts';

export interface RemoteRoomsDeps {
  readonly requests: Pick<FederationRequests, 'getHierarchy'>;
  readonly roster: Pick<Roster, 'isJoined'>;
  readonly serverName: ServerName;
  readonly clock: Clock;
}

/** A room of others, as one of them tells it. */
export interface RemoteRoom {
  readonly summary: RoomSummary;
  /** In order. */
  readonly children: readonly SpaceChild[];
  /** What it says of the children. */
  readonly childRooms: ReadonlyMap<RoomId, RoomSummary>;
  /** "They should not be re-requested." */
  readonly inaccessible: ReadonlySet<RoomId>;
}

export interface RemoteRooms {
  /** Undefined where none of the servers tells it. Never rejects for what others say. */
  find(roomId: RoomId, via: readonly ServerName[], suggestedOnly: boolean): Promise<RemoteRoom | undefined>;
  /**
   * Whether a user of ours may learn of it. The other server tells what any user of ours might, so what it says is looked at once more for this one.
   */
  isSeenByUser(room: RoomSummary, userId: UserId, membership: Membership | undefined): boolean;
}

/** "Responses to this endpoint should be cached for a period of time." What was refused may be given a moment later. */
const keptMs = 60_000;
/** Of all together, in characters. */
const keptSizeMax = 32 * 1024 * 1024;
/** Servers that are asked for one room. */
const serversMax = 3;

export function createRemoteRooms(deps: RemoteRoomsDeps): RemoteRooms {
  const known = new LRUCache<string, { readonly room: RemoteRoom; readonly untilMs: number }>({
    maxSize: keptSizeMax,
    sizeCalculation: ({ room }) => JSON.stringify([room.summary, room.children, [...room.childRooms]]).length,
  });
  const underWay = new Map<string, Promise<RemoteRoom | undefined>>();

  const ask = async (roomId: RoomId, via: readonly ServerName[], suggestedOnly: boolean) => {
    const servers = new Set(via);
    const ofId = findServerOfRoom(roomId);
    if (ofId !== undefined) servers.add(ofId);
    servers.delete(deps.serverName);
    for (const server of [...servers].slice(0, serversMax)) {
      const answer = await deps.requests.getHierarchy(server, roomId, suggestedOnly).catch(undefinedWhenRefused);
      const room = answer && parseRoom(answer, roomId, suggestedOnly);
      if (room) return room;
    }
    return undefined;
  };

  return {
    find(roomId, via, suggestedOnly) {
      const key = `${suggestedOnly ? 's' : 'a'} ${roomId}`;
      const kept = known.get(key);
      if (kept && kept.untilMs > deps.clock.monotonic()) return Promise.resolve(kept.room);
      const running = underWay.get(key);
      if (running !== undefined) return running;
      const asking = ask(roomId, via, suggestedOnly)
        .then((room) => {
          if (room) known.set(key, { room, untilMs: deps.clock.monotonic() + keptMs });
          return room;
        })
        .finally(() => underWay.delete(key));
      underWay.set(key, asking);
      return asking;
    },

    isSeenByUser(room, userId, membership) {
      if (room.world_readable || membership === 'invite') return true;
      if (membership === 'ban') return false;
      // "When not present, the room is assumed to be `public`."
      const rule = room.join_rule ?? 'public';
      if (rule === 'public' || rule === 'knock' || rule === 'knock_restricted') return true;
      if (rule !== 'restricted') return false;
      return (room.allowed_room_ids ?? []).some((allowed) => deps.roster.isJoined(allowed, userId));
    },
  };
}

function undefinedWhenRefused(error: unknown): undefined {
  if (error instanceof FederationError) return undefined;
  throw error;
}

function parseRoom(answer: JsonObject, roomId: RoomId, suggestedOnly: boolean): RemoteRoom | undefined {
  const { room, children, inaccessible_children: inaccessible } = answer;
  const summary = parseSummary(room);
  if (!summary || summary.room_id !== roomId || typeof room !== 'object' || room === null) return undefined;
  const state = listOf(Reflect.get(room, 'children_state')).flatMap((event) => parseChild(event) ?? []);
  const rooms = listOf(children).flatMap((child) => parseSummary(child) ?? []);
  return {
    summary,
    children: inOrder(state.filter((child) => !suggestedOnly || isSuggested(child))),
    childRooms: new Map(rooms.map((child) => [child.room_id, child])),
    inaccessible: new Set(listOf(inaccessible).filter(isRoomId)),
  };
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value.slice(0, childrenMax) : [];
}
