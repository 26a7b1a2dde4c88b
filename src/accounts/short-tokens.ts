import { LRUCache } from 'lru-cache';
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import type { Change } from '../storage/contract/changes.ts';
import type { TokenOwner } from './tokens.ts';

/**
 * Tokens that a signed-in device asks for, to be used by somebody else within minutes: another device that wants to sign in, or
 * a service that wants to know whose it is. They live in memory, so a restart ends them.
 */
export interface ShortTokens {
  create(owner: TokenOwner): { token: string; expiresInMs: number };
  /** Whose token it is; undefined when its time is over or its device was signed out. */
  find(token: string): TokenOwner | undefined;
  /** As `find`, and the token is spent. */
  take(token: string): TokenOwner | undefined;
  /** A wake: told of every commit before the committing call resolves. */
  onChanges(changes: readonly Change[]): void;
}

/** Past that the oldest is forgotten, and its client asks again. */
const tokensMax = 10_000;
const tokenLength = 43;

interface Given {
  readonly owner: TokenOwner;
  readonly endsAtMs: number;
}

export function createShortTokens(deps: { clock: Clock; random: Random; lifetimeMs: number }): ShortTokens {
  const given = new LRUCache<string, Given>({ max: tokensMax });

  function end(ends: (owner: TokenOwner) => boolean): void {
    for (const [token, { owner }] of [...given.entries()]) if (ends(owner)) given.delete(token);
  }

  function find(token: string): TokenOwner | undefined {
    const found = given.get(token);
    return found && found.endsAtMs > deps.clock.monotonic() ? found.owner : undefined;
  }

  return {
    find,

    create(owner) {
      const token = deps.random.token(tokenLength);
      given.set(token, { owner, endsAtMs: deps.clock.monotonic() + deps.lifetimeMs });
      return { token, expiresInMs: deps.lifetimeMs };
    },

    take(token) {
      const owner = find(token);
      given.delete(token);
      return owner;
    },

    onChanges(changes) {
      for (const change of changes) {
        if (change.kind === 'account_deactivated') end(({ userId }) => userId === change.userId);
        else if (change.kind === 'device_removed' || change.kind === 'access_tokens_removed') {
          const { userId, deviceId } = change;
          end((owner) => owner.userId === userId && (deviceId === null || owner.deviceId === deviceId));
        }
      }
    },
  };
}
