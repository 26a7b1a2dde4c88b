import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RoomId, UserId } from '../../src/matrix/ids.ts';
import type { JsonObject } from '../../src/matrix/pdu.ts';
import type { ServerName } from '../../src/matrix/server-name.ts';
import type { Row } from '../../src/storage/contract/commit.ts';
import type { RoomList } from '../../src/storage/contract/directory.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import {
  alias,
  alice,
  attic,
  bob,
  carol,
  commit,
  eventRow,
  lobby,
  memberRow,
  type OpenStorage,
  room,
  stateMap,
  user,
} from './make.ts';

/** State of a room with an empty state key, and the current state that holds it. */
function stateRows(storage: Storage, roomId: RoomId, contents: Readonly<Record<string, JsonObject>>): Row[] {
  const snapshotId = storage.newSnapshotId();
  const entries = Object.entries(contents).map(([type, content]) => ({ type, content, id: `${type}${snapshotId}` }));
  const set = stateMap(Object.fromEntries(entries.map(({ type, id }) => [type, id])));
  return [
    { kind: 'room', roomId, version: '11' },
    { kind: 'snapshot', snapshotId, roomId, parent: null, set, removed: [] },
    ...entries.map(({ type, content, id }) => eventRow(id, { roomId, type, stateKey: '', content })),
    { kind: 'current_state', roomId, snapshotId, set, removed: [] },
  ];
}

const toAll: JsonObject = { join_rule: 'public' };

function published(storage: Storage, roomId: RoomId, members: number, more: Record<string, JsonObject> = {}): Row[] {
  return [
    ...stateRows(storage, roomId, { 'm.room.join_rules': toAll, ...more }),
    ...Array.from({ length: members }, (_, index) =>
      memberRow(user(`${roomId.slice(1, 4)}${index}`), 'join', { roomId }),
    ),
    { kind: 'room_visibility', roomId, visibility: 'public' },
  ];
}

const anything = { from: null, direction: 'forward', limit: 10, search: null, roomTypes: null } as const;

