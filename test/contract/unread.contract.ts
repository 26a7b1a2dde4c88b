import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EventId, RoomId, UserId } from '../../src/matrix/ids.ts';
import type { Change } from '../../src/storage/contract/changes.ts';
import type { Row } from '../../src/storage/contract/commit.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import type { NotificationPage, PushVerdict } from '../../src/storage/contract/unread.ts';
import {
  alice,
  attic,
  bob,
  carol,
  commit,
  eventId,
  eventRow,
  lobby,
  makeEvent,
  memberRow,
  type OpenStorage,
} from './make.ts';

const notify: PushVerdict = { actions: ['notify'], notifies: true, highlights: false };
const shout: PushVerdict = { actions: ['notify', { set_tweak: 'highlight' }], notifies: true, highlights: true };
const silence: PushVerdict = { actions: [], notifies: false, highlights: false };

interface Said {
  roomId?: RoomId;
  thread?: string;
  sender?: UserId;
  everybody?: PushVerdict;
  singly?: readonly [UserId, PushVerdict][];
}

function saying(id: string, said: Said = {}): Row[] {
  const { roomId = lobby, sender = carol } = said;
  return [
    eventRow(id, { roomId, sender }),
    {
      kind: 'notification',
      roomId,
      eventId: eventId(id),
      sender,
      threadId: said.thread === undefined ? null : eventId(said.thread),
      everybody: said.everybody ?? notify,
      singly: (said.singly ?? []).map(([userId, verdict]) => ({ userId, verdict })),
    },
  ];
}

function reading(id: string, userId: UserId, thread: EventId | 'main' | null = null, roomId = lobby): Row {
  return { kind: 'read_place', roomId, userId, thread, eventId: eventId(id) };
}

const page: NotificationPage = {
  after: 0,
  before: Number.MAX_SAFE_INTEGER,
  limit: 10,
  onlyHighlights: false,
  onlyUnread: false,
};

