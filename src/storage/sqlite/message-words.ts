import type { Connection } from './core/database.ts';

/**
 * The words by which messages, names and topics are found. They follow the events in the transaction that writes these, so what is redacted is
 * not found a moment later; but all at once at its end, since FTS5 writes out what it has gathered before each further
 * statement that may fail half-way.
 */
export interface MessageWords {
  /** An event was stored that was not before. */
  added(eventNo: number, type: string): void;
  /** Its text, its verdict or its place is another than it was. */
  changed(eventNo: number, type: string): void;
  /** At the end of a transaction: brings the words to what is stored now, whatever of it was undone. */
  write(): void;
}

const searchedTypes: ReadonlySet<string> = new Set(['m.room.message', 'm.room.name', 'm.room.topic']);

export function createMessageWords(connection: Connection): MessageWords {
  const remove = connection.prepare<[string]>(
    'DELETE FROM message_words WHERE rowid IN (SELECT value FROM json_each(?))',
  );
  const textOf = (key: string): string =>
    `iif(json_type(e.client_text, '$.content.${key}') = 'text', e.client_text ->> '$.content.${key}', NULL)`;
  const add = connection.prepare<[string]>(
    `INSERT INTO message_words (rowid, body, name, topic, room)
     SELECT e.event_no, ${textOf('body')}, ${textOf('name')}, ${textOf('topic')}, 'r' || e.room_no
     FROM json_each(?) j CROSS JOIN events e ON e.event_no = j.value
     WHERE e.type IN (${[...searchedTypes].map((type) => `'${type}'`).join(', ')})
       AND e.verdict = 'accepted' AND e.position IS NOT NULL`,
  );
  let written = new Set<number>();
  let changed = new Set<number>();

  return {
    added(eventNo, type) {
      if (searchedTypes.has(type)) written.add(eventNo);
    },
    changed(eventNo, type) {
      if (!searchedTypes.has(type)) return;
      written.add(eventNo);
      changed.add(eventNo);
    },
    write() {
      const [all, known] = [[...written], [...changed]];
      written = new Set();
      changed = new Set();
      if (known.length > 0) remove.run(JSON.stringify(known));
      if (all.length > 0) add.run(JSON.stringify(all));
    },
  };
}
