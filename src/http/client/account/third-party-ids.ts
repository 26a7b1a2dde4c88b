import { forbidden, threepidDenied, threepidMediumNotSupported } from '../../../matrix/errors.ts';
import { clientPath, openRoute, type Route, userRoute } from '../../route.ts';

/**
 * Client-server API, "Adding account administrative contact information". There are no third-party identifiers here: the lists
 * are empty, and what would change them is refused, as the capability `m.3pid_changes` says beforehand.
 */
export function thirdPartyIdRoutes(): Route[] {
  return [
    userRoute({
      method: 'GET',
      path: clientPath('/account/3pid'),
      handle: async () => ({ threepids: [] }),
    }),
    ...['/account/3pid', '/account/3pid/add', '/account/3pid/bind', '/account/3pid/delete'].map((path) =>
      userRoute({
        method: 'POST',
        path: clientPath(path),
        handle: async () => {
          throw forbidden('This server keeps no third-party identifiers');
        },
      }),
    ),
    userRoute({
      method: 'POST',
      path: clientPath('/account/3pid/unbind'),
      // "the homeserver was not able to determine an identity server to unbind from"
      handle: async () => ({ id_server_unbind_result: 'no-support' }),
    }),
    ...['/register', '/account/password'].flatMap((use) =>
      requestTokenRoutes(use, () => threepidDenied('This server takes no third-party identifiers')),
    ),
    ...requestTokenRoutes('/account/3pid', () =>
      threepidMediumNotSupported('This server takes no third-party identifiers of this kind'),
    ),
  ];
}

/** Nobody is written to, whatever is asked for: there is no mail and no text message from this server. */
function requestTokenRoutes(use: string, refusal: () => Error): Route[] {
  return ['email', 'msisdn'].map((medium) =>
    openRoute({
      method: 'POST',
      path: clientPath(`${use}/${medium}/requestToken`),
      handle: async () => {
        throw refusal();
      },
    }),
  );
}
