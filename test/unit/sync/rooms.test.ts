import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { noKeys } from '../../support/key-fixture.ts';
import { RoomBuilder } from '../../support/room-builder.ts';
import { brief, SyncFixture } from '../../support/sync-fixture.ts';

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

function create(creator = alice, options: { historyVisibility?: string } = {}): Promise<RoomBuilder> {
  return RoomBuilder.create(fixture.storage, creator, options);
}

describe('an initial sync', () => {
  test('of somebody without rooms is a token, the push rules that everybody has, and little else', async () => {
    const body = await fixture.sync(alice);
    expect(body).toEqual({
      next_batch: expect.any(String),
      ...noKeys,
      account_data: { events: [{ type: 'm.push_rules', content: { global: expect.anything() } }] },
    });
  });

  test('tells a small room whole in its timeline, with all sections there', async () => {
    const room = await create();
    await room.say(alice, 'hello');
    const body = await fixture.sync(alice);
    const joined = body.rooms.join[room.roomId];
    expect(brief(joined.timeline.events)).toEqual(['m.room.create', 'm.room.member alice', 'hello']);
    expect(joined.timeline.limited).toBe(false);
    expect(joined.state).toEqual({ events: [] });
    expect(joined.ephemeral).toEqual({ events: [] });
    expect(joined.account_data).toEqual({ events: [] });
    expect(joined.unread_notifications).toEqual({ highlight_count: 0, notification_count: 0 });
    expect(joined.summary).toEqual({ 'm.heroes': [], 'm.joined_member_count': 1, 'm.invited_member_count': 0 });
    expect(joined.timeline.events[0]).not.toHaveProperty('room_id');
    expect(body.rooms).not.toHaveProperty('invite');
  });

  test('limits the timeline to the newest ten and tells the state at its start', async () => {
    const room = await create();
    await room.state(alice, 'm.room.name', { name: 'old' });
    for (let index = 0; index < 9; index++) await room.say(alice, `m${index}`);
    await room.state(alice, 'm.room.name', { name: 'new' });
    const joined = (await fixture.sync(alice)).rooms.join[room.roomId];
    expect(joined.timeline.events).toHaveLength(10);
    expect(joined.timeline.limited).toBe(true);
    expect(joined.timeline.prev_batch).toMatch(/^t\d+_\d+_\d+$/);
    expect(brief(joined.state.events)).toEqual(['m.room.create', 'm.room.member alice', 'm.room.name']);
    expect(joined.state.events[2].content).toEqual({ name: 'old' });
  });

  test('tells the state at the end instead when asked to', async () => {
    const room = await create();
    await room.state(alice, 'm.room.name', { name: 'new' });
    const unstable = (await fixture.sync(alice, { useStateAfter: 'unstable' })).rooms.join[room.roomId];
    const joined = (await fixture.sync(alice, { useStateAfter: 'stable' })).rooms.join[room.roomId];
    expect(unstable['org.matrix.msc4222.state_after']).toEqual(joined.state_after);
    expect(joined).not.toHaveProperty('state');
    expect(brief(joined.state_after.events)).toEqual(['m.room.create', 'm.room.member alice', 'm.room.name']);
    expect(joined.timeline.events).toHaveLength(3);
  });

  test('never shows rejected and soft-failed events', async () => {
    const room = await create();
    await room.say(alice, 'rejected', { verdict: 'rejected' });
    await room.say(alice, 'soft-failed', { verdict: 'soft_failed' });
    await room.say(alice, 'fine');
    const joined = (await fixture.sync(alice)).rooms.join[room.roomId];
    expect(brief(joined.timeline.events)).toEqual(['m.room.create', 'm.room.member alice', 'fine']);
  });

  test('leaves out rooms of others', async () => {
    await create(bob);
    expect(await fixture.sync(alice)).not.toHaveProperty('rooms');
  });

  test('names the heroes and counts the members', async () => {
    const room = await create();
    await room.join(bob);
    await room.member(alice, carol, 'invite');
    const joined = (await fixture.sync(alice)).rooms.join[room.roomId];
    expect(joined.summary).toEqual({
      'm.heroes': [bob, carol],
      'm.joined_member_count': 2,
      'm.invited_member_count': 1,
    });
  });
});

