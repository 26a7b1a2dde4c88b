import { parseExactJson } from '../../../base/json/exact-json.ts';
import { parsePdu } from '../../../engine/event/parse.ts';
import type { EventId, RoomId } from '../../../matrix/ids.ts';
import type { RoomEvent } from '../../../matrix/pdu.ts';
import { findRoomVersion, type RoomVersion } from '../../../matrix/room-versions.ts';
import type { ServerName } from '../../../matrix/server-name.ts';
import type { WaitingEvent } from '../../../storage/contract/waiting-events.ts';
import { checkSigned } from '../../core/verify-events.ts';
import type { Help } from '../fetch-events.ts';
import type { RemoteCore } from '../remote-core.ts';
import { judgeInOrder } from './judge-in-order.ts';

/** Events of one room that waited. */
export interface Attempt {
  readonly roomId: RoomId;
  readonly waiting: readonly WaitingEvent[];
  /** Who is asked for what they lack; undefined: nobody, and keys are not asked for either. */
  readonly server: ServerName | undefined;
}

/** over: the event is stored with its verdict, or can never be judged; it waits no more. */
export type AttemptOutcome =
  | { readonly outcome: 'over'; readonly reason: string }
  | { readonly outcome: 'waiting'; readonly isVerified: boolean; readonly missing: readonly EventId[] };

export type TryWaiting = (attempt: Attempt) => Promise<ReadonlyMap<WaitingEvent, AttemptOutcome>>;

export type TryWaitingDeps = RemoteCore & {
  /** Whether a user of ours is about to join the room through another server. */
  readonly isJoining: (roomId: RoomId) => boolean;
};

/** States that one attempt may ask for: each may be as large as the room. */
const stateFetchesMax = 5;

/** Judges again what waited, in the order of the graph. */
export async function tryWaiting(
  deps: TryWaitingDeps,
  { roomId, waiting, server }: Attempt,
): Promise<ReadonlyMap<WaitingEvent, AttemptOutcome>> {
  const isIn = deps.roster.usersOfServerIn(roomId, deps.serverName).size > 0;
  if (!isIn && deps.isJoining(roomId)) return outcomesOf(waiting, ({ isVerified }) => unjudged(isVerified));
  const version = isIn ? findRoomVersion((await deps.storage.rooms.find(roomId))?.version) : undefined;
  if (!version) return outcomesOf(waiting, () => over('this server is not in the room'));
  const outcomes = new Map<WaitingEvent, AttemptOutcome>();
  for (const copies of withoutCopies(waiting)) {
    const judged = await judge(deps, { roomId, version, server }, copies);
    for (const [entry, outcome] of judged) outcomes.set(entry, outcome);
  }
  return outcomes;
}

function over(reason: string): AttemptOutcome {
  return { outcome: 'over', reason };
}

function unjudged(isVerified: boolean): AttemptOutcome {
  return { outcome: 'waiting', isVerified, missing: [] };
}

function outcomesOf(
  waiting: readonly WaitingEvent[],
  outcome: (entry: WaitingEvent) => AttemptOutcome,
): Map<WaitingEvent, AttemptOutcome> {
  return new Map(waiting.map((entry) => [entry, outcome(entry)]));
}

/** The same in lists that hold each event once: copies of several servers are judged one after the other. */
function withoutCopies(waiting: readonly WaitingEvent[]): WaitingEvent[][] {
  const lists: Map<EventId, WaitingEvent>[] = [];
  for (const entry of waiting) {
    const list = lists.find((others) => !others.has(entry.eventId)) ?? new Map<EventId, WaitingEvent>();
    if (list.size === 0) lists.push(list);
    list.set(entry.eventId, entry);
  }
  return lists.map((list) => [...list.values()]);
}

interface Place {
  readonly roomId: RoomId;
  readonly version: RoomVersion;
  readonly server: ServerName | undefined;
}

async function judge(
  deps: TryWaitingDeps,
  place: Place,
  waiting: readonly WaitingEvent[],
): Promise<Map<WaitingEvent, AttemptOutcome>> {
  const { roomId, version, server } = place;
  const parsed = new Map<EventId, RoomEvent>();
  for (const entry of waiting) {
    const event = parse(entry, place);
    if (event) parsed.set(event.eventId, event);
  }
  // What was verified before is cheap to verify again, and gets what its hash covers.
  const signed = await checkSigned(deps, [...parsed.values()], { version, ask: server !== undefined });
  const help: Help = { answers: true, stateFetches: stateFetchesMax };
  const verdicts = await judgeInOrder(
    deps,
    signed.good,
    server === undefined ? undefined : { from: { server, roomId, version }, help },
  );
  const unknown = new Set(signed.unknown.map(({ eventId }) => eventId));
  return outcomesOf(waiting, ({ eventId, isVerified }) => {
    const verdict = verdicts.get(eventId);
    if (verdict?.verdict === 'waiting') return { outcome: 'waiting', isVerified: true, missing: verdict.missing };
    if (verdict) return over(verdict.verdict);
    if (unknown.has(eventId)) return unjudged(isVerified);
    return over('it is no event, not signed, or part of a circle');
  });
}

function parse({ eventId, pduText }: WaitingEvent, { roomId, version }: Place): RoomEvent | undefined {
  const json = parseExactJson(pduText);
  const parsed = json.outcome === 'parsed' ? parsePdu(json.value, version) : undefined;
  if (parsed?.outcome !== 'parsed') return undefined;
  return parsed.event.eventId === eventId && parsed.event.roomId === roomId ? parsed.event : undefined;
}
