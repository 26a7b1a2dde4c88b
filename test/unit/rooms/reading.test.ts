import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { mayViewEvent } from '../../../src/engine/visibility.ts';
import { parseRoomEventFilter } from '../../../src/matrix/filter.ts';
import type { DeviceId, EventId, RoomId, UserId } from '../../../src/matrix/ids.ts';
import type { JsonObject } from '../../../src/matrix/pdu.ts';
import { encodeClientEvents } from '../../../src/rooms/client-event.ts';
import {
  encodeArrivalToken,
  encodeHistoryToken,
  parseArrivalToken,
  parseHistoryToken,
} from '../../../src/rooms/history-token.ts';
import { type TestHome, World } from './world.ts';

let world: World;
let home: TestHome;
let alice: UserId;
let bob: UserId;
let carol: UserId;

beforeEach(async () => {
  world = new World();
  home = await world.add('hs1');
  alice = await home.user('alice');
  bob = await home.user('bob');
  carol = await home.user('carol');
});
afterEach(() => world.stop());

const viewer = (userId: UserId, deviceId: string | null = null) => ({ userId, deviceId: deviceId as DeviceId | null });
const say = (roomId: RoomId, sender: UserId, body: string) =>
  home.rooms.sending.sendEvent({ roomId, sender, type: 'm.room.message', content: { msgtype: 'm.text', body } });
const join = (roomId: RoomId, userId: UserId) =>
  home.rooms.membership.join({ roomId, userId, servers: [], content: {} });

interface Page {
  chunk: (JsonObject & { type: string; event_id: EventId; content: JsonObject; state_key?: string })[];
  start: string;
  end?: string;
  state?: JsonObject[];
}

async function messages(
  roomId: RoomId,
  userId: UserId,
  query: { dir?: 'b' | 'f'; from?: string; to?: string; limit?: number; filter?: JsonObject } = {},
): Promise<Page> {
  const text = await home.rooms.history.listMessages(viewer(userId), roomId, {
    direction: query.dir === 'f' ? 'forward' : 'backward',
    from: query.from,
    to: query.to,
    limit: query.limit ?? 10,
    filter: parseRoomEventFilter(query.filter ?? {}),
  });
  return JSON.parse(text) as Page;
}

const bodiesOf = (page: Page) => page.chunk.map((event) => event.content.body ?? event.type);

