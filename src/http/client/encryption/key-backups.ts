import { z } from 'zod';
import type { KeyBackups, RoomKeysPlace } from '../../../e2ee/key-backups.ts';
import type { RoomId } from '../../../matrix/ids.ts';
import { clientPath, Reply, type Route, userRoute } from '../../route.ts';
import { jsonObject, optional, roomId, shortText } from '../../shapes.ts';

/** Clients upload hundreds of keys at once, each of about a kilobyte. */
const keysBytesMax = 16 * 1024 * 1024;

const versionPath = clientPath('/room_keys/version');
const oneVersionPath = clientPath('/room_keys/version/:version');
const versionParams = z.object({ version: shortText });

/** Client-server API, "Server-side key backups". */
export function keyBackupRoutes({ keyBackups }: { keyBackups: KeyBackups }): Route[] {
  return [
    userRoute({
      method: 'POST',
      path: versionPath,
      body: z.object({ algorithm: shortText, auth_data: jsonObject }),
      handle: async ({ requester, body }) => {
        const backup = { algorithm: body.algorithm, authData: body.auth_data };
        return { version: await keyBackups.create(requester.userId, backup) };
      },
    }),
    userRoute({
      method: 'GET',
      path: versionPath,
      handle: ({ requester }) => keyBackups.get(requester.userId, undefined),
    }),
    userRoute({
      method: 'GET',
      path: oneVersionPath,
      params: versionParams,
      handle: ({ requester, params }) => keyBackups.get(requester.userId, params.version),
    }),
    userRoute({
      method: 'PUT',
      path: oneVersionPath,
      params: versionParams,
      body: z.object({ algorithm: shortText, auth_data: jsonObject, version: optional(shortText) }),
      handle: async ({ requester, params, body }) => {
        const change = { algorithm: body.algorithm, authData: body.auth_data, version: body.version };
        await keyBackups.update(requester.userId, params.version, change);
        return {};
      },
    }),
    userRoute({
      method: 'DELETE',
      path: oneVersionPath,
      params: versionParams,
      handle: async ({ requester, params }) => {
        await keyBackups.remove(requester.userId, params.version);
        return {};
      },
    }),
    ...keyRoutes(keyBackups, '/room_keys/keys', z.object({})),
    ...keyRoutes(keyBackups, '/room_keys/keys/:roomId', z.object({ roomId })),
    ...keyRoutes(keyBackups, '/room_keys/keys/:roomId/:sessionId', z.object({ roomId, sessionId: shortText })),
  ];
}

/** The same three for all keys, those of a room, and one. */
function keyRoutes(
  keyBackups: KeyBackups,
  below: string,
  params: z.ZodType<{ roomId?: RoomId; sessionId?: string }>,
): Route[] {
  const path = clientPath(below);
  const query = z.object({ version: shortText });
  const placeOf = (named: { roomId?: RoomId; sessionId?: string }): RoomKeysPlace => ({
    roomId: named.roomId ?? null,
    sessionId: named.sessionId ?? null,
  });
  return [
    userRoute({
      method: 'GET',
      path,
      params,
      query,
      handle: async ({ requester, params: named, query: asked }) =>
        new Reply(200, await keyBackups.getKeys(requester.userId, asked.version, placeOf(named))),
    }),
    userRoute({
      method: 'PUT',
      path,
      params,
      query,
      body: jsonObject,
      bodyBytesMax: keysBytesMax,
      handle: ({ requester, params: named, query: asked, body }) =>
        keyBackups.putKeys(requester.userId, asked.version, placeOf(named), body),
    }),
    userRoute({
      method: 'DELETE',
      path,
      params,
      query,
      handle: ({ requester, params: named, query: asked }) =>
        keyBackups.removeKeys(requester.userId, asked.version, placeOf(named)),
    }),
  ];
}
