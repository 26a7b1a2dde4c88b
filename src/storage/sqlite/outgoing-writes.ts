import type { EventId, RoomId } from '../../matrix/ids.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Position } from '../contract/numbers.ts';
import type { DestinationHealthRow, DestinationRow, OutgoingTableRow } from '../contract/outgoing.ts';
import type { Connection } from './core/database.ts';
import type { Numbering } from './core/numbering.ts';
import { positionOf, type Writes } from './core/writes.ts';
import { createOutgoingEduQueue } from './outgoing-edus.ts';
import { createOutgoingLog } from './outgoing-log.ts';

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
  const log = createOutgoingLog(connection, destinations);
  const edus = createOutgoingEduQueue(connection);
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
    outgoing_edu({ destination, edu, key, series = null }, step) {
      const destinationNo = destinations.put(destination);
      statements.begin.run(step.positionBefore, destinationNo);
      edus.add({ destinationNo, key, series, text: JSON.stringify(edu) });
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
    outgoing_withdrawn({ destination, transactionId }) {
      statements.removeTransaction.run(destinations.put(destination), transactionId);
    },
    outgoing_delivered({ destination, transactionId, cursor }) {
      const destinationNo = destinations.put(destination);
      statements.removeCarriedEdus.run(destinationNo, destinationNo, transactionId);
      statements.removeTransaction.run(destinationNo, transactionId);
      statements.advance.run(cursor, cursor, destinationNo);
      statements.removeBehind.run(destinationNo, cursor);
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
    removeBehind: connection.prepare<[number, Position]>(
      'DELETE FROM outgoing_behind WHERE destination_no = ? AND position <= ?',
    ),
    advance: connection.prepare<[Position, Position, number]>(
      'UPDATE destinations SET cursor = max(coalesce(cursor, ?), ?) WHERE destination_no = ?',
    ),
  };
}
