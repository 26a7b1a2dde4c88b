import { findForms } from '../../engine/event/forms.ts';
import type { PduVerdict } from '../../engine/verdict.ts';
import type { EventId } from '../../matrix/ids.ts';
import type { RoomEvent } from '../../matrix/pdu.ts';
import { relationOf } from '../../matrix/relation.ts';
import type { Row } from '../../storage/contract/commit.ts';
import { type AcceptDeps, decideEvent } from './accept-event.ts';
import { RunningRoom } from './running-room.ts';

/** Events of one run, and characters of them: one commit holds up the loop. */
export const runMax = 50;
const sizeMax = 256 * 1024;

/** "A maximum of 3 hops is recommended to cover indirect relationships": so far an event's thread is looked for. */
const hopsMax = 3;

/** An event that brings only these leaves the room's state, its members and its other events as they are. */
const plainKinds: ReadonlySet<Row['kind']> = new Set(['event', 'extremities', 'notification']);

/**
 * Judges events of one room one after the other, each as `acceptEvent` would with those before it stored, and writes them in one commit. As
 * a commit is what the roster, push rules and others hear of a change by, a run ends behind the first event that changes more than the
 * timeline. Gives verdicts of at least the first event and as many more as came into the run; undefined when somebody else wrote to the room.
 * Each event stands behind those of them that it builds on. To be called under the room's lock.
 */
export async function acceptRun(
  deps: AcceptDeps,
  events: readonly [RoomEvent, ...RoomEvent[]],
): Promise<ReadonlyMap<EventId, PduVerdict> | undefined> {
  const { roomId } = events[0];
  const room = await RunningRoom.open(deps.storage, roomId, events);
  const within: AcceptDeps = { ...deps, storage: room.storage };
  const verdicts = new Map<EventId, PduVerdict>();
  let size = 0;
  for (const event of events) {
    size += findForms(event.pdu)?.whole?.length ?? JSON.stringify(event.pdu.content).length;
    if (verdicts.size > 0 && (size > sizeMax || (await leadsIntoRun(room, event)))) break;
    const decision = await decideEvent(within, event, { placement: 'timeline' });
    verdicts.set(event.eventId, decision.verdict);
    room.take(decision);
    if (decision.rows.some((row) => !plainKinds.has(row.kind))) break;
  }
  const batch = room.batch();
  if (batch.rows.length === 0) return verdicts;
  const result = await deps.storage.commit(batch);
  return result.outcome === 'committed' ? verdicts : undefined;
}

/** Whether what the event relates to, directly or by others, is part of the run: its thread is looked for among what is stored. */
async function leadsIntoRun(room: RunningRoom, event: RoomEvent): Promise<boolean> {
  let relation = relationOf(event.pdu.content);
  for (let hop = 0; hop < hopsMax && relation && relation.type !== 'm.thread'; hop += 1) {
    // Whatever is written there: what is no id is not found.
    const target = relation.eventId as EventId;
    if (room.holds(target)) return true;
    relation = relationOf((await room.storage.events.find(target))?.event.pdu.content);
  }
  return false;
}
