import { describe, expect, it } from 'vitest';
import { systemRandom } from '../../../src/base/random.ts';
import { createTyping } from '../../../src/ephemeral/typing.ts';
import { TypingNews } from '../../../src/ephemeral/typing-news.ts';
import type { EventId, RoomId, UserId } from '../../../src/matrix/ids.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import { MembershipIndex } from '../../../src/roster/membership-index.ts';
import type { Change } from '../../../src/storage/contract/changes.ts';
import type { Membership } from '../../../src/storage/contract/rooms.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const here = 'here.test' as ServerName;
const there = 'there.test' as ServerName;
const away = 'away.test' as ServerName;
const alice = '@alice:here.test' as UserId;
const anna = '@anna:here.test' as UserId;
const bob = '@bob:there.test' as UserId;
const carl = '@carl:away.test' as UserId;
const den = '!den:here.test' as RoomId;
const hall = '!hall:here.test' as RoomId;

function membership(roomId: RoomId, userId: UserId, after: Membership): Change {
  return { kind: 'membership', position: 1, roomId, userId, before: null, after, eventId: '$m' as EventId };
}

/** Alice, Anna and Bob are in the den, Alice and Carl in the hall. */
function setUp() {
  const clock = new ManualClock();
  const roster = new MembershipIndex({ serverName: here });
  const poked: ServerName[] = [];
  const changed: RoomId[] = [];
  const typing = createTyping({
    serverName: here,
    roster,
    poke: (destination) => poked.push(destination),
    onChange: (roomId) => changed.push(roomId),
    clock,
    random: systemRandom,
  });
  const move = (roomId: RoomId, userId: UserId, after: Membership) => {
    const changes = [membership(roomId, userId, after)];
    roster.apply(changes);
    typing.onChanges(changes);
  };
  for (const userId of [alice, anna, bob]) move(den, userId, 'join');
  for (const userId of [alice, carl]) move(hall, userId, 'join');
  const taken = async (destination: ServerName, max = 100) => {
    const parcel = await typing.source.take(destination, max);
    return { parcel, contents: parcel.edus.map(({ content }) => content) };
  };
  return { clock, roster, typing, poked, changed, move, taken };
}

describe('typing', () => {
  it('lists who types in a room, in order of their beginning', () => {
    const { typing, changed } = setUp();
    typing.set(anna, { roomId: den, typing: true });
    typing.set(alice, { roomId: den, typing: true });
    expect(typing.listTyping(den)).toEqual([anna, alice]);
    expect(typing.listTyping(hall)).toEqual([]);
    expect(changed).toEqual([den, den]);
  });

  it('ends when the user says so', () => {
    const { typing, changed } = setUp();
    typing.set(alice, { roomId: den, typing: true });
    typing.set(alice, { roomId: den, typing: false });
    expect(typing.listTyping(den)).toEqual([]);
    expect(changed).toEqual([den, den]);
  });

  it('ends after the time given, 30 seconds if none is, 2 minutes at most', async () => {
    const { clock, typing } = setUp();
    typing.set(alice, { roomId: den, typing: true, timeoutMs: 10_000 });
    typing.set(anna, { roomId: den, typing: true });
    typing.set(alice, { roomId: hall, typing: true, timeoutMs: 9_999_999_999 });
    await clock.advance(9_999);
    expect(typing.listTyping(den)).toEqual([alice, anna]);
    await clock.advance(1);
    expect(typing.listTyping(den)).toEqual([anna]);
    await clock.advance(20_000);
    expect(typing.listTyping(den)).toEqual([]);
    await clock.advance(89_999);
    expect(typing.listTyping(hall)).toEqual([alice]);
    await clock.advance(1);
    expect(typing.listTyping(hall)).toEqual([]);
    expect(clock.pendingCount).toBe(0);
  });

  it('goes on while it is repeated, and wakes nobody by it', async () => {
    const { clock, typing, changed } = setUp();
    typing.set(alice, { roomId: den, typing: true });
    await clock.advance(25_000);
    typing.set(alice, { roomId: den, typing: true });
    await clock.advance(25_000);
    expect(typing.listTyping(den)).toEqual([alice]);
    expect(changed).toEqual([den]);
  });

  it('is for members of the room only', () => {
    const { typing } = setUp();
    expect(() => typing.set(anna, { roomId: hall, typing: true })).toThrow('not in this room');
    expect(() => typing.set(anna, { roomId: hall, typing: false })).toThrow('not in this room');
    expect(typing.listTyping(hall)).toEqual([]);
  });

  it('ends when the user leaves the room', () => {
    const { typing, move } = setUp();
    typing.set(alice, { roomId: den, typing: true });
    typing.set(alice, { roomId: hall, typing: true });
    move(den, alice, 'leave');
    expect(typing.listTyping(den)).toEqual([]);
    expect(typing.listTyping(hall)).toEqual([alice]);
  });

  it('takes no more than a hundred typists in a room', () => {
    const { typing, move } = setUp();
    for (let index = 0; index < 101; index += 1) {
      const userId = `@u${index}:here.test` as UserId;
      move(den, userId, 'join');
      typing.set(userId, { roomId: den, typing: true });
    }
    expect(typing.listTyping(den)).toHaveLength(100);
  });

  it('leaves no timer behind after the stop', () => {
    const { clock, typing } = setUp();
    typing.set(alice, { roomId: den, typing: true });
    typing.stop();
    expect(clock.pendingCount).toBe(0);
  });
});

