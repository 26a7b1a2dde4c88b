import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EventId } from '../../src/matrix/ids.ts';
import type { Change } from '../../src/storage/contract/changes.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import type { ManualClock } from '../support/manual-clock.ts';
import {
  alice,
  attic,
  bob,
  commit,
  device,
  eventId,
  eventRow,
  lobby,
  makeEvent,
  memberRow,
  positionAt,
  room,
  snapshot,
  stateMap,
} from './make.ts';

const dayMs = 24 * 60 * 60 * 1000;
const idsOf = (events: readonly { eventId: EventId }[]) => events.map((event) => event.eventId);

export function describeEvents(open: () => Promise<{ storage: Storage; clock: ManualClock }>): void {
  describe('events', () => {
    let storage: Storage;
    let clock: ManualClock;
    let told: Change[];
    beforeEach(async () => {
      ({ storage, clock } = await open());
      told = [];
      storage.onCommit((changes) => told.push(...changes));
    });
    afterEach(() => storage.stop());

    it('come back as they were stored', async () => {
      const row = eventRow('a', { prev: ['p'], auth: ['q'], fields: { unknown: { kept: true } }, receivedAtMs: 5 });
      const position = positionAt(await commit(storage, [row]));
      expect(await storage.events.find(eventId('a'))).toEqual({
        event: row.event,
        verdict: 'accepted',
        placement: 'timeline',
        position,
        snapshotBefore: null,
        snapshotAfter: null,
        redactedBy: null,
        receivedAtMs: 5,
      });
      expect(await storage.events.find(eventId('p'))).toBeUndefined();
    });

    it('are told when accepted into the timeline, and only then', async () => {
      const result = await commit(storage, [
        eventRow('rejected', { verdict: 'rejected' }),
        eventRow('soft', { verdict: 'soft_failed' }),
        eventRow('outlier', { placement: 'outlier' }),
        eventRow('old', { placement: 'historical' }),
        eventRow('state', { type: 'm.room.name', stateKey: '' }),
      ]);
      expect(told).toEqual([
        {
          kind: 'event',
          position: positionAt(result, 4),
          roomId: lobby,
          eventId: '$state',
          type: 'm.room.name',
          stateKey: '',
          sender: alice,
        },
      ]);
    });

    it('are read by ids, leaving out what is unknown', async () => {
      await commit(storage, [
        eventRow('a'),
        eventRow('b', { verdict: 'rejected' }),
        eventRow('c', { placement: 'outlier' }),
      ]);
      const ids = ['c', 'missing', 'a', 'b', 'a'].map(eventId);
      const found = await storage.events.listByIds(ids);
      expect(found.map(({ event }) => event.eventId).sort()).toEqual(['$a', '$b', '$c']);
      expect(await storage.events.listKnown(ids)).toEqual(new Set(['$a', '$b', '$c']));
      expect(await storage.events.listByIds([])).toEqual([]);
    });

    it('are heard of when they are stored or named by what is stored, and not otherwise', async () => {
      await commit(storage, [eventRow('a', { prev: ['b'] })]);
      expect(await storage.events.listHeardOf(['a', 'b', 'c'].map(eventId))).toEqual(new Set(['$a', '$b']));
      const many = Array.from({ length: 1_200 }, (_, index) => eventId(`m${index}`));
      expect(await storage.events.listHeardOf([...many, eventId('b')])).toEqual(new Set(['$b']));
    });

    it('are read by more ids than one query takes', async () => {
      const names = Array.from({ length: 1_200 }, (_, index) => `e${index}`);
      await commit(
        storage,
        names.map((name) => eventRow(name, { placement: 'outlier' })),
      );
      expect(await storage.events.listKnown(names.map(eventId))).toHaveLength(1_200);
    });

    it('go to other servers as canonical JSON, in the order asked', async () => {
      await commit(storage, [eventRow('a', { content: { z: 1, a: 2 } }), eventRow('b')]);
      const texts = await storage.events.listPduTexts(['b', 'missing', 'a'].map(eventId));
      expect(texts.map((text) => JSON.parse(text))).toEqual([
        makeEvent('b').pdu,
        makeEvent('a', { content: { z: 1, a: 2 } }).pdu,
      ]);
      expect(texts[1]).toContain('"content":{"a":2,"z":1},"depth":1');
    });

    it('have a form for clients', async () => {
      const transaction = { userId: alice, deviceId: device('D'), transactionId: 't1' };
      const row = eventRow('a', {
        type: 'm.room.topic',
        stateKey: '',
        content: { topic: 'x' },
        depth: 7,
        snapshotBefore: snapshot(1),
        snapshotAfter: snapshot(2),
        transaction,
        fields: { unsigned: { age: 5 } },
      });
      const result = await commit(storage, [
        {
          kind: 'snapshot',
          snapshotId: snapshot(1),
          roomId: lobby,
          parent: null,
          set: stateMap({ 'm.room.topic ': 'before' }),
          removed: [],
        },
        {
          kind: 'snapshot',
          snapshotId: snapshot(2),
          roomId: lobby,
          parent: snapshot(1),
          set: stateMap({ 'm.room.topic ': 'a' }),
          removed: [],
        },
        row,
      ]);
      const found = await storage.events.findTimelineEvent(eventId('a'));
      expect(found).toEqual({
        eventId: '$a',
        roomId: lobby,
        type: 'm.room.topic',
        stateKey: '',
        sender: alice,
        depth: 7,
        position: positionAt(result, 2),
        originServerTs: 1_000,
        snapshotBefore: 1,
        snapshotAfter: 2,
        clientText: expect.any(String),
        redactedBy: null,
        replaces: '$before',
        transaction,
      });
      expect(JSON.parse(found?.clientText ?? '')).toEqual({
        content: { topic: 'x' },
        event_id: '$a',
        origin_server_ts: 1_000,
        sender: alice,
        state_key: '',
        type: 'm.room.topic',
      });
    });

    it('name what they redact both beside and inside the content', async () => {
      await commit(storage, [
        eventRow('new', { type: 'm.room.redaction', content: { redacts: '$x', reason: 'r' } }),
        eventRow('old', { type: 'm.room.redaction', content: { reason: 'r' }, fields: { redacts: '$x' } }),
        eventRow('other', { content: { redacts: '$x' } }),
      ]);
      for (const name of ['new', 'old']) {
        const found = await storage.events.findTimelineEvent(eventId(name));
        expect(JSON.parse(found?.clientText ?? '')).toMatchObject({
          redacts: '$x',
          content: { redacts: '$x', reason: 'r' },
        });
      }
      const other = await storage.events.findTimelineEvent(eventId('other'));
      expect(JSON.parse(other?.clientText ?? '')).not.toHaveProperty('redacts');
    });

    it('are given to clients as outliers without a place, and not at all when rejected', async () => {
      await commit(storage, [
        eventRow('outlier', { placement: 'outlier', type: 'm.room.name', stateKey: '' }),
        eventRow('rejected', { verdict: 'rejected' }),
      ]);
      const found = await storage.events.listTimelineEventsByIds(['outlier', 'rejected', 'missing'].map(eventId));
      expect(found).toMatchObject([{ eventId: '$outlier', position: 0, snapshotBefore: 0, snapshotAfter: 0 }]);
      expect(await storage.events.findTimelineEvent(eventId('rejected'))).toBeUndefined();
      expect(await storage.events.findTimelineEvent(eventId('outlier'))).toMatchObject({ position: 0 });
    });

    it('list the newest of a timeline between two positions, oldest first', async () => {
      const start = storage.position();
      await commit(
        storage,
        ['a', 'b', 'c', 'd'].map((name) => eventRow(name)),
      );
      await commit(storage, [
        eventRow('elsewhere', { roomId: attic }),
        eventRow('rejected', { verdict: 'rejected' }),
        eventRow('soft', { verdict: 'soft_failed' }),
        eventRow('historical', { placement: 'historical' }),
        eventRow('outlier', { placement: 'outlier' }),
      ]);
      const list = async (after: number, upTo: number, limit: number) =>
        idsOf(await storage.events.listTimeline(lobby, after, upTo, limit));
      expect(await list(start, storage.position(), 10)).toEqual(['$a', '$b', '$c', '$d']);
      expect(await list(start + 1, start + 3, 10)).toEqual(['$b', '$c']);
      expect(await list(start, start + 3, 2)).toEqual(['$b', '$c']);
      expect(await list(storage.position(), storage.position() + 5, 10)).toEqual([]);
      expect(await storage.events.listTimeline(room('nowhere'), 0, storage.position(), 10)).toEqual([]);
    });

    it('list the history by depth, then position, to both sides of a place', async () => {
      await commit(storage, [
        eventRow('two', { depth: 2 }),
        eventRow('five', { depth: 5 }),
        eventRow('five too', { depth: 5 }),
        eventRow('one', { depth: 1, placement: 'historical' }),
        eventRow('three', { depth: 3, placement: 'historical' }),
        eventRow('outlier', { depth: 4, placement: 'outlier' }),
        eventRow('soft', { depth: 4, verdict: 'soft_failed' }),
        eventRow('elsewhere', { depth: 4, roomId: attic }),
      ]);
      const place = await storage.events.findTimelineEvent(eventId('five'));
      if (!place) throw new Error('the event is stored');
      const list = async (direction: 'backward' | 'forward', limit: number) =>
        idsOf(await storage.events.listHistory(lobby, place, direction, limit));
      expect(await list('backward', 10)).toEqual(['$three', '$two', '$one']);
      expect(await list('backward', 1)).toEqual(['$three']);
      expect(await list('forward', 10)).toEqual(['$five too']);
    });

    it('list those next to a moment, of one moment by the order of the history', async () => {
      const at = (id: string, ts: number, depth: number, options: Parameters<typeof eventRow>[1] = {}) =>
        eventRow(id, { depth, ...options, fields: { origin_server_ts: ts } });
      await commit(storage, [
        at('early', 10, 9),
        at('first', 20, 1),
        at('second', 20, 2),
        at('late', 30, 3),
        at('rejected', 20, 1, { verdict: 'rejected' }),
        at('outlier', 20, 1, { placement: 'outlier' }),
        at('elsewhere', 20, 1, { roomId: attic }),
      ]);
      const list = async (ts: number, direction: 'backward' | 'forward', limit = 9) =>
        (await storage.events.listNearMoment(lobby, ts, direction, limit)).map((event) => event.eventId);
      expect(await list(20, 'forward')).toEqual(['$first', '$second', '$late']);
      expect(await list(20, 'backward')).toEqual(['$second', '$first', '$early']);
      expect(await list(21, 'forward')).toEqual(['$late']);
      expect(await list(9, 'backward')).toEqual([]);
      expect(await list(0, 'forward', 2)).toEqual(['$early', '$first']);
    });

    it('say which rooms changed between two positions', async () => {
      const start = storage.position();
      await commit(storage, [eventRow('a'), eventRow('b', { roomId: attic }), eventRow('c')]);
      await commit(storage, [
        eventRow('soft', { roomId: room('cellar'), verdict: 'soft_failed' }),
        eventRow('old', { roomId: room('cellar'), placement: 'historical' }),
      ]);
      const rooms = new Set([lobby, attic, room('cellar')]);
      const list = async (after: number, upTo: number) =>
        (await storage.events.listRoomsChanged(rooms, after, upTo)).sort();
      expect(await list(start, storage.position())).toEqual([attic, lobby]);
      expect(await list(start, start + 1)).toEqual([lobby]);
      expect(await list(start + 1, start + 2)).toEqual([attic]);
      expect(await list(start + 3, storage.position())).toEqual([]);
      expect(await storage.events.listRoomsChanged(new Set([attic]), start, storage.position())).toEqual([attic]);
    });

    it('say where the newest of a room stands', async () => {
      const start = storage.position();
      await commit(storage, [
        eventRow('a', { depth: 4 }),
        eventRow('b', { depth: 3 }),
        eventRow('soft', { verdict: 'soft_failed' }),
      ]);
      expect(await storage.events.findNewestPlace(lobby, storage.position())).toEqual({
        depth: 3,
        position: start + 2,
      });
      expect(await storage.events.findNewestPlace(lobby, start + 1)).toEqual({ depth: 4, position: start + 1 });
      expect(await storage.events.findNewestPlace(lobby, start)).toBeUndefined();
      expect(await storage.events.findNewestPlace(attic, storage.position())).toBeUndefined();
    });

    describe('that get their place later', () => {
      it('take a new position and are told', async () => {
        await commit(storage, [
          eventRow('outlier', { placement: 'outlier' }),
          eventRow('soft', { verdict: 'soft_failed' }),
        ]);
        const place = (name: string) => ({
          kind: 'event_placed' as const,
          eventId: eventId(name),
          verdict: 'accepted' as const,
          placement: 'timeline' as const,
          snapshotBefore: snapshot(1),
          snapshotAfter: snapshot(1),
        });
        const rows = [place('outlier'), place('soft')];
        const result = await commit(storage, [
          { kind: 'snapshot', snapshotId: snapshot(1), roomId: lobby, parent: null, set: new Map(), removed: [] },
          ...rows,
        ]);
        expect(told.map((change) => change.kind === 'event' && change.eventId)).toEqual(['$outlier', '$soft']);
        expect(await storage.events.find(eventId('soft'))).toMatchObject({
          verdict: 'accepted',
          placement: 'timeline',
          position: positionAt(result, 2),
          snapshotBefore: 1,
        });
        expect(await storage.events.listTimeline(lobby, 0, storage.position(), 10)).toHaveLength(2);
      });

      it('get it also when they come as if they were new', async () => {
        await commit(storage, [eventRow('a', { placement: 'outlier' })]);
        await commit(storage, [eventRow('a', { placement: 'outlier' })]);
        const position = positionAt(await commit(storage, [eventRow('a')]));
        expect(await storage.events.find(eventId('a'))).toMatchObject({ placement: 'timeline', position });
        await commit(storage, [eventRow('a', { placement: 'outlier' })]);
        expect(await storage.events.find(eventId('a'))).toMatchObject({ placement: 'timeline', position });
      });

      it('do not get a second one', async () => {
        await commit(storage, [eventRow('a')]);
        await expect(storage.commit({ rows: [eventRow('a')] })).rejects.toThrow();
      });

      it('must be stored', async () => {
        const row = {
          kind: 'event_placed' as const,
          eventId: eventId('missing'),
          verdict: 'accepted' as const,
          placement: 'timeline' as const,
          snapshotBefore: null,
          snapshotAfter: null,
        };
        await expect(storage.commit({ rows: [row] })).rejects.toThrow();
      });
    });

    it('get the content that they came without, and keep everything else', async () => {
      const options = { type: 'm.room.member', stateKey: alice, content: { membership: 'join' } };
      await commit(storage, [eventRow('a', options), memberRow(alice, 'join', { eventId: eventId('a') })]);
      const before = await storage.events.find(eventId('a'));
      const content = { membership: 'join', displayname: 'Alice', avatar_url: 'mxc://a/b' };
      const event = makeEvent('a', { ...options, content });
      const profile = { displayname: 'Alice', avatarUrl: 'mxc://a/b' };
      told.length = 0;
      await commit(storage, [{ kind: 'event_content', event, profile }]);
      expect(told).toEqual([
        { kind: 'event_rewritten', roomId: lobby, eventId: '$a' },
        { kind: 'current_state', roomId: lobby, types: ['m.room.member'] },
      ]);
      expect(await storage.events.find(eventId('a'))).toEqual({ ...before, event });
      const found = await storage.events.findTimelineEvent(eventId('a'));
      expect(JSON.parse(found?.clientText ?? '')).toMatchObject({ content, event_id: '$a' });
      expect(await storage.rooms.findMembership(lobby, alice)).toMatchObject({ membership: 'join', ...profile });
    });

    it('get no content once they were redacted, nor while they are unknown', async () => {
      const redacted = makeEvent('a', { content: {} }).pdu;
      await commit(storage, [
        eventRow('a', { content: {} }),
        { kind: 'redaction', eventId: eventId('a'), redactedBy: eventId('r'), redacted },
      ]);
      const restored = ['a', 'unknown'].map((name) => makeEvent(name, { content: { body: 'secret' } }));
      await commit(
        storage,
        restored.map((event) => ({ kind: 'event_content', event, profile: null })),
      );
      expect((await storage.events.listPduTexts(['a', 'unknown'].map(eventId))).join()).not.toContain('secret');
      expect(await storage.events.find(eventId('unknown'))).toBeUndefined();
    });

    it('are rewritten by a redaction, in both forms', async () => {
      const relation = { 'm.relates_to': { rel_type: 'm.thread', event_id: '$x' }, body: 'secret', url: 'mxc://a/b' };
      await commit(storage, [eventRow('a', { content: relation })]);
      await storage.events.find(eventId('a'));
      const redacted = makeEvent('a', { content: {} }).pdu;
      told.length = 0;
      await commit(storage, [{ kind: 'redaction', eventId: eventId('a'), redactedBy: eventId('r'), redacted }]);
      expect(told).toEqual([{ kind: 'redaction', roomId: lobby, eventId: '$a', redactedBy: '$r' }]);
      expect(await storage.events.find(eventId('a'))).toMatchObject({ redactedBy: '$r', event: { pdu: redacted } });
      const found = await storage.events.findTimelineEvent(eventId('a'));
      expect(found?.redactedBy).toBe('$r');
      expect(JSON.parse(found?.clientText ?? '')).toMatchObject({ content: {}, event_id: '$a' });
      expect((await storage.events.listPduTexts([eventId('a')])).join()).not.toContain('secret');
    });

    it('of members take the profile with them when they are redacted, from what they set and from nothing else', async () => {
      const rowOf = (id: string) => memberRow(alice, 'join', { eventId: eventId(id), displayname: 'Rude' });
      const member = { type: 'm.room.member', stateKey: alice, content: { membership: 'join', displayname: 'Rude' } };
      await commit(storage, [eventRow('a', member), rowOf('a'), eventRow('b', member), rowOf('b')]);
      const redact = (id: string) => {
        const redacted = makeEvent(id, { ...member, content: { membership: 'join' } }).pdu;
        return commit(storage, [{ kind: 'redaction', eventId: eventId(id), redactedBy: eventId('r'), redacted }]);
      };
      await redact('a');
      expect(await storage.rooms.findMembership(lobby, alice)).toMatchObject({ displayname: 'Rude' });
      await redact('b');
      expect(await storage.rooms.findMembership(lobby, alice)).toMatchObject({
        membership: 'join',
        displayname: null,
      });
      const logged = await storage.rooms.findMembershipAt(lobby, alice, storage.position());
      expect(logged).toMatchObject({ membership: 'join', displayname: null });
    });

    it('are not told as redacted when they are unknown', async () => {
      await commit(storage, [
        {
          kind: 'redaction',
          eventId: eventId('missing'),
          redactedBy: eventId('r'),
          redacted: makeEvent('missing').pdu,
        },
      ]);
      expect(told).toEqual([]);
    });

    describe('as a graph', () => {
      it('know who follows whom and what authorised them', async () => {
        await commit(storage, [
          eventRow('create'),
          eventRow('a', { prev: ['create'], auth: ['create'] }),
          eventRow('b', { prev: ['create', 'a'], auth: ['create', 'a'], placement: 'outlier' }),
        ]);
        expect((await storage.events.listSuccessors(eventId('create'))).sort()).toEqual(['$a', '$b']);
        expect(await storage.events.listSuccessors(eventId('b'))).toEqual([]);
        const edges = await storage.events.listAuthEdges(['create', 'a', 'b', 'missing'].map(eventId));
        expect([...edges.keys()].sort()).toEqual(['$a', '$b', '$create']);
        expect(edges.get(eventId('create'))).toEqual([]);
        expect(edges.get(eventId('b'))?.sort()).toEqual(['$a', '$create']);
      });

      it('tell of what lies below what they are asked about, nearest first and no more than may be', async () => {
        const chain = Array.from({ length: 10 }, (_, index) => `${index}`);
        await commit(
          storage,
          chain.map((name, index) => eventRow(name, { auth: index === 0 ? ['not stored'] : [`${index - 1}`] })),
        );
        const told = async (ahead: number): Promise<string[]> =>
          [...(await storage.events.listAuthEdges([eventId('9')], ahead)).keys()].sort();
        expect(await told(0)).toEqual(['$9']);
        expect(await told(3)).toEqual(['$6', '$7', '$8', '$9']);
        expect(await told(100)).toEqual(chain.map((name) => `$${name}`));
        const edges = await storage.events.listAuthEdges([eventId('9')], 100);
        expect(edges.get(eventId('5'))).toEqual(['$4']);
        expect(edges.get(eventId('0'))).toEqual(['$not stored']);
      });

      it('know where they begin: what is named and not in the timeline or the history', async () => {
        await commit(storage, [
          eventRow('outlier', { placement: 'outlier', prev: ['nobody asked'] }),
          eventRow('a', { depth: 3, prev: ['outlier', 'missing'] }),
          eventRow('b', { depth: 4, prev: ['a', 'missing'] }),
        ]);
        expect(await storage.events.listBackwardExtremities(lobby)).toEqual([
          { eventId: '$missing', depth: 4 },
          { eventId: '$outlier', depth: 3 },
        ]);
        await commit(storage, [eventRow('missing', { depth: 2, placement: 'historical', prev: ['older'] })]);
        expect(await storage.events.listBackwardExtremities(lobby)).toEqual([
          { eventId: '$outlier', depth: 3 },
          { eventId: '$older', depth: 2 },
        ]);
        expect(await storage.events.listBackwardExtremities(attic)).toEqual([]);
      });

      it('report gaps until they are filled', async () => {
        const start = storage.position();
        await commit(storage, [
          eventRow('a', { prev: ['lost'] }),
          eventRow('b', { prev: ['a', 'lost'] }),
          eventRow('c', { prev: ['b'] }),
          eventRow('d', { roomId: attic, prev: ['away'] }),
          eventRow('soft', { verdict: 'soft_failed', prev: ['also lost'] }),
        ]);
        const both = new Set([lobby, attic]);
        const upTo = storage.position();
        expect(await storage.events.listGaps(both, start, upTo)).toEqual(
          new Map([
            [lobby, start + 2],
            [attic, start + 4],
          ]),
        );
        expect(await storage.events.listGaps(new Set([lobby]), start, start + 1)).toEqual(
          new Map([[lobby, start + 1]]),
        );
        expect(await storage.events.listGaps(new Set([lobby]), start + 2, upTo)).toEqual(new Map());
        await commit(storage, [eventRow('lost', { placement: 'historical' })]);
        expect(await storage.events.listGaps(both, start, upTo)).toEqual(new Map([[attic, start + 4]]));
      });
    });

    describe('sent by clients', () => {
      const key = (transactionId: string) => ({
        kind: 'client_transaction' as const,
        userId: alice,
        deviceId: device('D'),
        scope: 'send',
        transactionId,
        eventId: eventId(transactionId),
        createdAtMs: clock.now(),
      });

      it('are found by device, scope and transaction', async () => {
        await commit(storage, [key('1')]);
        const find = storage.events.findClientTransaction;
        expect(await find(alice, device('D'), 'send', '1')).toBe('$1');
        expect(await find(alice, device('D'), 'send', '2')).toBeUndefined();
        expect(await find(alice, device('E'), 'send', '1')).toBeUndefined();
        expect(await find(bob, device('D'), 'send', '1')).toBeUndefined();
        expect(await find(alice, device('D'), 'redact', '1')).toBeUndefined();
      });

      it('are forgotten by their transaction after a day', async () => {
        await commit(storage, [key('old')]);
        await clock.advance(dayMs - 1);
        await commit(storage, [key('newer')]);
        expect(await storage.events.findClientTransaction(alice, device('D'), 'send', 'old')).toBe('$old');
        await clock.advance(2);
        await commit(storage, [key('newest')]);
        expect(await storage.events.findClientTransaction(alice, device('D'), 'send', 'old')).toBeUndefined();
        expect(await storage.events.findClientTransaction(alice, device('D'), 'send', 'newer')).toBe('$newer');
      });
    });
  });
}
