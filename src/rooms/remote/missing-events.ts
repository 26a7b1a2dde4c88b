import { sortByPrevEvents } from '../../engine/graph/topological.ts';
import { FederationError } from '../../federation-out/requests-contract.ts';
import { prevEventIdsOf, type RoomEvent } from '../../matrix/pdu.ts';
import { acceptEvent } from '../core/accept-event.ts';
import type { StatePoint } from '../core/state-point.ts';
import { parseAndVerify } from '../core/verify-events.ts';
import {
  ask,
  type FetchFrom,
  fetchAuthEvents,
  fetchStateBefore,
  type Help,
  UnobtainableError,
} from './fetch-events.ts';
import type { RemoteCore } from './remote-core.ts';

type MissingDeps = RemoteCore;

/** Events asked for to close a gap; a wider one stays, and history is fetched when somebody reads it. */
const gapEventsMax = 20;

/**
 * Closes the gap before an event that was pushed to us: once "get_missing_events", then for what stands at the edge of a gap that
 * is wider the state as the server tells it. The event itself is not taken in; if its own previous events are still missing then, it
 * must not be: whoever pushes it has to have them, and would else decide alone what the state of the room is.
 */
export async function fillMissing(
  deps: MissingDeps,
  from: FetchFrom & { readonly help: Help },
  event: RoomEvent,
): Promise<void> {
  const { server, roomId, help } = from;
  const earliest = await deps.storage.rooms.listExtremities(roomId);
  const answer = await ask(() =>
    deps.requests.getMissingEvents(server, roomId, {
      earliest_events: earliest,
      latest_events: [event.eventId],
      limit: gapEventsMax,
      min_depth: 0,
    }),
  );
  help.answers = answer !== undefined;
  if (!answer) return;
  const events = await parseAndVerify(deps, answer.slice(0, gapEventsMax), from);
  for (const pulled of await sortByPrevEvents(events)) {
    if (pulled.eventId !== event.eventId) await takePulled(deps, from, pulled, { placement: 'timeline', help });
  }
}

/** An event that we asked for, in its place even where what stands before it cannot be had. */
export async function takePulled(
  deps: MissingDeps,
  from: FetchFrom,
  event: RoomEvent,
  options: { readonly placement: 'timeline' | 'historical'; readonly help: Help },
): Promise<boolean> {
  const { placement, help } = options;
  const accept = (stateBefore?: StatePoint) =>
    deps.lock.run(event.roomId, () => acceptEvent(deps, event, { placement, ...(stateBefore ? { stateBefore } : {}) }));
  let verdict = await accept();
  if (verdict.verdict !== 'waiting') return verdict.verdict === 'accepted';
  try {
    const { missing } = verdict;
    const lacksPrevious = prevEventIdsOf(event.pdu).some((eventId) => missing.includes(eventId));
    const stateBefore = lacksPrevious ? await fetchStateBefore(deps, from, { event, help }) : undefined;
    verdict = await accept(stateBefore);
    if (verdict.verdict === 'waiting' && (await fetchAuthEvents(deps, from, event)))
      verdict = await accept(stateBefore);
  } catch (error) {
    if (!(error instanceof FederationError) && !(error instanceof UnobtainableError)) throw error;
    deps.log.info({ roomId: event.roomId, eventId: event.eventId, reason: error.message }, 'an event cannot be judged');
    return false;
  }
  return verdict.verdict === 'accepted';
}
