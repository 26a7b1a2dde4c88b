import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { EventId, RoomId, UserId } from '../../../src/matrix/ids.ts';
import { RoomBuilder } from '../../support/room-builder.ts';
import { type Body, brief, SyncFixture } from '../../support/sync-fixture.ts';

let fixture: SyncFixture;
let alice: string;
let bob: string;
let carol: string;

beforeAll(async () => {
  fixture = await SyncFixture.open();
});

beforeEach(() => {
  ({ alice, bob, carol } = fixture.freshPeople());
});

const includeLeave = { room: { include_leave: true } };

async function withBob(options: { historyVisibility?: string } = {}): Promise<RoomBuilder> {
  const room = await RoomBuilder.create(fixture.storage, alice, options);
  await room.join(bob);
  return room;
}

describe('a room that was left', () => {
  test('is told once, with the departure and nothing behind it', async () => {
    const room = await withBob();
    const { next_batch: since } = await fixture.sync(bob);
    await room.say(alice, 'before');
    await room.leave(bob);
    await room.say(alice, 'after');
    await room.state(alice, 'm.room.name', { name: 'after' });
    const body = await fixture.sync(bob, { since });
    expect(body.rooms).not.toHaveProperty('join');
    const left = body.rooms.leave[room.roomId];
    expect(brief(left.timeline.events)).toEqual(['before', 'm.room.member bob']);
    expect(left.state.events).toEqual([]);
    expect(left.account_data).toEqual({ events: [] });
    expect(await fixture.sync(bob, { since: body.next_batch, filter: includeLeave })).not.toHaveProperty('rooms');
  });

  test('shows the own departure where the history is for members only', async () => {
    const room = await withBob({ historyVisibility: 'joined' });
    const { next_batch: since } = await fixture.sync(bob);
    await room.leave(bob);
    const left = (await fixture.sync(bob, { since })).rooms.leave[room.roomId];
    expect(brief(left.timeline.events)).toEqual(['m.room.member bob']);
    expect(left.state.events).toEqual([]);
  });

  test('is told with the state as it was at the departure when the client asks for no timeline', async () => {
    const room = await withBob();
    const { next_batch: since } = await fixture.sync(bob);
    await room.state(alice, 'm.room.name', { name: 'before' });
    await room.leave(bob);
    await room.state(alice, 'm.room.name', { name: 'after' });
    const filter = { room: { timeline: { limit: 0 }, include_leave: true } };
    const told = (body: Body) => {
      const left = body.rooms.leave[room.roomId];
      expect(left.timeline.events).toEqual([]);
      return left.state.events.map((event: Body) => [event.type, event.content.name ?? event.content.membership]);
    };
    expect(told(await fixture.sync(bob, { since, filter })).sort()).toEqual([
      ['m.room.member', 'leave'],
      ['m.room.name', 'before'],
    ]);
    expect(told(await fixture.sync(bob, { filter })).sort()).toEqual([
      ['m.room.create', undefined],
      ['m.room.member', 'join'],
      ['m.room.member', 'leave'],
      ['m.room.name', 'before'],
    ]);
  });

  test('is told in an initial sync only when the filter asks for it', async () => {
    const room = await withBob();
    await room.leave(bob);
    expect(await fixture.sync(bob)).not.toHaveProperty('rooms');
    const { leave } = (await fixture.sync(bob, { filter: includeLeave })).rooms;
    expect(brief(leave[room.roomId].timeline.events).at(-1)).toBe('m.room.member bob');
  });

  test('is told whole when it was joined and left within one answer', async () => {
    const room = await RoomBuilder.create(fixture.storage, alice);
    for (let index = 0; index < 10; index++) await room.say(alice, `m${index}`);
    const { next_batch: since } = await fixture.sync(bob);
    await room.join(bob);
    await room.leave(bob);
    const left = (await fixture.sync(bob, { since })).rooms.leave[room.roomId];
    expect(left.timeline.limited).toBe(true);
    expect(brief(left.timeline.events).slice(-2)).toEqual(['m.room.member bob', 'm.room.member bob']);
    expect(brief(left.state.events).sort()).toEqual(['m.room.create', 'm.room.member alice']);
  });

  test('is told when it ended by a kick or a ban, and a ban after a departure shows no more than itself', async () => {
    const room = await withBob();
    const { next_batch: since } = await fixture.sync(bob);
    await room.leave(bob);
    const { next_batch: later } = await fixture.sync(bob, { since });
    await room.say(alice, 'behind his back');
    await room.member(alice, bob, 'ban');
    const left = (await fixture.sync(bob, { since: later })).rooms.leave[room.roomId];
    expect(left.timeline.events.map((event: Body) => event.content.membership)).toEqual(['ban']);
    expect(left.state.events).toEqual([]);
  });

  test('is told in an incremental sync although it was forgotten, in an initial one not', async () => {
    const room = await withBob();
    const { next_batch: since } = await fixture.sync(bob);
    await room.leave(bob);
    await fixture.storage.commit({ rows: [{ kind: 'room_forgotten', roomId: room.roomId, userId: bob as UserId }] });
    expect(Object.keys((await fixture.sync(bob, { since })).rooms.leave)).toEqual([room.roomId]);
    expect(await fixture.sync(bob, { filter: includeLeave })).not.toHaveProperty('rooms');
  });

  test('has the state after where that is asked for', async () => {
    const room = await withBob();
    const { next_batch: since } = await fixture.sync(bob);
    await room.leave(bob);
    const left = (await fixture.sync(bob, { since, useStateAfter: 'stable' })).rooms.leave[room.roomId];
    expect(left).not.toHaveProperty('state');
    expect(brief(left.state_after.events)).toEqual(['m.room.member bob']);
  });
});

