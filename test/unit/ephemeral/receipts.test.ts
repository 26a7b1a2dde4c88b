import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createReadMarkers } from '../../../src/ephemeral/read-markers.ts';
import { ReceiptMarks } from '../../../src/ephemeral/receipt-marks.ts';
import { createReceipts, type Receipts } from '../../../src/ephemeral/receipts.ts';
import type { EventId, RoomId, UserId } from '../../../src/matrix/ids.ts';
import type { JsonObject } from '../../../src/matrix/pdu.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import { MembershipIndex } from '../../../src/roster/membership-index.ts';
import type { ReceiptType } from '../../../src/storage/contract/receipts.ts';
import type { Storage } from '../../../src/storage/contract/storage.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { propertyRuns } from '../../support/property-runs.ts';
import { RoomBuilder } from '../../support/room-builder.ts';
import { openTestStorage } from '../../support/storage.ts';

const here = 'here.test' as ServerName;
const there = 'there.test' as ServerName;
const away = 'away.test' as ServerName;
const alice = '@alice:here.test' as UserId;
const anna = '@anna:here.test' as UserId;
const bob = '@bob:there.test' as UserId;
const bea = '@bea:there.test' as UserId;
const carl = '@carl:away.test' as UserId;

let storage: Storage;
let clock: ManualClock;
let roster: MembershipIndex;
let receipts: Receipts;
let marks: ReceiptMarks;
let poked: ServerName[];
let room: RoomBuilder;
let den: RoomId;
let first: EventId;
let second: EventId;
let commits = 0;

beforeEach(async () => {
  clock = new ManualClock();
  storage = await openTestStorage(clock);
  roster = new MembershipIndex({ serverName: here });
  commits = 0;
  storage.onCommit((changes) => {
    commits += 1;
    roster.apply(changes);
  });
  marks = new ReceiptMarks({ roster });
  poked = [];
  receipts = createReceipts({ serverName: here, storage, roster, clock, marks, poke: (server) => poked.push(server) });
  room = await RoomBuilder.create(storage, alice);
  for (const userId of [anna, bob, carl]) await room.join(userId);
  den = room.roomId;
  first = await room.say(alice, 'one');
  second = await room.say(alice, 'two');
  commits = 0;
});
afterEach(() => storage.stop());

const read = (userId: UserId, eventId: EventId, more: { receiptType?: ReceiptType; threadId?: unknown } = {}) =>
  receipts.set(userId, { roomId: den, receiptType: 'm.read', eventId, ...more });
const find = (userId: UserId, receiptType: ReceiptType = 'm.read', threadId: string | null = null) =>
  storage.receipts.find(den, userId, receiptType, threadId);
const outgoing = async (server: ServerName) => (await marks.take(server, 100)).edus.map(({ content }) => content);
const related = (relType: string, eventId: EventId) =>
  room.send({
    sender: bob,
    type: 'm.room.message',
    content: { body: 'in reply', 'm.relates_to': { rel_type: relType, event_id: eventId } },
  });

describe('a receipt', () => {
  it('says how far the user has read, and the latest counts', async () => {
    await read(anna, first);
    clock.step(5);
    await read(anna, second);
    expect(await find(anna)).toMatchObject({ eventId: second, ts: clock.now() });
    expect(await find(alice)).toBeUndefined();
  });

  it('given again writes nothing', async () => {
    await read(anna, first);
    const before = commits;
    await read(anna, first);
    expect(commits).toBe(before);
    await read(anna, second);
    expect(commits).toBe(before + 1);
  });

  it('is kept apart for each type and thread', async () => {
    await read(anna, first);
    await read(anna, second, { receiptType: 'm.read.private' });
    await read(anna, second, { threadId: 'main' });
    expect((await find(anna))?.eventId).toBe(first);
    expect((await find(anna, 'm.read.private'))?.eventId).toBe(second);
    expect((await find(anna, 'm.read', 'main'))?.eventId).toBe(second);
  });

  it('is refused to who is not in the room', async () => {
    await expect(read('@stranger:here.test' as UserId, first)).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' });
    await room.leave(anna);
    await expect(read(anna, first)).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' });
    expect(await find(anna)).toBeUndefined();
  });

  it('is refused for an event that is unknown, or of another room', async () => {
    const other = await RoomBuilder.create(storage, anna);
    const elsewhere = await other.say(anna, 'elsewhere');
    await expect(read(anna, '$unknown' as EventId)).rejects.toMatchObject({ errcode: 'M_NOT_FOUND' });
    await expect(read(anna, elsewhere)).rejects.toMatchObject({ errcode: 'M_NOT_FOUND' });
    const rejected = await room.say(bob, 'not allowed', { verdict: 'rejected' });
    await expect(read(anna, rejected)).rejects.toMatchObject({ errcode: 'M_NOT_FOUND' });
  });
});