describe('an incremental sync', () => {
  test('tells what is new in a room and nothing of a room without news', async () => {
    const [room, quiet] = [await create(), await create()];
    const { next_batch: since } = await fixture.sync(alice);
    await room.say(alice, 'news');
    const body = await fixture.sync(alice, { since });
    expect(Object.keys(body.rooms.join)).toEqual([room.roomId]);
    const joined = body.rooms.join[room.roomId];
    expect(brief(joined.timeline.events)).toEqual(['news']);
    expect(joined.timeline.limited).toBe(false);
    expect(joined.state.events).toEqual([]);
    expect(joined).not.toHaveProperty('summary');
    expect(body.rooms.join).not.toHaveProperty(quiet.roomId);
    expect(body.next_batch).not.toBe(since);
  });

  test('with nothing new returns the token it was given, whatever was stored meanwhile', async () => {
    await create();
    const { next_batch: since } = await fixture.sync(alice);
    const other = await create(bob);
    await other.say(bob, 'not for alice');
    expect(await fixture.sync(alice, { since })).toEqual({ next_batch: since, ...noKeys });
  });

  test('may be repeated with the same token and then tells the same', async () => {
    const room = await create();
    const { next_batch: since } = await fixture.sync(alice);
    await room.say(alice, 'news');
    expect(await fixture.sync(alice, { since })).toEqual(await fixture.sync(alice, { since }));
  });

  test('of a room with too much news is limited and tells the state that changed in the gap', async () => {
    const room = await create();
    await room.state(alice, 'm.room.topic', { topic: 'unchanged' });
    const { next_batch: since } = await fixture.sync(alice);
    await room.state(alice, 'm.room.name', { name: 'in the gap' });
    for (let index = 0; index < 10; index++) await room.say(alice, `m${index}`);
    const joined = (await fixture.sync(alice, { since })).rooms.join[room.roomId];
    expect(joined.timeline.limited).toBe(true);
    expect(brief(joined.timeline.events)).toEqual(Array.from({ length: 10 }, (_, index) => `m${index}`));
    expect(brief(joined.state.events)).toEqual(['m.room.name']);
  });

  test('tells a key that changed in the gap and again in the timeline as it was at the start', async () => {
    const room = await create();
    const { next_batch: since } = await fixture.sync(alice);
    await room.state(alice, 'm.room.name', { name: 'in the gap' });
    for (let index = 0; index < 9; index++) await room.say(alice, `m${index}`);
    await room.state(alice, 'm.room.name', { name: 'in the timeline' });
    const joined = (await fixture.sync(alice, { since })).rooms.join[room.roomId];
    expect(joined.state.events.map((event: { content: unknown }) => event.content)).toEqual([{ name: 'in the gap' }]);
  });

  test('does not repeat a key that the client knows although the timeline changes it', async () => {
    const room = await create();
    await room.state(alice, 'm.room.name', { name: 'known' });
    const { next_batch: since } = await fixture.sync(alice);
    for (let index = 0; index < 10; index++) await room.say(alice, `m${index}`);
    await room.state(alice, 'm.room.name', { name: 'in the timeline' });
    const joined = (await fixture.sync(alice, { since })).rooms.join[room.roomId];
    expect(joined.timeline.limited).toBe(true);
    expect(joined.state.events).toEqual([]);
  });

  test('tells a change that state resolution made without an event', async () => {
    const room = await create();
    const first = await room.state(alice, 'm.room.name', { name: 'first' });
    await room.state(alice, 'm.room.name', { name: 'second' });
    const { next_batch: since } = await fixture.sync(alice);
    await room.resolveTo('m.room.name', first);
    const joined = (await fixture.sync(alice, { since })).rooms.join[room.roomId];
    expect(joined.timeline.events).toEqual([]);
    expect(joined.state.events.map((event: { event_id: string }) => event.event_id)).toEqual([first]);
  });

  test('with the state after it tells every change of the state, and only there does the client look', async () => {
    const room = await create();
    const { next_batch: since } = await fixture.sync(alice);
    await room.state(alice, 'm.room.name', { name: 'one' });
    await room.state(alice, 'm.room.name', { name: 'two' });
    const joined = (await fixture.sync(alice, { since, useStateAfter: 'stable' })).rooms.join[room.roomId];
    expect(joined).not.toHaveProperty('state');
    expect(joined.state_after.events.map((event: { content: unknown }) => event.content)).toEqual([{ name: 'two' }]);
    expect(joined.timeline.events).toHaveLength(2);
  });

  test('has an empty state after where only messages came', async () => {
    const room = await create();
    const { next_batch: since } = await fixture.sync(alice);
    await room.say(alice, 'news');
    const joined = (await fixture.sync(alice, { since, useStateAfter: 'stable' })).rooms.join[room.roomId];
    expect(joined.state_after).toEqual({ events: [] });
  });

  test('with full state tells all rooms and all state, and only the new events', async () => {
    const [room, quiet] = [await create(), await create()];
    const { next_batch: since } = await fixture.sync(alice);
    await room.say(alice, 'news');
    const { join } = (await fixture.sync(alice, { since, fullState: true })).rooms;
    expect(brief(join[room.roomId].timeline.events)).toEqual(['news']);
    expect(brief(join[room.roomId].state.events)).toEqual(['m.room.create', 'm.room.member alice']);
    expect(brief(join[quiet.roomId].timeline.events)).toEqual([]);
    expect(brief(join[quiet.roomId].state.events)).toEqual(['m.room.create', 'm.room.member alice']);
  });

  test('counts the members again when one comes, and not otherwise', async () => {
    const room = await create();
    const { next_batch: since } = await fixture.sync(alice);
    await room.join(bob);
    const joined = (await fixture.sync(alice, { since })).rooms.join[room.roomId];
    expect(joined.summary).toEqual({ 'm.heroes': [bob], 'm.joined_member_count': 2, 'm.invited_member_count': 0 });
  });

  test('of a room whose history has a gap begins behind it and is limited', async () => {
    const room = await create();
    const { next_batch: since } = await fixture.sync(alice);
    await room.say(alice, 'before');
    await room.say(carol, 'behind the gap', { prevEvents: ['$never-seen'] });
    await room.say(alice, 'after');
    const joined = (await fixture.sync(alice, { since })).rooms.join[room.roomId];
    expect(brief(joined.timeline.events)).toEqual(['behind the gap', 'after']);
    expect(joined.timeline.limited).toBe(true);
    const whole = (await fixture.sync(alice)).rooms.join[room.roomId];
    expect(brief(whole.timeline.events)).toEqual(['behind the gap', 'after']);
    expect(whole.timeline.limited).toBe(true);
    const filter = { room: { timeline: { types: ['no.such'] } } };
    const empty = (await fixture.sync(alice, { filter })).rooms.join[room.roomId];
    expect([empty.timeline.events, empty.timeline.prev_batch]).toEqual([[], whole.timeline.prev_batch]);
  });

  test('shows the transaction id to the device that sent, not to another of the same user', async () => {
    const room = await create();
    const { next_batch: since } = await fixture.sync(alice);
    await room.say(alice, 'mine', { transaction: { deviceId: 'PHONE', transactionId: 'txn1' } });
    const unsigned = async (device: string) =>
      (await fixture.sync(alice, { since, device })).rooms.join[room.roomId].timeline.events[0].unsigned;
    expect(await unsigned('PHONE')).toMatchObject({ transaction_id: 'txn1' });
    expect(await unsigned('LAPTOP')).not.toHaveProperty('transaction_id');
  });
});