describe('news of typing', () => {
  it('name the rooms that changed behind a number', () => {
    const { typing } = setUp();
    const start = typing.number();
    typing.set(alice, { roomId: den, typing: true });
    const between = typing.number();
    typing.set(alice, { roomId: hall, typing: true });
    expect(new Set(typing.roomsChangedSince(start))).toEqual(new Set([den, hall]));
    expect(new Set(typing.roomsChangedSince(between))).toEqual(new Set([hall]));
    expect(new Set(typing.roomsChangedSince(typing.number()))).toEqual(new Set());
  });

  it('name a room whose typing has ended', async () => {
    const { clock, typing } = setUp();
    typing.set(alice, { roomId: den, typing: true, timeoutMs: 1_000 });
    const while_ = typing.number();
    await clock.advance(1_000);
    expect([...typing.roomsChangedSince(while_)]).toEqual([den]);
  });

  it('are complete also for a number from long ago', () => {
    const news = new TypingNews();
    news.add(hall);
    const afterHall = news.number;
    for (let index = 0; index < 20_000; index += 1) news.add(`!r${index % 500}:here.test` as RoomId);
    expect(news.listSince(0).size).toBe(501);
    expect(news.listSince(afterHall).size).toBe(500);
    expect(news.listSince(news.number - 10).size).toBe(10);
  });

  it('belong to one run of the process', () => {
    expect(setUp().typing.epoch).not.toBe(setUp().typing.epoch);
    expect(setUp().typing.epoch).toMatch(/^[A-Za-z0-9-]{1,64}$/);
  });
});

