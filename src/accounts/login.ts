import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import type { RateLimit } from '../base/rate-limit.ts';
import { forbidden, limitExceeded, userDeactivated } from '../matrix/errors.ts';
import type { UserId } from '../matrix/ids.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { AccountReads } from '../storage/contract/accounts.ts';
import type { Storage } from '../storage/contract/storage.ts';
import { resolveLocalUser } from './identifier.ts';
import type { InOrder } from './in-order.ts';
import type { Passwords } from './passwords.ts';
import type { ShortTokens } from './short-tokens.ts';
import { type DeviceWish, decideSignIn, type SignedIn } from './sign-in.ts';
import type { Tokens } from './tokens.ts';

export interface LoginDeps {
  readonly storage: { readonly accounts: AccountReads; readonly commit: Storage['commit'] };
  readonly serverName: ServerName;
  readonly passwords: Passwords;
  readonly tokens: Tokens;
  readonly loginTokens: Pick<ShortTokens, 'take'>;
  /** Counts wrong passwords by user; null: any number may be tried. */
  readonly failedLogins: Pick<RateLimit, 'use' | 'giveBack'> | null;
  readonly inOrder: InOrder;
  readonly clock: Clock;
  readonly random: Random;
}

export interface Login {
  /**
   * Signs a device in. `user` is a full id or a localpart. Throws 403 M_FORBIDDEN alike for an unknown user and a wrong
   * password, taking the same time; M_USER_DEACTIVATED; M_LIMIT_EXCEEDED after too many wrong passwords, also for a right one.
   */
  byPassword(request: { user: string; password: string; device: DeviceWish }): Promise<{ userId: UserId } & SignedIn>;
  /** Signs a device in with a token that another device of the user asked for. Throws 403 M_FORBIDDEN, M_USER_DEACTIVATED. */
  byToken(request: { loginToken: string; device: DeviceWish }): Promise<{ userId: UserId } & SignedIn>;
  /** Signs in a device of a user for whom somebody else vouches. Throws 403 M_FORBIDDEN for nobody, M_USER_DEACTIVATED. */
  vouchedFor(request: { userId: UserId; device: DeviceWish }): Promise<{ userId: UserId } & SignedIn>;
  /** Whether this is the password of the active account. Throws M_LIMIT_EXCEEDED after too many that were not. */
  isPassword(userId: UserId, password: string): Promise<boolean>;
}

/** No user id is longer; what else is typed is cut, since it is kept for a while. */
const userLengthMax = 255;

const refusal = (): Error => forbidden('The user or the password is not right');

export function createLogin(deps: LoginDeps): Login {
  /** Each attempt is counted before it is made, so that many at once are no more than many; a right one is taken back. */
  async function verify(user: string, passwordHash: string | null | undefined, password: string): Promise<boolean> {
    const key = user.slice(0, userLengthMax);
    const answer = await deps.failedLogins?.use(key);
    if (answer?.outcome === 'limited') throw limitExceeded(answer.retryAfterMs);
    const matches = await deps.passwords.verify(passwordHash, password);
    if (matches) await deps.failedLogins?.giveBack(key);
    return matches;
  }

  async function signIn(userId: UserId, device: DeviceWish): Promise<{ userId: UserId } & SignedIn> {
    const { signedIn, rows } = await decideSignIn(deps, userId, device);
    await deps.storage.commit({ rows, durable: true });
    return { userId, ...signedIn };
  }

  return {
    async byPassword({ user, password, device }) {
      const userId = resolveLocalUser(user, deps.serverName);
      const account = userId && (await deps.storage.accounts.findAccount(userId));
      const matches = await verify(userId ?? user, account?.passwordHash, password);
      if (account && account.deactivatedAtMs !== null) throw userDeactivated('The account was deactivated');
      if (!userId || !account || !matches) throw refusal();
      return deps.inOrder(userId, async () => {
        // The password may have been changed, and the account deactivated, while the hash was computed.
        const now = await deps.storage.accounts.findAccount(userId);
        if (now?.passwordHash !== account.passwordHash || now.deactivatedAtMs !== null) throw refusal();
        return signIn(userId, device);
      });
    },

    async byToken({ loginToken, device }) {
      const owner = deps.loginTokens.take(loginToken);
      if (!owner) throw forbidden('The login token is not known, or no longer');
      const { userId } = owner;
      return deps.inOrder(userId, async () => {
        const account = await deps.storage.accounts.findAccount(userId);
        if (!account || account.deactivatedAtMs !== null) throw userDeactivated('The account was deactivated');
        return signIn(userId, device);
      });
    },

    vouchedFor({ userId, device }) {
      return deps.inOrder(userId, async () => {
        const account = await deps.storage.accounts.findAccount(userId);
        if (!account) throw forbidden('There is no such user');
        if (account.deactivatedAtMs !== null) throw userDeactivated('The account was deactivated');
        return signIn(userId, device);
      });
    },

    async isPassword(userId, password) {
      const account = await deps.storage.accounts.findAccount(userId);
      const matches = await verify(userId, account?.passwordHash, password);
      return matches && account !== undefined && account.deactivatedAtMs === null;
    },
  };
}
