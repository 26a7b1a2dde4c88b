import { clientPath, type Route, userRoute } from '../route.ts';

/** Client-server API, "Voice over IP". No relay belongs to this server: clients then try to reach each other directly. */
export function voipRoutes(): Route[] {
  return [
    userRoute({
      method: 'GET',
      path: clientPath('/voip/turnServer'),
      handle: async () => ({}),
    }),
  ];
}
