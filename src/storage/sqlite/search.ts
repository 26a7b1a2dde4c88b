import type { EventId, RoomId } from '../../matrix/ids.ts';
import type { SearchQuery, SearchReads } from '../contract/search.ts';
import type { Connection } from './core/database.ts';
import type { Numbering } from './core/numbering.ts';
import type { SlowReads } from './core/reading-thread.ts';
import type { Turn } from './core/turn.ts';
import { quoteWord } from './core/word-search.ts';

/** Of more rooms the words are looked for everywhere, and the rooms at what was found. */
const roomWordsMax = 500;
const recentMax = 20_000;

const columns = { 'content.body': 'body', 'content.name': 'name', 'content.topic': 'topic' } as const;

const recent = `
  SELECT i.event_id AS eventId, 0.0 AS rank
  FROM (SELECT rowid AS event_no FROM message_words
        WHERE message_words MATCH @words AND rowid <= @upTo ORDER BY rowid DESC LIMIT ${recentMax}) w
    CROSS JOIN events e ON e.event_no = w.event_no CROSS JOIN event_ids i ON i.event_no = e.event_no
  WHERE e.room_no IN (SELECT value FROM json_each(@rooms))
  ORDER BY e.origin_server_ts DESC, e.event_no DESC LIMIT @limit OFFSET @offset`;

const ranked = `
  SELECT i.event_id AS eventId, -w.rank AS rank
  FROM (SELECT rowid AS event_no, rank FROM message_words
        WHERE message_words MATCH @words AND rowid <= @upTo ORDER BY rank LIMIT @most) w
    CROSS JOIN events e ON e.event_no = w.event_no CROSS JOIN event_ids i ON i.event_no = e.event_no
  WHERE e.room_no IN (SELECT value FROM json_each(@rooms))
  ORDER BY w.rank, e.event_no DESC LIMIT @limit OFFSET @offset`;

export function createSearchReads(deps: {
  connection: Connection;
  turn: Turn;
  rooms: Numbering<RoomId>;
  slow: SlowReads;
}): SearchReads {
  const newest = deps.connection.prepare<[], number>('SELECT coalesce(max(event_no), 0) FROM events').pluck();
  return {
    async searchMessages(query) {
      const { roomNos, upTo } = await deps.turn.read(() => ({
        roomNos: [...deps.rooms.findAll(query.roomIds).values()],
        upTo: query.upTo ?? newest.get() ?? 0,
      }));
      const words = wordsOf(query, roomNos);
      if (words === undefined) return { found: [], newest: upTo };
      const { order, limit, offset } = query;
      const parameters = { words, upTo, limit, offset, rooms: JSON.stringify(roomNos) };
      const found = await deps.slow.all<{ eventId: EventId; rank: number }>(
        order === 'recent' ? recent : ranked,
        order === 'recent' ? parameters : { ...parameters, most: recentMax },
      );
      return { found, newest: upTo };
    },
  };
}

/** In the language of FTS5, every word a string, so that none of them is an operator. Undefined where there is nothing to look for. */
function wordsOf({ terms, keys }: SearchQuery, roomNos: readonly number[]): string | undefined {
  const wanted = terms.filter((term) => /[\p{L}\p{N}]/u.test(term));
  const searched = keys.map((key) => columns[key]);
  if (wanted.length === 0 || searched.length === 0 || roomNos.length === 0) return undefined;
  const words = `{${searched.join(' ')}} : (${wanted.map(quoteWord).join(' AND ')})`;
  if (roomNos.length > roomWordsMax) return words;
  return `${words} AND room : (${roomNos.map((no) => `"r${no}"`).join(' OR ')})`;
}
