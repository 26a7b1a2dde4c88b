import { describe, expect, it } from 'vitest';
import { createTokens, type TokenLifetimes } from '../../../src/accounts/tokens.ts';
import { systemRandom } from '../../../src/base/random.ts';
import type { DeviceId, UserId } from '../../../src/matrix/ids.ts';
import type { Storage } from '../../../src/storage/contract/storage.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { openTestStorage } from '../../support/storage.ts';

const userId = '@alice:a.test' as UserId;
const deviceId = 'PHONE' as DeviceId;
const owner = { userId, deviceId };
const forever: TokenLifetimes = { refreshableMs: null, nonRefreshableMs: null, refreshTokenMs: null };

async function setUp(lifetimes: Partial<TokenLifetimes> = {}) {
  const clock = new ManualClock();
  const storage = await openTestStorage(clock);
  let reads = 0;
  let beforeAnswer: () => Promise<void> = async () => {};
  const watched: Pick<Storage, 'accounts' | 'commit'> = {
    accounts: {
      ...storage.accounts,
      async findAccessToken(tokenHash) {
        reads += 1;
        const row = await storage.accounts.findAccessToken(tokenHash);
        await beforeAnswer();
        return row;
      },
    },
    commit: storage.commit,
  };
  const tokens = createTokens({
    storage: watched,
    lifetimes: { ...forever, ...lifetimes },
    random: systemRandom,
    clock,
  });
  storage.onCommit(tokens.onChanges);
  return {
    clock,
    storage,
    tokens,
    reads: () => reads,
    beforeAnswer(task: () => Promise<void>) {
      beforeAnswer = task;
    },
    async grant({ refreshable = false, device = deviceId } = {}) {
      const { grant, rows } = tokens.decideGrant({ userId, deviceId: device }, refreshable);
      await storage.commit({ rows });
      return { refreshToken: '', ...grant };
    },
    async isGood(token: string) {
      return (await tokens.findOwner(token)) !== undefined;
    },
  };
}

const softLogout = (soft: boolean) => ({ status: 401, errcode: 'M_UNKNOWN_TOKEN', fields: { soft_logout: soft } });

describe('tokens', () => {
  it('are long, random, and stored by their SHA-256', async () => {
    const { tokens, storage } = await setUp();
    const { grant, rows } = tokens.decideGrant(owner, true);
    expect(grant.accessToken).toMatch(/^[A-Za-z0-9]{43}$/);
    expect(grant.refreshToken).toMatch(/^[A-Za-z0-9]{43}$/);
    expect(
      new Set([grant.accessToken, grant.refreshToken, tokens.decideGrant(owner, false).grant.accessToken]).size,
    ).toBe(3);
    expect(rows).toMatchObject([
      { kind: 'access_token', tokenHash: expect.stringMatching(/^[0-9a-f]{64}$/) },
      { kind: 'refresh_token', tokenHash: expect.stringMatching(/^[0-9a-f]{64}$/) },
    ]);
    await storage.commit({ rows });
    expect(await storage.accounts.findAccessToken(grant.accessToken)).toBeUndefined();
  });

  it('are looked up in storage once', async () => {
    const world = await setUp();
    const { accessToken } = await world.grant();
    expect(await world.tokens.findOwner(accessToken)).toEqual(owner);
    expect(await world.tokens.findOwner(accessToken)).toEqual(owner);
    expect(world.reads()).toBe(1);
  });

  it('that are unknown are looked up each time, so that a new one is good at once', async () => {
    const world = await setUp();
    expect(await world.tokens.findOwner('unknown')).toBeUndefined();
    expect(await world.tokens.findOwner('unknown')).toBeUndefined();
    expect(world.reads()).toBe(2);
  });

  it.each([
    ['the device is removed', { kind: 'device_removed', userId, deviceId }],
    ['its tokens are removed', { kind: 'access_tokens_removed', userId, deviceId }],
    ['all tokens are removed', { kind: 'access_tokens_removed', userId, deviceId: null }],
  ] as const)('are forgotten when %s', async (_, row) => {
    const world = await setUp();
    const { accessToken, refreshToken } = await world.grant({ refreshable: true });
    await world.tokens.findOwner(accessToken);
    await world.storage.commit({ rows: [row] });
    expect(await world.isGood(accessToken)).toBe(false);
    await expect(world.tokens.refresh(refreshToken)).rejects.toMatchObject(softLogout(false));
  });

  it('are forgotten when the account is deactivated', async () => {
    const world = await setUp();
    const { accessToken } = await world.grant();
    await world.tokens.findOwner(accessToken);
    world.tokens.onChanges([{ kind: 'account_deactivated', userId }]);
    await world.tokens.findOwner(accessToken);
    expect(world.reads()).toBe(2);
  });

  it('of other devices and users are kept', async () => {
    const world = await setUp();
    const { accessToken } = await world.grant();
    await world.tokens.findOwner(accessToken);
    world.tokens.onChanges([
      { kind: 'device_removed', userId, deviceId: 'OTHER' as DeviceId },
      { kind: 'account_deactivated', userId: '@bob:a.test' as UserId },
      { kind: 'tokens_superseded', userId, deviceId: 'OTHER' as DeviceId, generation: 5 },
    ]);
    await world.tokens.findOwner(accessToken);
    expect(world.reads()).toBe(1);
  });

  it('that end while they are looked up are not kept', async () => {
    const world = await setUp();
    const { accessToken } = await world.grant();
    world.beforeAnswer(async () => {
      await world.storage.commit({ rows: [{ kind: 'device_removed', userId, deviceId }] });
    });
    await world.tokens.findOwner(accessToken);
    expect(await world.isGood(accessToken)).toBe(false);
  });

  it('end by themselves where a lifetime says so, and not a moment before', async () => {
    const world = await setUp({ refreshableMs: 1_000, nonRefreshableMs: 5_000 });
    const refreshable = await world.grant({ refreshable: true });
    const plain = await world.grant({ device: 'LAPTOP' as DeviceId });
    expect([refreshable.expiresInMs, plain.expiresInMs]).toEqual([1_000, 5_000]);
    await world.clock.advance(999);
    expect(await world.isGood(refreshable.accessToken)).toBe(true);
    await world.clock.advance(1);
    await expect(world.tokens.findOwner(refreshable.accessToken)).rejects.toMatchObject(softLogout(true));
    expect(await world.isGood(plain.accessToken)).toBe(true);
    await world.clock.advance(4_000);
    await expect(world.tokens.findOwner(plain.accessToken)).rejects.toMatchObject(softLogout(true));
  });

  it('say nothing of an end where there is none', async () => {
    const world = await setUp();
    expect((await world.grant({ refreshable: true })).expiresInMs).toBeUndefined();
    expect(await world.grant()).not.toHaveProperty('expiresInMs');
  });
});

