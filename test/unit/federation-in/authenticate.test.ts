import { describe, expect, it } from 'vitest';
import { authenticateServer } from '../../../src/federation-in/authenticate.ts';
import type { JsonObject } from '../../../src/matrix/pdu.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import { signingKeyOfSeed } from '../../../src/signing/ed25519.ts';
import { buildAuthorization } from '../../../src/signing/request-auth.ts';
import { signJson } from '../../../src/signing/sign-json.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const here = 'here.example' as ServerName;
const there = 'there.example' as ServerName;
const key = signingKeyOfSeed(new Uint8Array(32).fill(1), 'one');
const otherKey = signingKeyOfSeed(new Uint8Array(32).fill(2), 'two');
const uri = '/_matrix/federation/v1/send/1?a=b';

function setUp() {
  const asked: string[] = [];
  const heard: string[] = [];
  const deps = {
    serverName: here,
    clock: new ManualClock(5_000),
    onHeard: (server: ServerName) => heard.push(server),
    findKey: async (server: ServerName, keyId: string, validAtMs: number) => {
      asked.push(`${server} ${keyId} ${validAtMs}`);
      return server === there && keyId === key.keyId ? key.publicKey : undefined;
    },
  };
  return { deps, asked, heard };
}

function header(
  more: { destination?: ServerName; origin?: ServerName; content?: JsonObject; signer?: typeof key } = {},
) {
  const { destination = here, origin = there, content, signer = key } = more;
  return buildAuthorization({ method: 'PUT', uri, origin, destination, content }, { server: origin, key: signer });
}

const request = (authorization: readonly string[], content?: JsonObject) => ({
  method: 'PUT',
  uri,
  authorization,
  content,
  contentText: content === undefined ? '' : JSON.stringify(content),
});
const refused = { status: 401, errcode: 'M_UNAUTHORIZED' };

describe('authenticateServer', () => {
  it('names the server that signed the request and says that it was heard of', async () => {
    const { deps, asked, heard } = setUp();
    const content = { pdus: [] };
    expect(await authenticateServer(deps, request([header({ content })], content))).toBe(there);
    expect([asked, heard]).toEqual([[`${there} ed25519:one 5000`], [there]]);
  });

  /** As servers from before v1.3 send it, who signed the destination and did not name it. */
  const unnamed = (signed: JsonObject) => {
    const { signatures } = signJson({ method: 'PUT', uri, origin: there, ...signed }, { server: there, key });
    return `X-Matrix origin=${there},key="${key.keyId}",sig="${signatures[there]?.[key.keyId]}"`;
  };

  it('takes a request whose header names no destination, as servers from before v1.3 send it', async () => {
    const { deps } = setUp();
    expect(await authenticateServer(deps, request([unnamed({ destination: here })]))).toBe(there);
  });

  it('refuses one without a name that was signed for another server, or for none', async () => {
    const { deps } = setUp();
    for (const bad of [unnamed({ destination: 'else.example' }), unnamed({})]) {
      await expect(authenticateServer(deps, request([bad]))).rejects.toMatchObject(refused);
    }
  });

  it.each<[string, readonly string[], JsonObject | undefined]>([
    ['no header', [], undefined],
    ['a header of another scheme', ['Bearer x'], undefined],
    ['another destination', [header({ destination: 'else.example' as ServerName })], undefined],
    ['a content that was not signed', [header()], { pdus: [] }],
    ['no content where one was signed', [header({ content: { pdus: [] } })], undefined],
    ['another content than was signed', [header({ content: { a: 1 } })], { a: 2 }],
    ['a key that the server does not have', [header({ signer: otherKey })], undefined],
    ['the signature of another server', [header({ origin: 'third.example' as ServerName })], undefined],
    ['our own name', [header({ origin: here })], undefined],
  ])('refuses a request with %s, and has heard of nobody', async (_what, authorization, content) => {
    const { deps, heard } = setUp();
    await expect(authenticateServer(deps, request(authorization, content))).rejects.toMatchObject(refused);
    expect(heard).toEqual([]);
  });

  it('asks for no key where the request is not for us or claims to be from us', async () => {
    const { deps, asked } = setUp();
    for (const bad of [header({ destination: there }), header({ origin: here })]) {
      await expect(authenticateServer(deps, request([bad]))).rejects.toMatchObject(refused);
    }
    expect(asked).toEqual([]);
  });

  it('takes the first good one of several headers, and looks at four at most', async () => {
    const { deps, asked } = setUp();
    const bad = header({ signer: otherKey });
    expect(await authenticateServer(deps, request([bad, 'Bearer x', header()]))).toBe(there);
    asked.length = 0;
    await expect(authenticateServer(deps, request([bad, bad, bad, bad, header()]))).rejects.toMatchObject(refused);
    expect(asked).toHaveLength(4);
  });

  it('holds the method and the whole URI to what was signed', async () => {
    const { deps } = setUp();
    const signed = request([header()]);
    for (const changed of [{ method: 'POST' }, { uri: uri.slice(0, -1) }, { uri: uri.replace('send', 'SEND') }]) {
      await expect(authenticateServer(deps, { ...signed, ...changed })).rejects.toMatchObject(refused);
    }
  });
});