describe('an invite', () => {
  async function invited(): Promise<RoomBuilder> {
    const room = await RoomBuilder.create(fixture.storage, alice, { historyVisibility: 'shared' });
    await room.state(alice, 'm.room.name', { name: 'Party' });
    await room.state(alice, 'org.example.secret', { secret: true });
    await room.member(alice, bob, 'invite');
    return room;
  }

  test('comes with the stripped state: who, what, by whom, and no more', async () => {
    const room = await invited();
    const { rooms } = await fixture.sync(bob);
    expect(Object.keys(rooms)).toEqual(['invite']);
    const { events } = rooms.invite[room.roomId].invite_state;
    expect(brief(events).sort()).toEqual(['m.room.create', 'm.room.member alice', 'm.room.member bob', 'm.room.name']);
    expect(events.at(-1)).toEqual({
      type: 'm.room.member',
      state_key: bob,
      sender: alice,
      content: { membership: 'invite' },
    });
    expect(events.find((event: Body) => event.type === 'm.room.create')).toHaveProperty('origin_server_ts');
  });

  test('is told once in incremental syncs', async () => {
    const { next_batch: since } = await fixture.sync(bob);
    const room = await invited();
    const body = await fixture.sync(bob, { since });
    expect(Object.keys(body.rooms.invite)).toEqual([room.roomId]);
    expect(await fixture.sync(bob, { since: body.next_batch })).not.toHaveProperty('rooms');
  });

  test('by an ignored user is not told, by another it is', async () => {
    await fixture.accountData(bob, 'm.ignored_user_list', { ignored_users: { [alice]: {} } });
    const { next_batch: since } = await fixture.sync(bob);
    await invited();
    const other = await RoomBuilder.create(fixture.storage, carol);
    await other.member(carol, bob, 'invite');
    for (const asked of [{ since }, {}]) {
      expect(Object.keys((await fixture.sync(bob, asked)).rooms.invite)).toEqual([other.roomId]);
    }
  });

  test('by an ignored user that they took back is not told either', async () => {
    await fixture.accountData(bob, 'm.ignored_user_list', { ignored_users: { [alice]: {} } });
    const room = await RoomBuilder.create(fixture.storage, alice);
    const { next_batch: since } = await fixture.sync(bob);
    await room.member(alice, bob, 'invite');
    const { next_batch: between } = await fixture.sync(bob, { since });
    await room.member(alice, bob, 'leave');
    for (const from of [since, between]) expect(await fixture.sync(bob, { since: from })).not.toHaveProperty('rooms');
    await room.member(alice, bob, 'ban');
    expect(Object.keys((await fixture.sync(bob, { since })).rooms.leave)).toEqual([room.roomId]);
  });

  test('that was rejected moves to the left rooms and shows nothing but the rejection', async () => {
    const room = await invited();
    const { next_batch: since } = await fixture.sync(bob);
    await room.say(alice, 'too late');
    await room.leave(bob);
    const { rooms } = await fixture.sync(bob, { since, fullState: true });
    expect(rooms).not.toHaveProperty('invite');
    expect(brief(rooms.leave[room.roomId].timeline.events)).toEqual(['m.room.member bob']);
    expect(rooms.leave[room.roomId].state.events).toEqual([]);
  });

  test('that was accepted is a joined room only', async () => {
    const room = await invited();
    const { next_batch: since } = await fixture.sync(bob);
    await room.join(bob);
    const { rooms } = await fixture.sync(bob, { since });
    expect(Object.keys(rooms)).toEqual(['join']);
    expect(Object.keys(rooms.join)).toEqual([room.roomId]);
  });

  test('to a room elsewhere is told as the other server told it, pruned to what stripped state may hold', async () => {
    const roomId = `!elsewhere${bob}` as RoomId;
    const outOfBand = {
      event: {
        type: 'm.room.member',
        state_key: bob,
        sender: carol,
        content: { membership: 'invite' },
        event_id: '$i',
      },
      strippedState: [
        { type: 'm.room.name', state_key: '', sender: carol, content: { name: 'There' }, unsigned: { evil: 1 } },
      ],
    };
    const row = { roomId, userId: bob as UserId, sender: carol as UserId, displayname: null, avatarUrl: null };
    const { next_batch: since } = await fixture.sync(bob);
    await fixture.storage.commit({
      rows: [{ kind: 'membership', ...row, membership: 'invite', eventId: '$i' as EventId, outOfBand }],
    });
    const body = await fixture.sync(bob, { since });
    expect(body.rooms.invite[roomId].invite_state.events).toEqual([
      { type: 'm.room.name', state_key: '', sender: carol, content: { name: 'There' } },
      { type: 'm.room.member', state_key: bob, sender: carol, content: { membership: 'invite' } },
    ]);
    const event = { type: 'm.room.member', state_key: bob, sender: bob, content: { membership: 'leave' } };
    await fixture.storage.commit({
      rows: [
        {
          kind: 'membership',
          ...row,
          membership: 'leave',
          eventId: '$l' as EventId,
          outOfBand: { event, strippedState: [] },
        },
      ],
    });
    const { leave } = (await fixture.sync(bob, { since: body.next_batch })).rooms;
    expect(leave[roomId].timeline.events).toEqual([event]);
  });
});

test('a knock is told with the stripped state in its own section', async () => {
  const room = await RoomBuilder.create(fixture.storage, alice);
  await room.member(bob, bob, 'knock');
  const { rooms } = await fixture.sync(bob);
  expect(Object.keys(rooms)).toEqual(['knock']);
  expect(brief(rooms.knock[room.roomId].knock_state.events)).toEqual(['m.room.create', 'm.room.member bob']);
});
