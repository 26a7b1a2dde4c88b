import type { EduParcel, EduSource } from '../federation-out/edu-source.ts';
import type { Edu, ReceiptEduContent } from '../matrix/edu.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { Roster } from '../roster/roster.ts';
import type { ReceiptRow } from '../storage/contract/receipts.ts';

/** At each bound the oldest marks go: how far somebody had read long ago is worth least. */
const marksPerDestinationMax = 1_000;
const destinationsMax = 20_000;
/** In one EDU, which so stays far below the size that others take. */
const receiptsPerEduMax = 100;

export interface ReceiptMarksDeps {
  roster: Pick<Roster, 'isJoined' | 'serversIn'>;
}

/**
 * Which destination is to hear of which `m.read` receipts. One mark for each room, user and thread: the latest receipt wins, and a mark is
 * cleared by the 200 that carried just it. They do not outlive the process: the user's next receipt says more than the one that was lost.
 */
export class ReceiptMarks implements EduSource {
  readonly name = 'm.receipt';
  readonly #deps: ReceiptMarksDeps;
  /** The oldest mark of a destination stands first. */
  readonly #marks = new Map<ServerName, Map<string, ReceiptRow>>();

  constructor(deps: ReceiptMarksDeps) {
    this.#deps = deps;
  }

  mark(destination: ServerName, receipt: ReceiptRow): void {
    const marks = this.#marks.get(destination) ?? new Map<string, ReceiptRow>();
    const key = `${receipt.roomId} ${receipt.userId} ${receipt.threadId ?? ''}`;
    marks.delete(key);
    marks.set(key, receipt);
    this.#marks.delete(destination);
    this.#marks.set(destination, marks);
    dropOldest(marks, marksPerDestinationMax);
    dropOldest(this.#marks, destinationsMax);
  }

  hasPending(destination: ServerName): boolean {
    return this.#marks.has(destination);
  }

  async take(destination: ServerName, max: number): Promise<EduParcel> {
    const marks = this.#marks.get(destination) ?? new Map<string, ReceiptRow>();
    const edus = new ReceiptEdus(max);
    const taken: [string, ReceiptRow][] = [];
    for (const [key, receipt] of marks) {
      if (!this.#concerns(destination, receipt)) marks.delete(key);
      else if (edus.add(receipt)) taken.push([key, receipt]);
      else break;
    }
    const clearEmpty = () => {
      if (marks.size === 0 && this.#marks.get(destination) === marks) this.#marks.delete(destination);
    };
    clearEmpty();
    return {
      edus: edus.list(),
      more: marks.size > taken.length,
      // A mark set anew meanwhile is of a later receipt.
      accepted: () => {
        for (const [key, receipt] of taken) if (marks.get(key) === receipt) marks.delete(key);
        clearEmpty();
      },
      refused() {},
    };
  }

  #concerns(destination: ServerName, { roomId, userId }: ReceiptRow): boolean {
    return this.#deps.roster.isJoined(roomId, userId) && this.#deps.roster.serversIn(roomId).has(destination);
  }
}

/** As few EDUs as hold the receipts: one has room for one receipt of each user in each room. */
class ReceiptEdus {
  readonly #max: number;
  readonly #edus: { content: ReceiptEduContent; size: number }[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  /** False when none has room for it. */
  add(receipt: ReceiptRow): boolean {
    const { roomId, userId, threadId, eventId, ts } = receipt;
    const fits = ({ content, size }: { content: ReceiptEduContent; size: number }) =>
      size < receiptsPerEduMax && content[roomId]?.['m.read'][userId] === undefined;
    let edu = this.#edus.find(fits);
    if (!edu) {
      if (this.#edus.length === this.#max) return false;
      edu = { content: {}, size: 0 };
      this.#edus.push(edu);
    }
    const ofRoom = edu.content[roomId]?.['m.read'] ?? {};
    ofRoom[userId] = { data: threadId === null ? { ts } : { ts, thread_id: threadId }, event_ids: [eventId] };
    edu.content[roomId] = { 'm.read': ofRoom };
    edu.size += 1;
    return true;
  }

  list(): Edu[] {
    return this.#edus.map(({ content }) => ({ edu_type: 'm.receipt', content }));
  }
}

function dropOldest<K>(map: Map<K, unknown>, sizeMax: number): void {
  if (map.size <= sizeMax) return;
  for (const key of map.keys()) {
    map.delete(key);
    return;
  }
}
