import { breathe } from '../../base/breathe.ts';
import { groupBy } from '../../base/group-by.ts';
import { isObject } from '../../engine/members.ts';
import type { DeviceId, UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { CrossSigningUsage, KeySignatureRow } from '../../storage/contract/cross-signing.ts';
import type { Storage } from '../../storage/contract/storage.ts';

export interface UserDevice {
  readonly deviceId: DeviceId;
  readonly displayName: string | null;
  /** Null: it does not encrypt. */
  readonly keys: JsonObject | null;
}

/** All that is known of the keys of one user. */
export interface UserKeys {
  readonly userId: UserId;
  readonly devices: readonly UserDevice[];
  readonly masterKey: JsonObject | null;
  readonly selfSigningKey: JsonObject | null;
  /** Only of our users, and only its owner may see it. */
  readonly userSigningKey: JsonObject | null;
}

type Reads = Pick<Storage, 'crossSigning' | 'deviceKeys'>;

/** Users whose keys are read, and completed by signatures, together. */
const usersPerTurn = 100;

/** The keys of local users, with the signatures that were uploaded behind them as far as `viewer` may see them. */
export async function listOwnKeys(
  storage: Reads,
  userIds: readonly UserId[],
  viewer: UserId | null,
): Promise<Map<UserId, UserKeys>> {
  const found = new Map<UserId, UserKeys>();
  for (let start = 0; start < userIds.length; start += usersPerTurn) {
    const some = await listSome(storage, userIds.slice(start, start + usersPerTurn), viewer);
    for (const [userId, keys] of some) found.set(userId, keys);
    await breathe();
  }
  return found;
}

async function listSome(
  storage: Reads,
  userIds: readonly UserId[],
  viewer: UserId | null,
): Promise<Map<UserId, UserKeys>> {
  const [devices, keys] = [
    await storage.deviceKeys.listDevicesWithKeys(userIds),
    await storage.crossSigning.listCrossSigningKeys(userIds),
  ];
  const keysOf = groupBy(keys, ({ userId }) => userId);
  const keyOf = (userId: UserId, usage: CrossSigningUsage): JsonObject | null =>
    keysOf.get(userId)?.find((row) => row.usage === usage)?.key ?? null;
  const devicesOf = groupBy(devices, ({ userId }) => userId);
  const found = userIds.map(
    (userId): UserKeys => ({
      userId,
      devices: devicesOf.get(userId) ?? [],
      masterKey: keyOf(userId, 'master'),
      selfSigningKey: keyOf(userId, 'self_signing'),
      userSigningKey: userId === viewer ? keyOf(userId, 'user_signing') : null,
    }),
  );
  return signSome(storage, found, viewer);
}

/**
 * Adds the signatures that our users made, and takes away those that `viewer` must not see: "Users will not be able to see signatures
 * made by other users' user-signing keys" (client-server API, "Key and signature security"). So there stay those of the owner and those of
 * the viewer.
 */
export async function withSignatures(
  storage: Pick<Storage, 'crossSigning'>,
  found: readonly UserKeys[],
  viewer: UserId | null,
): Promise<Map<UserId, UserKeys>> {
  const signed = new Map<UserId, UserKeys>();
  for (let start = 0; start < found.length; start += usersPerTurn) {
    const some = await signSome(storage, found.slice(start, start + usersPerTurn), viewer);
    for (const [userId, keys] of some) signed.set(userId, keys);
    await breathe();
  }
  return signed;
}

async function signSome(
  storage: Pick<Storage, 'crossSigning'>,
  found: readonly UserKeys[],
  viewer: UserId | null,
): Promise<Map<UserId, UserKeys>> {
  const userIds = found.map(({ userId }) => userId);
  const rows = await storage.crossSigning.listKeySignatures(userIds, viewer);
  const rowsOf = groupBy(rows, ({ targetUserId, target }) => `${targetUserId} ${target}`);
  const sign = (userId: UserId, target: string, object: JsonObject): JsonObject =>
    mergeSignatures(object, rowsOf.get(`${userId} ${target}`) ?? [], [userId, ...(viewer === null ? [] : [viewer])]);
  const signKey = (userId: UserId, key: JsonObject | null): JsonObject | null =>
    key && sign(userId, publicKeyOf(key), key);
  return new Map(
    found.map((user): [UserId, UserKeys] => [
      user.userId,
      {
        userId: user.userId,
        devices: user.devices.map((device) => ({
          ...device,
          keys: device.keys && sign(user.userId, device.deviceId, device.keys),
        })),
        masterKey: signKey(user.userId, user.masterKey),
        selfSigningKey: signKey(user.userId, user.selfSigningKey),
        userSigningKey: signKey(user.userId, user.userSigningKey),
      },
    ]),
  );
}

function publicKeyOf(key: JsonObject): string {
  const [first] = isObject(key.keys) ? Object.values(key.keys) : [];
  return typeof first === 'string' ? first : '';
}

/** A copy with the further signatures, of these signers only. */
export function mergeSignatures(
  object: JsonObject,
  further: readonly KeySignatureRow[],
  signers: readonly UserId[],
): JsonObject {
  const before = isObject(object.signatures) ? object.signatures : {};
  const signatures = new Map<string, [string, unknown][]>();
  for (const signer of new Set<string>(signers)) {
    const own = Object.hasOwn(before, signer) ? before[signer] : undefined;
    const ofSigner: [string, unknown][] = isObject(own) ? Object.entries(own) : [];
    for (const { signerUserId, signerKeyId, signature } of further)
      if (signerUserId === signer) ofSigner.push([signerKeyId, signature]);
    if (ofSigner.length > 0) signatures.set(signer, ofSigner);
  }
  const merged = Object.fromEntries([...signatures].map(([signer, list]) => [signer, Object.fromEntries(list)]));
  const rest = Object.entries(object).filter(([name]) => name !== 'signatures' && name !== 'unsigned');
  return Object.fromEntries([...rest, ['signatures', merged]]);
}

/** A device as queries tell it: "with the addition of an `unsigned` property". Undefined for one that does not encrypt. */
export function presentDevice(device: UserDevice, showName: boolean): JsonObject | undefined {
  if (device.keys === null) return undefined;
  const unsigned = showName && device.displayName !== null ? { device_display_name: device.displayName } : {};
  return { ...device.keys, unsigned };
}
