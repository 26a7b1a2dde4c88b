import { createHash } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { RecentlyUsed } from '../base/recently-used.ts';
import { unknownToken } from '../matrix/errors.ts';
import type { DeviceId, UserId } from '../matrix/ids.ts';
import type { AccountReads } from '../storage/contract/accounts.ts';
import type { Change } from '../storage/contract/changes.ts';
import type { Row } from '../storage/contract/commit.ts';
import type { Storage } from '../storage/contract/storage.ts';

/** Whom an access token stands for. */
export interface TokenOwner {
  readonly userId: UserId;
  readonly deviceId: DeviceId;
}

/** How long tokens last; null: until the device is signed out. */
export interface TokenLifetimes {
  /** Access tokens of clients that can refresh them. */
  readonly refreshableMs: number | null;
  /** Access tokens of clients that cannot. */
  readonly nonRefreshableMs: number | null;
  /** Refresh tokens, each counted from the refresh that gave it. */
  readonly refreshTokenMs: number | null;
}

/** What a client is given to sign its requests with. */
export interface Grant {
  readonly accessToken: string;
  readonly refreshToken?: string;
  /** Absent where the access token does not end by itself. */
  readonly expiresInMs?: number;
}

export interface Tokens {
  /**
   * Undefined for a token that was never given or is no longer good. Rejects with M_UNKNOWN_TOKEN and `soft_logout` for one that
   * ended by itself. No promise where it is known already. The first use of a refreshed token ends those that it replaces.
   */
  findOwner(token: string): TokenOwner | undefined | Promise<TokenOwner | undefined>;
  /** New tokens of the device and their rows: they are good once these are committed. */
  decideGrant(owner: TokenOwner, refreshable: boolean): { grant: Grant; rows: Row[] };
  /**
   * A new pair of tokens. The old refresh token stays good until one of the new pair is used: "This ensures that if a client
   * fails to receive or persist the new tokens, it will be able to repeat the refresh operation" (client-server API,
   * "Refreshing access tokens"). Throws M_UNKNOWN_TOKEN, with `soft_logout` for a token that ended by itself.
   */
  refresh(refreshToken: string): Promise<Grant>;
  /** Forgets what these changes ended. A wake: told of every commit before the committing call resolves. */
  onChanges(changes: readonly Change[]): void;
}

interface KnownOwner {
  readonly owner: TokenOwner;
  readonly generation: number;
  readonly expiresAtMs: number | null;
}

/** Owners kept in memory by their tokens; those longest unused are read again from storage. */
const ownersMax = 50_000;
const tokenLength = 43;

