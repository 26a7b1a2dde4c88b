import { unrecognized } from '../../matrix/errors.ts';
import { clientPath, openRoute, type Route, userRoute } from '../route.ts';

/** Client-server API, "Content repository", as far as it is here: clients ask how much may be uploaded, and nothing may. */
export function mediaRoutes(): Route[] {
  return [
    userRoute({
      method: 'GET',
      path: [...clientPath('/media/config', 'v1'), '/_matrix/media/v3/config', '/_matrix/media/r0/config'],
      handle: async () => ({ 'm.upload.size': 0 }),
    }),
    // Not here; declared so that other methods are told that they never fit this path.
    openRoute({
      method: 'POST',
      path: ['/_matrix/media/v3/upload', '/_matrix/media/r0/upload'],
      handle: async () => {
        throw unrecognized('This server keeps no media');
      },
    }),
  ];
}
