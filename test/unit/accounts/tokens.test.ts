import { describe, expect, it } from 'vitest';
import { createTokens } from '../../../src/accounts/tokens.ts';
import { systemRandom } from '../../../src/base/random.ts';
import type { DeviceId, UserId } from '../../../src/matrix/ids.ts';
import type { AccessTokenRow, AccountReads } from '../../../src/storage/contract/accounts.ts';

const userId = '@alice:a.test' as UserId;
const deviceId = 'PHONE' as DeviceId;

function setUp() {
  const rows = new Map<string, AccessTokenRow>();
  let reads = 0;
  let beforeAnswer: () => Promise<void> = async () => {};
  const accounts = {
    async findAccessToken(tokenHash: string) {
      reads += 1;
      const row = rows.get(tokenHash);
      await beforeAnswer();
      return row;
    },
  } as AccountReads;
  const tokens = createTokens({ storage: { accounts }, random: systemRandom });
  return {
    rows,
    tokens,
    reads: () => reads,
    beforeAnswer(task: () => Promise<void>) {
      beforeAnswer = task;
    },
    give(device: DeviceId = deviceId) {
      const { token, tokenHash } = tokens.create();
      rows.set(tokenHash, { tokenHash, userId, deviceId: device, createdAtMs: 0 });
      return { token, tokenHash };
    },
  };
}

describe('tokens', () => {
  it('are long, random, and stored by their SHA-256', () => {
    const { tokens } = setUp();
    const first = tokens.create();
    expect(first.token).toMatch(/^[A-Za-z0-9]{43}$/);
    expect(first.tokenHash).toMatch(/^[0-9a-f]{64}$/);
    expect(tokens.create().token).not.toBe(first.token);
  });

  it('are looked up in storage once', async () => {
    const world = setUp();
    const { token } = world.give();
    expect(await world.tokens.findOwner(token)).toEqual({ userId, deviceId });
    expect(await world.tokens.findOwner(token)).toEqual({ userId, deviceId });
    expect(world.reads()).toBe(1);
  });

  it('that are unknown are looked up each time, so that a new one is good at once', async () => {
    const world = setUp();
    expect(await world.tokens.findOwner('unknown')).toBeUndefined();
    expect(await world.tokens.findOwner('unknown')).toBeUndefined();
    expect(world.reads()).toBe(2);
  });

  it.each([
    ['the device is removed', { kind: 'device_removed', userId, deviceId }],
    ['its tokens are removed', { kind: 'access_tokens_removed', userId, deviceId }],
    ['all tokens are removed', { kind: 'access_tokens_removed', userId, deviceId: null }],
    ['the account is deactivated', { kind: 'account_deactivated', userId }],
  ] as const)('are forgotten when %s', async (_, change) => {
    const world = setUp();
    const { token, tokenHash } = world.give();
    await world.tokens.findOwner(token);
    world.rows.delete(tokenHash);
    world.tokens.onChanges([change]);
    expect(await world.tokens.findOwner(token)).toBeUndefined();
  });

  it('of other devices and users are kept', async () => {
    const world = setUp();
    const { token } = world.give();
    await world.tokens.findOwner(token);
    world.tokens.onChanges([
      { kind: 'device_removed', userId, deviceId: 'OTHER' as DeviceId },
      { kind: 'account_deactivated', userId: '@bob:a.test' as UserId },
    ]);
    await world.tokens.findOwner(token);
    expect(world.reads()).toBe(1);
  });

  it('that end while they are looked up are not kept', async () => {
    const world = setUp();
    const { token, tokenHash } = world.give();
    world.beforeAnswer(async () => {
      world.rows.delete(tokenHash);
      world.tokens.onChanges([{ kind: 'device_removed', userId, deviceId }]);
    });
    await world.tokens.findOwner(token);
    expect(await world.tokens.findOwner(token)).toBeUndefined();
  });
});
