import { sortByPrevEvents } from '../../../engine/graph/topological.ts';
import type { PduVerdict } from '../../../engine/verdict.ts';
import { MatrixError } from '../../../matrix/errors.ts';
import type { EventId } from '../../../matrix/ids.ts';
import { authEventIdsOf, prevEventIdsOf, type RoomEvent } from '../../../matrix/pdu.ts';
import { acceptEvent } from '../../core/accept-event.ts';
import { type FetchFrom, fetchAuthEvents, type Help } from '../fetch-events.ts';
import { fillMissing } from '../missing-events.ts';
import type { RemoteCore } from '../remote-core.ts';

/**
 * Judges verified events of one room, each behind those of them that it builds on. With `help` the server is asked for what they lack, as
 * far as that goes; without, nobody is asked. An event of a circle has no verdict: it can never be judged.
 */
export async function judgeInOrder(
  deps: RemoteCore,
  events: readonly RoomEvent[],
  help?: { readonly from: FetchFrom; readonly help: Help },
): Promise<ReadonlyMap<EventId, PduVerdict>> {
  const verdicts = new Map<EventId, PduVerdict>();
  const waiting = new Set<EventId>();
  for (const event of await sortByPrevEvents(events)) {
    let verdict = await tryAccept(deps, event);
    // What only waits for another of these is no reason to ask again.
    if (help && verdict.verdict === 'waiting' && !verdict.missing.some((eventId) => waiting.has(eventId))) {
      verdict = await acceptWithHelp(deps, event, help);
    }
    if (verdict.verdict === 'waiting') waiting.add(event.eventId);
    verdicts.set(event.eventId, verdict);
  }
  return verdicts;
}

async function acceptWithHelp(
  deps: RemoteCore,
  event: RoomEvent,
  { from, help }: { readonly from: FetchFrom; readonly help: Help },
): Promise<PduVerdict> {
  let verdict = await tryAccept(deps, event);
  if (verdict.verdict === 'waiting' && isMissing(verdict.missing, prevEventIdsOf(event.pdu)) && help.answers) {
    await fillMissing(deps, { ...from, help }, event);
    // What came meanwhile although nobody gave it was sent: then the event waits that little while for its own sender (`WaitingEvents`).
    if (help.answers) verdict = await tryAccept(deps, event);
  }
  if (verdict.verdict === 'waiting' && isMissing(verdict.missing, authEventIdsOf(event.pdu)) && help.answers) {
    await fetchAuthEvents(deps, from, event);
    verdict = await tryAccept(deps, event);
  }
  return verdict;
}

function isMissing(missing: readonly EventId[], among: readonly EventId[]): boolean {
  return among.some((eventId) => missing.includes(eventId));
}

/** In a room that is too busy it waits, for nothing but time. */
async function tryAccept(deps: RemoteCore, event: RoomEvent): Promise<PduVerdict> {
  try {
    return await deps.lock.run(event.roomId, () => acceptEvent(deps, event, { placement: 'timeline' }));
  } catch (error) {
    if (!(error instanceof MatrixError)) throw error;
    return { verdict: 'waiting', missing: [] };
  }
}
