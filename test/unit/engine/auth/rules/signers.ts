import { signEvent } from '../../../../../src/engine/event/build.ts';
import { findMissingSigner } from '../../../../../src/engine/event/verify.ts';
import type { ServerName } from '../../../../../src/matrix/server-name.ts';
import { type SigningKey, signingKeyOfSeed } from '../../../../../src/signing/ed25519.ts';
import { signJson, verifySignedJson } from '../../../../../src/signing/sign-json.ts';
import type { EventSketch } from '../../../../support/room-events.ts';
import { furnishedRoom, type Outcome } from './rule-table.ts';

/** Every server of these tests has a key of its own, the same in every run. */
export function keyOf(server: string): SigningKey {
  return signingKeyOfSeed(Buffer.alloc(32, server), '0');
}

/** `allowed`, or whose good signature is missing of an event that these servers signed. */
export async function judgeSigners(version: string, sketch: EventSketch, servers: readonly string[]): Promise<Outcome> {
  const room = furnishedRoom(version);
  const signed = servers.reduce(
    (event, server) => signEvent(event, (json) => signJson(json, { server: server as ServerName, key: keyOf(server) })),
    room.event(sketch),
  );
  const missing = await findMissingSigner(signed, room.version, async (json, server) =>
    verifySignedJson(json, server, `ed25519:0`, keyOf(server).publicKey),
  );
  return missing === undefined ? 'allowed' : `not signed by ${missing}`;
}
