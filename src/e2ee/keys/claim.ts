import type { Clock } from '../../base/clock.ts';
import { groupBy } from '../../base/group-by.ts';
import type { FederationRequests } from '../../federation-out/requests-contract.ts';
import { type DeviceId, serverOfUser, type UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { KeyWish } from '../../storage/contract/one-time-keys.ts';
import { askServers, type KeyFailures } from './by-server.ts';
import { parseKey } from './device-keys.ts';
import type { OneTimeKey } from './key-shapes.ts';
import type { OneTimeKeyClaims } from './one-time-keys.ts';
import { parseClaimedKey } from './remote-answers.ts';

/** User → device → `<algorithm>:<key id>` → key. */
export type ClaimedKeys = Record<string, Record<string, Record<string, OneTimeKey>>>;

export interface KeyClaims {
  /** `POST /keys/claim`: one key for each wish, of our users here and of others from their servers. */
  claim(
    wishes: readonly KeyWish[],
    timeoutMs: number | undefined,
  ): Promise<{ one_time_keys: ClaimedKeys; failures: KeyFailures }>;
  /** For another server, of our users only. */
  claimOwn(wishes: readonly KeyWish[]): Promise<{ one_time_keys: ClaimedKeys }>;
}

interface Claimed {
  readonly wish: KeyWish;
  readonly id: string;
  readonly key: OneTimeKey;
}

export function createKeyClaims(deps: {
  readonly serverName: ServerName;
  readonly claims: OneTimeKeyClaims;
  readonly requests: Pick<FederationRequests, 'claimUserKeys'>;
  readonly clock: Clock;
}): KeyClaims {
  async function claimHere(wishes: readonly KeyWish[]): Promise<Claimed[]> {
    if (wishes.length === 0) return [];
    const keys = await deps.claims.claim(wishes);
    return wishes.flatMap((wish, index) => {
      const key = keys[index];
      return key ? [{ wish, id: `${key.algorithm}:${key.keyId}`, key: parseKey(key.key) }] : [];
    });
  }

  return {
    async claim(wishes, timeoutMs) {
      const byServer = groupBy(wishes, ({ userId }) => serverOfUser(userId));
      const claimed = await claimHere(byServer.get(deps.serverName) ?? []);
      byServer.delete(deps.serverName);
      const failures = await askServers(byServer, { timeoutMs, clock: deps.clock }, async (server, wanted, leftMs) => {
        const answer = await deps.requests.claimUserKeys(server, contentOf(wanted), leftMs);
        for (const wish of wanted) {
          const found = parseClaimedKey(answer, wish);
          if (found) claimed.push({ wish, ...found });
        }
      });
      return { one_time_keys: present(claimed), failures };
    },
    async claimOwn(wishes) {
      return { one_time_keys: present(await claimHere(wishes)) };
    },
  };
}

function contentOf(wishes: readonly KeyWish[]): JsonObject {
  const ofUsers = groupBy(wishes, ({ userId }) => userId);
  return Object.fromEntries(
    [...ofUsers].map(([userId, ofUser]) => [
      userId,
      Object.fromEntries(ofUser.map(({ deviceId, algorithm }) => [deviceId, algorithm])),
    ]),
  );
}

function present(claimed: readonly Claimed[]): ClaimedKeys {
  const ofUsers = groupBy(claimed, ({ wish }) => wish.userId);
  return Object.fromEntries(
    [...ofUsers].map(([userId, ofUser]): [UserId, ClaimedKeys[string]] => [
      userId,
      Object.fromEntries(
        ofUser.map(({ wish, id, key }): [DeviceId, Record<string, OneTimeKey>] => [
          wish.deviceId,
          Object.fromEntries([[id, key]]),
        ]),
      ),
    ]),
  );
}
