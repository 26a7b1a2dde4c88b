import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import type { FederationRequests } from '../federation-out/requests-contract.ts';
import type { Reaction } from '../feed/feed.ts';
import type { UserId } from '../matrix/ids.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { Roster } from '../roster/roster.ts';
import type { Storage } from '../storage/contract/storage.ts';
import { createForgottenLists, createSharesRoom } from './device-lists/forgotten.ts';
import { createRemoteDeviceLists, type RemoteDeviceLists } from './device-lists/remote.ts';
import { createDeviceListResync } from './device-lists/resync.ts';
import { createDeviceListUpdates } from './device-lists/updates.ts';
import { createKeyClaims, type KeyClaims } from './keys/claim.ts';
import { type CrossSigning, createCrossSigning } from './keys/cross-signing.ts';
import { createDeviceKeyUploads, type DeviceKeyUploads } from './keys/device-keys.ts';
import { createOneTimeKeyClaims } from './keys/one-time-keys.ts';
import {
  createKeyQueries,
  type KeyQueries,
  type KeyQueryAnswer,
  presentUsers,
  type QueriedUsers,
} from './keys/query.ts';
import { createSignatureUploads, type SignatureUploads } from './keys/signatures.ts';
import { listOwnKeys } from './keys/user-keys.ts';

export interface KeysDeps {
  readonly serverName: ServerName;
  readonly storage: Storage;
  readonly roster: Roster;
  readonly requests: Pick<FederationRequests, 'queryUserKeys' | 'claimUserKeys' | 'getUserDevices'>;
  readonly shareDeviceNames: boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** The public keys of devices and users. */
export interface Keys {
  readonly uploads: DeviceKeyUploads;
  readonly crossSigning: CrossSigning;
  readonly signatures: SignatureUploads;
  readonly queries: Pick<KeyQueries, 'query'>;
  readonly claims: KeyClaims;
  readonly remoteLists: RemoteDeviceLists;
  readonly own: OwnKeys;
  readonly reactions: readonly Reaction[];
  /** Goes on asking for lists that were stale. */
  start(): void;
  idle(): Promise<void>;
  stop(): Promise<void>;
}

/** What other servers may ask of our users' keys. */
export interface OwnKeys {
  /** `POST /user/keys/query` */
  query(users: QueriedUsers): Promise<KeyQueryAnswer>;
  /** `GET /user/devices/{userId}`, but for whether there is such a user. */
  listDevices(userId: UserId): Promise<JsonObject>;
}

export function createKeys(deps: KeysDeps): Keys {
  const { serverName, storage, roster, requests, clock, random, log } = deps;
  const sharesRoom = createSharesRoom(roster);
  const queries = createKeyQueries({ serverName, storage, requests, sharesRoom, clock });
  const oneTimeKeys = createOneTimeKeyClaims({ storage });
  const resync = createDeviceListResync({ storage, requests, sharesRoom, clock, random, log });
  return {
    uploads: createDeviceKeyUploads({ storage }),
    crossSigning: createCrossSigning({ storage }),
    signatures: createSignatureUploads({ storage, listUserKeys: queries.listUserKeys }),
    queries,
    claims: createKeyClaims({ serverName, claims: oneTimeKeys, requests, clock }),
    remoteLists: createRemoteDeviceLists({ storage, sharesRoom, resync: () => resync.wake(), clock }),
    own: createOwnKeys(deps),
    reactions: [
      createDeviceListUpdates({ serverName, storage, roster, shareDeviceNames: deps.shareDeviceNames }),
      createForgottenLists({ serverName, storage, roster }),
    ],
    start: () => resync.wake(),
    idle: async () => {
      await oneTimeKeys.idle();
      await resync.idle();
    },
    stop: async () => {
      await oneTimeKeys.idle();
      await resync.stop();
    },
  };
}

function createOwnKeys({ storage, shareDeviceNames }: KeysDeps): OwnKeys {
  return {
    async query(users) {
      const found = await listOwnKeys(storage, [...users.keys()], null);
      return presentUsers(found, users, shareDeviceNames);
    },
    async listDevices(userId) {
      // Before the devices: what changes behind it comes as an update with a higher number.
      const stream = await storage.deviceLists.findStream(userId);
      const keys = (await listOwnKeys(storage, [userId], null)).get(userId);
      const devices = (keys?.devices ?? []).map((device) => ({
        device_id: device.deviceId,
        ...(device.keys ? { keys: device.keys } : {}),
        ...(shareDeviceNames && device.displayName !== null ? { device_display_name: device.displayName } : {}),
      }));
      return {
        user_id: userId,
        stream_id: stream?.broadcastId ?? 0,
        devices,
        ...(keys?.masterKey ? { master_key: keys.masterKey } : {}),
        ...(keys?.selfSigningKey ? { self_signing_key: keys.selfSigningKey } : {}),
      };
    },
  };
}
