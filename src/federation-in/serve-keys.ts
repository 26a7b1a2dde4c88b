import type { Clock } from '../base/clock.ts';
import { canonicalJson } from '../base/json/canonical-json.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { SigningKey } from '../signing/ed25519.ts';
import { signJson } from '../signing/sign-json.ts';

const validForMs = 24 * 3_600_000;

/** A key that signed for this server up to a moment, epoch milliseconds. */
export interface OldKey {
  readonly keyId: string;
  /** Unpadded base64. */
  readonly publicKey: string;
  readonly expiredAtMs: number;
}

/**
 * Our published keys (server-server API, "Publishing Keys") as canonical JSON, signed by the key they publish. Valid for a
 * day from when they were last made, and made anew when half of it is over, so that nobody caches them for less.
 */
export function createKeyServer(deps: {
  serverName: ServerName;
  key: SigningKey;
  oldKeys: readonly OldKey[];
  clock: Clock;
}): () => string {
  const { serverName, key, clock } = deps;
  // A key that signs is none of the old ones, whatever the configuration still says.
  const oldKeys = deps.oldKeys
    .filter(({ keyId }) => keyId !== key.keyId)
    .map(({ keyId, publicKey, expiredAtMs }) => [keyId, { key: publicKey, expired_ts: expiredAtMs }]);
  let text = '';
  let renewAtMs = Number.NEGATIVE_INFINITY;
  return () => {
    const nowMs = clock.now();
    if (nowMs < renewAtMs) return text;
    const keys = {
      server_name: serverName,
      verify_keys: { [key.keyId]: { key: key.publicKey } },
      old_verify_keys: Object.fromEntries(oldKeys),
      valid_until_ts: nowMs + validForMs,
    };
    text = canonicalJson(signJson(keys, { server: serverName, key }));
    renewAtMs = nowMs + validForMs / 2;
    return text;
  };
}
