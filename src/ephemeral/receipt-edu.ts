import { breathe } from '../base/breathe.ts';
import { type EventId, isEventId, isRoomId, isUserId, type RoomId, serverOfUser } from '../matrix/ids.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { ReceiptRow } from '../storage/contract/receipts.ts';

/** Receipts that one EDU may carry; the rest of a longer one is dropped. */
const receiptsMax = 1_000;

type JsonRecord = Readonly<Record<string, unknown>>;

/**
 * What an `m.receipt` EDU says about users of its origin, by room (server-server API, "Receipts"). Total: whatever does not
 * fit is left out, entry by entry. Only `m.read` is ever taken: a private receipt is nobody else's to tell.
 */
export async function parseReceiptEdu(origin: ServerName, content: unknown): Promise<Map<RoomId, ReceiptRow[]>> {
  const byRoom = new Map<RoomId, ReceiptRow[]>();
  let left = receiptsMax;
  for (const [roomId, ofRoom] of entriesOf(content)) {
    const users = isRecord(ofRoom) ? entriesOf(ofRoom['m.read']) : [];
    if (!isRoomId(roomId) || users.length === 0) continue;
    const receipts: ReceiptRow[] = [];
    for (const [userId, entry] of users) {
      if (left === 0) break;
      left -= 1;
      if (!isUserId(userId) || serverOfUser(userId) !== origin) continue;
      const parsed = parseEntry(entry);
      if (parsed) receipts.push({ roomId, userId, receiptType: 'm.read', ...parsed });
      await breathe();
    }
    if (receipts.length > 0) byRoom.set(roomId, receipts);
  }
  return byRoom;
}

function parseEntry(entry: unknown): { threadId: string | null; eventId: EventId; ts: number } | undefined {
  if (!isRecord(entry) || !isRecord(entry.data) || !Array.isArray(entry.event_ids)) return undefined;
  const [eventId]: unknown[] = entry.event_ids;
  const { ts, thread_id: threadId } = entry.data;
  if (!isEventId(eventId) || typeof ts !== 'number' || !Number.isSafeInteger(ts) || ts < 0) return undefined;
  if (threadId === undefined || threadId === null) return { threadId: null, eventId, ts };
  return threadId === 'main' || isEventId(threadId) ? { threadId, eventId, ts } : undefined;
}

function isRecord(value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** At most as many as can matter. */
function entriesOf(value: unknown): [string, unknown][] {
  return isRecord(value) ? Object.entries(value).slice(0, receiptsMax) : [];
}
