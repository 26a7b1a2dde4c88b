import { z } from 'zod';
import type { Accounts } from '../../../accounts/accounts.ts';
import { forbidden } from '../../../matrix/errors.ts';
import type { UserId } from '../../../matrix/ids.ts';
import type { Media } from '../../../media/media.ts';
import { addressOf } from '../../media-shapes.ts';
import { type Route, userRoute } from '../../route.ts';
import { roomId, userId } from '../../shapes.ts';

const base = '/_synapse/admin/v1';
const place = z.object({ serverName: z.string(), mediaId: z.string() });

/**
 * Taking contents away from everybody, as Synapse's admin API has it ("Quarantine media"), and giving them back: of a room and of a user in one call,
 * too, which are in Synapse's words though it has no such calls.
 */
export function mediaAdministrationRoutes(deps: {
  readonly accounts: Pick<Accounts, 'isAdmin'>;
  readonly media: Pick<Media, 'quarantine'>;
}): Route[] {
  const { quarantine } = deps.media;
  const checkCaller = async (caller: UserId): Promise<void> => {
    if (!(await deps.accounts.isAdmin(caller))) throw forbidden('You are not an administrator of this server');
  };
  return [
    userRoute({
      method: 'POST',
      path: `${base}/media/quarantine/:serverName/:mediaId`,
      params: place,
      checkCaller,
      handle: async ({ requester, params }) => {
        await quarantine.quarantine(requester.userId, addressOf(params));
        return {};
      },
    }),
    userRoute({
      method: 'POST',
      path: `${base}/media/unquarantine/:serverName/:mediaId`,
      params: place,
      checkCaller,
      handle: async ({ requester, params }) => {
        await quarantine.release(requester.userId, addressOf(params));
        return {};
      },
    }),
    userRoute({
      method: 'POST',
      path: `${base}/room/:roomId/media/quarantine`,
      params: z.object({ roomId }),
      checkCaller,
      handle: async ({ requester, params }) => ({
        num_quarantined: await quarantine.quarantineRoom(requester.userId, params.roomId),
      }),
    }),
    userRoute({
      method: 'POST',
      path: `${base}/user/:userId/media/quarantine`,
      params: z.object({ userId }),
      checkCaller,
      handle: async ({ requester, params }) => ({
        num_quarantined: await quarantine.quarantineUser(requester.userId, params.userId),
      }),
    }),
    userRoute({
      method: 'POST',
      path: `${base}/room/:roomId/media/unquarantine`,
      params: z.object({ roomId }),
      checkCaller,
      handle: async ({ requester, params }) => ({
        num_unquarantined: await quarantine.releaseRoom(requester.userId, params.roomId),
      }),
    }),
    userRoute({
      method: 'POST',
      path: `${base}/user/:userId/media/unquarantine`,
      params: z.object({ userId }),
      checkCaller,
      handle: async ({ requester, params }) => ({
        num_unquarantined: await quarantine.releaseUser(requester.userId, params.userId),
      }),
    }),
  ];
}
