import { breathe } from '../../base/breathe.ts';
import type { EventId } from '../../matrix/ids.ts';
import { AuthEdges, type ListAuthEdges } from './auth-edges.ts';

/**
 * The *auth chain* of some events: all their auth events, the auth events of these, and so on; without the events themselves unless
 * another of them cites them. In the order found, nearest first. Reads level by level; stops with what it has at `max`.
 */
export async function listAuthChain(
  eventIds: readonly EventId[],
  listAuthEdges: ListAuthEdges,
  max = Number.POSITIVE_INFINITY,
): Promise<Set<EventId>> {
  const edges = new AuthEdges(listAuthEdges);
  const chain = new Set<EventId>();
  const walked = new Set<EventId>(eventIds);
  let level: readonly EventId[] = [...walked];
  let looked = 0;
  while (level.length > 0) {
    const next: EventId[] = [];
    await edges.read(level);
    for (const eventId of level) {
      for (const authEvent of edges.get(eventId)) {
        if (chain.size >= max) return chain;
        chain.add(authEvent);
        if (walked.has(authEvent)) continue;
        walked.add(authEvent);
        next.push(authEvent);
      }
      looked += 1;
      if (looked % 100 === 0) await breathe();
    }
    level = next;
  }
  return chain;
}
