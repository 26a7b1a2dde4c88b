import type { Credentials } from '../accounts/credentials.ts';
import { breathe } from '../base/breathe.ts';
import type { Log } from '../base/log.ts';
import { Background } from '../base/tasks/background.ts';
import { MatrixError } from '../matrix/errors.ts';
import type { UserId } from '../matrix/ids.ts';
import type { MembershipChanges } from '../rooms/local/membership.ts';
import type { Storage } from '../storage/contract/storage.ts';

export interface DeactivationDeps {
  readonly storage: { readonly accounts: Storage['accounts']; readonly rooms: Storage['rooms'] };
  readonly credentials: Pick<Credentials, 'deactivate'>;
  readonly membership: Pick<MembershipChanges, 'leaveForGood'>;
  readonly log: Log;
}

export interface Deactivation {
  /**
   * Ends the account for good and takes the user out of every room; invites and knocks are given back. Resolves when the
   * account is ended: the rooms follow, and after a stop the next start goes on with them.
   */
  deactivate(userId: UserId, options: { readonly erase: boolean }): Promise<void>;
  /** Goes on with what the last stop interrupted. */
  start(): Promise<void>;
  idle(): Promise<void>;
  stop(): Promise<void>;
}

const pageSize = 100;
/** A join that was under way when the account ended may come in behind the first round. */
const roundsMax = 3;

/** Deactivation commands accounts and rooms. What is still to be left is read from storage, so nothing is kept about it. */
export function createDeactivation(deps: DeactivationDeps): Deactivation {
  const { storage, log } = deps;
  const background = new Background({ log });

  function leaveInBackground(userId: UserId): void {
    background.run('leave rooms', (signal) => leaveAll(userId, signal));
  }

  async function leaveAll(userId: UserId, signal: AbortSignal): Promise<void> {
    for (let round = 0; round < roundsMax; round++) {
      const rooms = await storage.rooms.listMembershipsOfUser(userId, ['join', 'invite', 'knock']);
      if (rooms.length === 0) return;
      for (const { roomId } of rooms) {
        if (signal.aborted) return;
        try {
          await deps.membership.leaveForGood(roomId, userId);
        } catch (error) {
          // One room that does not let go keeps the user from leaving no other.
          if (!(error instanceof MatrixError)) throw error;
          log.info({ roomId, userId, reason: error.message }, 'a deactivated user could not leave a room');
        }
        await breathe();
      }
    }
  }

  return {
    async deactivate(userId, options) {
      await deps.credentials.deactivate(userId, options);
      leaveInBackground(userId);
    },

    async start() {
      for (let after: UserId | null = null; ; ) {
        const users: UserId[] = await storage.accounts.listDeparting(after, pageSize);
        for (const userId of users) leaveInBackground(userId);
        after = users.at(-1) ?? null;
        if (after === null || users.length < pageSize) return;
      }
    },

    idle: () => background.idle(),
    stop: () => background.stop(),
  };
}
