import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { deviceKeys, signingKey, TestKey } from '../support/key-fixture.ts';
import { TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { type Json, newUsers, refusal } from './rooms-support.ts';

let server: TestServer;
let alice: TestUser;
let bob: TestUser;

beforeAll(async () => {
  server = await TestServer.start({ config: { presence: { enabled: false } } });
});
afterAll(() => server.stop());
beforeEach(async () => {
  [alice, bob] = await newUsers(server, 'alice', 'bob');
});

const path = '/keys/device_signing/upload';
const keyOf = (user: TestUser, usage: string) => new TestKey(`${user.userId} ${usage}`);
const password = (user: TestUser): Json => ({
  type: 'm.login.password',
  identifier: { type: 'm.id.user', user: user.userId },
  password: 'correct horse',
});

/** All three keys of a user. */
function keysFor(
  user: TestUser,
  master = keyOf(user, 'master'),
): Record<'master_key' | 'self_signing_key' | 'user_signing_key', Json> {
  const signed = (usage: string) => master.sign(user.userId, signingKey(user.userId, usage, keyOf(user, usage)));
  return {
    master_key: signingKey(user.userId, 'master', master),
    self_signing_key: signed('self_signing'),
    user_signing_key: signed('user_signing'),
  };
}
const query = (viewer: TestUser, ...users: TestUser[]): Promise<Json> =>
  viewer.ok('POST', '/keys/query', { device_keys: Object.fromEntries(users.map(({ userId }) => [userId, []])) });

describe('cross-signing keys', () => {
  it('come without a password the first time and again, and change only with one', async () => {
    const keys = keysFor(alice);
    for (const _ of [1, 2]) expect(await alice.call('POST', path, keys)).toEqual({ status: 200, body: {} });
    const other = keysFor(alice, new TestKey('another master'));
    const asked = await alice.call('POST', path, other);
    expect(asked).toMatchObject({ status: 401, body: { flows: [{ stages: ['m.login.password'] }] } });
    expect((await query(alice, alice)).master_keys).toMatchObject({ [alice.userId]: { keys: keys.master_key.keys } });
    const auth = { ...password(alice), session: asked.body.session };
    expect((await alice.call('POST', path, { ...other, auth })).status).toBe(200);
    expect((await query(alice, alice)).master_keys).toMatchObject({ [alice.userId]: { keys: other.master_key.keys } });
  });

  it('come by the path that matrix-js-sdk has for them too', async () => {
    const keys = keysFor(alice);
    const answer = await fetch(`${server.url}/_matrix/client/unstable${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${alice.accessToken}` },
      body: JSON.stringify(keys),
    });
    expect([answer.status, await answer.json()]).toEqual([200, {}]);
    expect((await query(alice, alice)).master_keys).toMatchObject({ [alice.userId]: { keys: keys.master_key.keys } });
  });

  it('that are added need the password too', async () => {
    const { master_key, self_signing_key } = keysFor(alice);
    await alice.ok('POST', path, { master_key });
    expect((await alice.call('POST', path, { self_signing_key })).status).toBe(401);
    await alice.ok('POST', path, { self_signing_key, auth: password(alice) });
  });

  it('for signing users are seen by their owner alone', async () => {
    await alice.ok('POST', path, keysFor(alice));
    const own = await query(alice, alice);
    expect(Object.keys(own.user_signing_keys as Json)).toEqual([alice.userId]);
    const others = await query(bob, alice);
    expect(others.user_signing_keys).toEqual({});
    expect(Object.keys(others.master_keys as Json)).toEqual([alice.userId]);
    expect(Object.keys(others.self_signing_keys as Json)).toEqual([alice.userId]);
  });

  it('go where a new master key comes without them', async () => {
    await alice.ok('POST', path, keysFor(alice));
    const master_key = signingKey(alice.userId, 'master', new TestKey('another master'));
    await alice.ok('POST', path, { master_key, auth: password(alice) });
    expect((await query(alice, alice)).self_signing_keys).toEqual({});
  });

  it('are refused where they are not well signed, not for that, or nobody’s', async () => {
    const keys = keysFor(alice);
    const bad = { ...keys, self_signing_key: keysFor(alice, new TestKey('somebody')).self_signing_key };
    expect(refusal(await alice.call('POST', path, bad))).toEqual([400, 'M_INVALID_SIGNATURE']);
    expect((await query(alice, alice)).master_keys).toEqual({});
    const { self_signing_key } = keys;
    expect(refusal(await alice.call('POST', path, { self_signing_key }))).toEqual([400, 'M_MISSING_PARAM']);
    const swapped = { ...keys, self_signing_key: keys.user_signing_key };
    expect(refusal(await alice.call('POST', path, swapped))).toEqual([400, 'M_INVALID_PARAM']);
    expect(refusal(await bob.call('POST', path, keys))).toEqual([400, 'M_INVALID_PARAM']);
    const two = { ...keys.master_key, keys: { ...(keys.master_key.keys as Json), 'ed25519:x': 'x' } };
    expect(refusal(await alice.call('POST', path, { master_key: two }))).toEqual([400, 'M_INVALID_PARAM']);
  });

  it('do not bear the name of a device', async () => {
    const key = keyOf(alice, 'master');
    const login = { type: 'm.login.password', password: 'correct horse', device_id: key.publicKey };
    await alice.ok('POST', '/login', { ...login, identifier: { type: 'm.id.user', user: alice.userId } });
    expect(refusal(await alice.call('POST', path, keysFor(alice)))).toEqual([403, 'M_FORBIDDEN']);
  });

  it('are told to those who share a room', async () => {
    await bob.join(await alice.createRoom({ preset: 'public_chat' }));
    await bob.sync();
    await alice.ok('POST', path, keysFor(alice));
    expect((await bob.sync()).device_lists).toEqual({ changed: [alice.userId], left: [] });
    await alice.ok('POST', path, keysFor(alice));
    expect((await bob.sync()).device_lists).toBeUndefined();
  });

  it('go with the account', async () => {
    await alice.ok('POST', path, keysFor(alice));
    await alice.ok('POST', '/account/deactivate', { auth: password(alice) });
    expect((await query(bob, alice)).master_keys).toEqual({});
  });
});