describe('history visibility', () => {
  it.each([
    ['world_readable', 'leave', false, true],
    ['shared', 'leave', false, false],
    ['shared', 'leave', true, true],
    ['shared', 'join', false, true],
    ['invited', 'invite', false, true],
    ['invited', 'leave', true, false],
    ['joined', 'invite', true, false],
    ['joined', 'join', false, true],
  ] as const)('%s, %s at the event, joined later: %s → %s', (visibility, membership, joinedLater, expected) => {
    expect(mayViewEvent({ before: { visibility, membership }, joinedSince: joinedLater })).toBe(expected);
  });

  it.each([
    ['shared', ['before', 'invited', 'joined']],
    ['invited', ['invited', 'joined']],
    ['joined', ['joined']],
  ])('%s shows a new member %j', async (visibility, expected) => {
    const roomId = await home.rooms.creating.createRoom(alice, {
      initial_state: [{ type: 'm.room.history_visibility', content: { history_visibility: visibility } }],
    });
    await say(roomId, alice, 'before');
    await home.rooms.membership.invite({ roomId, sender: alice, target: bob, reason: undefined });
    await say(roomId, alice, 'invited');
    await join(roomId, bob);
    await say(roomId, alice, 'joined');
    const page = await messages(roomId, bob, { dir: 'f', limit: 100, filter: { types: ['m.room.message'] } });
    expect(bodiesOf(page)).toEqual(expected);
  });

  it('ends for whoever left with their departure, for state, members and messages alike', async () => {
    const roomId = await home.rooms.creating.createRoom(alice, { preset: 'public_chat', name: 'before' });
    await join(roomId, bob);
    await say(roomId, alice, 'seen');
    await home.rooms.membership.leave({ roomId, userId: bob, reason: undefined });
    const since = `s${home.storage.position()}`;
    await say(roomId, alice, 'unseen');
    await home.rooms.sending.sendEvent({
      roomId,
      sender: alice,
      type: 'm.room.name',
      stateKey: '',
      content: { name: 'after' },
    });
    await join(roomId, carol);
    expect(bodiesOf(await messages(roomId, bob, { limit: 2 }))).toEqual(['m.room.member', 'seen']);
    expect(bodiesOf(await messages(roomId, bob, { limit: 2, from: since }))).toEqual(['m.room.member', 'seen']);
    expect((await messages(roomId, bob, { dir: 'f', from: since })).chunk).toEqual([]);
    const key = { type: 'm.room.name', stateKey: '', format: 'content' as const };
    expect(await home.rooms.state.getStateEvent(viewer(bob), roomId, key)).toBe('{"name":"before"}');
    expect(await home.rooms.state.getStateEvent(viewer(alice), roomId, key)).toBe('{"name":"after"}');
    const members = JSON.parse(String(await home.rooms.state.listMembers(viewer(bob), roomId, {}))) as Page;
    expect(members.chunk.map((event) => event.state_key).sort()).toEqual([alice, bob]);
    await expect(home.rooms.state.listJoinedMembers(bob, roomId)).rejects.toMatchObject({ status: 403 });
  });

  it('lets anybody look into a world-readable room, and strangers into no other', async () => {
    const open = await home.rooms.creating.createRoom(alice, {
      initial_state: [{ type: 'm.room.history_visibility', content: { history_visibility: 'world_readable' } }],
    });
    const closed = await home.rooms.creating.createRoom(alice, { preset: 'public_chat' });
    const [inOpen, inClosed] = [await say(open, alice, 'hi'), await say(closed, alice, 'hi')];
    expect(bodiesOf(await messages(open, bob, { limit: 1 }))).toEqual(['hi']);
    await home.rooms.history.getEvent(viewer(bob), open, inOpen);
    await expect(messages(closed, bob)).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' });
    await expect(messages('!nowhere:hs1' as RoomId, bob)).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' });
    await expect(home.rooms.history.getEvent(viewer(bob), closed, inClosed)).rejects.toMatchObject({ status: 404 });
  });
});

