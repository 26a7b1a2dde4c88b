import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createPublicRooms, type PublicRooms, type PublicRoomsDeps } from '../../../src/directory/public-rooms.ts';
import { FederationError, type PublicRoomsAnswer } from '../../../src/federation-out/requests-contract.ts';
import type { RoomId, UserId } from '../../../src/matrix/ids.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import type { Storage } from '../../../src/storage/contract/storage.ts';
import { eventRow, memberRow, stateMap } from '../../contract/make.ts';
import { openTestStorage } from '../../support/storage.ts';

const here = 'hs1' as ServerName;
const there = 'hs2' as ServerName;
const alice = '@alice:hs1' as UserId;
const bob = '@bob:hs1' as UserId;

let storage: Storage;
let asked: unknown[];
let answer: () => PublicRoomsAnswer;

function listWith(more: Partial<PublicRoomsDeps> = {}): PublicRooms {
  return createPublicRooms({
    storage,
    serverName: here,
    requests: {
      queryPublicRooms: async (server, query) => {
        asked.push([server, query]);
        return answer();
      },
    },
    publishing: true,
    shownToServers: true,
    maySetCanonicalAlias: async (_, userId) => userId === alice,
    ...more,
  });
}

/** A published room that anybody may join, with so many members. */
async function publish(name: string, members: number): Promise<RoomId> {
  const roomId = `!${name}:hs1` as RoomId;
  const snapshotId = storage.newSnapshotId();
  const set = stateMap({ 'm.room.join_rules': `rules-${name}`, 'm.room.name': `name-${name}` });
  await storage.commit({
    rows: [
      { kind: 'room', roomId, version: '11' },
      { kind: 'snapshot', snapshotId, roomId, parent: null, set, removed: [] },
      eventRow(`rules-${name}`, { roomId, type: 'm.room.join_rules', stateKey: '', content: { join_rule: 'public' } }),
      eventRow(`name-${name}`, { roomId, type: 'm.room.name', stateKey: '', content: { name } }),
      { kind: 'current_state', roomId, snapshotId, set, removed: [] },
      ...Array.from({ length: members }, (_, index) => memberRow(`@${name}${index}:hs1` as UserId, 'join', { roomId })),
      { kind: 'room_visibility', roomId, visibility: 'public' },
    ],
  });
  return roomId;
}

beforeEach(async () => {
  storage = await openTestStorage();
  asked = [];
  answer = () => ({ chunk: [], nextBatch: undefined, prevBatch: undefined, total: undefined });
});
afterEach(() => storage.stop());

const namesOf = (page: { chunk: readonly { name?: string }[] }): string[] => page.chunk.map(({ name }) => name ?? '');

describe('the list of this server', () => {
  it('is paged by tokens that lead on and back', async () => {
    for (const [index, name] of ['e', 'd', 'c', 'b', 'a'].entries()) await publish(name, index + 1);
    const rooms = listWith();
    const first = await rooms.list(undefined, { limit: 2 });
    expect([namesOf(first), first.prev_batch, first.total_room_count_estimate]).toEqual([['a', 'b'], undefined, 5]);
    const second = await rooms.list(undefined, { limit: 2, since: first.next_batch });
    expect(namesOf(second)).toEqual(['c', 'd']);
    const third = await rooms.list(here, { limit: 2, since: second.next_batch });
    expect([namesOf(third), third.next_batch]).toEqual([['e'], undefined]);
    const back = await rooms.list(undefined, { limit: 2, since: third.prev_batch });
    expect([namesOf(back), back.next_batch]).toEqual([['c', 'd'], second.next_batch]);
    const start = await rooms.list(undefined, { limit: 2, since: back.prev_batch });
    expect([namesOf(start), start.prev_batch]).toEqual([['a', 'b'], undefined]);
  });

  it('neither repeats nor hides a room between two pages when others grow, shrink or go', async () => {
    const [large, middle] = [await publish('large', 5), await publish('middle', 3)];
    await publish('small', 2);
    const rooms = listWith();
    const first = await rooms.list(undefined, { limit: 1 });
    expect(namesOf(first)).toEqual(['large']);
    await storage.commit({ rows: [memberRow('@large0:hs1' as UserId, 'leave', { roomId: large })] });
    await storage.commit({ rows: [{ kind: 'room_visibility', roomId: middle, visibility: 'private' }] });
    await publish('newcomer', 9);
    const second = await rooms.list(undefined, { limit: 5, since: first.next_batch });
    expect(namesOf(second).filter((name) => name !== 'large')).toEqual(['small']);
  });

  it('gives at most a hundred rooms a page, whatever is asked for', async () => {
    await publish('only', 1);
    const rooms = listWith();
    for (const limit of [undefined, 0, 1_000_000])
      expect(namesOf(await rooms.list(undefined, { limit }))).toEqual(['only']);
  });

  it('is filtered by words and by type', async () => {
    await publish('wombles', 1);
    await publish('others', 1);
    const rooms = listWith();
    const find = async (filter: { generic_search_term?: string; room_types?: (string | null)[] }) =>
      namesOf(await rooms.list(undefined, { filter }));
    expect(await find({ generic_search_term: 'WOMB' })).toEqual(['wombles']);
    expect(await find({ generic_search_term: '' })).toEqual(['wombles', 'others']);
    expect(await find({ room_types: ['m.space'] })).toEqual([]);
    expect(await find({ room_types: [null] })).toEqual(['wombles', 'others']);
  });

  it('has nothing of other networks, and refuses tokens of nobody and contradictions', async () => {
    await publish('room', 1);
    const rooms = listWith();
    expect(namesOf(await rooms.list(undefined, { third_party_instance_id: 'irc' }))).toEqual([]);
    const bad = { errcode: 'M_INVALID_PARAM' };
    for (const since of ['', 'x', 'n1', 'n1_', 'n1_room', 'q1_!a:b', 'n99999999999999999999_!a:b']) {
      await expect(rooms.list(undefined, { since })).rejects.toMatchObject(bad);
    }
    await expect(
      rooms.list(undefined, { include_all_networks: true, third_party_instance_id: 'irc' }),
    ).rejects.toMatchObject(bad);
    await expect(rooms.list(undefined, { filter: { generic_search_term: 'x'.repeat(501) } })).rejects.toMatchObject(
      bad,
    );
  });

  it('is shown to other servers unless the administrator says no', async () => {
    await publish('room', 1);
    expect(namesOf(await listWith().listForServer({}))).toEqual(['room']);
    await expect(listWith({ shownToServers: false }).listForServer({})).rejects.toMatchObject({ status: 403 });
  });
});

