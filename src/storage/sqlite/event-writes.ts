import { type DeviceId, type EventId, isUserId, type RoomId, type UserId } from '../../matrix/ids.ts';
import {
  authEventIdsOf,
  depthOf,
  isStateEvent,
  originServerTsOf,
  prevEventIdsOf,
  stateKeyOf,
} from '../../matrix/pdu.ts';
import { isListingState } from '../../matrix/room-listing.ts';
import type { EventTableRow, EventVerdict } from '../contract/events.ts';
import type { Position, SnapshotId } from '../contract/numbers.ts';
import type { Connection } from './core/database.ts';
import type { Numbering } from './core/numbering.ts';
import type { SnapshotLayers } from './core/snapshot-layers.ts';
import type { RowOf, Step, Writes } from './core/writes.ts';
import { type EventTexts, textsOf } from './event-text.ts';
import type { RoomListings } from './room-listings.ts';
import type { UnreadWrites } from './unread-writes.ts';
import type { DirectoryNames } from './user-directory.ts';
import type { WaitingEventWrites } from './waiting-events.ts';

const keepTransactionsMs = 24 * 60 * 60 * 1000;
/** Old transaction ids that each new one removes: more than one, so that the table shrinks. */
const pruneMax = 20;

interface Deps {
  connection: Connection;
  rooms: Numbering<RoomId>;
  events: Numbering<EventId>;
  snapshots: SnapshotLayers;
  listings: RoomListings;
  waiting: Pick<WaitingEventWrites, 'isAwaited'>;
  names: DirectoryNames;
  unread: Pick<UnreadWrites, 'redact'>;
}

/** Where an event stands. */
interface Placed {
  eventNo: number;
  verdict: EventVerdict;
  position: Position | null;
  snapshotBefore: SnapshotId | null;
  snapshotAfter: SnapshotId | null;
  replacesNo: number | null;
}

interface Inserted extends Placed, EventTexts {
  roomNo: number;
  roomVersion: string;
  type: string;
  stateKey: string | null;
  sender: UserId;
  depth: number;
  originServerTs: number;
  transactionUserId: UserId | null;
  transactionDeviceId: DeviceId | null;
  transactionId: string | null;
  receivedAtMs: number;
}

/** What of a stored event its placing and its redaction need. */
interface Known {
  roomNo: number;
  position: Position | null;
  type: string;
  stateKey: string | null;
  sender: UserId;
  depth: number;
}

/** What the memberships made by one event show. */
interface MemberProfile {
  roomNo: number;
  userId: UserId;
  eventId: EventId;
  displayname: string | null;
  avatarUrl: string | null;
}

