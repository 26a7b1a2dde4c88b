import fc from 'fast-check';
import nacl from 'tweetnacl';
import { describe, expect, it } from 'vitest';
import { decodeBase64 } from '../../../src/base/base64.ts';
import { canonicalJson } from '../../../src/base/json/canonical-json.ts';
import type { JsonObject } from '../../../src/matrix/pdu.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import { signingKeyOfSeed } from '../../../src/signing/ed25519.ts';
import { findSignature, listSigningKeyIds, signJson, verifySignedJson } from '../../../src/signing/sign-json.ts';
import { propertyRuns } from '../../support/property-runs.ts';

/** Appendices, "Cryptographic Test Vectors". */
const seed = decodeBase64('YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1') ?? Buffer.alloc(0);
const key = signingKeyOfSeed(seed, '1');
const server = 'domain' as ServerName;
const other = 'other.example' as ServerName;

describe('signing JSON', () => {
  it('gives the signature the specification publishes for the empty object', () => {
    expect(signJson({}, { server, key })).toEqual({
      signatures: {
        domain: {
          'ed25519:1': 'K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ',
        },
      },
    });
  });

  it('gives the signature the specification publishes for an object with values', () => {
    expect(signJson({ one: 1, two: 'Two' }, { server, key })).toEqual({
      one: 1,
      two: 'Two',
      signatures: {
        domain: {
          'ed25519:1': 'KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw',
        },
      },
    });
  });

  it('agrees with the minimal event of the specification once its hash is in place', () => {
    const event = {
      room_id: '!x:domain',
      sender: '@a:domain',
      origin: 'domain',
      origin_server_ts: 1000000,
      hashes: { sha256: '5jM4wQpv6lnBo7CLIghJuHdW+s2CMBJPUOGOC89ncos' },
      type: 'X',
      content: {},
      prev_events: [],
      auth_events: [],
      depth: 3,
      unsigned: { age_ts: 1000000 },
    };
    expect(signJson(event, { server, key }).signatures).toEqual({
      domain: {
        'ed25519:1': 'KxwGjPSDEtvnFgU00fwFz+l6d2pJM6XBIaMEn81SXPTRl16AqLAYqfIReFGZlHi5KLjAWbOoMszkwsQma+lYAg',
      },
    });
  });

  it('leaves unsigned as it was and does not cover it', () => {
    const signed = signJson({ a: 1, unsigned: { age: 5 } }, { server, key });
    expect(signed.unsigned).toEqual({ age: 5 });
    expect(verifySignedJson({ ...signed, unsigned: { age: 6 } }, server, 'ed25519:1', key.publicKey)).toBe(true);
  });

  it('keeps the signatures of others, and our own under another key', () => {
    const before = { a: 1, signatures: { [other]: { 'ed25519:x': 'abc' }, [server]: { 'ed25519:0': 'old' } } };
    const signed = signJson(before, { server, key });
    expect(signed.signatures[other]).toEqual({ 'ed25519:x': 'abc' });
    expect(Object.keys(signed.signatures[server] ?? {})).toEqual(['ed25519:0', 'ed25519:1']);
    expect(before.signatures[server]).toEqual({ 'ed25519:0': 'old' });
  });

  it('covers a member called __proto__', () => {
    const plain = signJson({ a: 1 }, { server, key });
    const sneaky = JSON.parse(`{"a":1,"__proto__":{"b":2},"signatures":${JSON.stringify(plain.signatures)}}`);
    expect(verifySignedJson(sneaky, server, 'ed25519:1', key.publicKey)).toBe(false);
    const signed = signJson(JSON.parse('{"a":1,"__proto__":{"b":2}}') as JsonObject, { server, key });
    expect(Object.keys(signed)).toEqual(['a', '__proto__', 'signatures']);
    expect(verifySignedJson(signed, server, 'ed25519:1', key.publicKey)).toBe(true);
  });

  it('is refused after any change, under another name, another key id or another key', () => {
    const signed = signJson({ one: 1, two: 'Two' }, { server, key });
    const stranger = signingKeyOfSeed(Buffer.alloc(32, 7), '1');
    expect(verifySignedJson(signed, server, 'ed25519:1', key.publicKey)).toBe(true);
    expect(verifySignedJson({ ...signed, one: 2 }, server, 'ed25519:1', key.publicKey)).toBe(false);
    expect(verifySignedJson(signed, other, 'ed25519:1', key.publicKey)).toBe(false);
    expect(verifySignedJson(signed, server, 'ed25519:2', key.publicKey)).toBe(false);
    expect(verifySignedJson(signed, server, 'ed25519:1', stranger.publicKey)).toBe(false);
  });

  it('answers false to signatures that are no signatures', () => {
    for (const signatures of [null, [], 'x', { domain: null }, { domain: [] }, { domain: { 'ed25519:1': 7 } }]) {
      expect(verifySignedJson({ signatures }, server, 'ed25519:1', key.publicKey)).toBe(false);
    }
    for (const text of ['', '*', 'AAAA', 'A'.repeat(86), 'A'.repeat(10_000)]) {
      const object = { signatures: { domain: { 'ed25519:1': text } } };
      expect(verifySignedJson(object, server, 'ed25519:1', key.publicKey)).toBe(false);
    }
    expect(
      verifySignedJson(
        { a: 1.5, signatures: signJson({}, { server, key }).signatures },
        server,
        'ed25519:1',
        key.publicKey,
      ),
    ).toBe(false);
  });

  it('lists only the key ids of algorithms it knows', () => {
    const object = { signatures: { domain: { 'ed25519:1': 'a', 'rsa:1': 'b', 'ed25519:2': 5 } } };
    expect(listSigningKeyIds(object, server)).toEqual(['ed25519:1']);
    expect(listSigningKeyIds(object, other)).toEqual([]);
    expect(findSignature(object, server, 'constructor')).toBeUndefined();
  });

  it('makes what tweetnacl accepts, for any object', () => {
    const pair = nacl.sign.keyPair.fromSeed(seed);
    const json = fc.dictionary(
      fc.string({ unit: 'grapheme' }),
      fc.oneof(fc.maxSafeInteger(), fc.string({ unit: 'grapheme' }), fc.boolean(), fc.constant(null)),
    );
    fc.assert(
      fc.property(json, (object) => {
        const { signatures: _signatures, unsigned: _unsigned, ...covered } = object;
        const signed = signJson(object, { server, key });
        const signature = findSignature(signed, server, 'ed25519:1') ?? Buffer.alloc(64);
        const message = new Uint8Array(Buffer.from(canonicalJson(covered)));
        expect(nacl.sign.detached.verify(message, new Uint8Array(signature), pair.publicKey)).toBe(true);
      }),
      { numRuns: propertyRuns(15) },
    );
  });
});
