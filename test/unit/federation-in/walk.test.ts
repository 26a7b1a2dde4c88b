import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { walkBack } from '../../../src/federation-in/walk.ts';
import type { EventId } from '../../../src/matrix/ids.ts';
import type { Storage } from '../../../src/storage/contract/storage.ts';
import { RoomBuilder } from '../../support/room-builder.ts';
import { openTestStorage } from '../../support/storage.ts';

const alice = '@alice:a';
let storage: Storage;
let room: RoomBuilder;

beforeEach(async () => {
  storage = await openTestStorage();
  room = await RoomBuilder.create(storage, alice);
});
afterEach(() => storage.stop());

async function walk(
  more: Omit<Partial<Parameters<typeof walkBack>[1]>, 'from'> & { from: readonly string[] },
): Promise<string[]> {
  const request = { roomId: room.roomId, limit: 100, ...more, from: more.from as EventId[] };
  return (await walkBack({ storage }, request)).map(({ event }) => event.eventId);
}

describe('walking back through a room', () => {
  it('gives the events it starts from and what stands behind them, the deepest first', async () => {
    const said = [await room.say(alice, '1'), await room.say(alice, '2'), await room.say(alice, '3')];
    const found = await walk({ from: said.slice(2) });
    expect(found.slice(0, 3)).toEqual([...said].reverse());
    expect(found).toHaveLength(5);
  });

  it('gives both branches of a fork, and each event once', async () => {
    const base = await room.say(alice, 'base');
    const left = await room.say(alice, 'left');
    const right = await room.say(alice, 'right', { prevEvents: [base] });
    const merge = await room.say(alice, 'merge', { prevEvents: [left, right] });
    const found = await walk({ from: [merge] });
    expect(found.slice(0, 4)).toEqual([merge, right, left, base]);
    expect(new Set(found).size).toBe(found.length);
  });

  it('stops at the limit, at the ends that are given, and above the least depth', async () => {
    const said: EventId[] = [];
    for (let index = 0; index < 6; index++) said.push(await room.say(alice, `${index}`));
    const from = said.slice(5);
    expect(await walk({ from, limit: 2 })).toEqual([said[5], said[4]]);
    expect(await walk({ from, limit: 0 })).toEqual([]);
    expect(await walk({ from, until: new Set([said[3] as EventId]) })).toEqual([said[5], said[4]]);
    expect(await walk({ from, until: new Set(from) })).toEqual([]);
    // The create event and the join stand before them.
    expect(await walk({ from, minDepth: 7 })).toEqual([said[5], said[4]]);
  });

  it('goes on through an event that was rejected, which others need to judge what builds on it', async () => {
    const before = await room.say(alice, 'before');
    const rejected = await room.say(alice, 'bad', { verdict: 'rejected' });
    const after = await room.say(alice, 'after', { prevEvents: [rejected] });
    expect((await walk({ from: [after] })).slice(0, 3)).toEqual([after, rejected, before]);
  });

  it('leads into no other room, and nowhere from what is not known', async () => {
    const other = await RoomBuilder.create(storage, alice);
    const secret = await other.say(alice, 'secret');
    const crossed = await room.say(alice, 'crossed', { prevEvents: [secret] });
    expect(await walk({ from: [crossed] })).toEqual([crossed]);
    expect(await walk({ from: [secret, '$unknown'] })).toEqual([]);
  });
});