describe('messages', () => {
  let roomId: RoomId;
  beforeEach(async () => {
    roomId = await home.rooms.creating.createRoom(alice, { preset: 'public_chat' });
    for (let count = 0; count < 7; count++) await say(roomId, alice, `m${count}`);
  });

  it('come page by page both ways, each once', async () => {
    const first = await messages(roomId, alice, { limit: 3 });
    expect(bodiesOf(first)).toEqual(['m6', 'm5', 'm4']);
    const second = await messages(roomId, alice, { limit: 3, from: first.end ?? '' });
    expect(bodiesOf(second)).toEqual(['m3', 'm2', 'm1']);
    const back = await messages(roomId, alice, { dir: 'f', limit: 3, from: second.end ?? '' });
    expect(bodiesOf(back)).toEqual(['m1', 'm2', 'm3']);
    const rest = await messages(roomId, alice, { limit: 100, from: second.end ?? '' });
    expect(bodiesOf(rest).at(-1)).toBe('m.room.create');
    expect(rest.end).toBeUndefined();
  });

  it('go on from a token of /sync and stop where they are told', async () => {
    const since = `s${home.storage.position()}`;
    await say(roomId, alice, 'new');
    expect(bodiesOf(await messages(roomId, alice, { dir: 'f', from: since }))).toEqual(['new']);
    expect(bodiesOf(await messages(roomId, alice, { from: since, limit: 1 }))).toEqual(['m6']);
    const later = `s${home.storage.position()}`;
    await say(roomId, alice, 'newer');
    expect(bodiesOf(await messages(roomId, alice, { dir: 'f', from: since, to: later }))).toEqual(['new']);
    await expect(messages(roomId, alice, { from: 'nonsense' })).rejects.toMatchObject({ errcode: 'M_INVALID_PARAM' });
  });

  it('obey the filter, and name the senders of the chunk when members are loaded lazily', async () => {
    await join(roomId, bob);
    await join(roomId, carol);
    await say(roomId, bob, 'of bob');
    const page = await messages(roomId, alice, {
      filter: { types: ['m.room.message'], senders: [bob], lazy_load_members: true },
    });
    expect(bodiesOf(page)).toEqual(['of bob']);
    expect(page.state?.map((event) => event.state_key)).toEqual([bob]);
    const url = await home.rooms.sending.sendEvent({
      roomId,
      sender: alice,
      type: 'm.room.message',
      content: { url: 'mxc://a/b', body: 'pic' },
    });
    const withUrl = await messages(roomId, alice, { filter: { contains_url: true } });
    expect(withUrl.chunk.map((event) => event.event_id)).toEqual([url]);
  });

  it('stand around an event in its context', async () => {
    const page = await messages(roomId, alice, { limit: 4 });
    const text = await home.rooms.history.getContext(viewer(alice), roomId, {
      eventId: page.chunk[3]?.event_id as EventId,
      limit: 4,
      filter: parseRoomEventFilter({}),
    });
    const context = JSON.parse(text) as Record<'events_before' | 'events_after' | 'state', Page['chunk']> & {
      event: JsonObject & { content: JsonObject };
      start: string;
      end: string;
    };
    expect(context.event.content.body).toBe('m3');
    expect(context.events_before.map((event) => event.content.body)).toEqual(['m2', 'm1']);
    expect(context.events_after.map((event) => event.content.body)).toEqual(['m4', 'm5']);
    expect(context.state.map((event) => event.type)).toContain('m.room.create');
    expect(bodiesOf(await messages(roomId, alice, { from: context.start, limit: 1 }))).toEqual(['m0']);
    expect(bodiesOf(await messages(roomId, alice, { dir: 'f', from: context.end, limit: 1 }))).toEqual(['m6']);
  });
});

describe('a walk back from the start of a timeline', () => {
  it('shows what had arrived before it, in the order of the graph, and nothing that came later', async () => {
    const other = await world.add('hs2');
    const dave = await other.user('dave');
    const roomId = await home.rooms.creating.createRoom(alice, { preset: 'public_chat' });
    await other.rooms.membership.join({ roomId, userId: dave, servers: [home.name], content: {} });
    await other.rooms.sending.sendEvent({ roomId, sender: dave, type: 'm.room.message', content: { body: "1'" } });
    for (const body of ['1', '2', '3', '4']) await say(roomId, alice, body);
    await world.deliver();
    await say(roomId, alice, '5');
    const timeline = await home.storage.events.listTimeline(roomId, 0, home.storage.position(), 2);
    expect(timeline.map((event) => JSON.parse(event.clientText).content.body)).toEqual(["1'", '5']);
    const token = encodeArrivalToken(timeline[0]?.position ?? 0);
    const first = await messages(roomId, alice, { from: token, limit: 2 });
    expect(bodiesOf(first)).toEqual(['4', '3']);
    const second = await messages(roomId, alice, { from: first.end ?? '', limit: 2 });
    expect(bodiesOf(second)).toEqual(['2', '1']);
    expect(bodiesOf(await messages(roomId, alice, { limit: 6 }))).toEqual(['5', '4', '3', '2', "1'", '1']);
  });
});

