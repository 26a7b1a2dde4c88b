import { canonicalJson } from '../base/canonical-json.ts';
import type { Clock } from '../base/clock.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { SigningKey } from '../signing/ed25519.ts';
import { signJson } from '../signing/sign-json.ts';

const validForMs = 24 * 3_600_000;

/**
 * Our published keys (server-server API, "Publishing Keys") as canonical JSON, signed by the key they publish. Valid for a
 * day from when they were last made, and made anew when half of it is over, so that nobody caches them for less.
 */
export function createKeyServer(deps: { serverName: ServerName; key: SigningKey; clock: Clock }): () => string {
  const { serverName, key, clock } = deps;
  let text = '';
  let renewAtMs = Number.NEGATIVE_INFINITY;
  return () => {
    const nowMs = clock.now();
    if (nowMs < renewAtMs) return text;
    const keys = {
      server_name: serverName,
      verify_keys: { [key.keyId]: { key: key.publicKey } },
      old_verify_keys: {},
      valid_until_ts: nowMs + validForMs,
    };
    text = canonicalJson(signJson(keys, { server: serverName, key }));
    renewAtMs = nowMs + validForMs / 2;
    return text;
  };
}