describe('a room that is joined', () => {
  test('comes with its whole state, limited, history included as far as the viewer may see it', async () => {
    const room = await create(bob);
    await room.say(bob, 'earlier');
    const { next_batch: since } = await fixture.sync(alice);
    await room.join(alice);
    const joined = (await fixture.sync(alice, { since })).rooms.join[room.roomId];
    expect(joined.timeline.limited).toBe(true);
    expect(brief(joined.timeline.events)).toEqual([
      'm.room.create',
      'm.room.member bob',
      'earlier',
      'm.room.member alice',
    ]);
    expect(joined.summary['m.joined_member_count']).toBe(2);
  });

  test('does not show what came before the join where the history is for members only', async () => {
    const room = await create(bob, { historyVisibility: 'joined' });
    await room.say(bob, 'secret');
    await room.state(bob, 'm.room.name', { name: 'set in secret' });
    const { next_batch: since } = await fixture.sync(alice);
    await room.join(alice);
    await room.say(bob, 'welcome');
    const filter = { room: { timeline: { not_types: ['m.room.create', 'm.room.history_visibility'] } } };
    const joined = (await fixture.sync(alice, { since, filter })).rooms.join[room.roomId];
    expect(brief(joined.timeline.events)).toEqual(['m.room.member bob', 'm.room.member alice', 'welcome']);
    expect(brief(joined.state.events).sort()).toEqual(['m.room.create', 'm.room.history_visibility', 'm.room.name']);
  });

  test('is told as joined, not as left, after join, leave and join within one answer', async () => {
    const room = await create(bob);
    const { next_batch: since } = await fixture.sync(alice);
    await room.join(alice);
    await room.leave(alice);
    await room.join(alice);
    const { rooms } = await fixture.sync(alice, { since });
    expect(Object.keys(rooms.join)).toEqual([room.roomId]);
    expect(rooms).not.toHaveProperty('leave');
  });

  test('is told whole when it was left and joined again within one answer', async () => {
    const room = await create(bob);
    await room.join(alice);
    const { next_batch: since } = await fixture.sync(alice);
    await room.leave(alice);
    await room.join(alice);
    const joined = (await fixture.sync(alice, { since })).rooms.join[room.roomId];
    expect(joined.timeline.limited).toBe(true);
    expect(joined).toHaveProperty('summary');
  });

  test('is no new room when only the profile of the member changes', async () => {
    const room = await create();
    const { next_batch: since } = await fixture.sync(alice);
    await room.join(alice, { displayname: 'Alice' });
    const joined = (await fixture.sync(alice, { since })).rooms.join[room.roomId];
    expect(joined.timeline.limited).toBe(false);
    expect(joined.timeline.events).toHaveLength(1);
  });

  test('brings all its account data and receipts, not only the new ones', async () => {
    const room = await create(bob);
    const read = await room.say(bob, 'read me');
    await fixture.accountData(alice, 'm.tag', { tags: {} }, room.roomId);
    await fixture.storage.commit({
      rows: [
        {
          kind: 'receipt',
          roomId: room.roomId,
          userId: bob as never,
          receiptType: 'm.read',
          threadId: null,
          eventId: read,
          ts: 5,
        },
      ],
    });
    const { next_batch: since } = await fixture.sync(alice);
    await room.join(alice);
    const joined = (await fixture.sync(alice, { since })).rooms.join[room.roomId];
    expect(joined.account_data.events).toEqual([{ type: 'm.tag', content: { tags: {} } }]);
    expect(joined.ephemeral.events).toEqual([
      { type: 'm.receipt', content: { [read]: { 'm.read': { [bob]: { ts: 5 } } } } },
    ]);
  });
});

