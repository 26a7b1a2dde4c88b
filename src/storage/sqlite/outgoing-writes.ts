import { createHash } from 'node:crypto';
import type { EventId, RoomId } from '../../matrix/ids.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Position } from '../contract/numbers.ts';
import type { DestinationHealthRow, DestinationRow, OutgoingTableRow } from '../contract/outgoing.ts';
import type { Connection } from './core/database.ts';
import type { Numbering } from './core/numbering.ts';
import { positionOf, type Writes } from './core/writes.ts';

interface Deps {
  connection: Connection;
  rooms: Numbering<RoomId>;
  events: Numbering<EventId>;
  destinations: Numbering<ServerName>;
}

type Numbered<T> = Omit<T, 'destination'> & { destinationNo: number };

interface StoredTransaction {
  destinationNo: number;
  transactionId: string;
  eventIds: string;
  eduIds: string;
  edus: string;
  cursor: Position;
}

export function createOutgoingWrites(deps: Deps): Writes<OutgoingTableRow['kind']> {
  const { connection, rooms, events, destinations } = deps;
  const log = createOutgoingLog(deps);
  const statements = prepare(connection);

  return {
    outgoing_pdu(row, step) {
      if (row.destinations.length === 0) return;
      const position = positionOf(step);
      log.add({
        position,
        eventNo: events.put(row.eventId),
        roomNo: rooms.put(row.roomId),
        destinations: row.destinations,
      });
      step.change({ kind: 'outgoing', destinations: row.destinations });
    },
    outgoing_edu({ destination, edu, key }, step) {
      const destinationNo = destinations.put(destination);
      statements.begin.run(step.positionBefore, destinationNo);
      if (key !== null) statements.removeEduByKey.run(destinationNo, key);
      statements.insertEdu.run(destinationNo, key, JSON.stringify(edu));
      step.change({ kind: 'outgoing', destinations: [destination] });
    },
    destination({ destination, ...row }) {
      statements.putDestination.run({ ...row, destinationNo: destinations.put(destination) });
    },
    destination_health({ destination, ...row }) {
      const destinationNo = destinations.find(destination);
      if (destinationNo !== undefined) statements.putHealth.run({ ...row, destinationNo });
    },
    outgoing_transaction(row) {
      statements.putTransaction.run({
        destinationNo: destinations.put(row.destination),
        transactionId: row.transactionId,
        eventIds: JSON.stringify(row.eventIds),
        eduIds: JSON.stringify(row.eduIds),
        edus: JSON.stringify(row.edus),
        cursor: row.cursor,
      });
    },
    outgoing_delivered({ destination, transactionId, cursor }) {
      const destinationNo = destinations.put(destination);
      statements.removeCarriedEdus.run(destinationNo, destinationNo, transactionId);
      statements.removeTransaction.run(destinationNo, transactionId);
      statements.advance.run(cursor, cursor, destinationNo);
      log.prune();
    },
  };
}

