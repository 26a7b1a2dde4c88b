import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import type { DeviceId, UserId } from '../matrix/ids.ts';
import type { AccountReads, AccountRow } from '../storage/contract/accounts.ts';
import type { Row } from '../storage/contract/commit.ts';
import type { Storage } from '../storage/contract/storage.ts';
import { rowsToRemoveDevices } from './devices.ts';
import type { InOrder } from './in-order.ts';
import type { Passwords } from './passwords.ts';

export interface Credentials {
  /**
   * Sets a new password; with `logoutDevices` every device but `keep` is removed in the same commit. The caller has
   * authenticated the request. Throws M_WEAK_PASSWORD.
   */
  changePassword(change: {
    userId: UserId;
    keep: DeviceId | null;
    newPassword: string;
    logoutDevices: boolean;
  }): Promise<void>;
  /**
   * Ends the account for good: no password, no device, no token; the id stays taken. With `erase` also no profile and no
   * account data. The caller has authenticated it, and sees to the rooms.
   */
  deactivate(userId: UserId, options: { readonly erase: boolean }): Promise<void>;
}

export function createCredentials(deps: {
  storage: { accounts: AccountReads; commit: Storage['commit'] };
  passwords: Passwords;
  inOrder: InOrder;
  clock: Clock;
  /** What others must be told, and still know after a crash, because the account ended. */
  rowsForDeactivation: (userId: UserId) => Promise<readonly Row[]>;
}): Credentials {
  const { accounts } = deps.storage;

  async function getAccount(userId: UserId): Promise<AccountRow> {
    const account = await accounts.findAccount(userId);
    assert(account, 'a user with a device has an account');
    return account;
  }

  return {
    async changePassword({ userId, keep, newPassword, logoutDevices }) {
      const passwordHash = await deps.passwords.hash(newPassword);
      await deps.inOrder(userId, async () => {
        const account = await getAccount(userId);
        const removals = logoutDevices ? await rowsToRemoveDevices(accounts, userId, keep) : [];
        await deps.storage.commit({
          rows: [{ kind: 'account', ...account, passwordHash }, ...removals],
          durable: true,
        });
      });
    },

    async deactivate(userId, { erase }) {
      await deps.inOrder(userId, async () => {
        const account = await getAccount(userId);
        const deactivatedAtMs = account.deactivatedAtMs ?? deps.clock.now();
        await deps.storage.commit({
          rows: [
            { kind: 'account', ...account, passwordHash: null, deactivatedAtMs },
            { kind: 'access_tokens_removed', userId, deviceId: null },
            ...(await rowsToRemoveDevices(accounts, userId, null)),
            ...(await deps.rowsForDeactivation(userId)),
            ...(erase ? rowsToErase(userId) : []),
          ],
          durable: true,
        });
      });
    },
  };
}

/** "The server should additionally erase any non-event data associated with the user" (client-server API, "Account deactivation"). */
function rowsToErase(userId: UserId): Row[] {
  return [
    { kind: 'account_erased', userId },
    { kind: 'profile', userId, displayname: null, avatarUrl: null },
  ];
}
