import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseExactJson } from '../../../src/base/json/exact-json.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import { signingKeyOfSeed } from '../../../src/signing/ed25519.ts';
import { buildAuthorization, parseAuthorization, verifyRequest } from '../../../src/signing/request-auth.ts';
import { propertyRuns } from '../../support/property-runs.ts';

const origin = 'origin.example' as ServerName;
const destination = '[2001:db8::1]:8448' as ServerName;
const key = signingKeyOfSeed(Buffer.alloc(32, 2), 'a_1');
const request = {
  method: 'PUT',
  uri: '/_matrix/federation/v1/send/1?x=%20y',
  origin,
  destination,
  content: { pdus: [], n: 1 },
};

function exactly(text: string): unknown {
  const read = parseExactJson(text);
  if (read.outcome !== 'parsed') throw new Error(`not JSON: ${text}`);
  return read.value;
}

function parsed(header: string) {
  const auth = parseAuthorization(header);
  if (!auth) throw new Error(`refused: ${header}`);
  return auth;
}

describe('the X-Matrix header', () => {
  it('is written as older servers want it and read back as it was', () => {
    const header = buildAuthorization(request, { server: origin, key });
    expect(header).toMatch(
      /^X-Matrix origin="origin\.example",destination="\[2001:db8::1\]:8448",key="ed25519:a_1",sig="[A-Za-z0-9+/]{86}"$/,
    );
    expect(parsed(header)).toMatchObject({ origin, destination, keyId: 'ed25519:a_1' });
  });

  it('is good for its own request only', async () => {
    const auth = parsed(buildAuthorization(request, { server: origin, key }));
    const without = { ...request, content: undefined };
    expect(await verifyRequest(request, auth, key.publicKey)).toBe(true);
    expect(await verifyRequest({ ...request, method: 'POST' }, auth, key.publicKey)).toBe(false);
    expect(await verifyRequest({ ...request, uri: '/_matrix/federation/v1/send/1?x= y' }, auth, key.publicKey)).toBe(
      false,
    );
    expect(await verifyRequest({ ...request, destination: origin }, auth, key.publicKey)).toBe(false);
    expect(await verifyRequest({ ...request, content: { pdus: [], n: 2 } }, auth, key.publicKey)).toBe(false);
    expect(await verifyRequest(without, auth, key.publicKey)).toBe(false);
    expect(await verifyRequest({ ...request, content: { n: 1.5 } }, auth, key.publicKey)).toBe(false);
  });

  it.each([
    ['a number as Python writes it', '100.0', '1e2', true],
    ['a number as it was sent', '1e2', '1e2', true],
    ['a size that no double has', '1e400', '1e400', true],
    ['a long integer', '9007199254740993', '9007199254740993', true],
    ['a zero without its sign', '0', '-0', true],
    ['the same number in a third form', '100', '1e2', false],
    ['another number', '1e3', '1e2', false],
    ['a number of the other sign', '0.5', '-0.5', false],
  ])('may cover %s', async (_name, signed, sent, isGood) => {
    const signedText =
      `{"content":{"n":[${signed}]},"destination":"${destination}","method":"PUT","origin":"${origin}",` +
      `"uri":"${request.uri}"}`;
    const signature = Buffer.from(key.sign(Buffer.from(signedText))).toString('base64');
    const auth = parsed(`X-Matrix origin="${origin}",key="${key.keyId}",sig="${signature}"`);
    const content = exactly(`{"n": [${sent}]}`);
    expect(await verifyRequest({ ...request, content }, auth, key.publicKey)).toBe(isGood);
    expect(await verifyRequest({ ...request, content: { n: [100] } }, auth, key.publicKey)).toBe(signed === '100');
  });

  it('may cover the body as it came, whoever wrote it how', async () => {
    const contentText = '{ "b":1,"a" :[2.50]}';
    const signedText =
      `{"content":${contentText},"destination":"${destination}","method":"PUT","origin":"${origin}",` +
      `"uri":"${request.uri}"}`;
    const signature = Buffer.from(key.sign(Buffer.from(signedText))).toString('base64');
    const auth = parsed(`X-Matrix origin="${origin}",key="${key.keyId}",sig="${signature}"`);
    const content = exactly(contentText);
    expect(await verifyRequest({ ...request, content, contentText }, auth, key.publicKey)).toBe(true);
    const other = { content: exactly('{"b":1,"a":[2.51]}'), contentText: '{ "b":1,"a" :[2.51]}' };
    expect(await verifyRequest({ ...request, ...other }, auth, key.publicKey)).toBe(false);
    const moved = { ...request, content, contentText, uri: '/_matrix/federation/v1/send/2' };
    expect(await verifyRequest(moved, auth, key.publicKey)).toBe(false);
  });

  it('may cover a body of megabytes that came in another form', async () => {
    const content = { list: Array.from({ length: 20_000 }, (_, index) => ({ b: index, a: 'x' })), ü: 1 };
    const auth = parsed(buildAuthorization({ ...request, content }, { server: origin, key }));
    const contentText = JSON.stringify(content);
    expect(await verifyRequest({ ...request, content, contentText }, auth, key.publicKey)).toBe(true);
    const changed = { ...content, list: [...content.list.slice(1)] };
    expect(await verifyRequest({ ...request, content: changed, contentText }, auth, key.publicKey)).toBe(false);
  });

  it('covers no content where there is no body', async () => {
    const get = { ...request, method: 'GET', content: undefined };
    const auth = parsed(buildAuthorization(get, { server: origin, key }));
    expect(await verifyRequest(get, auth, key.publicKey)).toBe(true);
    expect(await verifyRequest({ ...get, content: {} }, auth, key.publicKey)).toBe(false);
  });

  it.each([
    ['names in any case and order', 'x-matrix SIG="abc",Key="ed25519:1",ORIGIN="a.example"'],
    ['white space around the commas', 'X-Matrix   origin="a.example" ,\tkey="ed25519:1"\t, sig="abc"'],
    ['values without quotes, with colons', 'X-Matrix origin=a.example:8448,key=ed25519:1,sig=abc/+='],
    ['escaped characters', 'X-Matrix origin="a.ex\\ample",key="ed25519\\:1",sig="abc"'],
    ['unknown parameters', 'X-Matrix origin="a.example",key="ed25519:1",sig="abc",more="a,b=\\"c"'],
  ])('may have %s', (_name, header) => {
    const auth = parsed(header);
    expect(auth.origin).toMatch(/^a\.example/);
    expect(auth.keyId).toBe('ed25519:1');
    expect(auth.signature).toMatch(/^abc/);
    expect(auth.destination).toBeUndefined();
  });

  it.each([
    ['nothing', undefined],
    ['another scheme', 'Bearer abc'],
    ['no parameters', 'X-Matrix '],
    ['a scheme without a space', 'X-Matrixorigin="a",key="ed25519:1",sig="x"'],
    ['no origin', 'X-Matrix key="ed25519:1",sig="abc"'],
    ['an origin that is no server name', 'X-Matrix origin="a b",key="ed25519:1",sig="abc"'],
    ['a destination that is no server name', 'X-Matrix origin="a",destination="a/b",key="ed25519:1",sig="abc"'],
    ['a key of another algorithm', 'X-Matrix origin="a",key="rsa:1",sig="abc"'],
    ['no signature', 'X-Matrix origin="a",key="ed25519:1"'],
    ['an empty signature', 'X-Matrix origin="a",key="ed25519:1",sig=""'],
    ['a parameter twice', 'X-Matrix origin="a",origin="b",key="ed25519:1",sig="abc"'],
    ['a quote that does not end', 'X-Matrix origin="a",key="ed25519:1",sig="abc'],
    ['a quote that ends in a backslash', 'X-Matrix origin="a",key="ed25519:1",sig="abc\\'],
    ['a trailing comma', 'X-Matrix origin="a",key="ed25519:1",sig="abc",'],
    ['something behind a value', 'X-Matrix origin="a"b,key="ed25519:1",sig="abc"'],
    ['a length over the limit', `X-Matrix origin="a",key="ed25519:1",sig="abc",x="${'y'.repeat(5_000)}"`],
  ])('is refused with %s', (_name, header) => {
    expect(parseAuthorization(header)).toBeUndefined();
  });

  it('is read without ever throwing', () => {
    const pieces = fc.constantFrom(
      'X-Matrix ',
      'origin',
      'key',
      'sig',
      '=',
      '"',
      '\\',
      ',',
      ' ',
      'ed25519:1',
      'a.example',
      '\0',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(pieces, { maxLength: 40 }).map((list) => list.join('')),
        ),
        (text) => {
          for (const header of [text, `X-Matrix ${text}`]) {
            const auth = parseAuthorization(header);
            if (auth) expect(auth.keyId).toMatch(/^ed25519:/);
          }
        },
      ),
      { numRuns: propertyRuns(2_000) },
    );
  });

  it('reads back any values, quoted with escapes', () => {
    const quoted = (text: string) => `"${text.replace(/["\\]/g, '\\$&')}"`;
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 100 }), (signature) => {
        const header = `X-Matrix sig=${quoted(signature)},key="ed25519:1",origin="a.example"`;
        expect(parsed(header).signature).toBe(signature);
      }),
    );
  });
});
