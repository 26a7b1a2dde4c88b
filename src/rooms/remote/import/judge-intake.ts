import { assert } from '../../../base/assert.ts';
import { breathe } from '../../../base/breathe.ts';
import { parseExactJson } from '../../../base/json/exact-json.ts';
import { checkAuth } from '../../../engine/auth/check.ts';
import { checkAuthEvents } from '../../../engine/auth/check-auth-events.ts';
import { authStateOfEvents } from '../../../engine/auth-state.ts';
import { createEventIdOfRoom } from '../../../engine/event/event-id.ts';
import type { EventId } from '../../../matrix/ids.ts';
import {
  authEventIdsOf,
  isStateEvent,
  type Pdu,
  type RoomEvent,
  type StateKey,
  stateKeyOf,
} from '../../../matrix/pdu.ts';
import type { Row } from '../../../storage/contract/commit.ts';
import type { RoomsCore } from '../../core/deps.ts';
import { checkSigned } from '../../core/verify-events.ts';
import type { Intake, IntakeRoom } from './intake.ts';

export type JudgeIntakeDeps = Pick<RoomsCore, 'storage' | 'clock' | 'checkSignatures' | 'learnKeys' | 'log'>;

export interface JudgedIntake {
  /** The state that the answer lists, as far as its events passed. */
  readonly state: ReadonlyMap<StateKey, EventId>;
  /** Events that came and are not to be believed: nobody signed them, as far as can be known. */
  readonly unbelieved: ReadonlySet<EventId>;
}

/** Events that are judged, and stored in one commit. */
const batchMax = 100;
/** How long all keys together are waited for: who does not give them by then did not sign. */
const keysPatienceMs = 60_000;

/**
 * Second part of the intake: keys are asked for, all at once; then each event is judged by its signatures and by its auth events, which come
 * before it, and stored with that verdict for its role in state and auth chains. What lacks an event of its auth chain is not stored.
 */
export async function judgeIntake(deps: JudgeIntakeDeps, intake: Intake): Promise<JudgedIntake> {
  const { room, graph } = intake;
  await learnKeysInTime(deps, intake);
  const createId = room.version.createIsAuthEvent ? undefined : createEventIdOfRoom(room.roomId);
  const sorted = await graph.sort(createId);
  const state = new Map<StateKey, EventId>();
  const unbelieved = new Set<EventId>();
  for (let start = 0; start < sorted.length; start += batchMax) {
    const batch = sorted.slice(start, start + batchMax);
    const { texts, removal } = await intake.spool.take(batch.map((number) => intake.spooled.get(number) ?? 0));
    const parsed = texts.map((text, index) => eventOf(text, { eventId: graph.idOf(batch[index] ?? 0), room }));
    const signed = await checkSigned(deps, parsed, { version: room.version, ask: false });
    const judged = await judgeBatch(deps, { room, createId }, signed.good);
    await deps.storage.commit({ rows: [...judged.map((entry) => rowOf(deps, entry)), ...removal] });
    const good = new Set(signed.good.map(({ eventId }) => eventId));
    for (const { eventId } of parsed) if (!good.has(eventId)) unbelieved.add(eventId);
    for (const { event, rejected } of judged) if (!rejected) noteState(intake, event, state);
    await breathe();
  }
  await noteKnownState(deps, intake, state);
  return { state, unbelieved };
}

async function learnKeysInTime(deps: JudgeIntakeDeps, { keys, room }: Intake): Promise<void> {
  const wanted = new Map([...keys].map(([server, ofServer]) => [server, [...ofServer.values()]]));
  await new Promise<void>((resolve, reject) => {
    const timer = deps.clock.setTimer(keysPatienceMs, () => {
      deps.log.info({ roomId: room.roomId }, 'some keys of a large room did not come in time');
      resolve();
    });
    deps
      .learnKeys(wanted)
      .then(resolve, reject)
      .finally(() => timer.clear());
  });
}

/** Its format was checked, and its id worked out, before it was put aside. */
function eventOf(text: string, { eventId, room }: { readonly eventId: EventId; readonly room: IntakeRoom }): RoomEvent {
  const parsed = parseExactJson(text);
  assert(parsed.outcome === 'parsed', 'an event that was put aside is no JSON');
  return { eventId, roomId: room.roomId, roomVersion: room.version.id, pdu: parsed.value as Pdu };
}

interface Judged {
  readonly event: RoomEvent;
  readonly rejected: boolean;
}

/** In their order. Left out: those that lack an event of their auth chain. */
async function judgeBatch(
  deps: Pick<RoomsCore, 'storage'>,
  { room, createId }: { readonly room: IntakeRoom; readonly createId: EventId | undefined },
  events: readonly RoomEvent[],
): Promise<Judged[]> {
  const named = new Set(events.flatMap((event) => authEventIdsOf(event.pdu)));
  if (createId !== undefined) named.add(createId);
  const stored = await deps.storage.events.listByIds([...named]);
  const known = new Map<EventId, Judged>(
    stored.map(({ event, verdict }) => [event.eventId, { event, rejected: verdict === 'rejected' }]),
  );
  const judged: Judged[] = [];
  for (const event of events) {
    await breathe();
    const entries = authEventIdsOf(event.pdu).map((eventId) => known.get(eventId));
    const present = entries.filter((entry) => entry !== undefined);
    const create = createId === undefined || event.eventId === createId ? undefined : known.get(createId);
    const lacksCreate = createId !== undefined && event.eventId !== createId && create === undefined;
    if (present.length < entries.length || lacksCreate) continue;
    const entry = { event, rejected: !isAllowed(event, { present, create }, room) };
    known.set(event.eventId, entry);
    judged.push(entry);
  }
  return judged;
}

function isAllowed(
  event: RoomEvent,
  { present, create }: { readonly present: readonly Judged[]; readonly create: Judged | undefined },
  { version }: IntakeRoom,
): boolean {
  if (!checkAuthEvents(event, present, version).allowed) return false;
  const events = present.map((entry) => entry.event);
  const all = create && !create.rejected ? [...events, create.event] : events;
  return checkAuth(event, authStateOfEvents(all), version).allowed;
}

function rowOf(deps: Pick<RoomsCore, 'clock'>, { event, rejected }: Judged): Row {
  return {
    kind: 'event',
    event,
    verdict: rejected ? 'rejected' : 'accepted',
    placement: 'outlier',
    snapshotBefore: null,
    snapshotAfter: null,
    receivedAtMs: deps.clock.now(),
  };
}

function noteState({ graph, state: listed }: Intake, event: RoomEvent, state: Map<StateKey, EventId>): void {
  if (!listed.has(graph.numberOf(event.eventId)) || !isStateEvent(event)) return;
  state.set(stateKeyOf(event.pdu.type, event.pdu.state_key), event.eventId);
}

/** Events of the state that were stored before the answer came. */
async function noteKnownState(
  deps: Pick<RoomsCore, 'storage'>,
  intake: Intake,
  state: Map<StateKey, EventId>,
): Promise<void> {
  const { graph, room } = intake;
  const ids = [...intake.state].filter((number) => !graph.has(number)).map((number) => graph.idOf(number));
  for (let start = 0; start < ids.length; start += batchMax) {
    const stored = await deps.storage.events.listByIds(ids.slice(start, start + batchMax));
    for (const { event, verdict } of stored) {
      if (verdict !== 'rejected' && event.roomId === room.roomId) noteState(intake, event, state);
    }
    await breathe();
  }
}
