import { breathe } from '../base/breathe.ts';
import { type ClientEventDeps, encodeClientEvents } from '../rooms/client-event.ts';
import type { TimelineEvent } from '../storage/contract/events.ts';
import type { SyncScope } from './stream.ts';

const eventsPerSlice = 200;

/** State and timeline of one room for this viewer, as JSON texts. Others run between the slices of a large state. */
export async function encodeRoomEvents(
  deps: ClientEventDeps,
  scope: SyncScope,
  events: { readonly state: readonly TimelineEvent[]; readonly timeline: readonly TimelineEvent[] },
): Promise<{ state: string[]; timeline: string[] }> {
  const all = [...events.state, ...events.timeline];
  const texts: string[] = [];
  const options = { withRoomId: false, nowMs: scope.nowMs };
  for (let start = 0; start < all.length; start += eventsPerSlice) {
    texts.push(...(await encodeClientEvents(deps, all.slice(start, start + eventsPerSlice), scope.viewer, options)));
    await breathe();
  }
  return { state: texts.slice(0, events.state.length), timeline: texts.slice(events.state.length) };
}