export function describeDirectory(open: OpenStorage): void {
  describe('the directory', () => {
    let storage: Storage;
    beforeEach(async () => {
      storage = await open();
    });
    afterEach(() => storage.stop());

    it('finds and lists aliases until they are removed', async () => {
      const [a, b] = [alias('a'), alias('b')];
      await commit(storage, [
        { kind: 'alias', alias: b, roomId: lobby, creator: alice },
        { kind: 'alias', alias: a, roomId: lobby, creator: alice },
        { kind: 'alias', alias: alias('c'), roomId: attic, creator: alice },
      ]);
      expect(await storage.directory.findAlias(a)).toEqual({ alias: a, roomId: lobby, creator: alice });
      expect((await storage.directory.listAliases(lobby)).map((row) => row.alias)).toEqual([a, b]);
      await commit(storage, [{ kind: 'alias_removed', alias: a }]);
      expect(await storage.directory.findAlias(a)).toBeUndefined();
      expect((await storage.directory.listAliases(lobby)).map((row) => row.alias)).toEqual([b]);
    });

    it('holds rooms private until they are published', async () => {
      expect(await storage.directory.getVisibility(lobby)).toBe('private');
      await commit(storage, [{ kind: 'room_visibility', roomId: lobby, visibility: 'public' }]);
      expect(await storage.directory.getVisibility(lobby)).toBe('public');
      expect(await storage.directory.getVisibility(attic)).toBe('private');
      await commit(storage, [{ kind: 'room_visibility', roomId: lobby, visibility: 'private' }]);
      expect(await storage.directory.getVisibility(lobby)).toBe('private');
    });

    it('lists published rooms with what their state says, the larger first', async () => {
      const said = {
        'm.room.create': { type: 'm.space' },
        'm.room.name': { name: 'Attic' },
        'm.room.topic': { topic: 'old', 'm.topic': { 'm.text': [{ body: 'Dust', mimetype: 'text/plain' }] } },
        'm.room.canonical_alias': { alias: alias('attic') },
        'm.room.avatar': { url: 'mxc://here.test/picture' },
        'm.room.history_visibility': { history_visibility: 'world_readable' },
        'm.room.guest_access': { guest_access: 'can_join' },
      };
      await commit(storage, published(storage, lobby, 1));
      await commit(storage, published(storage, attic, 2, said));
      expect(await storage.directory.listPublicRooms(anything)).toEqual([
        {
          roomId: attic,
          joinedMembers: 2,
          name: 'Attic',
          topic: 'Dust',
          canonicalAlias: alias('attic'),
          avatarUrl: 'mxc://here.test/picture',
          roomType: 'm.space',
          joinRule: 'public',
          worldReadable: true,
          guestCanJoin: true,
        },
        expect.objectContaining({
          roomId: lobby,
          joinedMembers: 1,
          name: null,
          joinRule: 'public',
          worldReadable: false,
        }),
      ]);
      expect(await storage.directory.countPublicRooms()).toBe(2);
    });

    it('tells of any rooms that are known what they say of themselves, listed or not, with what decides who may learn it', async () => {
      const [acl, encryption] = [{ allow: ['*'] }, { algorithm: 'm.x' }];
      await commit(storage, [
        ...stateRows(storage, attic, {
          'm.room.create': { type: 'm.space' },
          'm.room.name': { name: 'Attic' },
          'm.room.join_rules': { join_rule: 'restricted', allow: [{ room_id: lobby }] },
          'm.room.server_acl': acl,
          'm.room.encryption': encryption,
        }),
        memberRow(alice, 'join', { roomId: attic }),
      ]);
      await commit(storage, published(storage, lobby, 1));
      await commit(storage, [memberRow(bob, 'invite', { roomId: room('unknown') })]);
      const asked = new Set([attic, lobby, room('unknown'), room('none')]);
      const facts = new Map((await storage.directory.listRoomFacts(asked)).map((one) => [one.roomId, one]));
      expect([...facts.keys()].sort()).toEqual([attic, lobby].sort());
      expect(facts.get(attic)).toMatchObject({
        version: '11',
        name: 'Attic',
        roomType: 'm.space',
        joinedMembers: 1,
        joinRule: 'restricted',
        worldReadable: false,
        joinRules: { join_rule: 'restricted', allow: [{ room_id: lobby }] },
        serverAcl: acl,
        encryption,
      });
      expect(facts.get(lobby)).toMatchObject({ joinRules: toAll, serverAcl: null, encryption: null });
      expect(await storage.directory.listRoomFacts(new Set())).toEqual([]);
    });

    it('finds the rooms to which a server’s users are invited', async () => {
      const guest = user('guest', 'there.test');
      await commit(storage, [
        memberRow(guest, 'invite', { roomId: lobby }),
        memberRow(guest, 'join', { roomId: attic }),
        memberRow(bob, 'invite', { roomId: room('ours') }),
      ]);
      const all = new Set([lobby, attic, room('ours'), room('none')]);
      expect(await storage.rooms.listInvitedOf('there.test' as ServerName, all)).toEqual(new Set([lobby]));
      expect(await storage.rooms.listInvitedOf('there.test' as ServerName, new Set([attic]))).toEqual(new Set());
    });

    it('lists no room that is not published, takes in nobody who was not invited, or has no members', async () => {
      const [secret, closed, empty, mute] = [room('secret'), room('closed'), room('empty'), room('mute')];
      await commit(storage, [...stateRows(storage, secret, { 'm.room.join_rules': toAll }), memberRow(alice, 'join')]);
      await commit(storage, published(storage, closed, 1, { 'm.room.join_rules': { join_rule: 'invite' } }));
      await commit(storage, published(storage, empty, 0));
      await commit(storage, published(storage, mute, 1, { 'm.room.join_rules': {} }));
      expect(await storage.directory.listPublicRooms(anything)).toEqual([]);
      expect(await storage.directory.countPublicRooms()).toBe(0);
    });

    it('keeps a list for each network apart from the own one, and all of them as one', async () => {
      const [own, bridged, closed] = [room('own'), room('bridged'), room('closed')];
      await commit(storage, published(storage, own, 2));
      const hidden = (roomId: RoomId): Row => ({ kind: 'room_visibility', roomId, visibility: 'private' });
      const listed = (roomId: RoomId, visibility: 'public' | 'private' = 'public'): Row => ({
        kind: 'network_room',
        network: 'irc|net',
        roomId,
        visibility,
      });
      await commit(storage, [...published(storage, bridged, 1), hidden(bridged), listed(bridged), listed(bridged)]);
      const closedState = { 'm.room.join_rules': { join_rule: 'invite' } };
      await commit(storage, [...published(storage, closed, 1, closedState), hidden(closed), listed(closed)]);
      const { directory } = storage;
      const idsOf = async (list: RoomList) =>
        (await directory.listPublicRooms({ ...anything, list })).map(({ roomId }) => roomId);
      expect(await idsOf('own')).toEqual([own]);
      expect(await idsOf({ network: 'irc|net' })).toEqual([bridged]);
      expect(await idsOf({ network: 'irc|other' })).toEqual([]);
      expect(await idsOf('all')).toEqual([own, bridged]);
      const back = await directory.listPublicRooms({ ...anything, direction: 'backward', limit: 1, list: 'all' });
      expect(back.map(({ roomId }) => roomId)).toEqual([bridged]);
      expect(await directory.countPublicRooms('own')).toBe(1);
      expect(await directory.countPublicRooms({ network: 'irc|net' })).toBe(1);
      expect(await directory.countPublicRooms('all')).toBe(2);
      await commit(storage, [listed(bridged, 'private')]);
      expect(await idsOf({ network: 'irc|net' })).toEqual([]);
      expect(await idsOf('all')).toEqual([own]);
    });

    it('follows the members, the state and the redactions of a listed room', async () => {
      await commit(storage, published(storage, lobby, 1, { 'm.room.name': { name: 'Lobby' } }));
      await commit(storage, [memberRow(bob, 'join'), memberRow(carol, 'join')]);
      await commit(storage, [memberRow(bob, 'leave')]);
      const [listed] = await storage.directory.listPublicRooms(anything);
      expect(listed).toMatchObject({ joinedMembers: 2, name: 'Lobby' });
      await commit(storage, stateRows(storage, lobby, { 'm.room.name': { name: 'Hall' } }));
      const [renamed] = await storage.directory.listPublicRooms(anything);
      expect(renamed).toMatchObject({ name: 'Hall', joinRule: 'public' });
      const name = await storage.state.findCurrent(lobby, 'm.room.name', '');
      if (!name) throw new Error('no name');
      await commit(storage, [
        eventRow('redaction', { type: 'm.room.redaction' }),
        {
          kind: 'redaction',
          eventId: name.event.eventId,
          redactedBy: 'redaction' as never,
          redacted: { ...name.event.pdu, content: {} },
        },
      ]);
      const [redacted] = await storage.directory.listPublicRooms(anything);
      expect(redacted).toMatchObject({ name: null, joinRule: 'public' });
    });

    it('pages through the list both ways without losing or repeating a room', async () => {
      const rooms = ['a', 'b', 'c', 'd', 'e'].map((name) => room(`page-${name}`));
      const sizes = [1, 3, 2, 2, 2];
      for (const [index, roomId] of rooms.entries()) {
        await commit(storage, published(storage, roomId, sizes[index] ?? 0));
      }
      const names = (list: readonly { roomId: RoomId }[]) => list.map(({ roomId }) => roomId.slice(6, 7)).join('');
      const { directory } = storage;
      expect(names(await directory.listPublicRooms(anything))).toBe('bcdea');
      const first = await directory.listPublicRooms({ ...anything, limit: 2 });
      expect(names(first)).toBe('bc');
      const second = await directory.listPublicRooms({ ...anything, limit: 2, from: first.at(-1) ?? null });
      expect(names(second)).toBe('de');
      expect(names(await directory.listPublicRooms({ ...anything, limit: 2, from: second.at(-1) ?? null }))).toBe('a');
      const back = { ...anything, direction: 'backward' as const, limit: 2 };
      expect(names(await directory.listPublicRooms({ ...back, from: second[0] ?? null }))).toBe('bc');
      expect(names(await directory.listPublicRooms(back))).toBe('ea');
    });

    it('searches name, topic and alias without regard to case or accents, and picks by type', async () => {
      const [cafe, space] = [room('cafe'), room('space')];
      await commit(storage, published(storage, cafe, 1, { 'm.room.name': { name: 'Le Café' } }));
      await commit(
        storage,
        published(storage, space, 1, {
          'm.room.create': { type: 'm.space' },
          'm.room.topic': { topic: 'Everything ÄNGSTLICH' },
          'm.room.canonical_alias': { alias: alias('outer') },
        }),
      );
      const find = async (search: string | null, roomTypes: (string | null)[] | null = null) =>
        (await storage.directory.listPublicRooms({ ...anything, search, roomTypes })).map(({ roomId }) => roomId);
      expect(await find('CAFE')).toEqual([cafe]);
      expect(await find('ängst')).toEqual([space]);
      expect(await find('#OUTER')).toEqual([space]);
      expect(await find('100%')).toEqual([]);
      expect(await find(null, ['m.space'])).toEqual([space]);
      expect(await find(null, [null])).toEqual([cafe]);
      expect(await find(null, [null, 'm.space'])).toEqual([cafe, space]);
      expect(await find(null, [])).toEqual([]);
    });

    describe('of users', () => {
      const [hall, club] = [room('hall'), room('club')];
      const account = (userId: UserId, deactivatedAtMs: number | null = null): Row => ({
        kind: 'account',
        userId,
        passwordHash: null,
        createdAtMs: 1,
        deactivatedAtMs,
      });
      const profile = (userId: UserId, displayname: string | null, avatarUrl: string | null = null): Row => ({
        kind: 'profile',
        userId,
        displayname,
        avatarUrl,
      });
      const find = async (searcher: UserId, ...words: string[]) =>
        (await storage.directory.searchUsers({ searcher, words, after: null, limit: 50 })).users;
      const idsOf = (users: readonly { userId: UserId }[]) => users.map(({ userId }) => userId);

      it('finds who shares a room with the searcher or is in one that is open to all, and nobody else', async () => {
        const [dave, erin] = [user('dave'), user('erin')];
        await commit(
          storage,
          [alice, bob, dave, erin].map((userId) => account(userId)),
        );
        await commit(
          storage,
          [alice, bob, dave, erin].map((userId) => profile(userId, `Smith ${userId}`)),
        );
        await commit(storage, [
          ...stateRows(storage, hall, { 'm.room.join_rules': toAll }),
          ...stateRows(storage, club, { 'm.room.join_rules': { join_rule: 'invite' } }),
          memberRow(alice, 'join', { roomId: hall }),
          memberRow(bob, 'join', { roomId: club }),
          memberRow(dave, 'join', { roomId: club }),
        ]);
        expect(idsOf(await find(dave, 'smith'))).toEqual([alice, bob, dave]);
        expect(idsOf(await find(erin, 'smith'))).toEqual([alice]);
        await commit(storage, [memberRow(dave, 'leave', { roomId: club })]);
        expect(idsOf(await find(dave, 'smith'))).toEqual([alice]);
        await commit(
          storage,
          stateRows(storage, club, { 'm.room.history_visibility': { history_visibility: 'world_readable' } }),
        );
        expect(idsOf(await find(erin, 'smith'))).toEqual([alice, bob]);
        await commit(storage, stateRows(storage, hall, { 'm.room.join_rules': { join_rule: 'knock' } }));
        expect(idsOf(await find(erin, 'smith'))).toEqual([bob]);
      });

      it('finds by the beginnings of words in name and local part, without regard to case or accents', async () => {
        await commit(storage, [account(alice), account(bob), profile(bob, 'Émile Zola (he)', 'mxc://a/b')]);
        await commit(storage, [
          ...stateRows(storage, hall, { 'm.room.join_rules': toAll }),
          memberRow(bob, 'join', { roomId: hall }),
        ]);
        const expected = [{ userId: bob, displayname: 'Émile Zola (he)', avatarUrl: 'mxc://a/b' }];
        for (const words of [
          ['emile'],
          ['ÉMI'],
          ['zo', 'em'],
          ['BOB'],
          ['bo', 'zola'],
          ['"zola"'],
          ['émile zo'],
          ['emile\0zo'],
        ]) {
          expect(await find(alice, ...words)).toEqual(expected);
        }
        for (const words of [
          ['mile'],
          ['emile', 'x'],
          ['here.test'],
          ['bob:here.test'],
          ['em* OR x'],
          ['NEAR(emile)'],
          ['emile\0x'],
        ]) {
          expect(await find(alice, ...words)).toEqual([]);
        }
      });

      it('knows our own users by their profile and not by what they are called in a room', async () => {
        await commit(storage, [account(alice), account(bob), profile(bob, 'Public')]);
        await commit(storage, [
          ...stateRows(storage, hall, { 'm.room.join_rules': toAll }),
          memberRow(bob, 'join', { roomId: hall, displayname: 'Private' }),
        ]);
        expect(idsOf(await find(alice, 'private'))).toEqual([]);
        expect(await find(alice, 'public')).toEqual([{ userId: bob, displayname: 'Public', avatarUrl: null }]);
        await commit(storage, [profile(bob, 'Changed')]);
        expect(idsOf(await find(alice, 'public'))).toEqual([]);
        expect(idsOf(await find(alice, 'changed'))).toEqual([bob]);
        await commit(storage, [account(bob, 5)]);
        expect(idsOf(await find(alice, 'changed'))).toEqual([]);
        expect(idsOf(await find(alice, 'bob'))).toEqual([]);
      });

      it('knows users of other servers by what they are called where the searcher may look', async () => {
        await commit(storage, [account(alice), account(bob)]);
        await commit(storage, [
          ...stateRows(storage, hall, { 'm.room.join_rules': toAll }),
          ...stateRows(storage, club, { 'm.room.join_rules': { join_rule: 'invite' } }),
          memberRow(carol, 'join', { roomId: hall, displayname: 'Carol Open' }),
          memberRow(carol, 'join', { roomId: club, displayname: 'Carol Close' }),
          memberRow(bob, 'join', { roomId: club }),
        ]);
        const [open, close] = ['Carol Open', 'Carol Close'].map((displayname) => ({
          userId: carol,
          displayname,
          avatarUrl: null,
        }));
        expect(await find(alice, 'carol')).toEqual([open]);
        expect(await find(alice, 'close')).toEqual([]);
        expect(await find(bob, 'carol')).toEqual([open, close]);
        await commit(storage, [memberRow(carol, 'join', { roomId: club, displayname: 'Carol Open' })]);
        expect(await find(bob, 'carol')).toEqual([open]);
        expect(await find(bob, 'close')).toEqual([]);
        await commit(storage, [memberRow(carol, 'leave', { roomId: hall }), memberRow(carol, 'ban', { roomId: club })]);
        expect(await find(bob, 'carol')).toEqual([]);
      });

      it('forgets a name with the redaction of the event that gave it', async () => {
        await commit(storage, [account(alice)]);
        const member = eventRow('carols', {
          type: 'm.room.member',
          stateKey: carol,
          sender: carol,
          content: { membership: 'join', displayname: 'Rude' },
          roomId: hall,
        });
        await commit(storage, [
          ...stateRows(storage, hall, { 'm.room.join_rules': toAll }),
          member,
          memberRow(carol, 'join', { roomId: hall, displayname: 'Rude', eventId: member.event.eventId }),
        ]);
        expect(idsOf(await find(alice, 'rude'))).toEqual([carol]);
        const redaction = eventRow('redaction', { type: 'm.room.redaction', roomId: hall });
        await commit(storage, [
          redaction,
          {
            kind: 'redaction',
            eventId: member.event.eventId,
            redactedBy: redaction.event.eventId,
            redacted: { ...member.event.pdu, content: { membership: 'join' } },
          },
        ]);
        expect(idsOf(await find(alice, 'rude'))).toEqual([]);
        expect(idsOf(await find(alice, 'carol'))).toEqual([carol]);
      });

      it('goes on where a page ended, over those whom the searcher may not know of', async () => {
        const many = Array.from({ length: 10 }, (_, index) => user(`many${index}`));
        await commit(storage, stateRows(storage, hall, { 'm.room.join_rules': toAll }));
        await commit(
          storage,
          many.map((userId) => account(userId)),
        );
        await commit(storage, [
          memberRow(user('many1'), 'join', { roomId: hall }),
          memberRow(user('many8'), 'join', { roomId: hall }),
        ]);
        const found: UserId[] = [];
        let after: number | null = null;
        let pages = 0;
        do {
          const page: { users: { userId: UserId }[]; last: number | null } = await storage.directory.searchUsers({
            searcher: alice,
            words: ['many'],
            after,
            limit: 4,
          });
          found.push(...idsOf(page.users));
          after = page.last;
          pages += 1;
        } while (after !== null);
        expect([found, pages]).toEqual([[user('many1'), user('many8')], 3]);
      });

      it('finds by the beginning of a user id', async () => {
        await commit(storage, [account(bob), account(user('bobby')), account(user('al'))]);
        await commit(storage, [
          ...stateRows(storage, hall, { 'm.room.join_rules': toAll }),
          memberRow(bob, 'join', { roomId: hall }),
          memberRow(user('al'), 'join', { roomId: hall }),
        ]);
        const byPrefix = async (prefix: string) =>
          idsOf(await storage.directory.listUsersByPrefix({ searcher: alice, prefix, limit: 10 }));
        expect(await byPrefix('@bob')).toEqual([bob]);
        expect(await byPrefix(bob)).toEqual([bob]);
        expect(await byPrefix('@b%')).toEqual([]);
        expect(await byPrefix(user('bobby'))).toEqual([]);
      });
    });
  });
}
