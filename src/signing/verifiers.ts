import { type KeyObject, verify } from 'node:crypto';
import { breathe } from '../base/breathe.ts';
import { isOfSmallOrder } from './points.ts';

const signatureBytes = 64;

/** A public key that was checked and can verify. Made by `importPublicKey` only. */
export interface VerifyKey {
  readonly publicKey: string;
  /** The 32 bytes, canonical, of a point that is not of small order. */
  readonly bytes: Uint8Array;
  readonly keyObject: KeyObject;
}

export interface SignatureCheck {
  readonly key: VerifyKey;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

/**
 * What decides whether a signature is the key's for a message. All of them decide alike: a signature of another length than 64 bytes is
 * not, nor is one whose S is not below the order, whose R is of small order or not canonical.
 */
export interface Verifier {
  readonly name: 'libsodium' | 'node:crypto';
  verify(check: SignatureCheck): boolean;
  /** Answers by index, and keeps no turn of the event loop for long. */
  verifyAll(checks: readonly SignatureCheck[]): Promise<boolean[]>;
}

const inFlightMax = 64;

/** Half as quick, and everywhere. Many are checked in the thread pool, at most 64 at once. */
export const nodeVerifier: Verifier = {
  name: 'node:crypto',
  verify: (check) => mayBeGood(check) && verify(null, check.message, check.key.keyObject, check.signature),
  verifyAll: async (checks) => {
    const results: boolean[] = new Array(checks.length).fill(false);
    const remaining = checks.entries();
    const work = async (): Promise<void> => {
      for (const [index, check] of remaining) results[index] = mayBeGood(check) && (await verifyInPool(check));
    };
    await Promise.all(Array.from({ length: Math.min(inFlightMax, checks.length) }, work));
    return results;
  },
};

/** OpenSSL looks at S and computes R anew, so no other form of either is good; it does not ask for R's order, as libsodium does. */
function mayBeGood({ signature }: SignatureCheck): boolean {
  return signature.length === signatureBytes && !isOfSmallOrder(signature.subarray(0, 32));
}

function verifyInPool({ key, message, signature }: SignatureCheck): Promise<boolean> {
  return new Promise((resolve, reject) => {
    verify(null, message, key.keyObject, signature, (error, result) => (error ? reject(error) : resolve(result)));
  });
}

/** Undefined where no prebuilt file of the package loads (musl, FreeBSD), or it is not installed. */
export const libsodiumVerifier: Verifier | undefined = await import('sodium-native').then(
  ({ default: libsodium }) => verifierBy(libsodium.crypto_sign_verify_detached),
  () => undefined,
);

/** Quick enough that many are checked on the loop itself, in slices: a job for the thread pool costs a quarter as much again. */
function verifierBy(isSignatureOf: typeof import('sodium-native').default.crypto_sign_verify_detached): Verifier {
  const verifyOne = ({ key, message, signature }: SignatureCheck): boolean =>
    signature.length === signatureBytes && isSignatureOf(signature, message, key.bytes);
  return {
    name: 'libsodium',
    verify: verifyOne,
    verifyAll: async (checks) => {
      const results: boolean[] = [];
      for (const check of checks) {
        await breathe();
        results.push(verifyOne(check));
      }
      return results;
    },
  };
}

/** The quickest that works here. */
export const verifier: Verifier = libsodiumVerifier ?? nodeVerifier;