export function createEventWrites(deps: Deps): Writes<EventTableRow['kind']> {
  const { connection, rooms, events, snapshots, listings, names } = deps;
  const statements = prepareEventStatements(connection);
  const graph = createGraphWrites(connection);

  const findReplaced = (snapshotBefore: SnapshotId | null, type: string, stateKey: string | null): number | null => {
    if (snapshotBefore === null || stateKey === null) return null;
    return snapshots.findEventNo(snapshotBefore, stateKeyOf(type, stateKey)) ?? null;
  };

  const showProfile = (member: MemberProfile): void => {
    const before = statements.nameInRoom.get(member);
    statements.setProfile.run(member);
    statements.setLoggedProfile.run(member);
    if (before) names.changeInRoom(member.userId, { before, after: { name: member.displayname } });
  };

  /** What follows from an event's place: the room's activity, the gaps, the word to others. */
  const settle = (eventId: EventId, event: Known & Placed & { isNew: boolean }, step: Step): void => {
    const { eventNo, roomNo, position, verdict, type, stateKey, sender, isNew } = event;
    if (deps.waiting.isAwaited(eventId)) step.change({ kind: 'event_awaited', roomId: rooms.text(roomNo), eventId });
    if (position === null) return;
    const accepted = verdict === 'accepted' && position > 0;
    graph.place({ eventNo, roomNo, depth: event.depth, position: accepted ? position : null }, isNew);
    if (!accepted) return;
    statements.setNewest.run(position, roomNo);
    step.change({ kind: 'event', position, roomId: rooms.text(roomNo), eventId, type, stateKey, sender });
  };

  const place = (row: RowOf<'event_placed'>, step: Step): void => {
    const { eventId, verdict, snapshotBefore, snapshotAfter } = row;
    const eventNo = events.find(eventId);
    const known = eventNo === undefined ? undefined : statements.find.get(eventNo);
    if (eventNo === undefined || known === undefined) throw new Error(`event ${eventId} is not stored`);
    const replacesNo = findReplaced(snapshotBefore, known.type, known.stateKey);
    const placed = { eventNo, verdict, position: step.position ?? null, snapshotBefore, snapshotAfter, replacesNo };
    statements.place.run(placed);
    settle(eventId, { ...known, ...placed, isNew: false }, step);
  };

  return {
    event(row, step) {
      const { eventId, roomId, roomVersion, pdu } = row.event;
      const numbered = events.find(eventId);
      const known = numbered === undefined ? undefined : statements.find.get(numbered);
      if (known !== undefined) {
        if (row.placement === 'outlier') return;
        if (known.position !== null) throw new Error(`event ${eventId} has its place already`);
        place({ ...row, kind: 'event_placed', eventId }, step);
        return;
      }
      const eventNo = numbered ?? events.add(eventId);
      const stateKey = isStateEvent(row.event) ? row.event.pdu.state_key : null;
      const inserted: Inserted = {
        eventNo,
        roomNo: rooms.put(roomId),
        roomVersion,
        verdict: row.verdict,
        position: step.position ?? null,
        snapshotBefore: row.snapshotBefore,
        snapshotAfter: row.snapshotAfter,
        type: pdu.type,
        stateKey,
        sender: pdu.sender,
        depth: depthOf(pdu),
        originServerTs: originServerTsOf(pdu),
        ...textsOf(eventId, pdu),
        replacesNo: findReplaced(row.snapshotBefore, pdu.type, stateKey),
        transactionUserId: row.transaction?.userId ?? null,
        transactionDeviceId: row.transaction?.deviceId ?? null,
        transactionId: row.transaction?.transactionId ?? null,
        receivedAtMs: row.receivedAtMs,
      };
      statements.insert.run(inserted);
      graph.link(eventNo, events.putAll(prevEventIdsOf(pdu)).values(), events.putAll(authEventIdsOf(pdu)).values());
      settle(eventId, { ...inserted, isNew: numbered === undefined }, step);
    },
    event_placed: place,
    event_content({ event: { eventId, pdu }, profile }, step) {
      const eventNo = events.find(eventId);
      const known = eventNo === undefined ? undefined : statements.find.get(eventNo);
      if (eventNo === undefined || known === undefined) return;
      if (statements.restore.run({ ...textsOf(eventId, pdu), eventNo }).changes === 0) return;
      step.change({ kind: 'event_rewritten', roomId: rooms.text(known.roomNo), eventId });
      if (known.stateKey === null) return;
      if (profile !== null && isUserId(known.stateKey)) {
        showProfile({ roomNo: known.roomNo, userId: known.stateKey, eventId, ...profile });
      }
      if (isListingState(known.type, known.stateKey)) listings.refresh(known.roomNo);
      step.change({ kind: 'current_state', roomId: rooms.text(known.roomNo), types: [known.type] });
    },
    redaction({ eventId, redactedBy, redacted }, step) {
      const eventNo = events.find(eventId);
      const known = eventNo === undefined ? undefined : statements.find.get(eventNo);
      if (eventNo === undefined || known === undefined) return;
      statements.redact.run({ ...textsOf(eventId, redacted), eventNo, redactedByNo: events.put(redactedBy) });
      statements.removeWaiting.run(eventNo);
      if (known.position !== null && known.position > 0) deps.unread.redact(known.roomNo, known.position);
      if (known.type === 'm.room.member' && isUserId(known.stateKey)) {
        // What a redacted member event no longer says, the rows that were made of it must not say either.
        showProfile({ roomNo: known.roomNo, userId: known.stateKey, eventId, displayname: null, avatarUrl: null });
      }
      if (known.stateKey !== null && isListingState(known.type, known.stateKey)) listings.refresh(known.roomNo);
      step.change({ kind: 'redaction', roomId: rooms.text(known.roomNo), eventId, redactedBy });
    },
    redaction_waiting({ redaction, target }) {
      statements.addWaiting.run(events.put(target), events.put(redaction));
    },
    client_transaction(row, step) {
      statements.insertTransaction.run({ ...row, eventId: row.eventId ?? '' });
      statements.pruneTransactions.run(step.nowMs - keepTransactionsMs, pruneMax);
    },
  };
}