describe('the thread of a receipt', () => {
  it('is one that the event is in, directly or by what it relates to', async () => {
    const reply = await related('m.thread', first);
    const edit = await related('m.replace', reply);
    const annotation = await related('m.annotation', edit);
    for (const eventId of [first, reply, edit, annotation]) {
      await read(anna, eventId, { threadId: first });
      expect((await find(anna, 'm.read', first))?.eventId).toBe(eventId);
    }
  });

  it('is the main one for roots, events without relations, and what relates to those', async () => {
    const edit = await related('m.replace', second);
    for (const eventId of [first, second, edit]) {
      await read(anna, eventId, { threadId: 'main' });
      expect((await find(anna, 'm.read', 'main'))?.eventId).toBe(eventId);
    }
  });

  it('is refused where the event is in another', async () => {
    const reply = await related('m.thread', first);
    const wrong: [EventId, string][] = [
      [reply, 'main'],
      [reply, second],
      [second, first],
    ];
    for (const [eventId, threadId] of wrong) {
      await expect(read(anna, eventId, { threadId })).rejects.toMatchObject({ errcode: 'M_INVALID_PARAM' });
    }
  });

  it('is looked for over three hops and no further', async () => {
    const reply = await related('m.thread', first);
    const one = await related('m.reference', reply);
    const two = await related('m.reference', one);
    const three = await related('m.reference', two);
    const four = await related('m.reference', three);
    await read(anna, three, { threadId: first });
    await expect(read(anna, four, { threadId: first })).rejects.toMatchObject({ errcode: 'M_INVALID_PARAM' });
  });

  it('is refused when it is no thread id', async () => {
    for (const threadId of ['', 7, null, [], 'other', {}]) {
      await expect(read(anna, first, { threadId })).rejects.toMatchObject({ errcode: 'M_INVALID_PARAM' });
    }
  });
});

describe('a receipt for other servers', () => {
  const told = (eventId: EventId, more: JsonObject = {}) => ({
    data: { ts: clock.now(), ...more },
    event_ids: [eventId],
  });

  it('goes to each server in the room but ours', async () => {
    await read(anna, first);
    const content = { [den]: { 'm.read': { [anna]: told(first) } } };
    expect(await outgoing(there)).toEqual([content]);
    expect(await outgoing(away)).toEqual([content]);
    expect(await outgoing(here)).toEqual([]);
    expect(poked.sort()).toEqual([away, there]);
  });

  it('stands beside those of others in one EDU, and those of another thread in a second one', async () => {
    await read(anna, first);
    await read(alice, second);
    await read(anna, first, { threadId: 'main' });
    expect(await outgoing(there)).toEqual([
      { [den]: { 'm.read': { [anna]: told(first), [alice]: told(second) } } },
      { [den]: { 'm.read': { [anna]: told(first, { thread_id: 'main' }) } } },
    ]);
  });

  it('is replaced by a later one of the same user and thread while it waits', async () => {
    await read(anna, first);
    await read(anna, first, { threadId: 'main' });
    await read(anna, second);
    expect(await outgoing(there)).toEqual([
      { [den]: { 'm.read': { [anna]: told(first, { thread_id: 'main' }) } } },
      { [den]: { 'm.read': { [anna]: told(second) } } },
    ]);
  });

  it('is told again until an attempt that carried it was answered, and then no more', async () => {
    await read(anna, first);
    (await marks.take(there, 100)).refused();
    expect(marks.hasPending(there)).toBe(true);
    const parcel = await marks.take(there, 100);
    expect(parcel.edus).toHaveLength(1);
    parcel.accepted();
    expect(marks.hasPending(there)).toBe(false);
    expect(marks.hasPending(away)).toBe(true);
  });

  it('is told also when it replaced one that was under way', async () => {
    await read(anna, first);
    const parcel = await marks.take(there, 100);
    await read(anna, second);
    parcel.accepted();
    expect(await outgoing(there)).toEqual([{ [den]: { 'm.read': { [anna]: told(second) } } }]);
  });

  it('is left out when its user, or the other server, is not in the room any more', async () => {
    await read(anna, first);
    await read(alice, first);
    await room.leave(anna);
    await room.leave(bob);
    expect(await outgoing(away)).toEqual([{ [den]: { 'm.read': { [alice]: told(first) } } }]);
    expect(await outgoing(there)).toEqual([]);
    expect(marks.hasPending(there)).toBe(false);
  });

  it('waits for the next transaction where no EDU has room for it', async () => {
    await read(anna, first);
    await read(anna, second, { threadId: 'main' });
    const parcel = await marks.take(there, 1);
    expect(parcel).toMatchObject({ more: true, edus: [{ content: { [den]: { 'm.read': { [anna]: told(first) } } } }] });
    parcel.accepted();
    expect(await marks.take(there, 1)).toMatchObject({
      more: false,
      edus: [{ content: { [den]: { 'm.read': { [anna]: told(second, { thread_id: 'main' }) } } } }],
    });
  });

  it('is never a private one', async () => {
    await read(anna, first, { receiptType: 'm.read.private' });
    expect(await outgoing(there)).toEqual([]);
  });
});

