import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EventId } from '../../src/matrix/ids.ts';
import type { EventTableRow } from '../../src/storage/contract/events.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import {
  alice,
  attic,
  bob,
  commit,
  type EventOptions,
  eventId,
  eventRow,
  lobby,
  makeEvent,
  type OpenStorage,
} from './make.ts';

type EventRow = Extract<EventTableRow, { kind: 'event' }>;

const end = { depth: Number.MAX_SAFE_INTEGER, position: Number.MAX_SAFE_INTEGER };
const start = { depth: 0, position: Number.MIN_SAFE_INTEGER };

export function describeRelations(open: OpenStorage): void {
  describe('relations', () => {
    let storage: Storage;
    beforeEach(async () => {
      storage = await open();
      await put('root', {});
    });
    afterEach(() => storage.stop());

    let depth = 0;
    const put = (id: string, options: EventOptions & Partial<EventRow>) => {
      depth += 1;
      return commit(storage, [eventRow(id, { depth, snapshotBefore: null, ...options })]);
    };
    const relate = (
      id: string,
      relType: string,
      options: EventOptions & Partial<EventRow> & { to?: string; key?: string } = {},
    ) => {
      const { to = 'root', key, content, ...others } = options;
      const relation = { rel_type: relType, event_id: `$${to}`, ...(key === undefined ? {} : { key }) };
      return put(id, { ...others, content: { body: id, ...content, 'm.relates_to': relation } });
    };
    const reply = (id: string, options: Parameters<typeof relate>[2] = {}) => relate(id, 'm.thread', options);
    const edit = (id: string, options: Parameters<typeof relate>[2] = {}) =>
      relate(id, 'm.replace', { content: { 'm.new_content': { body: id } }, ...options });
    const ids = (events: readonly { eventId: EventId }[]) => events.map((event) => event.eventId);
    const list = async (options: Partial<Parameters<Storage['relations']['listRelated']>[0]> = {}) =>
      ids(
        await storage.relations.listRelated({
          roomId: lobby,
          eventId: eventId('root'),
          levels: 1,
          from: end,
          direction: 'backward',
          limit: 10,
          ...options,
        }),
      );
    const aggregation = async (id = 'root', ignored: (typeof alice)[] = []) =>
      (await storage.relations.listAggregations([eventId(id)], { userId: alice, ignored: new Set(ignored) })).get(
        eventId(id),
      );
    const redact = (id: string) =>
      commit(storage, [
        {
          kind: 'redaction',
          eventId: eventId(id),
          redactedBy: eventId('redaction'),
          redacted: makeEvent(id, { content: {} }).pdu,
        },
      ]);
    const threads = async (participant?: typeof alice, before = end) =>
      (await storage.relations.listThreads(lobby, { before, participant, limit: 10 })).map(({ root }) => root.eventId);

    it('lists what relates to an event in pages, both ways', async () => {
      for (const id of ['one', 'two', 'three']) await reply(id);
      expect(await list()).toEqual(['$three', '$two', '$one']);
      const [, two] = await storage.relations.listRelated({
        roomId: lobby,
        eventId: eventId('root'),
        levels: 1,
        from: end,
        direction: 'backward',
        limit: 2,
      });
      expect(await list({ from: two ?? end })).toEqual(['$one']);
      expect(await list({ from: start, direction: 'forward', limit: 2 })).toEqual(['$one', '$two']);
      expect(await list({ from: two ?? end, direction: 'forward' })).toEqual(['$three']);
    });

    it('lists those of one type of relation and one type of event', async () => {
      await reply('reply');
      await relate('reaction', 'm.annotation', { type: 'm.reaction', key: '+' });
      await relate('note', 'm.annotation');
      expect(await list({ relType: 'm.annotation' })).toEqual(['$note', '$reaction']);
      expect(await list({ relType: 'm.annotation', eventType: 'm.reaction' })).toEqual(['$reaction']);
      expect(await list({ relType: 'm.reference' })).toEqual([]);
    });

    it('lists only accepted events of the same room that have their place', async () => {
      await reply('rejected', { verdict: 'rejected' });
      await reply('soft', { verdict: 'soft_failed' });
      await reply('outlier', { placement: 'outlier' });
      await reply('elsewhere', { roomId: attic });
      expect(await list()).toEqual([]);
      expect(await aggregation()).toBeUndefined();
      expect(await threads()).toEqual([]);
      await commit(storage, [
        {
          kind: 'event_placed',
          eventId: eventId('soft'),
          verdict: 'accepted',
          placement: 'timeline',
          snapshotBefore: null,
          snapshotAfter: null,
        },
      ]);
      expect(await list()).toEqual(['$soft']);
      expect((await aggregation())?.thread).toMatchObject({ count: 1, newest: { eventId: '$soft' } });
      expect(await threads()).toEqual(['$root']);
    });

    it('lists relations of relations as deep as it is told', async () => {
      await reply('reply');
      await edit('edit', { to: 'reply' });
      await relate('reaction', 'm.annotation', { to: 'edit' });
      expect(await list({ levels: 1 })).toEqual(['$reply']);
      expect(await list({ levels: 2 })).toEqual(['$edit', '$reply']);
      expect(await list({ levels: 3 })).toEqual(['$reaction', '$edit', '$reply']);
      // What stands between must be of the type too.
      expect(await list({ levels: 3, relType: 'm.replace' })).toEqual([]);
    });

    it('ends where events relate to each other in a circle', async () => {
      await relate('circle', 'm.reference', { to: 'back' });
      await relate('back', 'm.reference', { to: 'circle' });
      expect(await list({ eventId: eventId('circle'), levels: 3 })).toEqual(['$back', '$circle']);
    });

    it('tells the newest valid replacement', async () => {
      await edit('first', { fields: { origin_server_ts: 5 } });
      await edit('newest', { fields: { origin_server_ts: 9 } });
      await edit('late', { fields: { origin_server_ts: 7 } });
      expect((await aggregation())?.replacement?.eventId).toBe('$newest');
      await redact('newest');
      expect((await aggregation())?.replacement?.eventId).toBe('$late');
    });

    it('takes the larger id where two replacements are of the same moment', async () => {
      await edit('b');
      await edit('a');
      expect((await aggregation())?.replacement?.eventId).toBe('$b');
    });

    it.each<[string, Parameters<typeof relate>[2]]>([
      ['another sender', { sender: bob }],
      ['another type', { type: 'm.sticker' }],
      ['a state key', { stateKey: '' }],
      ['no new content', { content: {} }],
      ['another room', { roomId: attic }],
    ])('does not take a replacement with %s', async (_, options) => {
      await edit('edit', options);
      expect((await aggregation())?.replacement).toBeUndefined();
    });

    it('takes an encrypted replacement, whose new content nobody sees', async () => {
      await put('secret', { type: 'm.room.encrypted' });
      await relate('edit', 'm.replace', { to: 'secret', type: 'm.room.encrypted' });
      expect((await aggregation('secret'))?.replacement?.eventId).toBe('$edit');
    });

    it('does not replace a replacement, nor what was redacted', async () => {
      await edit('edit');
      await edit('again', { to: 'edit' });
      expect(await aggregation('edit')).toBeUndefined();
      await redact('root');
      expect((await aggregation())?.replacement).toBeUndefined();
    });

    it('tells the references in their order', async () => {
      for (const id of ['one', 'two']) await relate(id, 'm.reference');
      expect(ids((await aggregation())?.references ?? [])).toEqual(['$one', '$two']);
    });

    it('tells of a thread how long it is, its newest event and whether the viewer is in it', async () => {
      await put('other', { sender: bob });
      await reply('bob', { to: 'other', sender: bob });
      expect((await aggregation('other'))?.thread).toMatchObject({
        count: 1,
        participated: false,
        newest: { eventId: '$bob' },
      });
      await reply('alice', { to: 'other' });
      expect((await aggregation('other'))?.thread).toMatchObject({
        count: 2,
        participated: true,
        newest: { eventId: '$alice' },
      });
      await redact('alice');
      expect((await aggregation('other'))?.thread).toMatchObject({
        count: 1,
        participated: false,
        newest: { eventId: '$bob' },
      });
      await redact('bob');
      expect(await aggregation('other')).toBeUndefined();
      expect(await threads()).toEqual([]);
    });

    it('counts nothing of whom the viewer ignores', async () => {
      await reply('alice');
      await reply('bob', { sender: bob });
      await relate('reference', 'm.reference', { sender: bob });
      const found = await aggregation('root', [bob]);
      expect(found?.thread).toMatchObject({ count: 1, newest: { eventId: '$alice' } });
      expect(found?.references).toEqual([]);
      expect((await aggregation())?.thread).toMatchObject({ count: 2, newest: { eventId: '$bob' } });
    });

    it('knows no thread on an event that relates to another one', async () => {
      await reply('reply');
      await reply('nested', { to: 'reply' });
      expect(await aggregation('reply')).toBeUndefined();
      expect(await threads()).toEqual(['$root']);
    });

    it('lists the threads of a room by their newest events, and those of one user', async () => {
      await put('other', { sender: bob });
      await reply('one');
      await reply('two', { to: 'other', sender: bob });
      expect(await threads()).toEqual(['$other', '$root']);
      expect(await threads(alice)).toEqual(['$root']);
      const [first] = await storage.relations.listThreads(lobby, { before: end, limit: 1 });
      expect(await threads(undefined, first?.place)).toEqual(['$root']);
      await reply('three', { sender: bob });
      expect(await threads()).toEqual(['$root', '$other']);
      expect(await threads(bob)).toEqual(['$root', '$other']);
      // The newest of what is left decides again.
      await redact('three');
      expect(await threads()).toEqual(['$other', '$root']);
    });

    it('knows who annotated an event with what', async () => {
      await relate('plus', 'm.annotation', { type: 'm.reaction', key: '+' });
      const has = (sender: typeof alice, type: string, key: string) =>
        storage.relations.hasAnnotation(eventId('root'), { sender, type, key });
      expect(await has(alice, 'm.reaction', '+')).toBe(true);
      expect(await has(alice, 'm.reaction', '-')).toBe(false);
      expect(await has(alice, 'm.note', '+')).toBe(false);
      expect(await has(bob, 'm.reaction', '+')).toBe(false);
      await redact('plus');
      expect(await has(alice, 'm.reaction', '+')).toBe(false);
    });

    it('knows how an event relates to another one', async () => {
      await reply('reply');
      expect(await storage.relations.findRelationType(eventId('reply'))).toBe('m.thread');
      expect(await storage.relations.findRelationType(eventId('root'))).toBeNull();
      expect(await storage.relations.findRelationType(eventId('unknown'))).toBeNull();
    });
  });
}
