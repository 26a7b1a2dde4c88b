import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../../src/base/log.ts';
import { createKeys } from '../../../src/e2ee/keys.ts';
import { createQueryServer, type QueryServer } from '../../../src/federation-in/serve-queries.ts';
import type { DeviceId, RoomAlias, UserId } from '../../../src/matrix/ids.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import { MembershipIndex } from '../../../src/roster/membership-index.ts';
import type { Storage } from '../../../src/storage/contract/storage.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { unjitteredRandom } from '../../support/random.ts';
import { RoomBuilder } from '../../support/room-builder.ts';
import { openTestStorage } from '../../support/storage.ts';

const alice = '@alice:a' as UserId;
const gone = '@gone:a' as UserId;
const notFound = { status: 404, errcode: 'M_NOT_FOUND' };

const never = () => Promise.reject(new Error('nobody is asked'));
const noRequests = { queryUserKeys: never, claimUserKeys: never, getUserDevices: never };

let storage: Storage;
let queries: QueryServer;

beforeEach(async () => {
  storage = await openTestStorage();
  const keys = createKeys({
    serverName: 'a' as ServerName,
    storage,
    roster: new MembershipIndex({ serverName: 'a' as ServerName }),
    requests: noRequests,
    shareDeviceNames: false,
    clock: new ManualClock(),
    random: unjitteredRandom,
    log: silentLog,
  });
  queries = createQueryServer({ serverName: 'a' as ServerName, storage, keys });
  const account = { kind: 'account', passwordHash: null, createdAtMs: 1 } as const;
  await storage.commit({
    rows: [
      { ...account, userId: alice, deactivatedAtMs: null },
      { ...account, userId: gone, deactivatedAtMs: 2 },
    ],
  });
});

afterEach(() => storage.stop());

describe('a profile', () => {
  it('is told whole or by field, without what is not set', async () => {
    expect(await queries.queryProfile(alice)).toEqual({});
    await storage.commit({ rows: [{ kind: 'profile', userId: alice, displayname: 'Alice', avatarUrl: null }] });
    expect(await queries.queryProfile(alice)).toEqual({ displayname: 'Alice' });
    expect(await queries.queryProfile(alice, 'displayname')).toEqual({ displayname: 'Alice' });
    expect(await queries.queryProfile(alice, 'avatar_url')).toEqual({});
    await storage.commit({ rows: [{ kind: 'profile_field', userId: alice, field: 'm.tz', value: 'Europe/Berlin' }] });
    expect(await queries.queryProfile(alice)).toEqual({ displayname: 'Alice', 'm.tz': 'Europe/Berlin' });
    expect(await queries.queryProfile(alice, 'm.tz')).toEqual({ 'm.tz': 'Europe/Berlin' });
    expect(await queries.queryProfile(alice, 'constructor')).toEqual({});
  });

  it.each(['@nobody:a', '@gone:a', '@alice:b'])('of %s is not found', async (userId) => {
    await expect(queries.queryProfile(userId as UserId)).rejects.toMatchObject(notFound);
  });
});

describe('devices', () => {
  it('are none for a user without any', async () => {
    expect(await queries.listDevices(alice)).toEqual({ user_id: alice, stream_id: 0, devices: [] });
  });

  it('of somebody who is not, or is no more, are not found', async () => {
    await expect(queries.listDevices('@nobody:a' as UserId)).rejects.toMatchObject(notFound);
    await expect(queries.listDevices(gone)).rejects.toMatchObject(notFound);
  });
});

describe('keys', () => {
  const bob = '@bob:b' as UserId;
  const device = 'D' as DeviceId;

  it('of our users are told, those of others are not ours to tell', async () => {
    expect(await queries.queryKeys(new Map([[alice, []]]))).toMatchObject({ device_keys: { [alice]: {} } });
    const refused = { status: 400, errcode: 'M_INVALID_PARAM' };
    const both: [UserId, DeviceId[]][] = [
      [alice, []],
      [bob, []],
    ];
    await expect(queries.queryKeys(new Map(both))).rejects.toMatchObject(refused);
    const wish = { userId: bob, deviceId: device, algorithm: 'a' };
    await expect(queries.claimKeys([wish])).rejects.toMatchObject(refused);
    expect(await queries.claimKeys([{ ...wish, userId: alice }])).toEqual({ one_time_keys: {} });
  });
});

describe('an alias', () => {
  it('leads to its room and the servers that are joined, at most twenty', async () => {
    const room = await RoomBuilder.create(storage, alice);
    for (let index = 0; index < 30; index++) await room.join(`@u:s${index}`);
    await room.leave('@u:s0');
    await storage.commit({
      rows: [{ kind: 'alias', alias: '#x:a' as RoomAlias, roomId: room.roomId, creator: alice }],
    });
    const { room_id: roomId, servers } = await queries.queryDirectory('#x:a' as RoomAlias);
    expect(roomId).toBe(room.roomId);
    expect(servers).toHaveLength(20);
    expect(servers).not.toContain('s0');
  });

  it('of another server, or one that leads nowhere, is not found', async () => {
    for (const alias of ['#x:a', '#x:b']) {
      await expect(queries.queryDirectory(alias as RoomAlias)).rejects.toMatchObject(notFound);
    }
  });
});
