import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { assert } from '../../src/base/assert.ts';
import { parseExactJson } from '../../src/base/json/exact-json.ts';
import { checkAuth } from '../../src/engine/auth/check.ts';
import { checkAuthEvents } from '../../src/engine/auth/check-auth-events.ts';
import { selectAuthEvents } from '../../src/engine/auth/needed-state.ts';
import { authStateOfMap } from '../../src/engine/auth-state.ts';
import { buildEvent } from '../../src/engine/event/build.ts';
import { referenceTo, signedTextOf } from '../../src/engine/event/event-id.ts';
import { parsePdu } from '../../src/engine/event/parse.ts';
import { listRequiredSigners, signedFormOf, withTrustedContent } from '../../src/engine/event/verify.ts';
import type { UserId } from '../../src/matrix/ids.ts';
import type { RoomEvent } from '../../src/matrix/pdu.ts';
import type { ServerName } from '../../src/matrix/server-name.ts';
import { importPublicKey, signingKeyOfSeed, verifySignature, verifySignatures } from '../../src/signing/ed25519.ts';
import { findSignature, signJson } from '../../src/signing/sign-json.ts';
import type { VerifyKey } from '../../src/signing/verifiers.ts';
import { SketchedRoom } from '../../test/support/room-events.ts';
import type { Measure } from '../support/report.ts';
import type { BenchPart } from '../support/run.ts';
import { ratesSideBySide } from '../support/timing.ts';

const origin = 'b.test' as ServerName;
const sender = '@bob:b.test' as UserId;
const keyId = 'ed25519:1';
/** As many as a transaction may have. */
const transactionSize = 50;

/**
 * All that is done to a PDU on receipt, with the room's state and the server's key at hand: parsing, hashes, redaction, signature, and the
 * rules by its auth events and by the state. The limit is node:crypto verifying the same signatures and nothing else.
 */
export const pduCheckPart: BenchPart = {
  name: 'check of a PDU',
  run: async () => {
    const room = new CheckedRoom('11');
    const oneThread = await ratesSideBySide(
      { ours: () => room.checkAllInOneThread(), bare: () => room.verifyAllBareInOneThread() },
      { batch: transactionSize },
    );
    const atOnce = await ratesSideBySide(
      { ours: () => room.checkAll(), bare: () => room.verifyAllBare() },
      { batch: transactionSize, second: 'cpu' },
    );
    return [
      figure('full check of a PDU, one thread', '/s', oneThread),
      figure('full check of a PDU, a transaction at once', '/s of CPU', atOnce),
    ];
  },
};

function figure(name: string, unit: string, { ours, bare }: { ours: number; bare: number }): Measure {
  return { name, unit, value: ours, limit: { what: 'node:crypto alone', value: bare }, bound: { shareOfLimit: 0.6 } };
}

class CheckedRoom {
  readonly #room: SketchedRoom;
  readonly #key: VerifyKey;
  readonly #texts: readonly string[];
  readonly #bare: readonly { message: Uint8Array; signature: Uint8Array }[];
  readonly #bareKey: KeyObject;

  constructor(version: string) {
    this.#room = new SketchedRoom(version);
    this.#room.member('@alice:a.test', 'join');
    this.#room.set('m.room.power_levels', '', '@alice:a.test', { users: { '@alice:a.test': 100 } });
    this.#room.set('m.room.join_rules', '', '@alice:a.test', { join_rule: 'public' });
    this.#room.member(sender, 'join');
    const seed = new Uint8Array(32).fill(7);
    const signingKey = signingKeyOfSeed(seed, '1');
    const verifyKey = importPublicKey(signingKey.publicKey);
    assert(verifyKey, 'the key can be imported');
    this.#key = verifyKey;
    const events = Array.from({ length: transactionSize }, (_, index) => this.#messageOf(index, signingKey));
    this.#texts = events.map(({ pdu }) => JSON.stringify(pdu));
    this.#bare = events.map((event) => this.#signatureOf(event));
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(signingKey.publicKey, 'base64').toString('base64url') };
    this.#bareKey = createPublicKey({ key: jwk, format: 'jwk' });
  }

