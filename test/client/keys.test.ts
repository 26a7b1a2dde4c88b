import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { deviceKeys, noKeys, oneTimeKeys } from '../support/key-fixture.ts';
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

const upload = (user: TestUser, body: Json) => user.call('POST', '/keys/upload', body);
const query = (viewer: TestUser, users: Json): Promise<Json> =>
  viewer.ok('POST', '/keys/query', { device_keys: users }) as Promise<Json>;
const claim = async (of: TestUser, by: TestUser, algorithm = 'signed_curve25519'): Promise<Json> => {
  const wish = { [of.userId]: { [of.deviceId]: algorithm } };
  const { one_time_keys, failures } = await by.ok('POST', '/keys/claim', { one_time_keys: wish });
  expect(failures).toEqual({});
  return one_time_keys[of.userId]?.[of.deviceId] ?? {};
};
const keysOf = (user: TestUser, name?: string) => deviceKeys(user.userId, user.deviceId, name);

describe('device keys', () => {
  it('are told as they were uploaded, with the name of the device', async () => {
    const own = keysOf(alice);
    expect(await upload(alice, { device_keys: own })).toEqual({
      status: 200,
      body: { one_time_key_counts: { signed_curve25519: 0 } },
    });
    await alice.ok('PUT', `/devices/${alice.deviceId}`, { display_name: 'Phone' });
    const answer = await query(bob, { [alice.userId]: [], [bob.userId]: [] });
    expect(answer).toEqual({
      device_keys: {
        [alice.userId]: { [alice.deviceId]: { ...own, unsigned: { device_display_name: 'Phone' } } },
        [bob.userId]: {},
      },
      master_keys: {},
      self_signing_keys: {},
      user_signing_keys: {},
      failures: {},
    });
    const other = await query(bob, { [alice.userId]: ['OTHER'] });
    expect(other.device_keys).toEqual({ [alice.userId]: {} });
  });

  it('keep fields that nobody here knows, which the signature covers', async () => {
    await upload(alice, { device_keys: { ...keysOf(alice), own: { list: [1] } } });
    const answer = await query(alice, { [alice.userId]: [] });
    expect(answer).toMatchObject({ device_keys: { [alice.userId]: { [alice.deviceId]: { own: { list: [1] } } } } });
  });

  it.each([
    ['those of another user', { user_id: '@other:x' }, 'M_INVALID_PARAM'],
    ['those of another device', { device_id: 'OTHER' }, 'M_INVALID_PARAM'],
    ['those without algorithms', { algorithms: undefined }, 'M_BAD_JSON'],
    ['those without signatures', { signatures: undefined }, 'M_BAD_JSON'],
    ['those with a key that has no algorithm', { keys: { A: 'a' } }, 'M_BAD_JSON'],
    ['those that cannot be signed', { half: 0.5 }, 'M_BAD_JSON'],
    ['those that are too large', { much: 'x'.repeat(40_000) }, 'M_BAD_JSON'],
  ])('are refused where they are %s, and nothing is stored', async (_, more, errcode) => {
    const body = { device_keys: { ...keysOf(alice), ...more }, one_time_keys: oneTimeKeys('a') };
    expect(refusal(await upload(alice, body))).toEqual([400, errcode]);
    expect(await claim(alice, bob)).toEqual({});
    expect((await query(bob, { [alice.userId]: [] })).device_keys).toEqual({ [alice.userId]: {} });
  });

  it('may be replaced, and what is left of the former identity goes', async () => {
    await upload(alice, { device_keys: keysOf(alice), one_time_keys: oneTimeKeys('a') });
    const answer = await upload(alice, { device_keys: keysOf(alice, 'new'), one_time_keys: oneTimeKeys('b') });
    expect(answer.body.one_time_key_counts).toEqual({ signed_curve25519: 1 });
    expect(Object.keys(await claim(alice, bob))).toEqual(['signed_curve25519:b']);
  });

  it('go with the device, also with its one-time keys', async () => {
    const phone = await alice.newDevice();
    await upload(phone, {
      device_keys: keysOf(phone),
      one_time_keys: oneTimeKeys('a'),
      fallback_keys: oneTimeKeys('f'),
    });
    await phone.ok('POST', '/logout', {});
    expect(await claim(phone, bob)).toEqual({});
    expect((await query(bob, { [alice.userId]: [] })).device_keys).toEqual({ [alice.userId]: {} });
  });

  it('are asked for by lists of devices, and by nothing else', async () => {
    const answer = await bob.call('POST', '/keys/query', { device_keys: { [alice.userId]: { A: true } } });
    expect(refusal(answer)).toEqual([400, 'M_BAD_JSON']);
  });
});

