import { notFound } from '../../../matrix/errors.ts';
import { clientPath, type Route, userRoute } from '../../route.ts';

/** Client-server API, "Third-party Networks". Bridges bring protocols with them; without any there is none to be found. */
export function thirdPartyNetworkRoutes(): Route[] {
  const lookUps = ['protocol/:protocol', 'location', 'location/:protocol', 'user', 'user/:protocol'];
  return [
    userRoute({
      method: 'GET',
      path: clientPath('/thirdparty/protocols'),
      handle: async () => ({}),
    }),
    ...lookUps.map((path) =>
      userRoute({
        method: 'GET',
        path: clientPath(`/thirdparty/${path}`),
        handle: async () => {
          throw notFound('There are no third-party networks here');
        },
      }),
    ),
  ];
}
