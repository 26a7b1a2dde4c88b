import { createHmac, timingSafeEqual } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { forbidden, invalidParam, unrecognized } from '../matrix/errors.ts';
import type { UserId } from '../matrix/ids.ts';
import type { Registration } from './registration.ts';
import type { SignedIn } from './sign-in.ts';

export interface SharedSecretRequest {
  readonly nonce: string;
  readonly username: string;
  readonly password: string;
  readonly displayName: string | undefined;
  readonly admin: boolean;
  /** HMAC-SHA1 over nonce, username, password and `admin` or `notadmin`, a zero byte between them; hex. */
  readonly mac: string;
}

/**
 * Accounts for who knows the secret of the configuration, be registration open or closed: the protocol of Synapse's
 * `register_new_matrix_user`, which tools speak already. Without a secret nothing of it is there.
 */
export interface SharedSecretRegistration {
  /** A word for one request within a minute. Throws M_UNRECOGNIZED where there is no secret. */
  createNonce(): string;
  /** Throws M_UNRECOGNIZED, M_INVALID_PARAM for a nonce that is not, not any more or was used, M_FORBIDDEN, and as a registration does. */
  register(request: SharedSecretRequest): Promise<{ userId: UserId; signedIn: SignedIn }>;
}

const nonceMs = 60_000;
const noncesMax = 1_000;
const nonceLength = 43;

export function createSharedSecretRegistration(deps: {
  readonly secret: string | null;
  readonly registration: Pick<Registration, 'registerTrusted'>;
  readonly clock: Clock;
  readonly random: Random;
}): SharedSecretRegistration {
  const { secret, clock, random } = deps;
  const nonces = new LRUCache<string, { endsAtMs: number }>({ max: noncesMax });

  function getSecret(): string {
    if (secret === null) throw unrecognized('This server has no secret for registration');
    return secret;
  }

  return {
    createNonce() {
      getSecret();
      const nonce = random.token(nonceLength);
      nonces.set(nonce, { endsAtMs: clock.monotonic() + nonceMs });
      return nonce;
    },

    async register({ nonce, username, password, displayName, admin, mac }) {
      const key = getSecret();
      const given = nonces.get(nonce);
      nonces.delete(nonce);
      if (!given || given.endsAtMs <= clock.monotonic()) throw invalidParam("'nonce': is not one of ours, or too old");
      if (/\0/.test(`${username}${password}`)) throw invalidParam('A name or a password holds no zero byte');
      const text = [nonce, username, password, admin ? 'admin' : 'notadmin'].join('\0');
      const expected = createHmac('sha1', key).update(text).digest();
      const claimed = Buffer.from(/^[0-9a-f]{40}$/i.test(mac) ? mac : '', 'hex');
      if (claimed.length !== expected.length || !timingSafeEqual(claimed, expected)) {
        throw forbidden("'mac': does not fit the request and the secret");
      }
      return deps.registration.registerTrusted({ username, password, admin, displayName });
    },
  };
}