describe('the list of another server', () => {
  it('is asked for and taken as far as it has the right shape', async () => {
    const good = {
      room_id: '!r:hs2',
      num_joined_members: 7,
      world_readable: true,
      guest_can_join: false,
      name: 'Room',
      topic: 'Topic',
      canonical_alias: '#r:hs2',
      avatar_url: 'mxc://hs2/a',
      join_rule: 'knock',
      room_type: 'm.space',
    };
    const odd = {
      room_id: '!s:hs2',
      num_joined_members: -1,
      world_readable: 'yes',
      name: 7,
      canonical_alias: 'x',
      topic: 'x'.repeat(10_001),
      more: 1,
    };
    answer = () => ({ chunk: [good, odd, { name: 'no id' }], nextBatch: 'n', prevBatch: 'p', total: 3 });
    const filter = { generic_search_term: 'x' };
    expect(await listWith().list(there, { limit: 5, since: 's', filter })).toEqual({
      chunk: [good, { room_id: '!s:hs2', num_joined_members: 0, world_readable: false, guest_can_join: false }],
      next_batch: 'n',
      prev_batch: 'p',
      total_room_count_estimate: 3,
    });
    expect(asked).toEqual([[there, { limit: 5, since: 's', filter }]]);
  });

  it.each([
    ['which shows it to nobody', new FederationError('refused', 'no', 403), 403, 'M_FORBIDDEN'],
    ['which has none', new FederationError('refused', 'no', 404), 404, 'M_NOT_FOUND'],
    ['which is away', new FederationError('unreachable', 'no'), 404, 'M_NOT_FOUND'],
  ])('%s, is refused', async (_what, error, status, errcode) => {
    answer = () => {
      throw error;
    };
    await expect(listWith().list(there, {})).rejects.toMatchObject({ status, errcode });
  });
});

describe('whether a room is listed', () => {
  const refused = { errcode: 'M_FORBIDDEN' };
  it('is changed by whoever may name it, and by nobody else', async () => {
    const roomId = await publish('room', 1);
    const rooms = listWith();
    await expect(rooms.setVisibility(bob, roomId, 'private')).rejects.toMatchObject(refused);
    expect(await rooms.getVisibility(roomId)).toBe('public');
    await rooms.setVisibility(alice, roomId, 'private');
    expect(await rooms.getVisibility(roomId)).toBe('private');
    expect((await rooms.list(undefined, {})).chunk).toEqual([]);
  });

  it('is nothing that can be asked of a room that is not known', async () => {
    const nowhere = '!nowhere:hs1' as RoomId;
    await expect(listWith().getVisibility(nowhere)).rejects.toMatchObject({ errcode: 'M_NOT_FOUND' });
    await expect(listWith().setVisibility(alice, nowhere, 'public')).rejects.toMatchObject({ errcode: 'M_NOT_FOUND' });
  });

  it('can only become no where the administrator lets nobody publish', async () => {
    const roomId = await publish('room', 1);
    const rooms = listWith({ publishing: false });
    await expect(rooms.setVisibility(alice, roomId, 'public')).rejects.toMatchObject(refused);
    await rooms.setVisibility(alice, roomId, 'private');
    expect(await rooms.getVisibility(roomId)).toBe('private');
  });
});
