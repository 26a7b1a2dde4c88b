import { LRUCache } from 'lru-cache';
import { assert } from '../../../base/assert.ts';
import { parseExactJson } from '../../../base/json/exact-json.ts';
import type { DeviceId, EventId, RoomId, UserId } from '../../../matrix/ids.ts';
import type { Pdu, RoomEvent } from '../../../matrix/pdu.ts';
import { getRoomVersion, type RoomVersion } from '../../../matrix/room-versions.ts';
import type { EventVerdict, StoredEvent, TimelineEvent } from '../../contract/events.ts';
import type { Position, SnapshotId } from '../../contract/numbers.ts';
import type { Connection } from './database.ts';
import type { Numbering } from './numbering.ts';
import type { Turn } from './turn.ts';

export const storedEventColumns = `
  e.event_no AS eventNo, i.event_id AS eventId, e.room_no AS roomNo, e.room_version AS roomVersion, e.verdict, e.position,
  e.snapshot_before AS snapshotBefore, e.snapshot_after AS snapshotAfter, e.received_at_ms AS receivedAtMs,
  (SELECT event_id FROM event_ids WHERE event_no = e.redacted_by_no) AS redactedBy, e.pdu_text AS pduText`;

export interface StoredEventRecord {
  eventNo: number;
  eventId: EventId;
  roomNo: number;
  roomVersion: string;
  verdict: EventVerdict;
  position: Position | null;
  snapshotBefore: SnapshotId | null;
  snapshotAfter: SnapshotId | null;
  receivedAtMs: number;
  redactedBy: EventId | null;
  pduText: string;
}

/** Outliers have no position and no snapshots: 0 stands for all three. */
export const timelineEventColumns = `
  i.event_id AS eventId, e.room_no AS roomNo, e.type, e.state_key AS stateKey, e.sender, e.depth,
  coalesce(e.position, 0) AS position, e.origin_server_ts AS originServerTs,
  coalesce(e.snapshot_before, 0) AS snapshotBefore, coalesce(e.snapshot_after, 0) AS snapshotAfter,
  e.client_text AS clientText,
  (SELECT event_id FROM event_ids WHERE event_no = e.redacted_by_no) AS redactedBy,
  (SELECT event_id FROM event_ids WHERE event_no = e.replaces_no) AS replaces,
  e.transaction_user_id AS transactionUserId, e.transaction_device_id AS transactionDeviceId,
  e.transaction_id AS transactionId`;

export interface TimelineEventRecord extends Omit<TimelineEvent, 'roomId' | 'transaction'> {
  roomNo: number;
  transactionUserId: UserId | null;
  transactionDeviceId: DeviceId | null;
  transactionId: string | null;
}

/** Characters of PDUs whose parsed form is kept: auth events are read again and again. */
const parsedSizeMax = 8 * 1024 * 1024;

/** Where the room version lets numbers through that JSON.parse changes, a hash made of the event later must still be true. */
function parsePduText(pduText: string, version: RoomVersion): Pdu {
  if (version.strictIntegers) return JSON.parse(pduText);
  const parsed = parseExactJson(pduText);
  assert(parsed.outcome === 'parsed', 'a stored event is no JSON');
  // It was a checked PDU when it was stored.
  return parsed.value as Pdu;
}

/** Makes events of what the tables hold. */
export class EventRecords {
  readonly #rooms: Numbering<RoomId>;
  readonly #parsed = new LRUCache<EventId, { pduText: string; event: RoomEvent }>({
    maxSize: parsedSizeMax,
    sizeCalculation: ({ pduText }) => pduText.length,
  });

  constructor(rooms: Numbering<RoomId>) {
    this.#rooms = rooms;
  }

  stored(record: StoredEventRecord): StoredEvent {
    const { verdict, position, snapshotBefore, snapshotAfter, redactedBy, receivedAtMs } = record;
    return {
      event: this.#parse(record),
      verdict,
      placement: position === null ? 'outlier' : position > 0 ? 'timeline' : 'historical',
      position,
      snapshotBefore,
      snapshotAfter,
      redactedBy,
      receivedAtMs,
    };
  }

  /** Of many rooms, whose ids are looked up together. */
  allStored(records: readonly StoredEventRecord[]): StoredEvent[] {
    this.#learnRooms(records);
    return records.map((record) => this.stored(record));
  }

  allOfTimelines(records: readonly TimelineEventRecord[]): TimelineEvent[] {
    this.#learnRooms(records);
    return records.map((record) => this.timeline(record));
  }

  #learnRooms(records: readonly { readonly roomNo: number }[]): void {
    this.#rooms.texts(new Set(records.map(({ roomNo }) => roomNo)));
  }

  timeline(record: TimelineEventRecord): TimelineEvent {
    const { roomNo, transactionUserId: userId, transactionDeviceId: deviceId, transactionId, ...event } = record;
    const transaction =
      userId === null || deviceId === null || transactionId === null ? null : { userId, deviceId, transactionId };
    return { ...event, roomId: this.#rooms.text(roomNo), transaction };
  }

  /** What was parsed is as good as what would be: by the text, since a redaction changes it. */
  #parse(record: StoredEventRecord): RoomEvent {
    const { eventId, roomNo, roomVersion, pduText } = record;
    const known = this.#parsed.get(eventId);
    if (known?.pduText === pduText) return known.event;
    const pdu = parsePduText(pduText, getRoomVersion(roomVersion));
    const event: RoomEvent = { eventId, roomId: this.#rooms.text(roomNo), roomVersion, pdu };
    this.#parsed.set(eventId, { pduText, event });
    return event;
  }
}

/** What reads of events need. */
export interface EventDeps {
  connection: Connection;
  turn: Turn;
  rooms: Numbering<RoomId>;
  events: Numbering<EventId>;
  records: EventRecords;
}