describe('receipts from another server', () => {
  const entry = (eventId: string, data: JsonObject = { ts: 5 }) => ({ data, event_ids: [eventId] });
  const receive = (content: unknown, origin: ServerName = there) => receipts.receiveReceiptEdu(origin, content);

  it('are kept for its users in the room', async () => {
    await room.join(bea);
    await receive({ [den]: { 'm.read': { [bob]: entry(first), [bea]: entry(second, { ts: 6, thread_id: 'main' }) } } });
    expect(await find(bob)).toMatchObject({ eventId: first, ts: 5 });
    expect(await find(bea, 'm.read', 'main')).toMatchObject({ eventId: second, ts: 6 });
  });

  it('may name an event that has not arrived yet', async () => {
    await receive({ [den]: { 'm.read': { [bob]: entry('$to-come') } } });
    expect((await find(bob))?.eventId).toBe('$to-come');
  });

  it('that change nothing write nothing', async () => {
    await receive({ [den]: { 'm.read': { [bob]: entry(first) } } });
    const before = commits;
    await receive({ [den]: { 'm.read': { [bob]: entry(first, { ts: 9 }) } } });
    expect(commits).toBe(before);
    await receive({ [den]: { 'm.read': { [bob]: entry(first, { ts: 9, thread_id: 'main' }) } } });
    expect(commits).toBe(before + 1);
  });

  it('are not sent on to others', async () => {
    await receive({ [den]: { 'm.read': { [bob]: entry(first) } } });
    expect(await outgoing(away)).toEqual([]);
  });

  it('are dropped one by one: those of others, of strangers to the room, private and malformed ones', async () => {
    await room.join(bea);
    const other = await RoomBuilder.create(storage, alice);
    await receive({
      [other.roomId]: { 'm.read': { [bob]: entry(first) } },
      'not a room': { 'm.read': { [bob]: entry(first) } },
      '!none:there.test': 'nothing',
      [den]: {
        'm.read.private': { [bob]: entry(first) },
        'm.read': {
          [alice]: entry(first),
          [carl]: entry(first),
          '@nobody:there.test': entry(first),
          'not a user': entry(first),
          '@list:there.test': [],
          [bob]: { data: { ts: '5' }, event_ids: [first] },
          [bea]: entry(second),
        },
      },
    });
    for (const userId of [alice, carl, bob]) expect(await find(userId)).toBeUndefined();
    expect(await find(bob, 'm.read.private')).toBeUndefined();
    expect(await storage.receipts.listOfRoom(other.roomId, storage.position())).toEqual([]);
    expect((await find(bea))?.eventId).toBe(second);
  });

  it('in our own name are not believed', async () => {
    await receive({ [den]: { 'm.read': { [alice]: entry(first) } } }, here);
    expect(await find(alice)).toBeUndefined();
  });

  it('never throw, whatever they hold', async () => {
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), fc.jsonValue(), fc.jsonValue(), async (whole, ofRoom, ofUser) => {
        await receive(whole);
        await receive({ [den]: ofRoom });
        await receive({ [den]: { 'm.read': ofRoom } });
        await receive({ [den]: { 'm.read': { [bob]: ofUser } } });
      }),
      { numRuns: propertyRuns(50) },
    );
  });
});

describe('the read marker', () => {
  const markers = () => createReadMarkers({ storage, roster, receipts });
  const marker = (userId: UserId) => storage.accountData.find(userId, den, 'm.fully_read');

  it('is account data of the room', async () => {
    await markers().set(anna, { roomId: den, fullyRead: first });
    expect((await marker(anna))?.content).toEqual({ event_id: first });
    expect(await find(anna)).toBeUndefined();
    expect(await outgoing(there)).toEqual([]);
  });

  it('moves together with the receipts, in one commit', async () => {
    await markers().set(anna, { roomId: den, fullyRead: first, read: second, readPrivate: second });
    expect(commits).toBe(1);
    expect((await marker(anna))?.content).toEqual({ event_id: first });
    expect((await find(anna))?.eventId).toBe(second);
    expect((await find(anna, 'm.read.private'))?.eventId).toBe(second);
    expect(await outgoing(there)).toHaveLength(1);
  });

  it('that stands already is not written again', async () => {
    await markers().set(anna, { roomId: den, fullyRead: first });
    const before = commits;
    await markers().set(anna, { roomId: den, fullyRead: first });
    expect(commits).toBe(before);
    await markers().set(anna, { roomId: den, fullyRead: second });
    expect(commits).toBe(before + 1);
  });

  it('stays where it is when one of the receipts is refused', async () => {
    const request = { roomId: den, fullyRead: first, read: '$unknown' as EventId };
    await expect(markers().set(anna, request)).rejects.toMatchObject({ errcode: 'M_NOT_FOUND' });
    expect(await marker(anna)).toBeUndefined();
  });

  it('is refused to who is not in the room, and for an event that is not in it', async () => {
    await expect(markers().set('@x:here.test' as UserId, { roomId: den, fullyRead: first })).rejects.toMatchObject({
      errcode: 'M_FORBIDDEN',
    });
    await expect(markers().set(anna, { roomId: den, fullyRead: '$no' as EventId })).rejects.toMatchObject({
      errcode: 'M_NOT_FOUND',
    });
  });

  it('may be asked to do nothing', async () => {
    await markers().set(anna, { roomId: den });
    expect(commits).toBe(0);
  });
});