describe('a refresh', () => {
  it('gives a new pair for the same device, also when the old access token has ended', async () => {
    const world = await setUp({ refreshableMs: 1_000 });
    const first = await world.grant({ refreshable: true });
    await world.clock.advance(2_000);
    const second = await world.tokens.refresh(first.refreshToken);
    expect(second.expiresInMs).toBe(1_000);
    expect(await world.tokens.findOwner(second.accessToken)).toEqual(owner);
  });

  it('leaves the old tokens good until one of the new ones is used', async () => {
    const world = await setUp();
    const first = await world.grant({ refreshable: true });
    expect(await world.isGood(first.accessToken)).toBe(true);
    const lost = await world.tokens.refresh(first.refreshToken);
    expect(await world.isGood(first.accessToken)).toBe(true);
    const second = await world.tokens.refresh(first.refreshToken);
    expect(await world.isGood(first.accessToken)).toBe(true);
    expect(await world.isGood(lost.accessToken)).toBe(false);
    await expect(world.tokens.refresh(lost.refreshToken ?? '')).rejects.toMatchObject(softLogout(false));

    expect(await world.isGood(second.accessToken)).toBe(true);
    expect(await world.isGood(first.accessToken)).toBe(false);
    await expect(world.tokens.refresh(first.refreshToken)).rejects.toMatchObject(softLogout(false));
    expect(await world.isGood(second.accessToken)).toBe(true);
  });

  it('counts a refresh with the new refresh token as its use', async () => {
    const world = await setUp();
    const first = await world.grant({ refreshable: true });
    const second = await world.tokens.refresh(first.refreshToken);
    const third = await world.tokens.refresh(second.refreshToken ?? '');
    await expect(world.tokens.refresh(first.refreshToken)).rejects.toMatchObject(softLogout(false));
    expect(await world.isGood(first.accessToken)).toBe(false);
    expect(await world.isGood(second.accessToken)).toBe(true);
    expect(await world.isGood(third.accessToken)).toBe(true);
    expect(await world.isGood(second.accessToken)).toBe(false);
  });

  it('ends nothing of other devices', async () => {
    const world = await setUp();
    const other = await world.grant({ refreshable: true, device: 'LAPTOP' as DeviceId });
    const first = await world.grant({ refreshable: true });
    const second = await world.tokens.refresh(first.refreshToken);
    await world.isGood(second.accessToken);
    expect(await world.isGood(other.accessToken)).toBe(true);
    expect((await world.tokens.refresh(other.refreshToken)).accessToken).toBeDefined();
  });

  it('does not take an access token, nor a refresh token for an access token', async () => {
    const world = await setUp();
    const { accessToken, refreshToken } = await world.grant({ refreshable: true });
    await expect(world.tokens.refresh(accessToken)).rejects.toMatchObject(softLogout(false));
    expect(await world.isGood(refreshToken)).toBe(false);
  });

  it('comes too late for a token whose time is over, and every refresh starts that time anew', async () => {
    const world = await setUp({ refreshTokenMs: 1_000 });
    const first = await world.grant({ refreshable: true });
    await world.clock.advance(999);
    const second = await world.tokens.refresh(first.refreshToken);
    await world.clock.advance(999);
    const third = await world.tokens.refresh(second.refreshToken ?? '');
    await world.clock.advance(1_000);
    await expect(world.tokens.refresh(third.refreshToken ?? '')).rejects.toMatchObject(softLogout(true));
  });

  it('gives only one of two that come at once a pair that lasts', async () => {
    const world = await setUp();
    const { refreshToken } = await world.grant({ refreshable: true });
    const pairs = await Promise.all([world.tokens.refresh(refreshToken), world.tokens.refresh(refreshToken)]);
    const good = await Promise.all(pairs.map(({ accessToken }) => world.isGood(accessToken)));
    expect(good).toEqual([false, true]);
  });

  it('fails when the device is signed out meanwhile', async () => {
    const world = await setUp();
    const { refreshToken } = await world.grant({ refreshable: true });
    const [refreshed] = await Promise.allSettled([
      world.tokens.refresh(refreshToken),
      world.storage.commit({ rows: [{ kind: 'device_removed', userId, deviceId }] }),
    ]);
    expect(refreshed).toMatchObject({ status: 'rejected', reason: softLogout(false) });
  });
});
