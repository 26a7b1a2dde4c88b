import { createHash } from 'node:crypto';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Position } from '../contract/numbers.ts';
import { keptMax } from '../contract/outgoing.ts';
import type { Connection } from './core/database.ts';
import type { Numbering } from './core/numbering.ts';

export interface OutgoingLog {
  add(entry: { position: Position; eventNo: number; roomNo: number; destinations: readonly ServerName[] }): void;
  /** Removes of the next list, in turn, what all its destinations have. */
  prune(): void;
}

/** Entries that one delivery removes at most. */
const pruneMax = 500;
/** How often the length is looked at, in entries, and how many are then looked at: more than came since. */
const trimEvery = 64;
const trimMax = 256;
/** Rows for single destinations that one look writes, give or take those of one event. */
const behindRowsMax = 5_000;

export function createOutgoingLog(connection: Connection, destinations: Numbering<ServerName>): OutgoingLog {
  const lists = createLists(connection, destinations);
  const insert = connection.prepare<[Position, number, number, number]>(
    'INSERT INTO outgoing_pdus (position, event_no, room_no, list_no) VALUES (?, ?, ?, ?)',
  );
  const trim = createTrim(connection);
  const prune = createPrune(connection);
  let added = 0;
  return {
    add({ position, eventNo, roomNo, destinations: names }) {
      insert.run(position, eventNo, roomNo, lists.put(names, position));
      added += 1;
      if (added % trimEvery === 0) trim();
    },
    prune,
  };
}

/** Sets of destinations: rooms have few, events many. */
function createLists(connection: Connection, destinations: Numbering<ServerName>) {
  const find = connection.prepare<[Buffer], number>('SELECT list_no FROM destination_lists WHERE hash = ?').pluck();
  const insert = connection.prepare<[Buffer]>('INSERT INTO destination_lists (hash) VALUES (?)');
  const insertEntry = connection.prepare<[number, number]>(
    'INSERT INTO destination_list_entries (destination_no, list_no) VALUES (?, ?)',
  );
  const begin = connection.prepare<[Position, number]>(
    `UPDATE destinations SET cursor = ? WHERE cursor IS NULL AND destination_no IN (
       SELECT destination_no FROM destination_list_entries WHERE list_no = ?
     )`,
  );
  return {
    put(names: readonly ServerName[], position: Position): number {
      const sorted = [...new Set(names)].sort();
      const hash = createHash('sha256').update(JSON.stringify(sorted)).digest();
      const known = find.get(hash);
      if (known !== undefined) return known;
      const listNo = Number(insert.run(hash).lastInsertRowid);
      for (const destinationNo of destinations.putAll(sorted).values()) insertEntry.run(destinationNo, listNo);
      begin.run(position - 1, listNo);
      return listNo;
    },
  };
}

function createPrune(connection: Connection): () => void {
  const nextList = connection
    .prepare<[number], number>('SELECT list_no FROM destination_lists WHERE list_no > ? ORDER BY list_no LIMIT 1')
    .pluck();
  const slowest = connection
    .prepare<[number], Position>(
      `SELECT min(coalesce(d.cursor, 0)) FROM destination_list_entries l
         JOIN destinations d ON d.destination_no = l.destination_no
       WHERE l.list_no = ?`,
    )
    .pluck();
  const remove = connection.prepare<[number, Position, number]>(
    `DELETE FROM outgoing_pdus WHERE position IN (
       SELECT position FROM outgoing_pdus WHERE list_no = ? AND position <= ? ORDER BY position LIMIT ?
     )`,
  );
  const dropList = connection.prepare<[number, number]>(
    'DELETE FROM destination_lists WHERE list_no = ? AND NOT EXISTS (SELECT 1 FROM outgoing_pdus WHERE list_no = ?)',
  );
  let prunedList = 0;
  return () => {
    const listNo = nextList.get(prunedList) ?? nextList.get(0);
    if (listNo === undefined) return;
    prunedList = listNo;
    remove.run(listNo, slowest.get(listNo) ?? 0, pruneMax);
    dropList.run(listNo, listNo);
  };
}

interface Entry {
  position: Position;
  eventNo: number;
  roomNo: number;
  listNo: number;
}

/** Takes the oldest entries out of a log that is too long. Whoever has not got one keeps the newest event of its room. */
function createTrim(connection: Connection): () => void {
  const bound = connection
    .prepare<[number], Position>(
      'SELECT position FROM outgoing_pdus WHERE position > 0 ORDER BY position DESC LIMIT 1 OFFSET ?',
    )
    .pluck();
  const oldest = connection.prepare<[Position, number], Entry>(
    `SELECT position, event_no AS eventNo, room_no AS roomNo, list_no AS listNo
     FROM outgoing_pdus WHERE position <= ? ORDER BY position LIMIT ?`,
  );
  const newer = connection
    .prepare<[number, number, Position], number>(
      'SELECT 1 FROM outgoing_pdus WHERE list_no = ? AND room_no = ? AND position > ? LIMIT 1',
    )
    .pluck();
  const keepNewest = connection.prepare<[Entry]>(
    `INSERT INTO outgoing_behind (destination_no, room_no, position, event_no)
     SELECT l.destination_no, @roomNo, @position, @eventNo FROM destination_list_entries l
       JOIN destinations d ON d.destination_no = l.destination_no
     WHERE l.list_no = @listNo AND coalesce(d.cursor, 0) < @position
     ON CONFLICT (destination_no, room_no) DO UPDATE SET position = excluded.position, event_no = excluded.event_no`,
  );
  const remove = connection.prepare<[Position]>('DELETE FROM outgoing_pdus WHERE position = ?');
  return () => {
    const upTo = bound.get(keptMax);
    if (upTo === undefined) return;
    let behindRows = 0;
    for (const entry of oldest.all(upTo, trimMax)) {
      if (newer.get(entry.listNo, entry.roomNo, entry.position) === undefined)
        behindRows += keepNewest.run(entry).changes;
      remove.run(entry.position);
      if (behindRows > behindRowsMax) return;
    }
  };
}
