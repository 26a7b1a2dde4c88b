import { authenticateServer } from '../federation-in/authenticate.ts';
import { createEduReceiver } from '../federation-in/edus.ts';
import { createKeyNotary } from '../federation-in/notary.ts';
import { createPduReceiver } from '../federation-in/pdus.ts';
import type { RoomAccessDeps } from '../federation-in/room-access.ts';
import type { RoomServer } from '../federation-in/room-server.ts';
import { createHistoryServer } from '../federation-in/serve-history.ts';
import { createKeyServer } from '../federation-in/serve-keys.ts';
import { createQueryServer } from '../federation-in/serve-queries.ts';
import { createTransactionReceiver } from '../federation-in/transaction.ts';
import { eventRoutes } from '../http/federation/events.ts';
import { hierarchyServerRoutes } from '../http/federation/hierarchy.ts';
import { inviteRoutes } from '../http/federation/invites.ts';
import { joinRoutes } from '../http/federation/joins.ts';
import { knockRoutes } from '../http/federation/knocks.ts';
import { leaveRoutes } from '../http/federation/leaves.ts';
import { mediaServerRoutes } from '../http/federation/media.ts';
import { openIdUserinfoRoutes } from '../http/federation/openid.ts';
import { publicRoomsServerRoutes } from '../http/federation/public-rooms.ts';
import { queryRoutes } from '../http/federation/queries.ts';
import { serverKeyRoutes } from '../http/federation/server-keys.ts';
import { transactionRoutes } from '../http/federation/transactions.ts';
import type { VerifyServer } from '../http/middleware/access.ts';
import type { Route } from '../http/route.ts';
import type { ServerName } from '../matrix/server-name.ts';
import { isServerAllowed } from '../rooms/core/server-access.ts';
import { readOldKeys } from './outgoing.ts';
import type { Surroundings } from './surroundings.ts';
import { lanternVersion } from './version.ts';
import type { Parts } from './wiring-parts.ts';

export interface Incoming {
  readonly routes: Route[];
  readonly verifyServer: VerifyServer;
}

/** Everything that other servers call. Without federation there is nothing to call. */
export function createIncoming(surroundings: Surroundings, parts: Parts): Incoming {
  const { config, clock, log, signer } = surroundings;
  const { storage, roster, outgoing, presence, typing, receipts } = parts;
  const serverName = config.server_name;
  const access: RoomAccessDeps = { storage, roster, serverName };
  const edus = createEduReceiver({
    receiveTyping: (origin, content) => typing.receiveTypingEdu(origin, content),
    receiveReceipts: (origin, content) => receipts.receiveReceiptEdu(origin, content),
    receivePresence: (origin, contents) => presence.receive(origin, contents),
    receiveToDevice: (origin, contents) => parts.toDevice.receive(origin, contents),
    receiveDeviceListUpdate: parts.keys.remoteLists.receiveDeviceListUpdate,
    receiveSigningKeyUpdate: parts.keys.remoteLists.receiveSigningKeyUpdate,
    isServerAllowed: (roomId, server) => isServerAllowed(storage, roomId, server),
    log,
  });
  const pdus = createPduReceiver({ rooms: parts.rooms.receiver, log });
  const transactions = createTransactionReceiver({ storage, pdus, edus, clock });
  const rooms: RoomServer = { ...parts.rooms.server, ...createHistoryServer(access) };
  const signedKeys = createKeyServer({ serverName, key: signer.key, oldKeys: readOldKeys(config), clock });
  const refresh = (server: ServerName) => outgoing.keyRing.refresh(server);
  const routes = [
    ...serverKeyRoutes({
      signedKeys,
      notary: createKeyNotary({ signer, signedKeys, refresh, storage, clock }),
      version: lanternVersion,
    }),
    ...transactionRoutes({ transactions }),
    ...openIdUserinfoRoutes({ accounts: parts.accounts }),
    ...queryRoutes({
      queries: createQueryServer({ serverName, storage, keys: parts.keys, asking: parts.services.asking }),
    }),
    ...joinRoutes({ rooms }),
    ...leaveRoutes({ rooms }),
    ...knockRoutes({ rooms }),
    ...inviteRoutes({ rooms }),
    ...hierarchyServerRoutes({ hierarchy: parts.hierarchy }),
    ...publicRoomsServerRoutes({ publicRooms: parts.publicRooms }),
    ...eventRoutes({ rooms, serverName, clock }),
    ...mediaServerRoutes({ media: parts.media, serverName, random: surroundings.random }),
  ];
  return {
    routes: config.federation.enabled ? routes : [],
    verifyServer: (request) =>
      authenticateServer(
        {
          serverName,
          findKey: (server, keyId, validAtMs) => outgoing.keyRing.getKey(server, keyId, validAtMs),
          onHeard: (server) => outgoing.sender.serverIsBack(server),
          clock,
        },
        request,
      ),
  };
}