export function describeUnread(open: OpenStorage): void {
  describe('what is unread', () => {
    let storage: Storage;
    beforeEach(async () => {
      storage = await open();
    });
    afterEach(() => storage.stop());

    const say = (id: string, said?: Said) => commit(storage, saying(id, said));
    /** By room and thread: notifications and highlights; zeros are left out. */
    const countsOf = async (userId: UserId, ...rooms: RoomId[]) => {
      const found = await storage.unread.listCounts(userId, new Set(rooms.length > 0 ? rooms : [lobby]));
      const entries = [...found].flatMap(([roomId, threads]) =>
        threads
          .filter(({ notifications, highlights }) => notifications !== 0 || highlights !== 0)
          .map(({ threadId, notifications, highlights }) => [
            `${roomId === lobby ? '' : 'attic '}${threadId ?? 'main'}`,
            [notifications, highlights],
          ]),
      );
      return Object.fromEntries(entries);
    };
    const listFor = async (userId: UserId, asked: Partial<NotificationPage> = {}, rooms = [lobby, attic]) => {
      const { notifications, next } = await storage.unread.listNotifications(userId, new Set(rooms), {
        ...page,
        ...asked,
      });
      return { ids: notifications.map((one) => one.eventId.slice(1)), next, notifications };
    };

    it('is counted for everybody, by room and thread', async () => {
      await say('a');
      await say('b', { everybody: shout });
      await say('c', { thread: 'a' });
      await say('d', { roomId: attic });
      expect(await countsOf(alice, lobby, attic)).toEqual({ main: [2, 1], $a: [1, 0], 'attic main': [1, 0] });
      expect(await countsOf(bob)).toEqual({ main: [2, 1], $a: [1, 0] });
    });

    it('is nothing in a room without notifications, and in one that is not known', async () => {
      await commit(storage, [eventRow('a')]);
      expect([...(await storage.unread.listCounts(alice, new Set([lobby, attic])))]).toEqual([]);
      expect(await listFor(alice)).toEqual({ ids: [], next: null, notifications: [] });
    });

    it('differs for users to whom an event means something else', async () => {
      await say('a', { singly: [[alice, shout]] });
      await say('b', { singly: [[bob, silence]] });
      await say('c', { everybody: silence, singly: [[alice, notify]] });
      expect([await countsOf(alice), await countsOf(bob)]).toEqual([{ main: [3, 1] }, { main: [1, 0] }]);
    });

    it('ends where a thread or the whole room was read', async () => {
      for (const id of ['a', 'b', 'c']) await say(id, { singly: [[alice, shout]] });
      for (const id of ['d', 'e']) await say(id, { thread: 'a' });
      await say('f');
      await commit(storage, [reading('b', alice, 'main')]);
      expect(await countsOf(alice)).toEqual({ main: [2, 1], $a: [2, 0] });
      await commit(storage, [reading('d', alice, eventId('a'))]);
      expect(await countsOf(alice)).toEqual({ main: [2, 1], $a: [1, 0] });
      await commit(storage, [reading('e', alice)]);
      expect(await countsOf(alice)).toEqual({ main: [1, 0] });
      expect(await countsOf(bob)).toEqual({ main: [4, 0], $a: [2, 0] });
    });

    it('never comes back by reading what stands further up', async () => {
      for (const id of ['a', 'b', 'c']) await say(id);
      await commit(storage, [reading('b', alice), reading('a', alice), reading('a', alice, 'main')]);
      expect(await countsOf(alice)).toEqual({ main: [1, 0] });
    });

    it('is not read by an event of another room, nor by one that nobody knows or that has no place', async () => {
      await say('a');
      await say('b', { roomId: attic });
      await commit(storage, [eventRow('old', { placement: 'historical' })]);
      await commit(storage, [reading('b', alice), reading('nowhere', alice), reading('old', alice)]);
      expect(await countsOf(alice, lobby, attic)).toEqual({ main: [1, 0], 'attic main': [1, 0] });
    });

    it('begins with the arrival of the user', async () => {
      await say('a', { singly: [[alice, shout]] });
      await commit(storage, [reading('a', alice, 'main')]);
      await commit(storage, [
        eventRow('come', { sender: alice, type: 'm.room.member', stateKey: alice }),
        { kind: 'arrival', roomId: lobby, userId: alice, eventId: eventId('come') },
      ]);
      await say('b');
      expect([await countsOf(alice), await countsOf(bob)]).toEqual([{ main: [1, 0] }, { main: [2, 0] }]);
      expect([(await listFor(alice)).ids, (await listFor(bob)).ids]).toEqual([['b'], ['b', 'a']]);
    });

    it('is less by what was redacted, for whoever had not read it', async () => {
      await say('a', { everybody: shout });
      await say('b', { everybody: shout, singly: [[alice, silence]] });
      await say('c', { singly: [[alice, shout]] });
      await commit(storage, [reading('a', bob)]);
      const redact = async (id: string) => {
        const redacted = makeEvent(id, { sender: carol, content: {} }).pdu;
        await commit(storage, [{ kind: 'redaction', eventId: eventId(id), redactedBy: eventId('r'), redacted }]);
      };
      expect([await countsOf(alice), await countsOf(bob)]).toEqual([{ main: [2, 2] }, { main: [2, 1] }]);
      for (const id of ['a', 'a', 'b']) await redact(id);
      expect([await countsOf(alice), await countsOf(bob)]).toEqual([{ main: [1, 1] }, { main: [1, 0] }]);
      await redact('c');
      expect([await countsOf(alice), await countsOf(bob)]).toEqual([{}, {}]);
      await say('d');
      await commit(storage, [reading('c', alice)]);
      expect([await countsOf(alice), await countsOf(bob)]).toEqual([{ main: [1, 0] }, { main: [1, 0] }]);
      expect((await listFor(bob)).ids).toEqual(['d']);
    });

    it('is told with the totals that it is counted from', async () => {
      await say('a');
      await say('b', { everybody: shout });
      await commit(storage, [reading('a', alice)]);
      expect((await storage.unread.listCounts(alice, new Set([lobby]))).get(lobby)).toEqual([
        { threadId: null, notifications: 1, highlights: 1, total: { notifications: 2, highlights: 1 } },
      ]);
    });

    it('is told to the listener, with what a thread adds up to and whom it concerns singly', async () => {
      const told: Change[] = [];
      storage.onCommit((changes) => {
        told.push(...changes.filter(({ kind }) => kind === 'notification' || kind === 'read_place'));
      });
      await say('a');
      await say('b', { singly: [[alice, shout]], thread: 'a' });
      await commit(storage, [reading('b', alice), reading('a', alice)]);
      const at = { kind: 'notification', roomId: lobby, forEverybody: true };
      const total = { notifications: 1, highlights: 0 };
      expect(told).toEqual([
        { ...at, eventId: '$a', threadId: null, total, singly: [] },
        { ...at, eventId: '$b', threadId: '$a', total, singly: [alice] },
        { kind: 'read_place', roomId: lobby, userId: alice },
      ]);
    });

    it('is listed newest first, with its actions, but to the sender', async () => {
      await say('a');
      await say('b', { roomId: attic, everybody: shout });
      await say('c', { singly: [[alice, shout]] });
      await say('d', { singly: [[alice, silence]] });
      await commit(storage, [reading('b', alice, null, attic)]);
      const { notifications } = await listFor(alice);
      expect(notifications.map(({ position: _, ...one }) => one)).toEqual([
        { roomId: lobby, eventId: '$c', actions: shout.actions, highlights: true, isRead: false },
        { roomId: attic, eventId: '$b', actions: shout.actions, highlights: true, isRead: true },
        { roomId: lobby, eventId: '$a', actions: notify.actions, highlights: false, isRead: false },
      ]);
      expect((await listFor(carol)).ids).toEqual([]);
      expect((await listFor(alice, {}, [attic])).ids).toEqual(['b']);
      expect((await listFor(alice, { onlyHighlights: true })).ids).toEqual(['c', 'b']);
      expect((await listFor(alice, { onlyUnread: true })).ids).toEqual(['c', 'a']);
    });

    it('is listed in pages, which lose nothing where much is left out', async () => {
      for (let n = 0; n < 12; n += 1) await say(`a${n}`, { sender: n % 4 === 0 ? carol : alice });
      await say('b', { roomId: attic });
      const first = await listFor(alice, { limit: 2 });
      expect(first.ids).toEqual(['b', 'a8']);
      const second = await listFor(alice, { limit: 2, before: first.next ?? 0 });
      expect(second.ids).toEqual(['a4', 'a0']);
      expect(second.next === null || (await listFor(alice, { before: second.next })).ids.length === 0).toBe(true);
      const behind = first.notifications.at(-1)?.position ?? 0;
      expect((await listFor(alice, { after: behind })).ids).toEqual(['b']);
    });

    it('lists an invite while it stands', async () => {
      const id = eventId('invite');
      await commit(storage, [
        memberRow(alice, 'invite', { eventId: id }),
        {
          kind: 'notification',
          roomId: lobby,
          eventId: id,
          sender: carol,
          threadId: null,
          everybody: silence,
          singly: [{ userId: alice, verdict: notify }],
        },
      ]);
      expect([(await listFor(alice, {}, [])).ids, (await listFor(bob, {}, [])).ids]).toEqual([['invite'], []]);
      await commit(storage, [memberRow(alice, 'leave')]);
      expect((await listFor(alice, {}, [])).ids).toEqual([]);
    });
  });
}