describe('members', () => {
  it('are listed at a point of the past, and by membership', async () => {
    const roomId = await home.rooms.creating.createRoom(alice, { preset: 'public_chat' });
    await join(roomId, bob);
    const at = `s${home.storage.position()}`;
    await join(roomId, carol);
    await home.rooms.membership.leave({ roomId, userId: bob, reason: undefined });
    const list = async (filter: Parameters<typeof home.rooms.state.listMembers>[2]) => {
      const page = JSON.parse(String(await home.rooms.state.listMembers(viewer(alice), roomId, filter))) as Page;
      return page.chunk.map((event) => event.state_key).sort();
    };
    expect(await list({ at })).toEqual([alice, bob]);
    expect(await list({ membership: 'join' })).toEqual([alice, carol]);
    expect(await list({ notMembership: 'join' })).toEqual([bob]);
    expect(await list({})).toEqual([alice, bob, carol]);
    home.profiles.set(alice, { displayname: 'A', avatarUrl: null });
    expect(JSON.parse(String(await home.rooms.state.listJoinedMembers(alice, roomId)))).toEqual({
      joined: {
        [alice]: { display_name: null, avatar_url: null },
        [carol]: { display_name: null, avatar_url: null },
      },
    });
  });
});

describe('an event as a client sees it', () => {
  it('tells its transaction id only to the device that sent it, and everybody their membership', async () => {
    const roomId = await home.rooms.creating.createRoom(alice, { preset: 'public_chat' });
    const eventId = await home.rooms.sending.sendEvent({
      roomId,
      sender: alice,
      type: 'm.room.message',
      content: {},
      transaction: { deviceId: 'A' as DeviceId, scope: 'send', transactionId: 'txn' },
    });
    await world.clock.advance(500);
    await join(roomId, bob);
    const unsigned = async (userId: UserId, deviceId: string) => {
      const text = await home.rooms.history.getEvent(viewer(userId, deviceId), roomId, eventId);
      return (JSON.parse(text) as { unsigned: JsonObject }).unsigned;
    };
    expect(await unsigned(alice, 'A')).toEqual({ age: 500, membership: 'join', transaction_id: 'txn' });
    expect(await unsigned(alice, 'B')).toEqual({ age: 500, membership: 'join' });
    expect(await unsigned(bob, 'A')).toEqual({ age: 500, membership: 'leave' });
  });

  it('has its room id where asked for, and what it replaced', async () => {
    const roomId = await home.rooms.creating.createRoom(alice, { name: 'one' });
    const first = (await home.storage.state.findCurrent(roomId, 'm.room.name', ''))?.event.eventId;
    const second = await home.rooms.sending.sendEvent({
      roomId,
      sender: alice,
      type: 'm.room.name',
      stateKey: '',
      content: { name: 'two' },
    });
    const [event] = await home.storage.events.listTimelineEventsByIds([second]);
    if (!event) throw new Error('the event is not stored');
    const options = { withRoomId: false, withMembership: true, nowMs: world.clock.now() };
    const [plain = ''] = await encodeClientEvents(home, [event], viewer(alice), options);
    expect(JSON.parse(plain)).toMatchObject({
      content: { name: 'two' },
      unsigned: { prev_content: { name: 'one' }, prev_sender: alice, replaces_state: first },
    });
    expect(JSON.parse(plain)).not.toHaveProperty('room_id');
    const [whole = ''] = await encodeClientEvents(home, [event], viewer(alice), { ...options, withRoomId: true });
    expect(JSON.parse(whole)).toHaveProperty('room_id', roomId);
  });
});

describe('tokens of the history', () => {
  it('round-trip, negative positions too, and nothing else is one', () => {
    for (const place of [
      { depth: 0, position: -5 },
      { depth: 12, position: 1_000_001 },
      { depth: Number.MAX_SAFE_INTEGER, position: Number.MIN_SAFE_INTEGER },
      { depth: 3, position: -1, upTo: 7 },
    ]) {
      expect(parseHistoryToken(encodeHistoryToken(place))).toEqual(place);
    }
    expect(parseArrivalToken(encodeArrivalToken(1_000_007))).toBe(1_000_007);
    for (const token of ['p', 'p-1', 'p1_2', 't1_2']) expect(parseArrivalToken(token)).toBeUndefined();
    for (const token of ['', 't', 't1', 't1_', 't-1_2', 't1_2 ', 's12', 't99999999999999999_1']) {
      expect(parseHistoryToken(token)).toBeUndefined();
    }
  });
});
