import type { EventId, RoomId } from '../../matrix/ids.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Position } from '../contract/numbers.ts';
import type {
  DestinationHealthRow,
  DestinationRow,
  OutgoingReads,
  OutgoingTransactionRow,
} from '../contract/outgoing.ts';
import type { Connection } from './core/database.ts';
import type { Numbering } from './core/numbering.ts';
import type { Turn } from './core/turn.ts';

interface TransactionRecord {
  transactionId: string;
  eventIds: string;
  eduIds: string;
  edus: string;
  cursor: Position;
}

export function createOutgoingReads(
  connection: Connection,
  turn: Turn,
  destinations: Numbering<ServerName>,
): OutgoingReads {
  const health = `destination, failing_since_ms AS failingSinceMs, retry_at_ms AS retryAtMs, failures`;
  const find = connection.prepare<[ServerName], DestinationRow>(
    `SELECT ${health}, cursor FROM destinations WHERE destination = ? AND cursor IS NOT NULL`,
  );
  const failing = connection.prepare<[number], DestinationHealthRow>(
    `SELECT ${health} FROM destinations WHERE retry_at_ms IS NOT NULL ORDER BY retry_at_ms DESC LIMIT ?`,
  );
  const pending = connection
    .prepare<[], ServerName>(
      `SELECT destination FROM destinations d
       WHERE EXISTS (SELECT 1 FROM outgoing_transactions t WHERE t.destination_no = d.destination_no)
         OR EXISTS (SELECT 1 FROM outgoing_edus e WHERE e.destination_no = d.destination_no)
         OR EXISTS (SELECT 1 FROM outgoing_behind b WHERE b.destination_no = d.destination_no)
         OR EXISTS (
           SELECT 1 FROM destination_list_entries l
             JOIN outgoing_pdus p ON p.list_no = l.list_no AND p.position > d.cursor
           WHERE l.destination_no = d.destination_no
         )
       ORDER BY destination`,
    )
    .pluck();
  const transaction = connection.prepare<[number], TransactionRecord>(
    `SELECT transaction_id AS transactionId, event_ids AS eventIds, edu_ids AS eduIds, edus, cursor
     FROM outgoing_transactions WHERE destination_no = ?`,
  );
  // A few of each list, then the first of those: what waits beyond them costs nothing.
  const pdus = connection.prepare<
    { destinationNo: number; after: Position; limit: number },
    { position: Position; eventId: EventId; roomId: RoomId }
  >(
    `SELECT p.position, i.event_id AS eventId, r.room_id AS roomId
     FROM (
       SELECT o.position, o.event_no, o.room_no
       FROM destination_list_entries l
         JOIN outgoing_pdus o ON o.position IN (
           SELECT position FROM outgoing_pdus
           WHERE list_no = l.list_no AND position > @after ORDER BY position LIMIT @limit
         )
       WHERE l.destination_no = @destinationNo
       UNION ALL
       SELECT position, event_no, room_no FROM outgoing_behind WHERE destination_no = @destinationNo AND position > @after
     ) p
       JOIN event_ids i ON i.event_no = p.event_no
       JOIN rooms r ON r.room_no = p.room_no
     ORDER BY p.position LIMIT @limit`,
  );
  const edus = connection.prepare<[number, number], { eduId: number; edu: string }>(
    'SELECT edu_id AS eduId, edu FROM outgoing_edus WHERE destination_no = ? ORDER BY edu_id LIMIT ?',
  );

  return {
    findDestination: (destination) => turn.read(() => find.get(destination)),
    listFailingDestinations: (limit) => turn.read(() => failing.all(limit)),
    listPendingDestinations: () => turn.read(() => pending.all()),
    findTransaction: (destination) =>
      turn.read((): OutgoingTransactionRow | undefined => {
        const record = transaction.get(destinations.find(destination) ?? 0);
        if (record === undefined) return undefined;
        const { transactionId, cursor } = record;
        return {
          destination,
          transactionId,
          eventIds: JSON.parse(record.eventIds),
          eduIds: JSON.parse(record.eduIds),
          edus: JSON.parse(record.edus),
          cursor,
        };
      }),
    listPdus: (destination, after, limit) =>
      turn.read(() => pdus.all({ destinationNo: destinations.find(destination) ?? 0, after, limit })),
    listEdus: (destination, limit) =>
      turn.read(() =>
        edus.all(destinations.find(destination) ?? 0, limit).map(({ eduId, edu }) => ({ eduId, edu: JSON.parse(edu) })),
      ),
  };
}
