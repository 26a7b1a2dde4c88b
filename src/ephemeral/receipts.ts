import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import { forbidden, invalidParam, notFound } from '../matrix/errors.ts';
import { type EventId, isEventId, type RoomId, type UserId } from '../matrix/ids.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { Roster } from '../roster/roster.ts';
import type { Row } from '../storage/contract/commit.ts';
import type { TimelineEvent } from '../storage/contract/events.ts';
import type { ReceiptRow, ReceiptType } from '../storage/contract/receipts.ts';
import type { Storage } from '../storage/contract/storage.ts';
import { parseReceiptEdu } from './receipt-edu.ts';
import type { ReceiptMarks } from './receipt-marks.ts';
import { isInThread } from './threads.ts';

export interface ReceiptsDeps {
  serverName: ServerName;
  storage: {
    receipts: Pick<Storage['receipts'], 'find' | 'listOfUsers'>;
    events: Pick<Storage['events'], 'findTimelineEvent'>;
    commit: Storage['commit'];
  };
  roster: Pick<Roster, 'isJoined' | 'serversIn'>;
  clock: Clock;
  /** What `m.read` receipts are to other servers. */
  marks: Pick<ReceiptMarks, 'mark'>;
  /** The destination has a mark. */
  poke: (destination: ServerName) => void;
}

export interface SetReceipt {
  roomId: RoomId;
  receiptType: ReceiptType;
  eventId: EventId;
  /** As the client wrote it; undefined: unthreaded. */
  threadId?: unknown;
}

/** How far people have read (client-server API, "Receipts"). */
export interface Receipts {
  /**
   * A local user has read up to the event. Throws M_FORBIDDEN when they are not in the room, M_NOT_FOUND for an event that
   * is not in it, M_INVALID_PARAM for a thread that the event does not belong to. The same receipt again writes nothing.
   */
  set(userId: UserId, request: SetReceipt): Promise<void>;
  /** What `set` would write, for a batch with more in it; `tellOthers` once that is committed. */
  rowsFor(userId: UserId, request: SetReceipt): Promise<Row[]>;
  /** Those of the committed rows that other servers hear of are marked for them. */
  tellOthers(rows: readonly Row[]): void;
  /** The content of an `m.receipt` EDU. Entries that are malformed, not the origin's or about somebody not in the room are dropped. */
  receiveReceiptEdu(origin: ServerName, content: unknown): Promise<void>;
}

export function createReceipts(deps: ReceiptsDeps): Receipts {
  const { storage, roster, clock, serverName } = deps;

  async function rowsFor(userId: UserId, request: SetReceipt): Promise<Row[]> {
    const { roomId, receiptType, eventId } = request;
    const event = await getReadableEvent(deps, userId, { roomId, eventId });
    const threadId = parseThreadId(request.threadId);
    if (threadId !== null && !(await isInThread(storage.events, event, threadId))) {
      throw invalidParam('The event is not in the thread that thread_id names');
    }
    const known = await storage.receipts.find(roomId, userId, receiptType, threadId);
    if (known?.eventId === eventId) return [];
    const receipt: ReceiptRow = { roomId, userId, receiptType, threadId, eventId, ts: clock.now() };
    return [
      { kind: 'receipt', ...receipt },
      { kind: 'read_place', roomId, userId, thread: threadId, eventId },
    ];
  }

  function tellOthers(rows: readonly Row[]): void {
    for (const row of rows) {
      // "`m.read.private` MUST NOT appear in this federated `m.receipt` EDU" (client-server API, "Receipts").
      if (row.kind !== 'receipt' || row.receiptType !== 'm.read') continue;
      for (const destination of roster.serversIn(row.roomId)) {
        if (destination === serverName) continue;
        deps.marks.mark(destination, row);
        deps.poke(destination);
      }
    }
  }

  return {
    rowsFor,
    tellOthers,

    async set(userId, request) {
      const rows = await rowsFor(userId, request);
      await commitRows(storage, rows);
      tellOthers(rows);
    },

    async receiveReceiptEdu(origin, content) {
      if (origin === serverName) return;
      const rows: Row[] = [];
      for (const [roomId, receipts] of await parseReceiptEdu(origin, content)) {
        const joined = receipts.filter(({ userId }) => roster.isJoined(roomId, userId));
        if (joined.length === 0) continue;
        const known = await storage.receipts.listOfUsers(
          roomId,
          joined.map(({ userId }) => userId),
        );
        const places = new Set(known.map((row) => placeOf(row)));
        for (const receipt of joined) if (!places.has(placeOf(receipt))) rows.push({ kind: 'receipt', ...receipt });
      }
      await commitRows(storage, rows);
    },
  };
}

/** The event, which must be in the timeline or the history of a room that the user is in. */
export async function getReadableEvent(
  deps: {
    storage: { events: Pick<Storage['events'], 'findTimelineEvent'> };
    roster: Pick<Roster, 'isJoined'>;
  },
  userId: UserId,
  { roomId, eventId }: { roomId: RoomId; eventId: EventId },
): Promise<TimelineEvent> {
  if (!deps.roster.isJoined(roomId, userId)) throw forbidden('You are not in this room');
  const event = await deps.storage.events.findTimelineEvent(eventId);
  if (event?.roomId !== roomId) throw notFound('There is no such event in this room');
  return event;
}

/** Nothing to write, nothing committed: nobody is woken for a receipt that changes nothing. */
export async function commitRows(storage: Pick<Storage, 'commit'>, rows: readonly Row[]): Promise<void> {
  if (rows.length === 0) return;
  const result = await storage.commit({ rows });
  assert(result.outcome === 'committed', 'a batch that expects nothing is never refused');
}

function parseThreadId(threadId: unknown): EventId | 'main' | null {
  if (threadId === undefined) return null;
  if (threadId === 'main' || isEventId(threadId)) return threadId;
  throw invalidParam("thread_id must be 'main' or the event ID of a thread's root");
}

function placeOf({ userId, receiptType, threadId, eventId }: ReceiptRow): string {
  return JSON.stringify([userId, receiptType, threadId, eventId]);
}
