import { breathe } from '../../base/breathe.ts';
import type { EventId } from '../../matrix/ids.ts';

/** The auth events of each event asked for; unknown ones are left out. One query a call. */
export type ListAuthEdges = (eventIds: readonly EventId[]) => Promise<ReadonlyMap<EventId, readonly EventId[]>>;

/** How many events one call asks for. */
const readMax = 1_000;

/**
 * The *auth chain* of some events: all their auth events, the auth events of these, and so on; without the events themselves unless
 * another of them cites them. In the order found, nearest first. Reads level by level; stops with what it has at `max`.
 */
export async function listAuthChain(
  eventIds: readonly EventId[],
  listAuthEdges: ListAuthEdges,
  max = Number.POSITIVE_INFINITY,
): Promise<Set<EventId>> {
  const chain = new Set<EventId>();
  const walked = new Set<EventId>(eventIds);
  let level = [...walked];
  while (level.length > 0) {
    const next: EventId[] = [];
    for (let at = 0; at < level.length; at += readMax) {
      const edges = await listAuthEdges(level.slice(at, at + readMax));
      for (const authEvent of [...edges.values()].flat()) {
        if (chain.size >= max) return chain;
        chain.add(authEvent);
        if (walked.has(authEvent)) continue;
        walked.add(authEvent);
        next.push(authEvent);
      }
      await breathe();
    }
    level = next;
  }
  return chain;
}
