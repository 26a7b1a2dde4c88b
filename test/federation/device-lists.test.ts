import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { HostileServer, HostileStream } from '../support/hostile-server.ts';
import { deviceKeys, oneTimeKeys, signingKey, TestKey } from '../support/key-fixture.ts';
import { settle, startPair, type TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';

const minute = 60_000;
const running: TestServer[] = [];

type Json = Record<string, unknown>;

async function pair(config: Json = {}): Promise<{ a: TestServer; b: TestServer; alice: TestUser; bob: TestUser }> {
  const [a, b] = await startPair(config);
  running.push(a, b);
  return { a, b, alice: await a.register('alice'), bob: await b.register('bob') };
}

afterEach(async () => {
  for (const server of running.splice(0).reverse()) await server.stop();
});

const upload = (user: TestUser, name?: string, more: Json = {}) =>
  user.ok('POST', '/keys/upload', { device_keys: deviceKeys(user.userId, user.deviceId, name), ...more });
// biome-ignore lint/suspicious/noExplicitAny: a test reads whatever the server answered
const query = (viewer: TestUser, of: TestUser): Promise<any> =>
  viewer.ok('POST', '/keys/query', { device_keys: { [of.userId]: [] } });
const keysSeen = async (viewer: TestUser, of: TestUser): Promise<unknown> => {
  const devices = (await query(viewer, of)).device_keys[of.userId] ?? {};
  return devices[of.deviceId]?.keys;
};
const keysOf = (user: TestUser, name?: string): unknown => deviceKeys(user.userId, user.deviceId, name).keys;

async function meet(a: TestServer, b: TestServer, alice: TestUser, bob: TestUser): Promise<string> {
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room, a.name);
  await settle(a, b);
  await Promise.all([alice.sync(), bob.sync()]);
  return room;
}

