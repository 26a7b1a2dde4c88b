import { z } from 'zod';
import type { Creating } from '../../../rooms/local/create.ts';
import type { Upgrading } from '../../../rooms/local/upgrade.ts';
import { clientPath, type Route, userRoute } from '../../route.ts';
import { jsonObject, optional, roomId, shortText, userId } from '../../shapes.ts';

const stateEventsMax = 500;
const invitesMax = 1_000;

const createRoomBody = z.object({
  visibility: optional(z.enum(['public', 'private'])),
  room_alias_name: optional(shortText),
  name: optional(z.string()),
  topic: optional(z.string()),
  invite: optional(z.array(userId).max(invitesMax)),
  invite_3pid: optional(z.array(jsonObject).max(invitesMax)),
  room_version: optional(z.string()),
  creation_content: optional(jsonObject),
  initial_state: optional(
    z.array(z.object({ type: shortText, state_key: optional(shortText), content: jsonObject })).max(stateEventsMax),
  ),
  preset: optional(z.enum(['private_chat', 'trusted_private_chat', 'public_chat'])),
  is_direct: optional(z.boolean()),
  power_level_content_override: optional(jsonObject),
});

const creatorsMax = 1_000;
const upgradeBody = z.object({
  new_version: z.string(),
  additional_creators: optional(z.array(z.string()).max(creatorsMax)),
});

/** Client-server API, "Creation" and "Room Upgrades". */
export function roomCreationRoutes({ rooms, upgrading }: { rooms: Creating; upgrading: Upgrading }): Route[] {
  return [
    userRoute({
      method: 'POST',
      path: clientPath('/rooms/:roomId/upgrade'),
      params: z.object({ roomId }),
      body: upgradeBody,
      handle: async ({ requester, params, body }) => ({
        replacement_room: await upgrading.upgradeRoom(requester.userId, params.roomId, {
          newVersion: body.new_version,
          additionalCreators: body.additional_creators ?? [],
        }),
      }),
    }),
    userRoute({
      method: 'POST',
      path: clientPath('/createRoom'),
      counts: 'joins',
      body: createRoomBody,
      handle: async ({ requester, body }) => ({
        room_id: await rooms.createRoom(requester.userId, body, requester.service?.id),
      }),
    }),
  ];
}
