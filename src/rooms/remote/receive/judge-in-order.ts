import { sortByPrevEvents } from '../../../engine/graph/topological.ts';
import type { PduVerdict } from '../../../engine/verdict.ts';
import { MatrixError } from '../../../matrix/errors.ts';
import type { EventId } from '../../../matrix/ids.ts';
import { authEventIdsOf, prevEventIdsOf, type RoomEvent } from '../../../matrix/pdu.ts';
import { acceptEvent } from '../../core/accept-event.ts';
import { acceptRun, runMax } from '../../core/accept-run.ts';
import { type FetchFrom, fetchAuthEvents, type Help } from '../fetch-events.ts';
import { fillMissing } from '../missing-events.ts';
import type { RemoteCore } from '../remote-core.ts';

/**
 * Judges verified events of one room, each behind those of them that it builds on. With `help` the server is asked for what they lack, as
 * far as that goes; without, nobody is asked,
 * and what comes one upon the other is written together. An event of a circle has no verdict: it can never be judged.
 */
export async function judgeInOrder(
  deps: RemoteCore,
  events: readonly RoomEvent[],
  help?: { readonly from: FetchFrom; readonly help: Help },
): Promise<ReadonlyMap<EventId, PduVerdict>> {
  const sorted = await sortByPrevEvents(events);
  if (!help) return judgeInRuns(deps, sorted);
  const verdicts = new Map<EventId, PduVerdict>();
  const waiting = new Set<EventId>();
  for (const event of sorted) {
    let verdict = await tryAccept(deps, event);
    // What only waits for another of these is no reason to ask again.
    if (verdict.verdict === 'waiting' && !verdict.missing.some((eventId) => waiting.has(eventId))) {
      verdict = await acceptWithHelp(deps, event, help);
    }
    if (verdict.verdict === 'waiting') waiting.add(event.eventId);
    verdicts.set(event.eventId, verdict);
  }
  return verdicts;
}

/** Between two runs others may write to the room. */
async function judgeInRuns(deps: RemoteCore, sorted: readonly RoomEvent[]): Promise<Map<EventId, PduVerdict>> {
  const verdicts = new Map<EventId, PduVerdict>();
  for (let from = 0; from < sorted.length; ) {
    const ahead = sorted.slice(from, from + runMax);
    const judged = await tryRun(deps, ahead);
    // One by one, each finds out for itself what was in the way.
    if (!judged) for (const event of ahead) verdicts.set(event.eventId, await tryAccept(deps, event));
    for (const [eventId, verdict] of judged ?? []) verdicts.set(eventId, verdict);
    from += judged?.size ?? ahead.length;
  }
  return verdicts;
}

/** Undefined where they could not be written together: somebody else wrote to the room, it is too busy, or one of them shows a bug. */
async function tryRun(
  deps: RemoteCore,
  [first, ...others]: readonly RoomEvent[],
): Promise<ReadonlyMap<EventId, PduVerdict> | undefined> {
  if (!first || others.length === 0) return undefined;
  try {
    return await deps.lock.run(first.roomId, () => acceptRun(deps, [first, ...others]));
  } catch (error) {
    deps.log.debug({ err: error }, 'events are judged one by one');
    return undefined;
  }
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
