import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import type { DeviceId, UserId } from '../matrix/ids.ts';
import type { AccountReads } from '../storage/contract/accounts.ts';
import type { Row } from '../storage/contract/commit.ts';
import { rowsForNewDevice } from './devices.ts';
import type { Grant, Tokens } from './tokens.ts';

/** What a client may say of the device that it registers or logs in. */
export interface DeviceWish {
  readonly deviceId?: string | undefined;
  /** Ignored for a device that is known. */
  readonly displayName?: string | undefined;
  /** Whether the client can refresh its tokens. */
  readonly refreshable?: boolean | undefined;
}

export interface SignedIn {
  readonly deviceId: DeviceId;
  readonly grant: Grant;
}

/**
 * The rows that give a device new tokens. "If the client sets the device_id, the server will invalidate any access and
 * refresh tokens previously assigned to that device" (client-server API, "Relationship between access tokens and devices").
 */
export async function decideSignIn(
  deps: { storage: { accounts: AccountReads }; tokens: Tokens; random: Random; clock: Clock },
  userId: UserId,
  wish: DeviceWish,
): Promise<{ signedIn: SignedIn; rows: Row[] }> {
  const known = wish.deviceId ? await deps.storage.accounts.findDevice(userId, wish.deviceId as DeviceId) : undefined;
  const deviceId = known?.deviceId ?? ((wish.deviceId || deps.random.token(10).toUpperCase()) as DeviceId);
  const { grant, rows } = deps.tokens.decideGrant({ userId, deviceId }, wish.refreshable ?? false);
  const device: Row[] = known
    ? [{ kind: 'access_tokens_removed', userId, deviceId }]
    : await rowsForNewDevice({ accounts: deps.storage.accounts, clock: deps.clock }, userId, {
        deviceId,
        displayName: wish.displayName ?? null,
      });
  return {
    signedIn: { deviceId, grant },
    rows: [...device, ...rows],
  };
}
