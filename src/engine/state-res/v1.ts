import { createHash } from 'node:crypto';
import { breathe } from '../../base/breathe.ts';
import { compareNumbers } from '../../base/json/loose-number.ts';
import { eventTypes } from '../../matrix/event-types.ts';
import type { EventId } from '../../matrix/ids.ts';
import { type RoomEvent, type StateKey, splitStateKey, stateKeyOf } from '../../matrix/pdu.ts';
import { checkAuth } from '../auth/check.ts';
import { listNeededKeys } from '../auth/needed-state.ts';
import type { AuthState } from '../auth-state.ts';
import type { Conflict } from './conflicted.ts';
import type { IterativeAuthFacts } from './iterative-auth.ts';

const powerLevelsKey = stateKeyOf(eventTypes.powerLevels, '');

type Facts = Pick<IterativeAuthFacts, 'cache' | 'version'>;

/** A place in conflict with its events, "by ascending depth then descending sha1(event_id)". */
interface Contest {
  readonly key: StateKey;
  readonly type: string;
  readonly events: readonly RoomEvent[];
}

/**
 * The algorithm of room version 1 ("State resolution" there): what holds for each place in which the states differ. "A conflict
 * occurs between states where those states have different event_ids for the same (event_type, state_key)": a place that only some
 * have is none.
 *
 * An event that the sources do not know takes no part. Contests of one type do not see each other's outcome, since the
 * specification gives them no order.
 */
export async function resolveByDepth(conflict: Conflict, facts: Facts): Promise<ReadonlyMap<StateKey, EventId>> {
  const { resolved, contests } = await splitPlaces(conflict, facts);
  const { sets, places } = conflict;
  const holderOf: HolderOf = (key) => resolved.get(key) ?? (places.has(key) ? undefined : sets.first.get(key));
  const state = await readState(holderOf, contests, facts);
  const rounds = [
    contests.filter(({ key }) => key === powerLevelsKey),
    contests.filter(({ type }) => type === eventTypes.joinRules),
    contests.filter(({ type }) => type === eventTypes.member),
  ];
  const inRounds = new Set(rounds.flat());
  for (const round of rounds) {
    const winners = await decideAll(round, (contest) => decideByAuth(contest, state, facts));
    for (const [key, winner] of winners) resolved.set(key, winner.eventId);
  }
  const others = contests.filter((contest) => !inRounds.has(contest));
  const winners = await decideAll(others, (contest) => decideOther(contest, state, facts));
  for (const [key, winner] of winners) resolved.set(key, winner.eventId);
  return resolved;
}

async function decideAll(
  contests: readonly Contest[],
  decide: (contest: Contest) => RoomEvent | undefined,
): Promise<Map<StateKey, RoomEvent>> {
  const winners = new Map<StateKey, RoomEvent>();
  let looked = 0;
  for (const contest of contests) {
    const winner = decide(contest);
    if (winner) winners.set(contest.key, winner);
    looked += 1;
    if (looked % 100 === 0) await breathe();
  }
  return winners;
}

/**
 * "Add the first event in the list to R. For each subsequent event in the list, check that the event would be allowed by the
 * authorisation rules for a room in state R. If the event would be allowed, then update R with the event and continue with the next
 * event in the list. If it would not be allowed, stop."
 */
function decideByAuth({ type, key, events }: Contest, state: AuthState, { version }: Facts): RoomEvent | undefined {
  const { stateKey } = splitStateKey(key);
  const [first, ...subsequent] = events;
  let winner = first;
  const withWinner: AuthState = (ofType, ofKey) =>
    ofType === type && ofKey === stateKey ? winner : state(ofType, ofKey);
  for (const event of subsequent) {
    if (!checkAuth(event, withWinner, version).allowed) return winner;
    winner = event;
  }
  return winner;
}

/**
 * "Just pick the event with the highest depth and lowest sha1(event_id) that passes authentication in R". If none does, the first
 * of the list, as servers do.
 */
function decideOther({ events }: Contest, state: AuthState, { version }: Facts): RoomEvent | undefined {
  return events.findLast((event) => checkAuth(event, state, version).allowed) ?? events[0];
}

/** The places without conflict, "the union of the states", and the contests for the others. */
async function splitPlaces(
  { places }: Conflict,
  { cache }: Facts,
): Promise<{ resolved: Map<StateKey, EventId>; contests: Contest[] }> {
  const resolved = new Map<StateKey, EventId>();
  const conflicting: [StateKey, ReadonlySet<EventId>][] = [];
  const wanted: EventId[] = [];
  let looked = 0;
  for (const [key, eventIds] of places) {
    const [only, another] = eventIds;
    if (only !== undefined && another === undefined) {
      resolved.set(key, only);
    } else {
      conflicting.push([key, eventIds]);
      for (const eventId of eventIds) wanted.push(eventId);
    }
    looked += 1;
    if (looked % 100 === 0) await breathe();
  }
  await cache.load(wanted);
  const contests: Contest[] = [];
  for (const [key, eventIds] of conflicting) {
    const events = [...eventIds].map((id) => cache.find(id)).filter((event) => event !== undefined);
    contests.push({ key, type: splitStateKey(key).type, events: sortByDepth(events) });
    if (contests.length % 100 === 0) await breathe();
  }
  return { resolved, contests };
}

/** Depths exactly as they were written: up to 2^63 - 1. */
function sortByDepth(events: readonly RoomEvent[]): RoomEvent[] {
  return events
    .map((event) => ({ event, hash: createHash('sha1').update(event.eventId).digest() }))
    .sort((x, y) => compareNumbers(x.event.pdu.depth, y.event.pdu.depth) || Buffer.compare(y.hash, x.hash))
    .map(({ event }) => event);
}

/** R: which event holds for a place, by what is resolved so far and by what was never in conflict. */
type HolderOf = (key: StateKey) => EventId | undefined;

/** R as the rules ask it. Loads what the contests are judged by. */
async function readState(
  holderOf: HolderOf,
  contests: readonly Contest[],
  { cache, version }: Facts,
): Promise<AuthState> {
  const wanted = new Set<EventId>();
  let looked = 0;
  for (const { events } of contests) {
    for (const event of events) {
      for (const key of listNeededKeys(event.pdu, version)) {
        const holder = holderOf(key);
        if (holder !== undefined) wanted.add(holder);
      }
      looked += 1;
      if (looked % 100 === 0) await breathe();
    }
  }
  await cache.load(wanted);
  return (type, stateKey) => {
    const holder = holderOf(stateKeyOf(type, stateKey));
    return holder === undefined ? undefined : cache.find(holder);
  };
}
