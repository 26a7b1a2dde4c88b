import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { isObject } from '../engine/members.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import type { ServerName } from '../matrix/server-name.ts';
import { listSigningKeyIds, verifySignedJson } from '../signing/sign-json.ts';
import type { ServerKeyRow } from '../storage/contract/federation.ts';
import { parsePublishedKeys } from './published-keys.ts';

/** A server that is believed when it says what others published. */
export interface Notary {
  readonly server: ServerName;
  /** Key id → public key, unpadded base64; undefined: what it publishes itself. */
  readonly keys: ReadonlyMap<string, string> | undefined;
}

/** A key that something is to be verified with, and when that was signed. */
export interface WantedKey {
  readonly keyId: string;
  readonly validAtMs: number;
}

/** What notaries know of a server's keys: of each key the longest validity. Empty when none knows any; never rejects. */
export type AskNotaries = (server: ServerName, wanted: readonly WantedKey[]) => Promise<readonly ServerKeyRow[]>;

/** `POST /_matrix/key/v2/query`; `server_keys` of the answer. Rejects when there is none. */
export type QueryNotary = (notary: ServerName, query: JsonObject) => Promise<readonly unknown[]>;

export interface NotaryDeps {
  /** In the order in which they are asked. */
  readonly notaries: readonly Notary[];
  readonly queryNotary: QueryNotary;
  /** The key of a notary, from itself. */
  readonly getOwnersKey: (server: ServerName, keyId: string, validAtMs: number) => Promise<string | undefined>;
  readonly clock: Clock;
  readonly log: Log;
}

/** Objects of one answer that are looked at: current keys, and some retired ones. */
const objectsMax = 100;

/**
 * Server-server API, "Querying Keys Through Another Server": one after the other, until all that is wanted is there. What a notary passes
 * on counts only if it signed it, and if the server that the keys belong to signed it too: a notary cannot invent keys.
 */
export function createNotaries(deps: NotaryDeps): AskNotaries {
  const { notaries, clock, log } = deps;
  return async (server, wanted) => {
    const found = new Map<string, ServerKeyRow>();
    for (const notary of notaries) {
      if (notary.server === server) continue;
      try {
        const objects = await deps.queryNotary(notary.server, queryFor(server, wanted));
        for (const object of objects.slice(0, objectsMax)) {
          const isVouched = isObject(object) && (await isSignedBy(deps, notary, object));
          for (const row of (isVouched && parsePublishedKeys(object, server, clock.now())) || [])
            keepLonger(found, row);
        }
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        log.info({ server, notary: notary.server, reason }, 'no keys from this notary');
      }
      if (wanted.every(({ keyId, validAtMs }) => (found.get(keyId)?.validUntilMs ?? -1) >= validAtMs)) break;
    }
    return [...found.values()];
  };
}

function queryFor(server: ServerName, wanted: readonly WantedKey[]): JsonObject {
  const criteria = new Map<string, JsonObject>();
  for (const { keyId, validAtMs } of [...wanted].sort((a, b) => a.validAtMs - b.validAtMs)) {
    criteria.set(keyId, { minimum_valid_until_ts: validAtMs });
  }
  return { server_keys: { [server]: Object.fromEntries(criteria) } };
}

async function isSignedBy(deps: NotaryDeps, notary: Notary, object: JsonObject): Promise<boolean> {
  for (const keyId of listSigningKeyIds(object, notary.server)) {
    const key = notary.keys ? notary.keys.get(keyId) : await deps.getOwnersKey(notary.server, keyId, deps.clock.now());
    if (key !== undefined && verifySignedJson(object, notary.server, keyId, key)) return true;
  }
  return false;
}

function keepLonger(found: Map<string, ServerKeyRow>, row: ServerKeyRow): void {
  const known = found.get(row.keyId);
  if (!known || known.validUntilMs < row.validUntilMs) found.set(row.keyId, row);
}
