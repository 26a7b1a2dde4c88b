import { isObject } from '../../engine/members.ts';
import { MatrixError } from '../../matrix/errors.ts';
import type { DeviceId, UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import { verifySignedJson } from '../../signing/sign-json.ts';
import type { Row } from '../../storage/contract/commit.ts';
import type { CrossSigningUsage, KeySignatureRow } from '../../storage/contract/cross-signing.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import { isSameSigned } from './key-shapes.ts';
import { listOwnKeys, type UserKeys } from './user-keys.ts';

/** User → device id or public key → the signed object (client-server API, `POST /keys/signatures/upload`). */
export type SignatureUpload = ReadonlyMap<UserId, ReadonlyMap<string, JsonObject>>;

/** User → device id or public key → the error. */
export type SignatureFailures = Record<string, Record<string, { errcode: string; error: string }>>;

export interface SignatureUploads {
  /** Stores the signatures that are good; what is wrong with the others stands in the answer. */
  upload(signer: UserId, upload: SignatureUpload): Promise<SignatureFailures>;
}

type Deps = {
  readonly storage: Pick<Storage, 'crossSigning' | 'deviceKeys' | 'commit'>;
  /** The keys of other users, remote ones asked of their servers. Those that cannot be had are left out. */
  readonly listUserKeys: (viewer: UserId, userIds: readonly UserId[]) => Promise<ReadonlyMap<UserId, UserKeys>>;
};

class SignatureError extends Error {
  readonly errcode: string;
  constructor(errcode: string, message: string) {
    super(message);
    this.errcode = errcode;
  }
}

const bad = (message: string): SignatureError => new SignatureError('M_INVALID_SIGNATURE', message);
const unknownKey = (): SignatureError => new SignatureError('M_NOT_FOUND', 'There is no such key');

export function createSignatureUploads(deps: Deps): SignatureUploads {
  return {
    async upload(signer, upload) {
      const own = (await listOwnKeys(deps.storage, [signer], signer)).get(signer);
      if (!own) throw new MatrixError(404, 'M_NOT_FOUND', 'There is no such user');
      const others = [...upload.keys()].filter((userId) => userId !== signer);
      const keysOfOthers = others.length === 0 ? new Map() : await deps.listUserKeys(signer, others);
      const failures: SignatureFailures = {};
      const good: KeySignatureRow[] = [];
      for (const [userId, objects] of upload)
        for (const [target, object] of objects) {
          try {
            good.push(
              ...(userId === signer
                ? checkOwn(own, target, object)
                : checkOther(own, keysOfOthers.get(userId), object, target)),
            );
          } catch (error) {
            if (!(error instanceof SignatureError)) throw error;
            const ofUser = failures[userId] ?? {};
            ofUser[target] = { errcode: error.errcode, error: error.message };
            failures[userId] = ofUser;
          }
        }
      if (good.length > 0) await deps.storage.commit({ rows: rowsOf(signer, own, good), durable: true });
      return failures;
    },
  };
}

function rowsOf(signer: UserId, own: UserKeys, good: readonly KeySignatureRow[]): Row[] {
  const rows: Row[] = good.map((row) => ({ kind: 'key_signature', ...row }));
  const ofOwn = good.filter(({ targetUserId }) => targetUserId === signer).map(({ target }) => target);
  const common = { viewer: null, told: 'always' } as const;
  if (ofOwn.length > 0) {
    const deviceIds = own.devices.map(({ deviceId }) => deviceId).filter((deviceId) => ofOwn.includes(deviceId));
    const signingKeys = deviceIds.length < new Set(ofOwn).size;
    rows.push({ kind: 'device_list_change', userId: signer, ...common, deviceIds, signingKeys });
  }
  // Nobody but the signer sees the signatures of other users' keys.
  for (const userId of new Set(good.map(({ targetUserId }) => targetUserId)))
    if (userId !== signer)
      rows.push({ kind: 'device_list_change', ...common, userId, viewer: signer, deviceIds: [], signingKeys: true });
  return rows;
}

/** Own devices are signed by the self-signing key, the own master key by devices. */
function checkOwn(own: UserKeys, target: string, object: JsonObject): KeySignatureRow[] {
  if (own.masterKey && target === publicKeyOf(own.masterKey)) {
    checkSame(own.masterKey, object);
    return collect(own.userId, own.userId, target, object, (keyId) => findDeviceKey(own, keyId));
  }
  const device = own.devices.find(({ deviceId }) => deviceId === target);
  if (!device?.keys) throw unknownKey();
  checkSame(device.keys, object);
  const selfSigning = requireKey(own.selfSigningKey, 'self_signing');
  return collect(own.userId, own.userId, target, object, (keyId) =>
    keyId === `ed25519:${selfSigning}` ? selfSigning : undefined,
  );
}

/** Of other users the master key alone, by the user-signing key. */
function checkOther(own: UserKeys, other: UserKeys | undefined, object: JsonObject, target: string): KeySignatureRow[] {
  if (!other?.masterKey || publicKeyOf(other.masterKey) !== target) throw unknownKey();
  checkSame(other.masterKey, object);
  const userSigning = requireKey(own.userSigningKey, 'user_signing');
  return collect(own.userId, other.userId, target, object, (keyId) =>
    keyId === `ed25519:${userSigning}` ? userSigning : undefined,
  );
}

/** Every signature by a key of the signer that may sign this must be good, and there must be one. */
function collect(
  signer: UserId,
  targetUserId: UserId,
  target: string,
  object: JsonObject,
  findKey: (keyId: string) => string | undefined,
): KeySignatureRow[] {
  const all = isObject(object.signatures) ? object.signatures : {};
  const signatures = Object.hasOwn(all, signer) ? all[signer] : undefined;
  const rows: KeySignatureRow[] = [];
  for (const [signerKeyId, signature] of isObject(signatures) ? Object.entries(signatures) : []) {
    const publicKey = findKey(signerKeyId);
    // Such as the device's own signature, which came with its keys.
    if (publicKey === undefined || typeof signature !== 'string') continue;
    if (!verifySignedJson(object, signer, signerKeyId, publicKey)) throw bad('The signature is not good');
    rows.push({ targetUserId, target, signerUserId: signer, signerKeyId, signature });
  }
  if (rows.length === 0) throw bad('There is no signature by a key of yours that may sign this');
  return rows;
}

function findDeviceKey(own: UserKeys, keyId: string): string | undefined {
  const deviceId = keyId.slice('ed25519:'.length) as DeviceId;
  const keys = own.devices.find((device) => device.deviceId === deviceId)?.keys?.keys;
  const publicKey = isObject(keys) && Object.hasOwn(keys, keyId) ? keys[keyId] : undefined;
  return typeof publicKey === 'string' ? publicKey : undefined;
}

function requireKey(key: JsonObject | null, usage: CrossSigningUsage): string {
  if (!key) throw new SignatureError('M_NOT_FOUND', `You have no ${usage} key`);
  return publicKeyOf(key);
}

function publicKeyOf(key: JsonObject): string {
  const [first] = isObject(key.keys) ? Object.values(key.keys) : [];
  return typeof first === 'string' ? first : '';
}

/** "The signed JSON object must match the key previously uploaded or retrieved … with the exception of the `signatures`" */
function checkSame(stored: JsonObject, signed: JsonObject): void {
  if (!isSameSigned(stored, signed)) throw bad('This is not the key that the server has');
}
