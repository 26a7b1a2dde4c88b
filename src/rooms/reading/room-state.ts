import { breathe } from '../../base/breathe.ts';
import type { Clock } from '../../base/clock.ts';
import { joinLong, type LongText } from '../../base/json/long-text.ts';
import { forbidden, notFound } from '../../matrix/errors.ts';
import type { RoomId, UserId } from '../../matrix/ids.ts';
import { stateKeyOf } from '../../matrix/pdu.ts';
import type { Roster } from '../../roster/roster.ts';
import type { TimelineEvent } from '../../storage/contract/events.ts';
import { type EventViewer, encodeClientEvents } from '../client-event.ts';
import { boundaryOfToken, findEventBefore, findFirstSnapshot, type HistoryDeps } from '../history.ts';
import { listMembersAt, listStateAt, type MemberFilter } from '../members-at.ts';
import { getRoomAccess, type RoomAccess } from './access.ts';

export type RoomStateDeps = HistoryDeps & { readonly clock: Clock; readonly roster: Pick<Roster, 'roomsOf'> };

/** What a user may read of a room's state. Whoever left gets the state as of their departure. JSON texts. */
export interface RoomState {
  /** `GET /rooms/{roomId}/state`: a list. Throws M_FORBIDDEN. */
  listState(viewer: EventViewer, roomId: RoomId): Promise<string | LongText>;
  /** The content, or the whole event. Throws M_FORBIDDEN, M_NOT_FOUND. */
  getStateEvent(
    viewer: EventViewer,
    roomId: RoomId,
    key: { type: string; stateKey: string; format: 'content' | 'event' },
  ): Promise<string>;
  /** `GET /rooms/{roomId}/members`: `{ chunk }`. `at` is a token of `/sync` or `/messages`. */
  listMembers(
    viewer: EventViewer,
    roomId: RoomId,
    filter: MemberFilter & { at?: string | undefined },
  ): Promise<string | LongText>;
  /** `GET /rooms/{roomId}/joined_members`: `{ joined }`, user id → their profile in the room. Only for members. */
  listJoinedMembers(userId: UserId, roomId: RoomId): Promise<string | LongText>;
  /** Throws M_FORBIDDEN for whoever is not in the room now and may not look in as anybody may. */
  checkMayRead(roomId: RoomId, userId: UserId): Promise<void>;
  listJoinedRooms(userId: UserId): RoomId[];
}

const membersPerTurn = 200;

export function createRoomState(deps: RoomStateDeps): RoomState {
  const { storage } = deps;

  async function encode(events: readonly TimelineEvent[], viewer: EventViewer): Promise<string[]> {
    const options = { withRoomId: true, withMembership: false, nowMs: deps.clock.now() };
    return encodeClientEvents(deps, events, viewer, options);
  }

  async function snapshotFor(access: RoomAccess, roomId: RoomId, at: string | undefined) {
    if (at === undefined) return access.snapshotId;
    const boundary = await boundaryOfToken(deps, roomId, at);
    const last = await findEventBefore(deps, roomId, boundary);
    if (last === undefined) return (await findFirstSnapshot(deps, roomId)) ?? access.snapshotId;
    if (access.until === 'now') return last.snapshotAfter;
    // Whoever left sees nothing of later, whatever place they name.
    const departure = await storage.events.findTimelineEvent(access.eventId);
    const isLater = departure === undefined || last.position > departure.position;
    return isLater ? access.snapshotId : last.snapshotAfter;
  }

  return {
    async listState(viewer, roomId) {
      const access = await getRoomAccess(deps, roomId, viewer.userId);
      const events = await listStateAt(deps, access.snapshotId);
      return joinLong('[', await encode(events, viewer), ']');
    },

    async getStateEvent(viewer, roomId, { type, stateKey, format }) {
      const access = await getRoomAccess(deps, roomId, viewer.userId);
      const key = stateKeyOf(type, stateKey);
      const eventId = (await storage.state.getFromSnapshot(access.snapshotId, [key])).get(key);
      const [event] = eventId === undefined ? [] : await storage.events.listTimelineEventsByIds([eventId]);
      if (!event) throw notFound('The room has no such state');
      const [text = '{}'] = await encode([event], viewer);
      if (format === 'event') return text;
      const { content } = JSON.parse(text) as { content: unknown };
      return JSON.stringify(content);
    },

    async listMembers(viewer, roomId, filter) {
      const access = await getRoomAccess(deps, roomId, viewer.userId);
      const snapshotId = await snapshotFor(access, roomId, filter.at);
      const members = await listMembersAt(deps, snapshotId, filter);
      return joinLong('{"chunk":[', await encode(members, viewer), ']}');
    },

    async listJoinedMembers(userId, roomId) {
      const own = await storage.rooms.findMembership(roomId, userId);
      if (own?.membership !== 'join') throw forbidden('You are not in this room');
      const entries: string[] = [];
      for (const { userId: member, displayname, avatarUrl } of await storage.rooms.listMembers(roomId, ['join'])) {
        const profile = { display_name: displayname, avatar_url: avatarUrl };
        entries.push(`${JSON.stringify(member)}:${JSON.stringify(profile)}`);
        if (entries.length % membersPerTurn === 0) await breathe();
      }
      return joinLong('{"joined":{', entries, '}}');
    },

    async checkMayRead(roomId, userId) {
      const access = await getRoomAccess(deps, roomId, userId);
      if (access.until === 'departure' && !access.open) throw forbidden('You are not in this room');
    },

    listJoinedRooms: (userId) => [...deps.roster.roomsOf(userId)],
  };
}