  #messageOf(index: number, key: ReturnType<typeof signingKeyOfSeed>): RoomEvent {
    const { version } = this.#room;
    const content = {
      msgtype: 'm.text',
      body: `message ${index}, as long as such messages are on the average in a busy room`,
    };
    const auth = selectAuthEvents({ type: 'm.room.message', sender, content }, this.#room.find, version);
    const built = buildEvent(
      {
        type: 'm.room.message',
        sender,
        room_id: this.#room.create.roomId,
        content,
        depth: 12 + index,
        origin_server_ts: 1_700_000_000_000 + index,
        prev_events: auth.slice(0, 1).map((event) => referenceTo(event, version)),
        auth_events: auth.map((event) => referenceTo(event, version)),
      },
      version,
      (object) => signJson(object, { server: origin, key }),
    );
    assert(built.outcome === 'parsed', 'the message is well-formed');
    return built.event;
  }

  #signatureOf(event: RoomEvent): { message: Uint8Array; signature: Uint8Array } {
    const signature = findSignature(signedFormOf(event.pdu, this.#room.version), origin, keyId);
    assert(signature, 'the message is signed');
    return { message: Buffer.from(signedTextOf(event.pdu, this.#room.version)), signature };
  }

  /** As a transaction comes: its text is parsed whole, its signatures are checked together. */
  async checkAll(): Promise<void> {
    const events = this.#parseAll();
    const checks = events.map((event) => ({ key: this.#key, ...this.#signatureOf(event) }));
    const results = await verifySignatures(checks);
    for (const [index, event] of events.entries()) this.#judge(event, results[index] === true);
  }

  checkAllInOneThread(): void {
    for (const event of this.#parseAll()) {
      const { message, signature } = this.#signatureOf(event);
      this.#judge(event, verifySignature(this.#key, message, signature));
    }
  }

  #parseAll(): RoomEvent[] {
    const body = parseExactJson(Buffer.from(`{"origin":"${origin}","pdus":[${this.#texts.join(',')}]}`));
    assert(body.outcome === 'parsed', 'the body is JSON');
    const { pdus } = body.value as { pdus: unknown[] }; // it was put together above
    return pdus.map((json) => {
      const parsed = parsePdu(json, this.#room.version);
      assert(parsed.outcome === 'parsed', 'the PDU is well-formed');
      assert(listRequiredSigners(parsed.event, this.#room.version).includes(origin), 'its server must sign');
      return parsed.event;
    });
  }

  #judge(received: RoomEvent, isSigned: boolean): void {
    assert(isSigned, 'the signature is good');
    const { version } = this.#room;
    const event = withTrustedContent(received, version);
    assert(event === received, 'the hash is good');
    const cited = event.pdu.auth_events.map((id) => this.#room.events.get(id as never));
    const entries = cited.filter((entry) => entry !== undefined).map((entry) => ({ event: entry, rejected: false }));
    assert(checkAuthEvents(event, entries, version).allowed, 'the auth events are right');
    const byKey = authStateOfMap(this.#room.state);
    // By its auth events, by the state before it, by the current state.
    for (let check = 0; check < 3; check += 1) assert(checkAuth(event, byKey, version).allowed, 'it is allowed');
  }

  async verifyAllBare(): Promise<void> {
    await Promise.all(
      this.#bare.map(
        ({ message, signature }) =>
          new Promise<void>((resolve, reject) => {
            verify(null, message, this.#bareKey, signature, (error, good) =>
              good ? resolve() : reject(error ?? new Error('a bad signature')),
            );
          }),
      ),
    );
  }

  verifyAllBareInOneThread(): void {
    for (const { message, signature } of this.#bare) assert(verify(null, message, this.#bareKey, signature), 'good');
  }
}
