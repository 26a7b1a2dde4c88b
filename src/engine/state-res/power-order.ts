import { breathe } from '../../base/breathe.ts';
import { compareByCodePoint } from '../../base/json/canonical-json.ts';
import { compareNumbers } from '../../base/json/loose-number.ts';
import { eventTypes, findMembership } from '../../matrix/event-types.ts';
import type { EventId } from '../../matrix/ids.ts';
import type { RoomEvent } from '../../matrix/pdu.ts';
import type { RoomVersion } from '../../matrix/room-versions.ts';
import { authStateOfEvents } from '../auth-state.ts';
import { Heap } from '../graph/heap.ts';
import { powerLevelOf } from '../power.ts';
import { type EventCache, listCited } from './sources.ts';

const rulingTypes: ReadonlySet<string> = new Set([eventTypes.create, eventTypes.powerLevels, eventTypes.joinRules]);

/**
 * "A power event is a state event with type m.room.power_levels or m.room.join_rules, or a state event with type m.room.member where the
 * membership is leave or ban and the sender does not match the state_key." Power levels and join rules with another state key than
 * the empty one rule over nothing and are none. A create event, of which the sentence says nothing, is one for Synapse and ruma, and so
 * for us; it matters only in a room that has two of them.
 */
export function isPowerEvent({ pdu }: RoomEvent): boolean {
  if (rulingTypes.has(pdu.type)) return pdu.state_key === '';
  if (pdu.type !== eventTypes.member || pdu.state_key === undefined || pdu.sender === pdu.state_key) return false;
  const membership = findMembership(pdu.content);
  return membership === 'leave' || membership === 'ban';
}

/**
 * Step 1: "Select the set X of all power events that appear in the full conflicted set. For each such power event P, enlarge X by
 * adding the events in the auth chain of P which also belong to the full conflicted set." The chain is followed inside the full
 * conflicted set, as servers do in practice. All events of `fullConflicted` must be loaded.
 */
export async function selectPowerEvents(
  fullConflicted: ReadonlySet<EventId>,
  cache: EventCache,
): Promise<Set<EventId>> {
  const selected = new Set<EventId>();
  let looked = 0;
  for (const eventId of fullConflicted) {
    const event = cache.find(eventId);
    if (event && isPowerEvent(event)) selected.add(eventId);
    looked += 1;
    if (looked % 100 === 0) await breathe();
  }
  // A set's iterator also visits what is added while it runs.
  for (const eventId of selected) {
    for (const authEvent of cache.authEventsOf(eventId)) {
      if (fullConflicted.has(authEvent) && cache.find(authEvent)) selected.add(authEvent);
    }
    looked += 1;
    if (looked % 100 === 0) await breathe();
  }
  return selected;
}

interface Ranked {
  readonly event: RoomEvent;
  readonly power: number;
}

/**
 * Reverse topological power ordering: "the lexicographically smallest topological ordering based on the DAG formed by auth events",
 * earliest first, found "using Kahn's algorithm, at each step selecting, among all the candidate vertices, the smallest vertex". The
 * events must be loaded; reads their auth events in one go.
 */
export async function orderByPower(
  eventIds: ReadonlySet<EventId>,
  cache: EventCache,
  version: RoomVersion,
): Promise<RoomEvent[]> {
  await loadAuthEvents(eventIds, cache, version);
  const waitingFor = new Map<EventId, number>();
  const citedBy = new Map<EventId, EventId[]>();
  const ready = new Heap(compareRanked);
  let looked = 0;
  for (const eventId of eventIds) {
    const before = [...new Set(cache.authEventsOf(eventId))].filter((id) => eventIds.has(id));
    waitingFor.set(eventId, before.length);
    for (const id of before) {
      const citers = citedBy.get(id);
      if (citers) citers.push(eventId);
      else citedBy.set(id, [eventId]);
    }
    if (before.length === 0) pushRanked(ready, eventId, { cache, version });
    looked += 1;
    if (looked % 100 === 0) await breathe();
  }
  const ordered: RoomEvent[] = [];
  for (let next = ready.pop(); next; next = ready.pop()) {
    ordered.push(next.event);
    for (const citer of citedBy.get(next.event.eventId) ?? []) {
      const left = (waitingFor.get(citer) ?? 0) - 1;
      waitingFor.set(citer, left);
      if (left === 0) pushRanked(ready, citer, { cache, version });
    }
    if (ordered.length % 100 === 0) await breathe();
  }
  return ordered;
}

async function loadAuthEvents(eventIds: ReadonlySet<EventId>, cache: EventCache, version: RoomVersion): Promise<void> {
  const wanted = new Set<EventId>();
  let looked = 0;
  for (const eventId of eventIds) {
    const event = cache.find(eventId);
    for (const cited of event ? listCited(event, version) : []) wanted.add(cited);
    looked += 1;
    if (looked % 100 === 0) await breathe();
  }
  await cache.load(wanted);
}

function pushRanked(heap: Heap<Ranked>, eventId: EventId, facts: { cache: EventCache; version: RoomVersion }): void {
  const event = facts.cache.find(eventId);
  if (event) heap.push({ event, power: senderPower(event, facts.cache, facts.version) });
}

/** "x's sender has greater power level than y's sender, when looking at their respective auth_events". Rejected ones count, too. */
function senderPower(event: RoomEvent, cache: EventCache, version: RoomVersion): number {
  const events = listCited(event, version)
    .map((id) => cache.find(id))
    .filter((authEvent) => authEvent !== undefined);
  return powerLevelOf(event.pdu.sender, authStateOfEvents(events), version);
}

/** "x < y if x's sender has greater power level", then by the smaller `origin_server_ts`, then by the smaller id. */
function compareRanked(x: Ranked, y: Ranked): number {
  // Not by subtraction: of two infinite levels that gives no number.
  if (x.power !== y.power) return x.power > y.power ? -1 : 1;
  return compareByTime(x.event, y.event);
}

/** By `origin_server_ts`, then by event id, smaller first. */
export function compareByTime(x: RoomEvent, y: RoomEvent): number {
  return compareNumbers(x.pdu.origin_server_ts, y.pdu.origin_server_ts) || compareByCodePoint(x.eventId, y.eventId);
}