describe('one-time keys', () => {
  it('are given out once each, in the order of their upload', async () => {
    await upload(alice, { one_time_keys: oneTimeKeys('z') });
    await upload(alice, { one_time_keys: oneTimeKeys('a') });
    expect(await claim(alice, bob)).toEqual(oneTimeKeys('z'));
    expect(await claim(alice, bob)).toEqual(oneTimeKeys('a'));
    expect(await claim(alice, bob)).toEqual({});
    expect(await claim(alice, bob, 'other')).toEqual({});
  });

  it('are given to no two of many who ask at once', async () => {
    const ids = Array.from({ length: 40 }, (_, index) => `k${index}`);
    await upload(alice, { one_time_keys: oneTimeKeys(...ids) });
    const given = await Promise.all(Array.from({ length: 60 }, () => claim(alice, bob)));
    const names = given.flatMap((keys) => Object.keys(keys));
    expect(new Set(names).size).toBe(40);
    expect(names).toHaveLength(40);
  });

  it('that are uploaded again count once, and what was given out does not come back', async () => {
    const counts = async (...ids: string[]) =>
      (await upload(alice, { one_time_keys: oneTimeKeys(...ids) })).body.one_time_key_counts.signed_curve25519;
    expect(await counts('a', 'b', 'c')).toBe(3);
    expect(await counts('b', 'c', 'd')).toBe(4);
    await claim(alice, bob);
    expect(await counts('a', 'b', 'c')).toBe(3);
  });

  it('do not change under their id', async () => {
    await upload(alice, { one_time_keys: oneTimeKeys('a') });
    const answer = await upload(alice, { one_time_keys: { 'signed_curve25519:a': { key: 'other' } } });
    expect(answer).toMatchObject({ status: 400, body: { errcode: 'M_UNKNOWN' } });
    expect(answer.body.error).toMatch(
      /^One time key signed_curve25519:a already exists\. Old key: \{.*\}; new key: \{.*\}$/,
    );
    expect(await claim(alice, bob)).toEqual(oneTimeKeys('a'));
  });

  it('are not kept without end', async () => {
    const ids = Array.from({ length: 1_001 }, (_, index) => `k${index}`);
    expect(refusal(await upload(alice, { one_time_keys: oneTimeKeys(...ids) }))).toEqual([
      403,
      'M_RESOURCE_LIMIT_EXCEEDED',
    ]);
  });

  it('leave the fallback key to all who come later, until it is replaced', async () => {
    await upload(alice, { one_time_keys: oneTimeKeys('a'), fallback_keys: oneTimeKeys('f') });
    expect(await claim(alice, bob)).toEqual(oneTimeKeys('a'));
    const unused = async () => (await alice.sync()).device_unused_fallback_key_types;
    expect(await unused()).toEqual(['signed_curve25519']);
    for (const _ of [1, 2]) expect(await claim(alice, bob)).toEqual(oneTimeKeys('f'));
    expect(await unused()).toEqual([]);
    await upload(alice, { fallback_keys: oneTimeKeys('g') });
    expect(await unused()).toEqual(['signed_curve25519']);
    expect(refusal(await upload(alice, { fallback_keys: oneTimeKeys('x', 'y') }))).toEqual([400, 'M_INVALID_PARAM']);
  });

  it('are counted in every answer of /sync, and a long poll ends when one is given out', async () => {
    expect(await alice.sync()).toMatchObject(noKeys);
    await upload(alice, { one_time_keys: oneTimeKeys('a', 'b') });
    expect((await alice.sync()).device_one_time_keys_count).toEqual({ signed_curve25519: 2 });
    const waiting = alice.sync({ timeout: '30000' });
    await claim(alice, bob);
    const answer = await waiting;
    expect(answer.device_one_time_keys_count).toEqual({ signed_curve25519: 1 });
    expect(answer.rooms).toBeUndefined();
    const other = await alice.newDevice();
    expect(await other.sync()).toMatchObject(noKeys);
  });
});