export function createTokens(deps: {
  storage: { accounts: AccountReads; commit: Storage['commit'] };
  lifetimes: TokenLifetimes;
  random: Random;
  clock: Clock;
}): Tokens {
  const { storage, lifetimes, clock } = deps;
  const owners = new RecentlyUsed<string, KnownOwner>({ max: ownersMax });
  // Counts the removals: an answer that was read before one of them must not be kept.
  let removals = 0;

  function forget(ends: (known: KnownOwner) => boolean): void {
    removals += 1;
    owners.deleteWhere(ends);
  }

  function create(): { token: string; tokenHash: string } {
    const token = deps.random.token(tokenLength);
    return { token, tokenHash: hashToken(token) };
  }

  function isAlive(expiresAtMs: number | null): boolean {
    return expiresAtMs === null || clock.now() < expiresAtMs;
  }

  function checkAlive(expiresAtMs: number | null): void {
    if (!isAlive(expiresAtMs)) throw unknownToken('The token has expired', true);
  }

  async function find(token: string): Promise<KnownOwner | undefined> {
    const tokenHash = hashToken(token);
    const removalsBefore = removals;
    const row = await storage.accounts.findAccessToken(tokenHash);
    if (!row) return undefined;
    const { userId, deviceId, generation, expiresAtMs } = row;
    checkAlive(expiresAtMs);
    if (row.supersedesOlder) {
      await storage.commit({
        rows: [{ kind: 'tokens_superseded', userId, deviceId, generation }],
        expect: [{ kind: 'access_token_known', tokenHash }],
      });
      return find(token);
    }
    const known: KnownOwner = { owner: { userId, deviceId }, generation, expiresAtMs };
    if (removals === removalsBefore) owners.set(token, known);
    return known;
  }

  function decidePair(owner: TokenOwner, generation: number): { grant: Grant; rows: Row[] } {
    const [access, refresh] = [create(), create()];
    const createdAtMs = clock.now();
    const common = { ...owner, generation, createdAtMs };
    const accessExpiresAtMs = endOf(createdAtMs, lifetimes.refreshableMs);
    const refreshExpiresAtMs = endOf(createdAtMs, lifetimes.refreshTokenMs);
    return {
      grant: {
        accessToken: access.token,
        refreshToken: refresh.token,
        ...(lifetimes.refreshableMs === null ? {} : { expiresInMs: lifetimes.refreshableMs }),
      },
      rows: [
        { kind: 'access_token', tokenHash: access.tokenHash, ...common, expiresAtMs: accessExpiresAtMs },
        { kind: 'refresh_token', tokenHash: refresh.tokenHash, ...common, expiresAtMs: refreshExpiresAtMs },
      ],
    };
  }

  return {
    findOwner(token) {
      const known = owners.get(token);
      // One that ended is read again, and refused there.
      if (known === undefined || !isAlive(known.expiresAtMs)) return find(token).then((found) => found?.owner);
      return known.owner;
    },

    decideGrant(owner, refreshable) {
      if (refreshable) return decidePair(owner, 1);
      const { token, tokenHash } = create();
      const createdAtMs = clock.now();
      const expiresAtMs = endOf(createdAtMs, lifetimes.nonRefreshableMs);
      return {
        grant: {
          accessToken: token,
          ...(lifetimes.nonRefreshableMs === null ? {} : { expiresInMs: lifetimes.nonRefreshableMs }),
        },
        rows: [{ kind: 'access_token', tokenHash, ...owner, generation: 0, createdAtMs, expiresAtMs }],
      };
    },

    async refresh(refreshToken) {
      const tokenHash = hashToken(refreshToken);
      const row = await storage.accounts.findRefreshToken(tokenHash);
      if (!row) throw unknownToken('The refresh token is not known');
      checkAlive(row.expiresAtMs);
      const { userId, deviceId, generation } = row;
      const { grant, rows } = decidePair({ userId, deviceId }, generation + 1);
      const result = await storage.commit({
        // What this token replaced is over, and so is a pair that it gave before and nobody used.
        rows: [{ kind: 'tokens_superseded', userId, deviceId, generation }, ...rows],
        expect: [{ kind: 'refresh_token_known', tokenHash }],
        durable: true,
      });
      if (result.outcome === 'conflict') throw unknownToken('The refresh token is not known');
      return grant;
    },

    onChanges(changes) {
      for (const change of changes) {
        if (change.kind === 'account_deactivated') {
          forget(({ owner }) => owner.userId === change.userId);
        } else if (change.kind === 'device_removed' || change.kind === 'access_tokens_removed') {
          const { userId, deviceId } = change;
          forget(({ owner }) => owner.userId === userId && (deviceId === null || owner.deviceId === deviceId));
        } else if (change.kind === 'tokens_superseded') {
          const { userId, deviceId, generation: kept } = change;
          forget(
            ({ owner, generation }) => owner.userId === userId && owner.deviceId === deviceId && generation !== kept,
          );
        }
      }
    },
  };
}

function endOf(startMs: number, lifetimeMs: number | null): number | null {
  return lifetimeMs === null ? null : startMs + lifetimeMs;
}

/** Tokens hold more than 250 random bits, so a plain hash is as good as a slow one. */
function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