describe('typing for other servers', () => {
  it('goes to each server in the room but ours, as it is when it is taken', async () => {
    const { typing, poked, taken } = setUp();
    typing.set(alice, { roomId: den, typing: true });
    expect(poked).toEqual([there]);
    expect(typing.source.hasPending(there)).toBe(true);
    expect(typing.source.hasPending(away)).toBe(false);
    typing.set(alice, { roomId: den, typing: false });
    const { parcel, contents } = await taken(there);
    expect(contents).toEqual([{ room_id: den, user_id: alice, typing: false }]);
    parcel.accepted();
    expect(typing.source.hasPending(there)).toBe(false);
  });

  it('stays to be sent when the attempt fails', async () => {
    const { typing, taken } = setUp();
    typing.set(alice, { roomId: den, typing: true });
    (await taken(there)).parcel.refused();
    expect((await taken(there)).contents).toEqual([{ room_id: den, user_id: alice, typing: true }]);
  });

  it('is sent again when it changed while the transaction was under way', async () => {
    const { typing, taken } = setUp();
    typing.set(alice, { roomId: den, typing: true });
    const { parcel } = await taken(there);
    typing.set(alice, { roomId: den, typing: false });
    parcel.accepted();
    expect((await taken(there)).contents).toEqual([{ room_id: den, user_id: alice, typing: false }]);
  });

  it('tells the end that nobody said', async () => {
    const { clock, typing, taken } = setUp();
    typing.set(alice, { roomId: den, typing: true });
    (await taken(there)).parcel.accepted();
    await clock.advance(30_000);
    expect((await taken(there)).contents).toEqual([{ room_id: den, user_id: alice, typing: false }]);
  });

  it('is repeated for servers that forget, but not with every key', async () => {
    const { clock, typing, poked } = setUp();
    typing.set(alice, { roomId: den, typing: true });
    await clock.advance(19_999);
    typing.set(alice, { roomId: den, typing: true });
    expect(poked).toEqual([there]);
    await clock.advance(1);
    typing.set(alice, { roomId: den, typing: true });
    expect(poked).toEqual([there, there]);
  });

  it('comes in portions', async () => {
    const { typing, move, taken } = setUp();
    move(den, carl, 'join');
    typing.set(alice, { roomId: den, typing: true });
    typing.set(anna, { roomId: den, typing: true });
    typing.set(alice, { roomId: hall, typing: true });
    const first = await taken(away, 2);
    expect([first.contents.length, first.parcel.more]).toEqual([2, true]);
    first.parcel.accepted();
    const second = await taken(away, 2);
    expect([second.contents.length, second.parcel.more]).toEqual([1, false]);
  });

  it('never goes to a server that has left the room, nor about a user who has', async () => {
    const { typing, move, taken } = setUp();
    typing.set(alice, { roomId: den, typing: true });
    typing.set(alice, { roomId: hall, typing: true });
    move(den, bob, 'leave');
    move(hall, alice, 'leave');
    expect((await taken(there)).contents).toEqual([]);
    expect((await taken(away)).contents).toEqual([]);
  });

  it('is forgotten when a server could not be told for a minute', async () => {
    const { clock, typing } = setUp();
    typing.set(alice, { roomId: den, typing: true, timeoutMs: 120_000 });
    await clock.advance(60_000);
    expect(typing.source.hasPending(there)).toBe(true);
    await clock.advance(1);
    expect(typing.source.hasPending(there)).toBe(false);
  });

  it('does not echo what came from another server', () => {
    const { typing, poked, move } = setUp();
    move(den, carl, 'join');
    typing.receiveTypingEdu(there, { room_id: den, user_id: bob, typing: true });
    typing.receiveTypingEdu(there, { room_id: den, user_id: bob, typing: false });
    expect(poked).toEqual([]);
  });
});

describe('typing from other servers', () => {
  it('is shown until they say that it ended, or for a minute', async () => {
    const { clock, typing } = setUp();
    typing.receiveTypingEdu(there, { room_id: den, user_id: bob, typing: true });
    expect(typing.listTyping(den)).toEqual([bob]);
    typing.receiveTypingEdu(there, { room_id: den, user_id: bob, typing: false });
    expect(typing.listTyping(den)).toEqual([]);
    typing.receiveTypingEdu(there, { room_id: den, user_id: bob, typing: true });
    await clock.advance(60_000);
    expect(typing.listTyping(den)).toEqual([]);
  });

  const refused: [string, ServerName, unknown][] = [
    ['about a user of a third server', there, { room_id: hall, user_id: carl, typing: true }],
    ['about a user of ours', there, { room_id: den, user_id: alice, typing: true }],
    ['in our own name', here, { room_id: den, user_id: alice, typing: true }],
    ['about somebody not in the room', there, { room_id: hall, user_id: bob, typing: true }],
    ['about an unknown room', there, { room_id: '!no:there.test', user_id: bob, typing: true }],
    ['without typing', there, { room_id: den, user_id: bob }],
    ['with a typing that is no boolean', there, { room_id: den, user_id: bob, typing: 'true' }],
    ['with ids that are none', there, { room_id: 7, user_id: [], typing: true }],
    ['that is nothing', there, null],
    ['that is a list', there, [den, bob, true]],
    ['that is text', there, 'typing'],
  ];
  for (const [what, origin, content] of refused) {
    it(`is dropped when it is one ${what}`, () => {
      const { typing, changed } = setUp();
      typing.receiveTypingEdu(origin, content);
      expect([typing.listTyping(den), typing.listTyping(hall), changed]).toEqual([[], [], []]);
    });
  }

  it('cannot end the typing of a user of ours', () => {
    const { typing } = setUp();
    typing.set(alice, { roomId: den, typing: true });
    typing.receiveTypingEdu(there, { room_id: den, user_id: alice, typing: false });
    expect(typing.listTyping(den)).toEqual([alice]);
  });
});
