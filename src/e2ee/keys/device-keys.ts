import { canonicalJson } from '../../base/json/canonical-json.ts';
import { Serial } from '../../base/tasks/serial.ts';
import { isObject } from '../../engine/members.ts';
import { forbidden, invalidParam, MatrixError, unknown, unknownToken } from '../../matrix/errors.ts';
import type { DeviceId, UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { Row } from '../../storage/contract/commit.ts';
import type { UploadedKey } from '../../storage/contract/one-time-keys.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import type { DeviceKeys, OneTimeKey } from './key-shapes.ts';

export interface KeyOwner {
  readonly userId: UserId;
  readonly deviceId: DeviceId;
}

/** What a client uploads of its device (client-server API, `POST /keys/upload`). Shapes were checked. */
export interface KeyUpload {
  readonly deviceKeys?: DeviceKeys | undefined;
  /** By `<algorithm>:<key id>`. */
  readonly oneTimeKeys?: Readonly<Record<string, OneTimeKey>> | undefined;
  readonly fallbackKeys?: Readonly<Record<string, OneTimeKey>> | undefined;
}

/** Unclaimed one-time keys by algorithm. */
export type OneTimeKeyCounts = Readonly<Record<string, number>>;

export interface DeviceKeyUploads {
  /**
   * Takes all of it or nothing. One-time keys that are there already are left as they are. Throws M_INVALID_PARAM for keys of another device,
   * M_UNKNOWN for a one-time key whose id stands for another key, M_FORBIDDEN for a device that bears the name of a key.
   */
  upload(owner: KeyOwner, upload: KeyUpload): Promise<OneTimeKeyCounts>;
}

type Deps = {
  readonly storage: Pick<Storage, 'crossSigning' | 'deviceKeys' | 'oneTimeKeys' | 'commit'>;
};

/** Of one device, over all algorithms. Clients keep about fifty. */
const oneTimeKeysMax = 1_000;
const uploadsWaitingMax = 100;

export function createDeviceKeyUploads({ storage }: Deps): DeviceKeyUploads {
  const serial = new Serial({ waitingMax: uploadsWaitingMax });

  async function decideDeviceKeys(owner: KeyOwner, keys: DeviceKeys): Promise<{ rows: Row[]; begins: boolean }> {
    const { userId, deviceId } = owner;
    if (keys.user_id !== userId || keys.device_id !== deviceId)
      throw invalidParam('The keys are those of another user or device');
    const signing = await storage.crossSigning.listCrossSigningKeys([userId]);
    // "servers MUST not allow devices to have the same IDs as cross-signing keys"
    if (signing.some(({ publicKey }) => publicKey === deviceId)) throw forbidden('The device id is in use as a key');
    const known = await storage.deviceKeys.findDeviceKeys(userId, deviceId);
    if (known && canonicalJson(known) === canonicalJson(keys)) return { rows: [], begins: false };
    const begins = known !== undefined && canonicalJson(known.keys) !== canonicalJson(keys.keys);
    const rows: Row[] = [
      { kind: 'device_keys', userId, deviceId, keys },
      {
        kind: 'device_list_change',
        userId,
        viewer: null,
        told: 'always',
        deviceIds: [deviceId],
        signingKeys: false,
      },
    ];
    // What is left of another identity was signed by it: nobody could use it, and its ids would be in the way.
    return { rows: begins ? [{ kind: 'one_time_keys_removed', userId, deviceId }, ...rows] : rows, begins };
  }

  async function decideOneTimeKeys(
    { userId, deviceId }: KeyOwner,
    keys: readonly UploadedKey[],
    begins: boolean,
  ): Promise<Row[]> {
    if (keys.length === 0) return [];
    const ids = keys.map(({ algorithm, keyId }) => `${algorithm}:${keyId}`);
    const known = begins ? [] : await storage.oneTimeKeys.listUnclaimed(userId, deviceId, ids);
    checkSameKeys(known, keys);
    const counts = begins ? {} : (await storage.oneTimeKeys.countKeys(userId, deviceId)).oneTimeKeys;
    const before = Object.values<number>(counts).reduce((sum, count) => sum + count, 0);
    if (before + keys.length - known.length > oneTimeKeysMax)
      throw new MatrixError(403, 'M_RESOURCE_LIMIT_EXCEEDED', `A device may leave ${oneTimeKeysMax} one-time keys`);
    return known.length === keys.length ? [] : [{ kind: 'one_time_keys', userId, deviceId, keys }];
  }

  async function uploadInTurn(owner: KeyOwner, upload: KeyUpload): Promise<OneTimeKeyCounts> {
    const { userId, deviceId } = owner;
    const oneTimeKeys = listKeys(upload.oneTimeKeys);
    const fallbackKeys = listKeys(upload.fallbackKeys);
    checkOneOfEach(fallbackKeys);
    const device = upload.deviceKeys ? await decideDeviceKeys(owner, upload.deviceKeys) : { rows: [], begins: false };
    const rows: Row[] = [...device.rows, ...(await decideOneTimeKeys(owner, oneTimeKeys, device.begins))];
    if (fallbackKeys.length > 0) rows.push({ kind: 'fallback_keys', userId, deviceId, keys: fallbackKeys });
    if (rows.length > 0) {
      const expect = [{ kind: 'device_known', userId, deviceId } as const];
      const result = await storage.commit({ rows, expect, durable: true });
      if (result.outcome === 'conflict') throw unknownToken('The device was signed out');
    }
    return withDefault((await storage.oneTimeKeys.countKeys(userId, deviceId)).oneTimeKeys);
  }

  return {
    upload: (owner, upload) => serial.run(`${owner.userId} ${owner.deviceId}`, () => uploadInTurn(owner, upload)),
  };
}

/** Some clients take an algorithm that is not named for one of which nothing is known. */
export function withDefault(counts: OneTimeKeyCounts): OneTimeKeyCounts {
  return { signed_curve25519: 0, ...counts };
}

function listKeys(keys: KeyUpload['oneTimeKeys']): UploadedKey[] {
  return Object.entries(keys ?? {}).map(([id, key]) => {
    const colon = id.indexOf(':');
    return { algorithm: id.slice(0, colon), keyId: id.slice(colon + 1), key: canonicalJson(key) };
  });
}

/** The words are those that clients look for: they tell a broken store of keys by them. */
function checkSameKeys(known: readonly UploadedKey[], uploaded: readonly UploadedKey[]): void {
  const before = new Map(known.map(({ algorithm, keyId, key }) => [`${algorithm}:${keyId}`, key]));
  for (const { algorithm, keyId, key } of uploaded) {
    const old = before.get(`${algorithm}:${keyId}`);
    if (old !== undefined && old !== key)
      throw unknown(`One time key ${algorithm}:${keyId} already exists. Old key: ${old}; new key: ${key}`);
  }
}

/** "There can only be at most one key per algorithm uploaded" */
function checkOneOfEach(keys: readonly UploadedKey[]): void {
  const algorithms = new Set(keys.map(({ algorithm }) => algorithm));
  if (algorithms.size < keys.length) throw invalidParam('There can be one fallback key of each algorithm');
}

/** A key as it was uploaded. */
export function parseKey(text: string): OneTimeKey {
  const key: unknown = JSON.parse(text);
  // Written by `listKeys`, from what was one of the two.
  return isObject(key) ? (key satisfies JsonObject) : String(key);
}
