import { clientPath, type Route, userRoute } from '../route.ts';

/** Client-server API, "Content repository", as far as it is here: clients ask how much may be uploaded, and nothing may. */
export function mediaRoutes(): Route[] {
  return [
    userRoute({
      method: 'GET',
      path: [...clientPath('/media/config', 'v1'), '/_matrix/media/v3/config', '/_matrix/media/r0/config'],
      handle: async () => ({ 'm.upload.size': 0 }),
    }),
  ];
}
