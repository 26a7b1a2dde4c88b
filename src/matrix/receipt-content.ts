/** One receipt of a user. */
export interface ReceiptOfUser {
  readonly eventId: string;
  readonly receiptType: string;
  readonly userId: string;
  /** Null: unthreaded. */
  readonly threadId: string | null;
  readonly ts: number;
}

export type ReceiptContent = Record<string, Record<string, Record<string, { ts: number; thread_id?: string }>>>;

/**
 * The contents of `m.receipt` events that hold these receipts of one room: event → type → user → the receipt (client-server API,
 * "Receipts"). One user may have read one event in several threads, which that shape cannot hold: what does not fit goes into a further one.
 */
export function receiptContents(receipts: readonly ReceiptOfUser[]): ReceiptContent[] {
  const contents: ReceiptContent[] = [];
  for (const receipt of receipts) {
    if (contents.some((content) => put(content, receipt))) continue;
    const content: ReceiptContent = {};
    put(content, receipt);
    contents.push(content);
  }
  return contents;
}

/** False where the place is taken. */
function put(content: ReceiptContent, { eventId, receiptType, userId, threadId, ts }: ReceiptOfUser): boolean {
  const ofEvent = content[eventId] ?? {};
  const ofType = ofEvent[receiptType] ?? {};
  if (ofType[userId] !== undefined) return false;
  ofType[userId] = threadId === null ? { ts } : { ts, thread_id: threadId };
  ofEvent[receiptType] = ofType;
  content[eventId] = ofEvent;
  return true;
}