describe('signatures', () => {
  const signatures = '/keys/signatures/upload';

  async function prepare(): Promise<{ device: Json; keys: ReturnType<typeof keysFor> }> {
    const device = deviceKeys(alice.userId, alice.deviceId);
    await alice.ok('POST', '/keys/upload', { device_keys: device });
    const keys = keysFor(alice);
    await alice.ok('POST', path, keys);
    await bob.ok('POST', path, keysFor(bob));
    return { device, keys };
  }

  it('of own devices and the own master key are seen by everybody', async () => {
    const { device, keys } = await prepare();
    const signedDevice = keyOf(alice, 'self_signing').sign(alice.userId, device);
    const deviceKey = new TestKey(`${alice.userId} ${alice.deviceId}`);
    const signedMaster = deviceKey.sign(alice.userId, keys.master_key, alice.deviceId);
    const body = {
      [alice.userId]: { [alice.deviceId]: signedDevice, [keyOf(alice, 'master').publicKey]: signedMaster },
    };
    expect(await alice.ok('POST', signatures, body)).toEqual({ failures: {} });
    const seen = await query(bob, alice);
    expect(seen).toMatchObject({
      device_keys: { [alice.userId]: { [alice.deviceId]: { signatures: signedDevice.signatures } } },
      master_keys: { [alice.userId]: { signatures: signedMaster.signatures } },
    });
  });

  it('of another user’s master key are seen by who made them alone', async () => {
    await prepare();
    const carol = (await newUsers(server, 'carol'))[0];
    const room = await alice.createRoom({ preset: 'public_chat' });
    for (const user of [bob, carol]) await user.join(room);
    await Promise.all([alice, bob, carol].map((user) => user.sync()));
    const signed = keyOf(alice, 'user_signing').sign(alice.userId, keysFor(bob).master_key);
    const body = { [bob.userId]: { [keyOf(bob, 'master').publicKey]: signed } };
    expect(await alice.ok('POST', signatures, body)).toEqual({ failures: {} });
    const seenBy = async (viewer: TestUser) =>
      ((await query(viewer, bob)).master_keys as Record<string, Json>)[bob.userId];
    expect(await seenBy(alice)).toMatchObject({ signatures: signed.signatures });
    expect((await seenBy(carol))?.signatures).toEqual({});
    expect((await seenBy(bob))?.signatures).toEqual({});
    expect((await alice.sync()).device_lists?.changed).toEqual([bob.userId]);
    expect((await carol.sync()).device_lists).toBeUndefined();
  });

  it('that are bad are named one by one, and the others are taken', async () => {
    const { device, keys } = await prepare();
    const wrong = keyOf(alice, 'user_signing').sign(alice.userId, device, keyOf(alice, 'self_signing').publicKey);
    const changed = keyOf(alice, 'self_signing').sign(alice.userId, { ...device, algorithms: [] });
    const bobs = keysFor(bob).master_key;
    const body = {
      [alice.userId]: { [alice.deviceId]: wrong, NONE: device },
      [bob.userId]: {
        [keyOf(bob, 'master').publicKey]: keyOf(alice, 'user_signing').sign(alice.userId, bobs),
        [bob.deviceId]: bobs,
      },
    };
    const answer = await alice.ok('POST', signatures, body);
    expect(answer.failures).toMatchObject({
      [alice.userId]: {
        [alice.deviceId]: { errcode: 'M_INVALID_SIGNATURE' },
        NONE: { errcode: 'M_NOT_FOUND' },
      },
      [bob.userId]: { [bob.deviceId]: { errcode: 'M_NOT_FOUND' } },
    });
    expect(Object.keys(answer.failures[bob.userId])).toEqual([bob.deviceId]);
    const further = { [alice.userId]: { [alice.deviceId]: changed } };
    expect((await alice.ok('POST', signatures, further)).failures[alice.userId][alice.deviceId].errcode).toBe(
      'M_INVALID_SIGNATURE',
    );
    const unsigned = { [alice.userId]: { [keyOf(alice, 'master').publicKey]: keys.master_key } };
    expect((await alice.ok('POST', signatures, unsigned)).failures[alice.userId]).toBeDefined();
  });
});