describe('device lists', () => {
  const meet = async (): Promise<void> => {
    await bob.join(await alice.createRoom({ preset: 'public_chat' }));
    await Promise.all([alice.sync(), bob.sync()]);
  };

  it('tell those who share a room, and the user’s other devices, of new keys', async () => {
    await meet();
    const stranger = (await newUsers(server, 'stranger'))[0];
    await stranger.sync();
    await upload(alice, { device_keys: keysOf(alice) });
    expect((await bob.sync()).device_lists).toEqual({ changed: [alice.userId], left: [] });
    expect((await alice.sync()).device_lists).toEqual({ changed: [alice.userId], left: [] });
    expect((await stranger.sync()).device_lists).toBeUndefined();
    await upload(alice, { device_keys: keysOf(alice) });
    expect((await bob.sync()).device_lists).toBeUndefined();
  });

  it('tell of names and ends of devices that have keys, and of no others', async () => {
    const phone = await alice.newDevice();
    await meet();
    await phone.ok('PUT', `/devices/${phone.deviceId}`, { display_name: 'Phone' });
    expect((await bob.sync()).device_lists).toBeUndefined();
    await upload(phone, { device_keys: keysOf(phone) });
    await bob.sync();
    await phone.ok('PUT', `/devices/${phone.deviceId}`, { display_name: 'Telephone' });
    expect((await bob.sync()).device_lists?.changed).toEqual([alice.userId]);
    await phone.ok('POST', '/logout', {});
    expect((await bob.sync()).device_lists?.changed).toEqual([alice.userId]);
  });

  it('are told again for a range of tokens, to those who may hear of it', async () => {
    await meet();
    const [from, others] = [bob.since ?? '', alice.since ?? ''];
    const stranger = (await newUsers(server, 'stranger'))[0];
    const strangers = (await stranger.sync()).next_batch;
    await upload(alice, { device_keys: keysOf(alice) });
    const to = (await bob.sync()).next_batch;
    const changes = (user: TestUser, since: string) =>
      user.ok('GET', `/keys/changes?from=${encodeURIComponent(since)}&to=${encodeURIComponent(to)}`);
    expect(await changes(bob, from)).toEqual({ changed: [alice.userId], left: [] });
    expect(await changes(alice, others)).toEqual({ changed: [alice.userId], left: [] });
    expect(await changes(stranger, strangers)).toEqual({ changed: [], left: [] });
    expect(await changes(bob, to)).toEqual({ changed: [], left: [] });
    expect(refusal(await bob.call('GET', '/keys/changes?from=x&to=y'))).toEqual([400, 'M_INVALID_PARAM']);
  });

  it('tell who is met no more, in /sync and for a range of tokens, and nobody who is met elsewhere', async () => {
    await meet();
    const carol = (await newUsers(server, 'carol'))[0];
    const both = await alice.createRoom({ preset: 'public_chat' });
    for (const user of [bob, carol]) await user.join(both);
    await bob.sync();
    const from = bob.since ?? '';
    await bob.leave(both);
    const answer = await bob.sync();
    expect(answer.device_lists).toEqual({ changed: [], left: [carol.userId] });
    const range = `from=${encodeURIComponent(from)}&to=${encodeURIComponent(answer.next_batch)}`;
    expect(await bob.ok('GET', `/keys/changes?${range}`)).toEqual({ changed: [], left: [carol.userId] });
  });
});