describe('keys of a user of another server', () => {
  it('are asked of that server, one-time keys once each, and change with an update', async () => {
    const { a, b, alice, bob } = await pair();
    await upload(alice, undefined, { one_time_keys: oneTimeKeys('x') });
    await meet(a, b, alice, bob);
    expect(await keysSeen(bob, alice)).toEqual(keysOf(alice));
    const wish = { one_time_keys: { [alice.userId]: { [alice.deviceId]: 'signed_curve25519' } } };
    expect(await bob.ok('POST', '/keys/claim', wish)).toEqual({
      failures: {},
      one_time_keys: { [alice.userId]: { [alice.deviceId]: oneTimeKeys('x') } },
    });
    expect((await bob.ok('POST', '/keys/claim', wish)).one_time_keys).toEqual({});
    await upload(alice, 'new');
    await settle(a, b);
    expect((await bob.sync()).device_lists).toEqual({ changed: [alice.userId], left: [] });
    expect(await keysSeen(bob, alice)).toEqual(keysOf(alice, 'new'));
  });

  it('are kept, so that they are told while that server is down; of others it is said that it cannot be reached', async () => {
    const { a, b, alice, bob } = await pair();
    const carol = await a.register('carol');
    await upload(alice);
    await upload(carol);
    await upload(bob, undefined, { one_time_keys: oneTimeKeys('own') });
    await meet(a, b, alice, bob);
    await keysSeen(bob, alice);
    await a.stop({ keepData: true });
    expect(await keysSeen(bob, alice)).toEqual(keysOf(alice));
    const answer = await query(bob, carol);
    expect(answer.device_keys).toEqual({});
    expect(answer.failures).toMatchObject({ [a.name]: { status: 503 } });
    const wishes = [alice, bob].map(({ userId, deviceId }) => [userId, { [deviceId]: 'signed_curve25519' }]);
    expect(await bob.ok('POST', '/keys/claim', { one_time_keys: Object.fromEntries(wishes) })).toMatchObject({
      one_time_keys: { [bob.userId]: { [bob.deviceId]: oneTimeKeys('own') } },
      failures: { [a.name]: { status: 503 } },
    });
  });

  it('are not kept without a room in common', async () => {
    const { a, b, alice, bob } = await pair();
    const room = await meet(a, b, alice, bob);
    await upload(alice);
    await settle(a, b);
    expect(await keysSeen(bob, alice)).toEqual(keysOf(alice));
    await alice.leave(room);
    await settle(a, b);
    await upload(alice, 'new');
    await settle(a, b);
    expect((await bob.sync()).device_lists).toEqual({ changed: [], left: [alice.userId] });
    expect(await keysSeen(bob, alice)).toEqual(keysOf(alice, 'new'));
    await upload(alice, 'newer');
    await bob.invite(room, alice.userId).catch(() => undefined);
    await alice.join(room, b.name);
    await settle(a, b);
    expect((await bob.sync()).device_lists?.changed).toEqual([alice.userId]);
    expect(await keysSeen(bob, alice)).toEqual(keysOf(alice, 'newer'));
  });

  it('that changed while this server was down are known when it is back', async () => {
    const { a, b, alice, bob } = await pair();
    await upload(alice);
    await meet(a, b, alice, bob);
    await keysSeen(bob, alice);
    await b.stop({ keepData: true });
    for (const name of ['one', 'two', 'three']) await upload(alice, name);
    const phone = await alice.newDevice();
    await upload(phone);
    await settle(a);
    const back = await b.restart();
    running.push(back);
    bob.url = back.url;
    await a.clock.advance(minute);
    await settle(a, back);
    expect((await bob.sync()).device_lists?.changed).toEqual([alice.userId]);
    expect(await keysSeen(bob, alice)).toEqual(keysOf(alice, 'three'));
    expect(await keysSeen(bob, phone)).toEqual(keysOf(phone));
  });

  it('of which an update was replaced while this server was down are asked for whole, and a waiting client hears of it', async () => {
    const { a, b, alice, bob } = await pair();
    await upload(alice);
    await meet(a, b, alice, bob);
    await keysSeen(bob, alice);
    await b.stop({ keepData: true });
    // Of these only the last one still waits, and it continues what never came.
    for (const name of ['one', 'two', 'three']) await upload(alice, name);
    await settle(a);
    const back = await b.restart();
    running.push(back);
    bob.url = back.url;
    await bob.sync();
    const waiting = bob.sync({ timeout: '30000' });
    await a.clock.advance(minute / 6);
    await a.clock.advance(minute / 6);
    await settle(a, back);
    expect((await waiting).device_lists?.changed).toEqual([alice.userId]);
    // Nobody asked for the keys since, and nobody could now: it was this server that did.
    await a.stop({ keepData: true });
    expect(await keysSeen(bob, alice)).toEqual(keysOf(alice, 'three'));
  });

  it('of which an update was lost, here by a backup that is older, are asked for whole, and the client hears of it', async () => {
    const { a, b, alice, bob } = await pair();
    await upload(alice);
    await meet(a, b, alice, bob);
    await keysSeen(bob, alice);
    await b.stop({ keepData: true });
    const backup = mkdtempSync(join(tmpdir(), 'lantern-test-'));
    cpSync(b.folder, backup, { recursive: true });
    const later = await b.restart();
    running.push(later);
    const phone = await alice.newDevice();
    await upload(phone);
    await a.clock.advance(minute);
    await settle(a, later);
    await later.stop();
    cpSync(backup, b.folder, { recursive: true });
    rmSync(backup, { recursive: true });
    const back = await later.restart();
    running.push(back);
    bob.url = back.url;
    expect(await keysSeen(bob, phone)).toBeUndefined();
    await bob.sync();
    await upload(alice, 'new');
    await a.clock.advance(minute);
    await settle(a, back);
    expect((await bob.sync()).device_lists?.changed).toEqual([alice.userId]);
    await a.stop({ keepData: true });
    expect(await keysSeen(bob, alice)).toEqual(keysOf(alice, 'new'));
    expect(await keysSeen(bob, phone)).toEqual(keysOf(phone));
  });

  it('are waited for as long as the client says, and a server that never answers keeps nobody else’s from it', async () => {
    const { a, b, alice, bob } = await pair();
    await upload(alice);
    const silent = await HostileServer.start(a.clock.now());
    const reached = new Promise<void>((resolve) => {
      silent.on('user', () => {
        resolve();
        return new HostileStream(() => {});
      });
    });
    const mallory = silent.user('mallory');
    const body = { timeout: 3_000, device_keys: { [mallory]: [], [alice.userId]: [], [bob.userId]: [] } };
    let isAnswered = false;
    const asking = bob.ok('POST', '/keys/query', body).finally(() => {
      isAnswered = true;
    });
    await reached;
    await b.clock.advance(2_900);
    await settle(a);
    expect(isAnswered).toBe(false);
    await b.clock.advance(200);
    const answer = await asking;
    expect(Object.keys(answer.failures)).toEqual([silent.name]);
    expect(answer.device_keys[alice.userId][alice.deviceId].keys).toEqual(keysOf(alice));
    expect(answer.device_keys[mallory]).toBeUndefined();
    await silent.stop();
  });

  it('go there with the device, and come with it', async () => {
    const { a, b, alice, bob } = await pair();
    await meet(a, b, alice, bob);
    await upload(alice);
    const phone = await alice.newDevice();
    await upload(phone);
    await settle(a, b);
    expect(await keysSeen(bob, phone)).toEqual(keysOf(phone));
    await phone.ok('POST', '/logout', {});
    await settle(a, b);
    expect((await bob.sync()).device_lists?.changed).toEqual([alice.userId]);
    expect(await keysSeen(bob, phone)).toBeUndefined();
    expect(await keysSeen(bob, alice)).toEqual(keysOf(alice));
  });

  it('for signing come with an update, and without the one that is its owner’s alone', async () => {
    const { a, b, alice, bob } = await pair();
    await meet(a, b, alice, bob);
    await upload(alice);
    await settle(a, b);
    await keysSeen(bob, alice);
    await bob.sync();
    const master = new TestKey('master');
    const signed = (usage: string) => master.sign(alice.userId, signingKey(alice.userId, usage, new TestKey(usage)));
    await alice.ok('POST', '/keys/device_signing/upload', {
      master_key: signingKey(alice.userId, 'master', master),
      self_signing_key: signed('self_signing'),
      user_signing_key: signed('user_signing'),
    });
    await settle(a, b);
    expect((await bob.sync()).device_lists?.changed).toEqual([alice.userId]);
    const seen = await query(bob, alice);
    expect(seen.master_keys[alice.userId]).toMatchObject(signingKey(alice.userId, 'master', master));
    expect(seen.self_signing_keys[alice.userId]).toEqual(signed('self_signing'));
    expect(seen.user_signing_keys).toEqual({});
  });

  it.each([
    [false, {}],
    [true, { device_display_name: 'Phone' }],
  ])('come with names of devices only where that server shares them: %s', async (share, unsigned) => {
    const { a, b, alice, bob } = await pair({ federation: { share_device_names: share } });
    await alice.ok('PUT', `/devices/${alice.deviceId}`, { display_name: 'Phone' });
    await upload(alice);
    await meet(a, b, alice, bob);
    expect((await query(bob, alice)).device_keys[alice.userId][alice.deviceId].unsigned).toEqual(unsigned);
  });
});
