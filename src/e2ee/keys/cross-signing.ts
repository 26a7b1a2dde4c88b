import { canonicalJson } from '../../base/json/canonical-json.ts';
import { Serial } from '../../base/tasks/serial.ts';
import { forbidden, invalidParam, invalidSignature, missingParam } from '../../matrix/errors.ts';
import type { UserId } from '../../matrix/ids.ts';
import { verifySignedJson } from '../../signing/sign-json.ts';
import type { Row } from '../../storage/contract/commit.ts';
import type { CrossSigningUsage } from '../../storage/contract/cross-signing.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import { type CrossSigningKey, findPublicKey, isKeyOf } from './key-shapes.ts';

/** What a client uploads with `POST /keys/device_signing/upload`. Shapes were checked. */
export type SigningKeyUpload = Readonly<Partial<Record<CrossSigningUsage, CrossSigningKey | undefined>>>;

export interface CrossSigning {
  /**
   * Whether the request brings nothing that must be authenticated: "there is no existing master signing key uploaded to the
   * homeserver, OR … the request contains no new keys".
   */
  needsAuthentication(userId: UserId, upload: SigningKeyUpload): Promise<boolean>;
  /**
   * Takes all keys or none. Without effect for keys that are there. Throws M_MISSING_PARAM where there is no master key, M_INVALID_SIGNATURE, M_INVALID_PARAM, and M_FORBIDDEN for a key that
   * bears the name of a device.
   */
  upload(userId: UserId, upload: SigningKeyUpload): Promise<void>;
}

type Deps = { readonly storage: Pick<Storage, 'accounts' | 'crossSigning' | 'commit'> };

const usages: readonly CrossSigningUsage[] = ['master', 'self_signing', 'user_signing'];
const uploadsWaitingMax = 100;

export function createCrossSigning({ storage }: Deps): CrossSigning {
  const serial = new Serial({ waitingMax: uploadsWaitingMax });

  /** Those that the server does not have. */
  async function listNew(userId: UserId, upload: SigningKeyUpload): Promise<CrossSigningUsage[]> {
    const known = await storage.crossSigning.listCrossSigningKeys([userId]);
    return usages.filter((usage) => {
      const given = upload[usage];
      const before = known.find((row) => row.usage === usage)?.key;
      return given !== undefined && (!before || canonicalJson(before.keys) !== canonicalJson(given.keys));
    });
  }

  async function uploadInTurn(userId: UserId, upload: SigningKeyUpload): Promise<void> {
    const devices = await storage.accounts.listDevices(userId);
    const deviceIds = new Set<string>(devices.map(({ deviceId }) => deviceId));
    for (const usage of usages) checkKey(userId, usage, upload[usage], deviceIds);
    const fresh = await listNew(userId, upload);
    const known = await storage.crossSigning.listCrossSigningKeys([userId]);
    const master = upload.master
      ? findPublicKey(upload.master)
      : known.find(({ usage }) => usage === 'master')?.publicKey;
    for (const usage of ['self_signing', 'user_signing'] as const) {
      const key = upload[usage];
      if (!key) continue;
      if (master === undefined) throw missingParam('There is no master key');
      if (!verifySignedJson(key, userId, `ed25519:${master}`, master))
        throw invalidSignature('The key is not signed by the master key');
    }
    if (fresh.length === 0) return;
    const rows: Row[] = [];
    for (const usage of fresh) {
      const key = upload[usage];
      const publicKey = key && findPublicKey(key);
      if (key && publicKey !== undefined) rows.push({ kind: 'cross_signing_key', userId, usage, publicKey, key });
    }
    // What the former master key signed is nobody's word any more.
    if (fresh.includes('master'))
      for (const { usage } of known)
        if (upload[usage] === undefined) rows.push({ kind: 'cross_signing_key_removed', userId, usage });
    rows.push({
      kind: 'device_list_change',
      userId,
      viewer: null,
      told: 'always',
      deviceIds: [],
      signingKeys: true,
    });
    await storage.commit({ rows, durable: true });
  }

  return {
    async needsAuthentication(userId, upload) {
      const known = await storage.crossSigning.listCrossSigningKeys([userId]);
      if (!known.some(({ usage }) => usage === 'master')) return false;
      return (await listNew(userId, upload)).length > 0;
    },
    upload: (userId, upload) => serial.run(userId, () => uploadInTurn(userId, upload)),
  };
}

function checkKey(
  userId: UserId,
  usage: CrossSigningUsage,
  key: CrossSigningKey | undefined,
  deviceIds: ReadonlySet<string>,
): void {
  if (!key) return;
  if (!isKeyOf(key, userId, usage)) throw invalidParam(`The ${usage} key is not one public key of the user for that`);
  // "The public key of one of the keys is the same as one of the user's device IDs": both name signatures.
  if (deviceIds.has(findPublicKey(key) ?? '')) throw forbidden('Key ID in use');
}
