import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SearchQuery } from '../../src/storage/contract/search.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import { attic, commit, eventId, eventRow, lobby, makeEvent, type OpenStorage, room } from './make.ts';

export function describeSearch(open: OpenStorage): void {
  describe('search', () => {
    let storage: Storage;
    beforeEach(async () => {
      storage = await open();
    });
    afterEach(() => storage.stop());

    const say = (id: string, body: unknown, options: Parameters<typeof eventRow>[1] = {}) =>
      commit(storage, [eventRow(id, { content: { body }, ...options })]);
    const search = async (terms: string, options: Partial<SearchQuery> = {}) =>
      (
        await storage.search.searchMessages({
          terms: terms.split(' '),
          keys: ['content.body', 'content.name', 'content.topic'],
          roomIds: [lobby],
          order: 'recent',
          offset: 0,
          limit: 10,
          ...options,
        })
      ).found.map((found) => found.eventId);

    it('finds whole words, whatever their case and accents, all of them', async () => {
      await say('hello', 'Hello, Wörld');
      await say('other', 'hello there');
      expect(await search('hello world')).toEqual(['$hello']);
      expect(await search('HELLO')).toEqual(['$other', '$hello']);
      expect(await search('hell')).toEqual([]);
    });

    it('takes words for words, not for operators', async () => {
      await say('one', 'a "quoted" OR near(b)');
      expect(await search('"quoted"')).toEqual(['$one']);
      expect(await search('OR')).toEqual(['$one']);
      expect(await search('near(b)')).toEqual(['$one']);
      expect(await search('quoted\0OR')).toEqual(['$one']);
      expect(await search('NOT')).toEqual([]);
      for (const odd of ['"', '*', '(', '{body}', ':', '-', 'body:x', '^', '', '\0', 'a\0x'])
        expect(await search(odd)).toEqual([]);
    });

    it('looks into the keys and rooms that it is told, and no others', async () => {
      await say('body', 'word');
      await commit(storage, [
        eventRow('name', { type: 'm.room.name', stateKey: '', content: { name: 'word' } }),
        eventRow('topic', { type: 'm.room.topic', stateKey: '', content: { topic: 'word', body: 'word' } }),
        eventRow('elsewhere', { roomId: attic, content: { body: 'word' } }),
        eventRow('other', { type: 'm.other', content: { body: 'word' } }),
      ]);
      expect(await search('word', { keys: ['content.name'] })).toEqual(['$name']);
      expect(await search('word', { keys: ['content.topic'] })).toEqual(['$topic']);
      expect(new Set(await search('word', { keys: ['content.body'] }))).toEqual(new Set(['$topic', '$body']));
      expect(await search('word', { roomIds: [attic] })).toEqual(['$elsewhere']);
      expect(await search('word', { roomIds: [] })).toEqual([]);
      expect(await search('word', { keys: [] })).toEqual([]);
      const many = Array.from({ length: 600 }, (_, index) => room(`room${index}`));
      await commit(
        storage,
        many.map((roomId, index) => eventRow(`many${index}`, { roomId, content: { body: 'else' } })),
      );
      expect(await search('word', { roomIds: [...many, attic] })).toEqual(['$elsewhere']);
    });

    it('lists the latest sent first, or what fits best', async () => {
      await say('long', 'word and many others beside it that mean nothing', { fields: { origin_server_ts: 30 } });
      await say('late', 'something else', { fields: { origin_server_ts: 50 } });
      await say('short', 'word word', { fields: { origin_server_ts: 20 } });
      expect(await search('word')).toEqual(['$long', '$short']);
      expect(await search('word', { order: 'rank' })).toEqual(['$short', '$long']);
    });

    it('goes on in the list that the first page was of', async () => {
      for (const id of ['one', 'two', 'three']) await say(id, 'word');
      const query = { terms: ['word'], keys: ['content.body'] as const, roomIds: [lobby], order: 'recent' as const };
      const first = await storage.search.searchMessages({ ...query, offset: 0, limit: 2 });
      expect(first.found.map((found) => found.eventId)).toEqual(['$three', '$two']);
      await say('new', 'word');
      expect(await search('word', { upTo: first.newest, offset: 2 })).toEqual(['$one']);
    });

    it('finds what is accepted and in its place, and nothing that was redacted', async () => {
      await say('rejected', 'word', { verdict: 'rejected' });
      await say('outlier', 'word', { placement: 'outlier' });
      await say('number', 7);
      expect(await search('word')).toEqual([]);
      expect(await search('7')).toEqual([]);
      await commit(storage, [
        {
          kind: 'event_placed',
          eventId: eventId('outlier'),
          verdict: 'accepted',
          placement: 'historical',
          snapshotBefore: null,
          snapshotAfter: null,
        },
      ]);
      expect(await search('word')).toEqual(['$outlier']);
      await commit(storage, [
        {
          kind: 'redaction',
          eventId: eventId('outlier'),
          redactedBy: eventId('redaction'),
          redacted: makeEvent('outlier', { content: {} }).pdu,
        },
      ]);
      expect(await search('word')).toEqual([]);
    });
  });
}
