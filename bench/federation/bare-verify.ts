import { verify } from 'node:crypto';
import { canonicalJson } from '../../src/base/json/canonical-json.ts';
import { importPublicKey, signingKeyOfSeed } from '../../src/signing/ed25519.ts';
import { verifier } from '../../src/signing/verifiers.ts';

/**
 * In a process of its own: how many signatures of events node:crypto verifies in a second of CPU, one after the other, and nothing else;
 * behind it the same of what this machine's servers verify with.
 */
const key = signingKeyOfSeed(new Uint8Array(32).fill(7), '1');
const verifyKey = importPublicKey(key.publicKey);
if (!verifyKey) throw new Error('the key cannot be imported');
const { keyObject } = verifyKey;
/** What the signature of a message covers: its redacted form. */
const message = Buffer.from(
  canonicalJson({
    auth_events: ['a', 'b', 'c'].map((letter) => `$${letter.repeat(43)}`),
    content: {},
    depth: 12,
    hashes: { sha256: 'h'.repeat(43) },
    origin_server_ts: 1_700_000_000_000,
    prev_events: [`$${'p'.repeat(43)}`],
    room_id: '!room:127.0.0.1:12345',
    sender: '@speaker:127.0.0.1:12345',
    type: 'm.room.message',
  }),
);
const signature = key.sign(message);
const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
};

function rateFor(ms: number, isGood: () => boolean): number {
  const startedAt = cpuMs();
  let done = 0;
  while (cpuMs() - startedAt < ms) {
    for (let n = 0; n < 100; n += 1) if (!isGood()) throw new Error('a bad signature');
    done += 100;
  }
  return (done * 1_000) / (cpuMs() - startedAt);
}

function warmRateFor(ms: number, isGood: () => boolean): number {
  rateFor(300, isGood);
  return rateFor(ms, isGood);
}

const byNode = warmRateFor(1_500, () => verify(null, message, keyObject, signature));
const byOurs = warmRateFor(500, () => verifier.verify({ key: verifyKey, message, signature }));
process.stdout.write(`${JSON.stringify({ byNode, byOurs, ours: verifier.name })}\n`);
