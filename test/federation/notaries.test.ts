import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/matrix/pdu.ts';
import type { ServerName } from '../../src/matrix/server-name.ts';
import { verifySignedJson } from '../../src/signing/sign-json.ts';
import { HostileReply, HostileServer } from '../support/hostile-server.ts';
import { settle, TestServer } from '../support/server.ts';
import { StubRoom } from '../support/stub-room.ts';
import type { TestUser } from '../support/user.ts';
import { textsOf } from './rooms.ts';

let notary: TestServer;
let stub: HostileServer;

beforeAll(async () => {
  notary = await TestServer.start();
  stub = await HostileServer.start(notary.clock.now());
});

afterAll(async () => {
  await stub.stop();
  await notary.stop();
});

const gone = () => new HostileReply(500, 'gone');
/** What our server publishes. */
const keysOf = async (server: TestServer) =>
  (await stub.raw(server, 'GET', '/_matrix/key/v2/server')).body as JsonObject & { verify_keys: JsonObject };

async function ask(query: unknown): Promise<{ status: number; body: JsonObject & { server_keys: JsonObject[] } }> {
  const headers = { 'content-type': 'application/json' };
  return stub.raw(notary, 'POST', '/_matrix/key/v2/query', { text: JSON.stringify(query), headers });
}

describe('our server as a notary', () => {
  it('tells what another server publishes, with both signatures, to anybody', async () => {
    const { status, body } = await ask({ server_keys: { [stub.name]: {} } });
    expect(status).toBe(200);
    const [answer = {}] = body.server_keys;
    const { key } = stub.signer;
    expect(answer).toMatchObject({ server_name: stub.name, verify_keys: { [key.keyId]: { key: key.publicKey } } });
    expect(verifySignedJson(answer, stub.name, key.keyId, key.publicKey)).toBe(true);
    const [[keyId, published]] = Object.entries((await keysOf(notary)).verify_keys) as [[string, { key: string }]];
    expect(verifySignedJson(answer, notary.name as ServerName, keyId, published.key)).toBe(true);
  });

  it('tells it of one server by its name in the path', async () => {
    const { status, body } = await stub.raw(
      notary,
      'GET',
      `/_matrix/key/v2/query/${stub.name}?minimum_valid_until_ts=5`,
    );
    expect([status, body.server_keys.length]).toEqual([200, 1]);
  });

  it('still knows it when the server is gone, also after a restart', async () => {
    stub.on('keys', gone);
    await notary.clock.advance(61_000);
    const wanted = { [stub.name]: { 'ed25519:unknown': { minimum_valid_until_ts: 5 } } };
    expect((await ask({ server_keys: wanted })).body.server_keys).toHaveLength(1);
    notary = await notary.restart();
    expect((await ask({ server_keys: wanted })).body.server_keys).toHaveLength(1);
  });

  it.each([
    ['a query without servers', { server_keys: {} }, 200],
    ['no servers at all', {}, 400],
    ['a name that is none', { server_keys: { 'not a name': {} } }, 400],
    ['criteria that are none', { server_keys: { 'a.example': { 'ed25519:a': 5 } } }, 400],
    ['a time that is none', { server_keys: { 'a.example': { 'ed25519:a': { minimum_valid_until_ts: '5' } } } }, 400],
    [
      'too many servers',
      { server_keys: Object.fromEntries(Array.from({ length: 1_001 }, (_, index) => [`s${index}.example`, {}])) },
      400,
    ],
  ])('answers %s as it should', async (_what, query, status) => {
    expect((await ask(query)).status).toBe(status);
  });

  it('refuses a name in the path that is none', async () => {
    expect((await stub.raw(notary, 'GET', '/_matrix/key/v2/query/not%20a%20name')).status).toBe(400);
  });

  it('knows its path with no other method', async () => {
    expect((await stub.raw(notary, 'PUT', '/_matrix/key/v2/query')).status).toBe(405);
  });
});

describe('our server that asks a notary', () => {
  let asking: TestServer;
  let alice: TestUser;

  /** A server that knows nothing yet, with a room of alice's; the stub no longer says what its keys are. */
  async function start(notaries: unknown[]): Promise<string> {
    asking = await TestServer.start({
      clock: notary.clock,
      config: { federation: { ...(await federationOf(notary)), notary_servers: notaries } },
    });
    alice = await asking.register('alice');
    stub.on('keys', gone);
    return alice.createRoom({ preset: 'public_chat' });
  }

  /** What the tests' servers have beside the notaries. */
  async function federationOf({ folder }: TestServer): Promise<JsonObject> {
    return { ca_file: `${folder}/ca.crt`, allow_private_addresses: true };
  }

  async function joinAndSay(roomId: string): Promise<void> {
    const mallory = stub.user('mallory');
    const room = await StubRoom.join(stub, asking, roomId, mallory);
    await stub.send(asking, { pdus: [room.say(mallory, 'hello').pdu] });
    await settle(asking);
  }

  it('verifies a server that does not answer with what the notary kept', async () => {
    const roomId = await start([{ server_name: notary.name }]);
    await joinAndSay(roomId);
    expect(await textsOf(alice, roomId)).toEqual(['hello']);
    await asking.stop();
  });

  it('does not without a notary', async () => {
    const roomId = await start([]);
    await expect(joinAndSay(roomId)).rejects.toThrow(/401/);
    await asking.stop();
  });

  it('does not believe a notary whose key is another than it was told', async () => {
    const { publicKey } = stub.signer.key;
    const [keyId = ''] = Object.keys((await keysOf(notary)).verify_keys);
    const roomId = await start([{ server_name: notary.name, verify_keys: { [keyId]: publicKey } }]);
    await expect(joinAndSay(roomId)).rejects.toThrow(/401/);
    await asking.stop();
  });
});