describe('many rooms', () => {
  test('are all told, however many are read at once, each with its own', async () => {
    const filter = { room: { include_leave: true, timeline: { limit: 2 } } };
    const names = Array.from({ length: 110 }, (_, index) => `n${index}`);
    const rooms = new Map<string, RoomBuilder>();
    for (const name of names) {
      const room = await create();
      await room.state(alice, 'm.room.name', { name });
      await room.say(alice, `${name} one`);
      await room.say(alice, `${name} two`);
      rooms.set(name, room);
    }
    for (const name of names.slice(0, 55)) await rooms.get(name)?.leave(alice);
    const body = await fixture.sync(alice, { filter });
    for (const [index, name] of names.entries()) {
      const section = index < 55 ? body.rooms.leave : body.rooms.join;
      const told = section[rooms.get(name)?.roomId ?? ''];
      const expected = index < 55 ? [`${name} two`, 'm.room.member alice'] : [`${name} one`, `${name} two`];
      expect(brief(told.timeline.events)).toEqual(expected);
      const state = told.state.events.find((event: { type: string }) => event.type === 'm.room.name');
      expect(state.content).toEqual({ name });
    }
    const { next_batch: since } = body;
    for (const name of names.slice(60)) await rooms.get(name)?.say(alice, `${name} three`);
    const { join } = (await fixture.sync(alice, { since, filter })).rooms;
    expect(Object.keys(join)).toHaveLength(50);
    for (const name of names.slice(60)) {
      expect(brief(join[rooms.get(name)?.roomId ?? ''].timeline.events)).toEqual([`${name} three`]);
    }
  });
});