function prepareEventStatements(connection: Connection) {
  return {
    find: connection.prepare<[number], Known>(
      `SELECT room_no AS roomNo, position, type, state_key AS stateKey, sender, depth FROM events WHERE event_no = ?`,
    ),
    insert: connection.prepare<[Inserted]>(
      `INSERT INTO events (event_no, room_no, room_version, verdict, position, snapshot_before, snapshot_after, type,
         state_key, sender, depth, origin_server_ts, has_url, rel_type, relates_to, replaces_no, transaction_user_id,
         transaction_device_id, transaction_id, received_at_ms, client_text, pdu_text)
       VALUES (@eventNo, @roomNo, @roomVersion, @verdict, @position, @snapshotBefore, @snapshotAfter, @type,
         @stateKey, @sender, @depth, @originServerTs, @hasUrl, @relType, @relatesTo, @replacesNo, @transactionUserId,
         @transactionDeviceId, @transactionId, @receivedAtMs, @clientText, @pduText)`,
    ),
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
    insertTransaction: connection.prepare<[Omit<RowOf<'client_transaction'>, 'eventId'> & { eventId: string }]>(
      `INSERT INTO client_transactions (user_id, device_id, scope, transaction_id, event_id, created_at_ms)
       VALUES (@userId, @deviceId, @scope, @transactionId, @eventId, @createdAtMs)`,
    ),
    pruneTransactions: connection.prepare<[number, number]>(
      `DELETE FROM client_transactions WHERE rowid IN (
         SELECT rowid FROM client_transactions WHERE created_at_ms < ? ORDER BY created_at_ms LIMIT ?
       )`,
    ),
  };
}

interface GraphPlace {
  eventNo: number;
  roomNo: number;
  depth: number;
  /** Of an accepted event of the timeline. */
  position: Position | null;
}

interface GraphWrites {
  link(eventNo: number, prevNos: Iterable<number>, authNos: Iterable<number>): void;
  /** The event got a place: nothing misses it any more, and it may miss others. isNew: nothing ever named it. */
  place(place: GraphPlace, isNew: boolean): void;
}

function createGraphWrites(connection: Connection): GraphWrites {
  const addPrev = connection.prepare<[number, number]>('INSERT INTO event_prevs (event_no, prev_no) VALUES (?, ?)');
  const addAuth = connection.prepare<[number, number]>('INSERT INTO event_auths (event_no, auth_no) VALUES (?, ?)');
  const found = connection.prepare<[number]>('DELETE FROM missing_prevs WHERE prev_no = ?');
  const unmiss = connection.prepare<[number]>('DELETE FROM missing_prevs WHERE event_no = ?');
  const misses = connection
    .prepare<[number], number>(
      `SELECT 1 FROM event_prevs p LEFT JOIN events e ON e.event_no = p.prev_no
       WHERE p.event_no = ? AND e.position IS NULL LIMIT 1`,
    )
    .pluck();
  const miss = connection.prepare<[GraphPlace]>(
    `INSERT INTO missing_prevs (prev_no, event_no, room_no, depth, position)
     SELECT p.prev_no, @eventNo, @roomNo, @depth, @position
     FROM event_prevs p LEFT JOIN events e ON e.event_no = p.prev_no
     WHERE p.event_no = @eventNo AND e.position IS NULL`,
  );

  return {
    link(eventNo, prevNos, authNos) {
      for (const prevNo of prevNos) addPrev.run(eventNo, prevNo);
      for (const authNo of authNos) addAuth.run(eventNo, authNo);
    },
    place(place, isNew) {
      if (!isNew) {
        found.run(place.eventNo);
        unmiss.run(place.eventNo);
      }
      if (misses.get(place.eventNo) !== undefined) miss.run(place);
    },
  };
}
