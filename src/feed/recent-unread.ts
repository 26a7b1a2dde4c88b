import { LRUCache } from 'lru-cache';
import type { RoomId, UserId } from '../matrix/ids.ts';
import type { Change } from '../storage/contract/changes.ts';
import type { Counts, ThreadId, ThreadUnread, UnreadReads } from '../storage/contract/unread.ts';

const roomsMax = 10_000;
/** Pairs of a room and a reader. */
const readersMax = 100_000;
/** Threads of a room that are counted in memory; with more it is asked for anew. */
const threadsMax = 1_000;

interface Total extends Counts {
  /** The room's count of changes when it last changed. */
  readonly changedAt: number;
}

interface RoomTotals {
  readonly threads: Map<ThreadId, Total>;
  changes: number;
}

interface Reader {
  readonly room: RoomTotals;
  /** The room's count of changes when the reader was asked for. */
  readonly askedAt: number;
  /** What of each thread's total is not unread, below zero. */
  readonly offsets: ReadonlyMap<ThreadId, Counts>;
}

/**
 * What is unread, for readers who ask after every message: a message moves the total of its thread, once for everybody, and a reader keeps how far
 * their own count lies below it. Only who read on, or was told something else than everybody, is asked for anew.
 */
export class RecentUnread {
  readonly #unread: Pick<UnreadReads, 'listCounts'>;
  readonly #rooms = new LRUCache<RoomId, RoomTotals>({ max: roomsMax });
  readonly #readers = new LRUCache<string, Reader>({ max: readersMax });
  #changes = 0;

  constructor(unread: Pick<UnreadReads, 'listCounts'>) {
    this.#unread = unread;
  }

  /** What the user has not read in these rooms, by thread; nothing of rooms and threads in which there is nothing. */
  async listCounts(userId: UserId, roomIds: Iterable<RoomId>): Promise<Map<RoomId, Map<ThreadId, Counts>>> {
    const answer = new Map<RoomId, Map<ThreadId, Counts>>();
    const missing = new Set<RoomId>();
    for (const roomId of roomIds) {
      const known = this.findCounts(userId, roomId);
      if (!known) missing.add(roomId);
      else if (known.size > 0) answer.set(roomId, known);
    }
    if (missing.size === 0) return answer;
    const before = this.#changes;
    const read = await this.#unread.listCounts(userId, missing);
    for (const roomId of missing) {
      const threads = read.get(roomId) ?? [];
      if (this.#changes === before) this.#keep(userId, roomId, threads);
      const unread = threads.filter(isAny).map((thread): [ThreadId, Counts] => [thread.threadId, countsOf(thread)]);
      if (unread.length > 0) answer.set(roomId, new Map(unread));
    }
    return answer;
  }

  /** The same of one room, where memory has it. */
  findCounts(userId: UserId, roomId: RoomId): Map<ThreadId, Counts> | undefined {
    const reader = this.#readers.get(keyOf(userId, roomId));
    if (!reader || reader.room !== this.#rooms.get(roomId)) return undefined;
    const unread = new Map<ThreadId, Counts>();
    for (const [threadId, total] of reader.room.threads) {
      const offset = reader.offsets.get(threadId);
      if (offset) {
        const counts = sum(total, offset);
        if (isAny(counts)) unread.set(threadId, counts);
      } else if (total.changedAt > reader.askedAt) {
        // The reader had read all of the thread, and how much that was is not known here.
        return undefined;
      }
    }
    return unread;
  }

  /** A listener for the feed, before all that wakes readers. */
  apply(changes: readonly Change[]): void {
    for (const change of changes) {
      switch (change.kind) {
        case 'notification':
          this.#changes += 1;
          this.#count(change.roomId, change.threadId, change.total);
          for (const userId of change.singly) this.#readers.delete(keyOf(userId, change.roomId));
          break;
        case 'read_place':
          this.#changes += 1;
          this.#readers.delete(keyOf(change.userId, change.roomId));
          break;
        case 'redaction':
          this.#changes += 1;
          this.#rooms.delete(change.roomId);
          break;
      }
    }
  }

  #count(roomId: RoomId, threadId: ThreadId, total: Counts): void {
    const room = this.#rooms.get(roomId);
    if (!room) return;
    room.changes += 1;
    room.threads.set(threadId, { ...total, changedAt: room.changes });
    if (room.threads.size > threadsMax) this.#rooms.delete(roomId);
  }

  #keep(userId: UserId, roomId: RoomId, threads: readonly ThreadUnread[]): void {
    const room = this.#rooms.get(roomId) ?? { threads: new Map<ThreadId, Total>(), changes: 0 };
    if (threads.length > threadsMax) return;
    this.#rooms.set(roomId, room);
    const offsets = new Map<ThreadId, Counts>();
    for (const { threadId, total, notifications, highlights } of threads) {
      if (!room.threads.has(threadId)) room.threads.set(threadId, { ...total, changedAt: 0 });
      offsets.set(threadId, {
        notifications: notifications - total.notifications,
        highlights: highlights - total.highlights,
      });
    }
    this.#readers.set(keyOf(userId, roomId), { room, askedAt: room.changes, offsets });
  }
}

function keyOf(userId: UserId, roomId: RoomId): string {
  return `${userId} ${roomId}`;
}

function isAny({ notifications, highlights }: Counts): boolean {
  return notifications > 0 || highlights > 0;
}

function countsOf({ notifications, highlights }: Counts): Counts {
  return { notifications, highlights };
}

function sum(a: Counts, b: Counts): Counts {
  return { notifications: a.notifications + b.notifications, highlights: a.highlights + b.highlights };
}