function prepare(connection: Connection) {
  return {
    /** A destination has a cursor from the first thing on that waits for it. */
    begin: connection.prepare<[Position, number]>(
      'UPDATE destinations SET cursor = ? WHERE destination_no = ? AND cursor IS NULL',
    ),
    removeEduByKey: connection.prepare<[number, string]>(
      'DELETE FROM outgoing_edus WHERE destination_no = ? AND key = ?',
    ),
    insertEdu: connection.prepare<[number, string | null, string]>(
      'INSERT INTO outgoing_edus (destination_no, key, edu) VALUES (?, ?, ?)',
    ),
    putDestination: connection.prepare<[Numbered<DestinationRow>]>(
      `UPDATE destinations SET cursor = @cursor, failing_since_ms = @failingSinceMs, retry_at_ms = @retryAtMs,
         failures = @failures
       WHERE destination_no = @destinationNo`,
    ),
    putHealth: connection.prepare<[Numbered<DestinationHealthRow>]>(
      `UPDATE destinations SET failing_since_ms = @failingSinceMs, retry_at_ms = @retryAtMs, failures = @failures
       WHERE destination_no = @destinationNo AND cursor IS NOT NULL`,
    ),
    putTransaction: connection.prepare<[StoredTransaction]>(
      `INSERT OR REPLACE INTO outgoing_transactions
         (destination_no, transaction_id, event_ids, edu_ids, edus, cursor)
       VALUES (@destinationNo, @transactionId, @eventIds, @eduIds, @edus, @cursor)`,
    ),
    removeCarriedEdus: connection.prepare<[number, number, string]>(
      `DELETE FROM outgoing_edus WHERE destination_no = ? AND edu_id IN (
         SELECT e.value FROM outgoing_transactions t, json_each(t.edu_ids) e
         WHERE t.destination_no = ? AND t.transaction_id = ?
       )`,
    ),
    removeTransaction: connection.prepare<[number, string]>(
      'DELETE FROM outgoing_transactions WHERE destination_no = ? AND transaction_id = ?',
    ),
    advance: connection.prepare<[Position, Position, number]>(
      'UPDATE destinations SET cursor = max(coalesce(cursor, ?), ?) WHERE destination_no = ?',
    ),
  };
}

interface OutgoingLog {
  add(entry: { position: Position; eventNo: number; roomNo: number; destinations: readonly ServerName[] }): void;
  /** Removes of the next list, in turn, what all its destinations have. */
  prune(): void;
}

/** Entries that one delivery removes at most. */
const pruneMax = 500;

function createOutgoingLog({ connection, destinations }: Deps): OutgoingLog {
  const findList = connection.prepare<[Buffer], number>('SELECT list_no FROM destination_lists WHERE hash = ?').pluck();
  const insertList = connection.prepare<[Buffer]>('INSERT INTO destination_lists (hash) VALUES (?)');
  const insertEntry = connection.prepare<[number, number]>(
    'INSERT INTO destination_list_entries (destination_no, list_no) VALUES (?, ?)',
  );
  const begin = connection.prepare<[Position, number]>(
    `UPDATE destinations SET cursor = ? WHERE cursor IS NULL AND destination_no IN (
       SELECT destination_no FROM destination_list_entries WHERE list_no = ?
     )`,
  );
  const insert = connection.prepare<[Position, number, number, number]>(
    'INSERT INTO outgoing_pdus (position, event_no, room_no, list_no) VALUES (?, ?, ?, ?)',
  );
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
  const prune = connection.prepare<[number, Position, number]>(
    `DELETE FROM outgoing_pdus WHERE position IN (
       SELECT position FROM outgoing_pdus WHERE list_no = ? AND position <= ? ORDER BY position LIMIT ?
     )`,
  );
  const dropList = connection.prepare<[number, number]>(
    'DELETE FROM destination_lists WHERE list_no = ? AND NOT EXISTS (SELECT 1 FROM outgoing_pdus WHERE list_no = ?)',
  );
  let prunedList = 0;

  const putList = (names: readonly ServerName[], position: Position): number => {
    const sorted = [...new Set(names)].sort();
    const hash = createHash('sha256').update(JSON.stringify(sorted)).digest();
    const known = findList.get(hash);
    if (known !== undefined) return known;
    const listNo = Number(insertList.run(hash).lastInsertRowid);
    for (const destinationNo of destinations.putAll(sorted).values()) insertEntry.run(destinationNo, listNo);
    begin.run(position - 1, listNo);
    return listNo;
  };

  return {
    add({ position, eventNo, roomNo, destinations: names }) {
      insert.run(position, eventNo, roomNo, putList(names, position));
    },
    prune() {
      const listNo = nextList.get(prunedList) ?? nextList.get(0);
      if (listNo === undefined) return;
      prunedList = listNo;
      prune.run(listNo, slowest.get(listNo) ?? 0, pruneMax);
      dropList.run(listNo, listNo);
    },
  };
}
