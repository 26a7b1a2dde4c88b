import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Random } from '../base/random.ts';
import type { DeviceId, UserId } from '../matrix/ids.ts';
import type { AccountReads } from '../storage/contract/accounts.ts';
import type { Change } from '../storage/contract/changes.ts';

/** Whom an access token stands for. */
export interface TokenOwner {
  readonly userId: UserId;
  readonly deviceId: DeviceId;
}

export interface Tokens {
  /** Undefined for a token that was never given or is no longer good. */
  findOwner(token: string): Promise<TokenOwner | undefined>;
  /** A new token. It is good once its `access_token` row is committed. */
  create(): { token: string; tokenHash: string };
  /** Forgets what these changes ended. A wake: told of every commit before the committing call resolves. */
  onChanges(changes: readonly Change[]): void;
}

/** Owners kept in memory; the least recently used is read again from storage. */
const ownersMax = 10_000;
const tokenLength = 43;

export function createTokens(deps: { storage: { accounts: AccountReads }; random: Random }): Tokens {
  const owners = new LRUCache<string, TokenOwner>({ max: ownersMax });
  // Counts the removals: an answer that was read before one of them must not be kept.
  let removals = 0;

  function forget(ends: (owner: TokenOwner) => boolean): void {
    removals += 1;
    for (const [tokenHash, owner] of [...owners.entries()]) {
      if (ends(owner)) owners.delete(tokenHash);
    }
  }

  return {
    async findOwner(token) {
      const tokenHash = hashToken(token);
      const known = owners.get(tokenHash);
      if (known) return known;
      const removalsBefore = removals;
      const row = await deps.storage.accounts.findAccessToken(tokenHash);
      if (!row) return undefined;
      const owner: TokenOwner = { userId: row.userId, deviceId: row.deviceId };
      if (removals === removalsBefore) owners.set(tokenHash, owner);
      return owner;
    },

    create() {
      const token = deps.random.token(tokenLength);
      return { token, tokenHash: hashToken(token) };
    },

    onChanges(changes) {
      for (const change of changes) {
        if (change.kind === 'account_deactivated') {
          forget((owner) => owner.userId === change.userId);
        } else if (change.kind === 'device_removed' || change.kind === 'access_tokens_removed') {
          const { userId, deviceId } = change;
          forget((owner) => owner.userId === userId && (deviceId === null || owner.deviceId === deviceId));
        }
      }
    },
  };
}

/** Tokens hold more than 250 random bits, so a plain hash is as good as a slow one. */
function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
