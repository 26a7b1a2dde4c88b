import fc from 'fast-check';
import nacl from 'tweetnacl';
import { describe, expect, it } from 'vitest';
import { encodeBase64 } from '../../../src/base/base64.ts';
import { importPublicKey } from '../../../src/signing/ed25519.ts';
import { libsodiumVerifier, nodeVerifier, type SignatureCheck, verifier } from '../../../src/signing/verifiers.ts';
import { propertyRuns } from '../../support/property-runs.ts';
import {
  add,
  base,
  challenge,
  decodeNumber,
  encodeNumber,
  encodePoint,
  multiply,
  order,
  type Point,
  prime,
  torsion,
} from './edwards.ts';

/** The platforms for which the package has a file, as far as tests run there. */
const hasLibsodium =
  ['linux', 'darwin', 'win32'].includes(process.platform) &&
  ['x64', 'arm64'].includes(process.arch) &&
  (process.platform !== 'linux' || isGlibc());

/** Node's report says which C library it runs with; musl has no version in it. */
function isGlibc(): boolean {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } }; // Node's own shape
  return header.glibcVersionRuntime !== undefined;
}

interface Attempt {
  readonly publicKey: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

/** Secret scalars of a signer who chooses its nonce freely. */
interface Chosen {
  readonly secret: bigint;
  readonly nonce: bigint;
  readonly message: Uint8Array;
}

/** A signature with these points for R and the key, which need not be what the scalars stand for. */
function signed(chosen: Chosen, r: Uint8Array, publicKey: Uint8Array): Attempt {
  const { secret, nonce, message } = chosen;
  const s = (nonce + challenge(r, publicKey, message) * secret) % order;
  return { publicKey, message, signature: Buffer.concat([r, encodeNumber(s)]) };
}

const key = ({ secret }: Chosen, plus = 0n): Buffer => encodePoint(sum(multiply(base, secret), plus));
const nonceOf = ({ nonce }: Chosen, plus = 0n): Buffer => encodePoint(sum(multiply(base, nonce), plus));
const sum = (point: Point, torsions: bigint): Point => add(point, multiply(torsion, torsions));

function flip(bytes: Uint8Array, bit: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return changed;
}

function withS(attempt: Attempt, change: (s: bigint) => bigint): Attempt {
  const { signature } = attempt;
  const s = encodeNumber(change(decodeNumber(signature.subarray(32))));
  return { ...attempt, signature: Buffer.concat([signature.subarray(0, 32), s]) };
}

/** By each verifier, one by one and all at once; undefined where the key is refused already. */
async function verdictsOn({ publicKey, message, signature }: Attempt): Promise<ReadonlySet<boolean> | undefined> {
  const imported = importPublicKey(encodeBase64(publicKey));
  if (!imported) return undefined;
  const check: SignatureCheck = { key: imported, message, signature };
  const verdicts: boolean[] = [];
  for (const one of [nodeVerifier, libsodiumVerifier ?? nodeVerifier]) {
    verdicts.push(one.verify(check), ...(await one.verifyAll([check, check])));
  }
  return new Set(verdicts);
}

function byTweetnacl({ publicKey, message, signature }: Attempt): boolean {
  return nacl.sign.detached.verify(new Uint8Array(message), new Uint8Array(signature), new Uint8Array(publicKey));
}

const good = new Set([true]);
const bad = new Set([false]);

const scalar = fc.bigInt({ min: 1n, max: order - 1n });
const anyChosen = fc.record({ secret: scalar, nonce: scalar, message: fc.uint8Array({ maxLength: 200 }) });
const runs = { numRuns: propertyRuns(10) };

describe('the verifiers', () => {
  it('are libsodium wherever the package has a file for the platform', () => {
    expect(verifier.name).toBe(hasLibsodium ? 'libsodium' : 'node:crypto');
    expect(nodeVerifier.name).toBe('node:crypto');
  });

  it('agree with tweetnacl that what was signed is good, and that one changed bit of key, message or signature is not', async () => {
    await fc.assert(
      fc.asyncProperty(anyChosen, fc.nat(), async (chosen, at) => {
        const attempt = signed(chosen, nonceOf(chosen), key(chosen));
        expect(byTweetnacl(attempt)).toBe(true);
        expect(await verdictsOn(attempt)).toEqual(good);
        const { publicKey, message, signature } = attempt;
        const changes: Attempt[] = [
          { ...attempt, signature: flip(signature, at % 512) },
          { ...attempt, publicKey: flip(publicKey, at % 256) },
          { ...attempt, message: Buffer.concat([message, Buffer.from([at & 255])]) },
        ];
        for (const changed of changes) {
          expect(byTweetnacl(changed)).toBe(false);
          // A key may be refused before.
          expect((await verdictsOn(changed)) ?? bad).toEqual(bad);
        }
      }),
      runs,
    );
  });

  it('refuse signatures that are cut short or go on', async () => {
    const chosen = { secret: 7n, nonce: 11n, message: Buffer.from('m') };
    const attempt = signed(chosen, nonceOf(chosen), key(chosen));
    for (const length of [0, 1, 32, 63])
      expect(await verdictsOn({ ...attempt, signature: attempt.signature.subarray(0, length) })).toEqual(bad);
    const longer = Buffer.concat([attempt.signature, Buffer.alloc(1)]);
    expect(await verdictsOn({ ...attempt, signature: longer })).toEqual(bad);
  });

  it('read signature and message where they lie within a larger piece of memory', async () => {
    const chosen = { secret: 7n, nonce: 11n, message: Buffer.from('a message') };
    const attempt = signed(chosen, nonceOf(chosen), key(chosen));
    const memory = Buffer.concat([Buffer.from('before'), attempt.message, attempt.signature, Buffer.from('behind')]);
    const message = memory.subarray(6, 6 + attempt.message.length);
    const signature = memory.subarray(6 + message.length, 6 + message.length + 64);
    expect(await verdictsOn({ ...attempt, message, signature })).toEqual(good);
    expect(await verdictsOn({ ...attempt, message: memory.subarray(5, 5 + message.length), signature })).toEqual(bad);
  });

  it('refuse the second form of a signature, S plus the order, which tweetnacl accepts', async () => {
    await fc.assert(
      fc.asyncProperty(anyChosen, async (chosen) => {
        const malleable = withS(signed(chosen, nonceOf(chosen), key(chosen)), (s) => s + order);
        expect(byTweetnacl(malleable)).toBe(true);
        expect(await verdictsOn(malleable)).toEqual(bad);
      }),
      runs,
    );
  });

  it('refuse an R that is neutral, which tweetnacl accepts, and every other of small order in each of its forms', async () => {
    const neutralR = { secret: 12_345n, nonce: 0n, message: Buffer.from('m') };
    expect(byTweetnacl(signed(neutralR, encodeNumber(1n), key(neutralR)))).toBe(true);
    const canonical = Array.from({ length: 8 }, (_, times) => encodePoint(multiply(torsion, BigInt(times))));
    const longer = [0n, 1n].flatMap((y) => [0n, 1n << 255n].map((sign) => encodeNumber((prime + y) | sign)));
    const unsigned = [1n, prime - 1n].map((y) => encodeNumber(y | (1n << 255n)));
    for (const r of [...canonical, ...longer, ...unsigned]) {
      expect(await verdictsOn(signed(neutralR, r, key(neutralR)))).toEqual(bad);
    }
  });

  it('refuse an R of small order also where the key has a part of small order that makes it fit', async () => {
    let fitting = 0;
    for (let n = 0; n < 64; n += 1) {
      const chosen = { secret: 99n, nonce: 0n, message: Buffer.from([n]) };
      const attempt = signed(chosen, encodePoint(multiply(torsion, BigInt(n % 8))), key(chosen, 1n));
      if (byTweetnacl(attempt)) fitting += 1;
      expect(await verdictsOn(attempt)).toEqual(bad);
    }
    expect(fitting).toBeGreaterThan(0);
  });

  it('agree with tweetnacl where R, the key or both have a part of small order', async () => {
    const part = fc.bigInt({ min: 0n, max: 7n });
    const seen = new Set<boolean>();
    await fc.assert(
      fc.asyncProperty(anyChosen, part, part, async (chosen, ofR, ofKey) => {
        const attempt = signed(chosen, nonceOf(chosen, ofR), key(chosen, ofKey));
        const isGood = byTweetnacl(attempt);
        seen.add(isGood);
        expect(await verdictsOn(attempt)).toEqual(isGood ? good : bad);
      }),
      { numRuns: propertyRuns(20), examples: [[{ secret: 7n, nonce: 11n, message: Buffer.from('m') }, 0n, 0n]] },
    );
    expect(seen).toEqual(new Set([true, false]));
  });

  it('refuse an R or a key whose y is not below the prime, and verify nothing by a key that is no point', async () => {
    const chosen = { secret: 7n, nonce: 11n, message: Buffer.from('m') };
    for (let above = 0n; above < 19n; above += 1n) {
      for (const sign of [0n, 1n << 255n]) {
        const longer = encodeNumber((prime + above) | sign);
        expect(await verdictsOn(signed(chosen, longer, key(chosen)))).toEqual(bad);
        expect(await verdictsOn(signed(chosen, nonceOf(chosen), longer))).toBeUndefined();
      }
    }
    // There is no x for the y of 2.
    expect(await verdictsOn(signed(chosen, nonceOf(chosen), encodeNumber(2n)))).toEqual(bad);
    expect(await verdictsOn(signed(chosen, encodeNumber(2n), key(chosen)))).toEqual(bad);
  });

  it('answer many by index', async () => {
    const chosen = Array.from({ length: 100 }, (_, n) => ({ secret: 7n, nonce: 11n, message: Buffer.from(`m${n}`) }));
    const publicKey = importPublicKey(encodeBase64(key({ secret: 7n, nonce: 0n, message: Buffer.alloc(0) })));
    if (!publicKey) throw new Error('the key was refused');
    const checks = chosen.map((one, n) => {
      const { message, signature } = signed(one, nonceOf(one), publicKey.bytes);
      return { key: publicKey, message, signature: n % 3 === 0 ? flip(signature, n) : signature };
    });
    for (const one of [nodeVerifier, libsodiumVerifier ?? nodeVerifier]) {
      expect(await one.verifyAll(checks)).toEqual(checks.map((_, n) => n % 3 !== 0));
      expect(await one.verifyAll([])).toEqual([]);
    }
  });
});
