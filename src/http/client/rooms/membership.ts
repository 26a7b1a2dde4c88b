import { z } from 'zod';
import type { Aliases } from '../../../directory/aliases.ts';
import { forbidden, invalidParam } from '../../../matrix/errors.ts';
import { isRoomAlias, isRoomId, type RoomId, type UserId } from '../../../matrix/ids.ts';
import type { JsonObject } from '../../../matrix/pdu.ts';
import type { ServerName } from '../../../matrix/server-name.ts';
import type { MembershipChanges, Moderation } from '../../../rooms/local/membership.ts';
import type { RoomState } from '../../../rooms/reading/room-state.ts';
import { checkShape } from '../../middleware/check-shape.ts';
import { clientPath, type Route, userRoute } from '../../route.ts';
import { jsonObject, optional, queryList, roomId, serverName, userId } from '../../shapes.ts';

export interface RoomMembershipRoutesDeps {
  readonly membership: MembershipChanges;
  readonly state: Pick<RoomState, 'listJoinedRooms'>;
  readonly aliases: Pick<Aliases, 'resolve'>;
}

const serversMax = 50;

/** `via`, and `server_name` as it was called before. */
const servers = z.object({
  via: optional(queryList(serverName, serversMax)),
  server_name: optional(queryList(serverName, serversMax)),
});
const roomParams = z.object({ roomId });
const reasonBody = z.object({ reason: optional(z.string()) });
const moderationBody = z.object({ user_id: userId, reason: optional(z.string()) });

/** Client-server API, "Room membership". */
export function roomMembershipRoutes(deps: RoomMembershipRoutesDeps): Route[] {
  return [
    userRoute({
      method: 'GET',
      path: clientPath('/joined_rooms'),
      handle: async ({ requester }) => ({ joined_rooms: deps.state.listJoinedRooms(requester.userId) }),
    }),
    ...joinRoutes(deps),
    ...leaveRoutes(deps),
    ...moderationRoutes(deps),
  ];
}

function joinRoutes({ membership, aliases }: RoomMembershipRoutesDeps): Route[] {
  const join = async (userId: UserId, room: { roomId: RoomId; servers: readonly ServerName[] }, body: JsonObject) => {
    // Whatever else the client says goes into the event as it is, so the body has no shape of its own.
    checkShape(reasonBody, body, 'body');
    if (body.third_party_signed !== undefined) throw forbidden('This server does not know third-party invites');
    const { reason, ...rest } = body;
    await membership.join({ userId, ...room, content: reason === null ? rest : body });
    return { room_id: room.roomId };
  };
  return [
    userRoute({
      method: 'POST',
      path: clientPath('/join/:roomIdOrAlias'),
      counts: 'joins',
      params: z.object({ roomIdOrAlias: z.string() }),
      query: servers,
      body: jsonObject,
      handle: async ({ requester, params, query, body }) =>
        join(requester.userId, await resolve(aliases, params.roomIdOrAlias, query), body),
    }),
    userRoute({
      method: 'POST',
      path: clientPath('/knock/:roomIdOrAlias'),
      counts: 'joins',
      params: z.object({ roomIdOrAlias: z.string() }),
      query: servers,
      body: reasonBody,
      handle: async ({ requester, params, query, body }) => {
        const room = await resolve(aliases, params.roomIdOrAlias, query);
        await membership.knock({ userId: requester.userId, ...room, reason: body.reason });
        return { room_id: room.roomId };
      },
    }),
    userRoute({
      method: 'POST',
      path: clientPath('/rooms/:roomId/join'),
      counts: 'joins',
      params: roomParams,
      query: servers,
      body: jsonObject,
      handle: ({ requester, params, query, body }) =>
        join(requester.userId, { roomId: params.roomId, servers: namedIn(query) }, body),
    }),
  ];
}

function namedIn(query: z.infer<typeof servers>): ServerName[] {
  return [...(query.via ?? []), ...(query.server_name ?? [])];
}

async function resolve(
  aliases: RoomMembershipRoutesDeps['aliases'],
  roomIdOrAlias: string,
  query: z.infer<typeof servers>,
): Promise<{ roomId: RoomId; servers: ServerName[] }> {
  const named = namedIn(query);
  if (isRoomId(roomIdOrAlias)) return { roomId: roomIdOrAlias, servers: named };
  if (!isRoomAlias(roomIdOrAlias)) throw invalidParam('That is neither a room id nor a room alias');
  const found = await aliases.resolve(roomIdOrAlias);
  return { roomId: found.roomId, servers: [...found.servers, ...named] };
}

function leaveRoutes({ membership }: RoomMembershipRoutesDeps): Route[] {
  return [
    userRoute({
      method: 'POST',
      path: clientPath('/rooms/:roomId/leave'),
      params: roomParams,
      body: reasonBody,
      handle: async ({ requester, params, body }) => {
        await membership.leave({ roomId: params.roomId, userId: requester.userId, reason: body.reason });
        return {};
      },
    }),
    userRoute({
      method: 'POST',
      path: clientPath('/rooms/:roomId/forget'),
      params: roomParams,
      handle: async ({ requester, params }) => {
        await membership.forget(params.roomId, requester.userId);
        return {};
      },
    }),
  ];
}

function moderationRoutes({ membership }: RoomMembershipRoutesDeps): Route[] {
  const route = (name: 'invite' | 'kick' | 'ban' | 'unban', change: (moderation: Moderation) => Promise<void>): Route =>
    userRoute({
      method: 'POST',
      path: clientPath(`/rooms/:roomId/${name}`),
      counts: name === 'invite' ? 'invites' : 'messages',
      params: roomParams,
      body: moderationBody,
      handle: async ({ requester, params, body }) => {
        await change({ roomId: params.roomId, sender: requester.userId, target: body.user_id, reason: body.reason });
        return {};
      },
    });
  return [
    route('invite', (invite) => membership.invite(invite)),
    route('kick', (kick) => membership.kick(kick)),
    route('ban', (ban) => membership.ban(ban)),
    route('unban', (unban) => membership.unban(unban)),
  ];
}
