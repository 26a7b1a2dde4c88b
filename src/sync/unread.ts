import type { RecentUnread } from '../feed/recent-unread.ts';
import type { Counts, ThreadId } from '../storage/contract/unread.ts';
import type { Answer } from './answer.ts';
import type { SyncQuestion, SyncScope } from './stream.ts';

export type UnreadCounts = Pick<RecentUnread, 'listCounts' | 'findCounts'>;

const none: ReadonlyMap<ThreadId, Counts> = new Map();

/**
 * Adds what the viewer has not read to the joined rooms of an answer (client-server API, "Receiving notifications"): as it is now, which may be
 * ahead of the answer's events, and is told again with those.
 */
export async function tellUnread(unread: UnreadCounts, scope: SyncScope, answer: Answer): Promise<void> {
  if (answer.joined.size === 0) return;
  const counts = await unread.listCounts(scope.viewer.userId, answer.joined.keys());
  const byThread = scope.filter.roomTimeline.unreadThreadNotifications;
  for (const [roomId, part] of answer.joined) part.unread = encodeUnread(counts.get(roomId) ?? none, byThread);
}

/** The same at once. False where some of it is not at hand: then nothing of the answer holds. */
export function tellUnreadNow(unread: UnreadCounts, { viewer, filter }: SyncQuestion, answer: Answer): boolean {
  if (!answer.hasRooms) return true;
  for (const [roomId, part] of answer.joined) {
    const counts = unread.findCounts(viewer.userId, roomId);
    if (counts === undefined) return false;
    part.unread = encodeUnread(counts, filter.roomTimeline.unreadThreadNotifications);
  }
  return true;
}

/**
 * "If `unread_thread_notifications` is set to `true`, the notification counts … are … for the main timeline", and those of threads stand beside them;
 * else they are for the whole room.
 */
function encodeUnread(threads: ReadonlyMap<ThreadId, Counts>, byThread: boolean): string {
  const main = { notifications: 0, highlights: 0 };
  const others: string[] = [];
  for (const [threadId, counts] of threads) {
    if (threadId !== null && byThread) {
      others.push(`${JSON.stringify(threadId)}:${encodeCounts(counts)}`);
      continue;
    }
    main.notifications += counts.notifications;
    main.highlights += counts.highlights;
  }
  const rest = others.length > 0 ? `,"unread_thread_notifications":{${others.join(',')}}` : '';
  return `"unread_notifications":${encodeCounts(main)}${rest}`;
}

function encodeCounts({ notifications, highlights }: Counts): string {
  return `{"highlight_count":${highlights},"notification_count":${notifications}}`;
}
