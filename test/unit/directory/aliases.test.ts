import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Aliases, createAliases } from '../../../src/directory/aliases.ts';
import { FederationError } from '../../../src/federation-out/requests-contract.ts';
import type { RoomAlias, RoomId, UserId } from '../../../src/matrix/ids.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import type { Storage } from '../../../src/storage/contract/storage.ts';
import { openTestStorage } from '../../support/storage.ts';

const alias = '#pub:hs1' as RoomAlias;
const room = '!room:hs1' as RoomId;
const alice = '@alice:hs1' as UserId;
const bob = '@bob:hs1' as UserId;
const carol = '@carol:hs1' as UserId;

let storage: Storage;
let aliases: Aliases;
let withdrawn: string[];
let answer: () => { roomId: RoomId; servers: ServerName[] };

beforeEach(async () => {
  storage = await openTestStorage();
  await storage.commit({ rows: [{ kind: 'room', roomId: room, version: '11' }] });
  withdrawn = [];
  answer = () => {
    throw new FederationError('refused', 'not found', 404);
  };
  aliases = createAliases({
    storage,
    serverName: 'hs1' as ServerName,
    roster: {
      isJoined: (roomId, userId) => roomId === room && (userId === alice || userId === bob),
      serversIn: () => new Set(['hs2', 'hs1'] as ServerName[]),
    },
    requests: { queryDirectory: async () => answer() },
    maySetCanonicalAlias: async (_, userId) => userId === alice,
    withdrawCanonicalAlias: async (roomId, userId, gone) => {
      withdrawn.push(`${roomId} ${userId} ${gone}`);
    },
  });
});
afterEach(() => storage.stop());

describe('aliases', () => {
  it('are made by members, once, on this server', async () => {
    await aliases.create({ userId: bob }, alias, room);
    expect(await aliases.resolve(alias)).toEqual({ roomId: room, servers: ['hs1', 'hs2'] });
    expect(await aliases.list(room)).toEqual([alias]);
    await expect(aliases.create({ userId: alice }, alias, room)).rejects.toMatchObject({ status: 409 });
    await expect(aliases.create({ userId: carol }, '#x:hs1' as RoomAlias, room)).rejects.toMatchObject({
      errcode: 'M_FORBIDDEN',
    });
    await expect(aliases.create({ userId: bob }, '#x:hs2' as RoomAlias, room)).rejects.toMatchObject({
      errcode: 'M_INVALID_PARAM',
    });
  });

  it('are removed by their maker or by whoever may name the room, and by nobody else', async () => {
    await aliases.create({ userId: bob }, alias, room);
    await expect(aliases.remove({ userId: carol }, alias)).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' });
    await aliases.remove({ userId: bob }, alias);
    await expect(aliases.resolve(alias)).rejects.toMatchObject({ errcode: 'M_NOT_FOUND' });
    await expect(aliases.remove({ userId: bob }, alias)).rejects.toMatchObject({ errcode: 'M_NOT_FOUND' });
    await aliases.create({ userId: bob }, alias, room);
    await aliases.remove({ userId: alice }, alias);
    expect(withdrawn).toEqual([`${room} ${bob} ${alias}`, `${room} ${alice} ${alias}`]);
  });

  it('of other servers are asked of them', async () => {
    const remote = '#pub:hs2' as RoomAlias;
    await expect(aliases.resolve(remote)).rejects.toMatchObject({ errcode: 'M_NOT_FOUND' });
    answer = () => ({ roomId: room, servers: ['hs3', 'hs2'] as ServerName[] });
    expect(await aliases.resolve(remote)).toEqual({ roomId: room, servers: ['hs2', 'hs3'] });
    expect(await aliases.findLocal(remote)).toBeUndefined();
  });
});
