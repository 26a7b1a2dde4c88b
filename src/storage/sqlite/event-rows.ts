import type { EventId, RoomId, UserId } from '../../matrix/ids.ts';
import type { EventVerdict } from '../contract/events.ts';
import type { Position, SnapshotId } from '../contract/numbers.ts';
import type { Connection } from './core/database.ts';
import { prepareInsertMany, type Value } from './core/many-rows.ts';
import type { RowOf } from './core/writes.ts';
import { transactionsBefore } from './device-leftovers.ts';
import type { EventTexts } from './event-text.ts';

/** Where an event stands. */
export interface Placed {
  readonly eventNo: number;
  readonly verdict: EventVerdict;
  readonly position: Position | null;
  readonly snapshotBefore: SnapshotId | null;
  readonly snapshotAfter: SnapshotId | null;
  readonly replacesNo: number | null;
}

export interface Inserted extends Placed {
  readonly roomNo: number;
  readonly roomVersion: string;
  readonly type: string;
  readonly stateKey: string | null;
  readonly sender: UserId;
  readonly depth: number;
  readonly originServerTs: number;
  readonly texts: EventTexts;
  readonly transaction: RowOf<'event'>['transaction'];
  readonly receivedAtMs: number;
}

/** What of a stored event its placing and its redaction need. */
export interface Known {
  readonly roomNo: number;
  readonly position: Position | null;
  readonly type: string;
  readonly stateKey: string | null;
  readonly sender: UserId;
}

/** What the memberships made by one event show. */
export interface MemberProfile {
  readonly roomNo: number;
  readonly userId: UserId;
  readonly eventId: EventId;
  readonly displayname: string | null;
  readonly avatarUrl: string | null;
}

const insertedColumns = `events (event_no, room_no, room_version, verdict, position, snapshot_before, snapshot_after, type,
  state_key, sender, depth, origin_server_ts, has_url, rel_type, relates_to, replaces_no, transaction_user_id,
  transaction_device_id, transaction_id, received_at_ms, client_text, pdu_text)`;

function valuesOf(event: Inserted): Value[] {
  const { texts, transaction } = event;
  return [
    event.eventNo,
    event.roomNo,
    event.roomVersion,
    event.verdict,
    event.position,
    event.snapshotBefore,
    event.snapshotAfter,
    event.type,
    event.stateKey,
    event.sender,
    event.depth,
    event.originServerTs,
    texts.hasUrl,
    texts.relType,
    texts.relatesTo,
    event.replacesNo,
    transaction?.userId ?? null,
    transaction?.deviceId ?? null,
    transaction?.transactionId ?? null,
    event.receivedAtMs,
    texts.clientText,
    texts.pduText,
  ];
}

export function prepareEventStatements(connection: Connection) {
  const insertMany = prepareInsertMany(connection, insertedColumns);
  return {
    insert: (events: readonly Inserted[]): void => insertMany(events.map(valuesOf)),
    find: connection.prepare<[number], Known>(
      'SELECT room_no AS roomNo, position, type, state_key AS stateKey, sender FROM events WHERE event_no = ?',
    ),
    stored: connection
      .prepare<[string], number>('SELECT e.event_no FROM json_each(?) j CROSS JOIN events e ON e.event_no = j.value')
      .pluck(),
    place: connection.prepare<[Placed]>(
      `UPDATE events SET verdict = @verdict, position = @position, snapshot_before = @snapshotBefore,
         snapshot_after = @snapshotAfter, replaces_no = @replacesNo
       WHERE event_no = @eventNo`,
    ),
    redact: connection.prepare<[EventTexts & { eventNo: number; redactedByNo: number }]>(
      `UPDATE events SET pdu_text = @pduText, client_text = @clientText, has_url = @hasUrl, rel_type = @relType,
         relates_to = @relatesTo, redacted_by_no = @redactedByNo
       WHERE event_no = @eventNo`,
    ),
    restore: connection.prepare<[EventTexts & { eventNo: number }]>(
      `UPDATE events SET pdu_text = @pduText, client_text = @clientText, has_url = @hasUrl, rel_type = @relType,
         relates_to = @relatesTo
       WHERE event_no = @eventNo AND redacted_by_no IS NULL`,
    ),
    nameInRoom: connection.prepare<[MemberProfile], { name: string | null }>(
      `SELECT displayname AS name FROM memberships
       WHERE room_no = @roomNo AND user_id = @userId AND event_id = @eventId AND membership = 'join'`,
    ),
    setProfile: connection.prepare<[MemberProfile]>(
      `UPDATE memberships SET displayname = @displayname, avatar_url = @avatarUrl
       WHERE room_no = @roomNo AND user_id = @userId AND event_id = @eventId`,
    ),
    setLoggedProfile: connection.prepare<[MemberProfile]>(
      `UPDATE membership_log SET displayname = @displayname, avatar_url = @avatarUrl
       WHERE room_no = @roomNo AND user_id = @userId AND event_id = @eventId`,
    ),
    addWaiting: connection.prepare<[number, number]>(
      'INSERT OR IGNORE INTO waiting_redactions (target_no, redaction_no) VALUES (?, ?)',
    ),
    removeWaiting: connection.prepare<[number]>('DELETE FROM waiting_redactions WHERE target_no = ?'),
    setNewest: connection.prepare<[Position, number]>(
      'UPDATE rooms SET newest_position = max(newest_position, ?) WHERE room_no = ?',
    ),
    // In place of what is left of an earlier device of this name.
    insertTransaction: connection.prepare<
      [Omit<RowOf<'client_transaction'>, 'eventId'> & { eventId: string; writtenBehind: Position }]
    >(
      `INSERT INTO client_transactions AS t
         (user_id, device_id, scope, transaction_id, event_id, created_at_ms, written_behind)
       VALUES (@userId, @deviceId, @scope, @transactionId, @eventId, @createdAtMs, @writtenBehind)
       ON CONFLICT DO UPDATE SET event_id = excluded.event_id, created_at_ms = excluded.created_at_ms,
         written_behind = excluded.written_behind
       WHERE t.written_behind < ${transactionsBefore('t.user_id', 't.device_id')}`,
    ),
    pruneTransactions: connection.prepare<[number, number]>(
      `DELETE FROM client_transactions WHERE rowid IN (
         SELECT rowid FROM client_transactions WHERE created_at_ms < ? ORDER BY created_at_ms LIMIT ?
       )`,
    ),
  };
}

/** An event that was given its place, or stored without one. */
export interface Settled extends Known, Placed {
  readonly eventId: EventId;
  readonly roomId: RoomId;
  /** Nothing had named it before. */
  readonly isNew: boolean;
}
