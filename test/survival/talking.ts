import type { EventId, RoomId } from '../../src/matrix/ids.ts';
import { depthOf, prevEventIdsOf } from '../../src/matrix/pdu.ts';
import { historyOf, path, type SeenEvent } from '../federation/rooms.ts';
import type { TestUser } from '../support/user.ts';
import type { ServerProcess } from './server-process.ts';
import { until } from './until.ts';

/** Text of a message → the id that its sender was told. */
export type Accepted = Map<string, string>;

/**
 * Says something as a client does that does not give up: the same request, with the same transaction id, until it is answered with
 * 200. Then, and not before, it counts as accepted.
 */
export async function insist(user: TestUser, room: string, text: string, accepted: Accepted): Promise<void> {
  const message = { msgtype: 'm.text', body: text };
  const eventId = await until(`${user.userId} says ${text}`, async () => {
    const answer = await user.call('PUT', path(room, 'send', 'm.room.message', text), message);
    return answer.status === 200 && answer.body.event_id;
  });
  accepted.set(text, eventId);
}

export const idsOf = (events: readonly SeenEvent[]): string[] => events.map(({ event_id }) => event_id);

export const messagesIn = (events: readonly SeenEvent[]): SeenEvent[] =>
  events.filter(({ type }) => type === 'm.room.message');

/** The room's history as somebody reads it back, oldest first. */
export const readBack = (user: TestUser, room: string): Promise<SeenEvent[]> => historyOf(user, room, 1_000);

/** Every state event of the room by what it is the state of. */
export async function stateIdsOf(user: TestUser, room: string): Promise<Record<string, string>> {
  const state: SeenEvent[] = await user.ok('GET', path(room, 'state'));
  const entries = state.map(({ type, state_key, event_id }) => [`${type} ${state_key}`, event_id]);
  return Object.fromEntries(entries.sort());
}

/** Waits until all of them hold exactly the same events and the same state of the room. */
export async function untilOfOneMind(room: string, ...users: readonly TestUser[]): Promise<void> {
  await until(`${users.map(({ userId }) => userId).join(' and ')} see the same in ${room}`, async () => {
    const seen = await Promise.all(
      users.map(async (user) => {
        // All of it: where a page ends among events of one depth is not the same for two servers.
        const ids = idsOf(await readBack(user, room)).sort();
        return JSON.stringify([ids, await stateIdsOf(user, room)]);
      }),
    );
    if (new Set(seen).size > 1)
      throw new Error(`they see ${seen.map(({ length }) => length).join(' and ')} characters`);
    return true;
  });
}

/** An event's place in the room's graph. */
export interface Place {
  readonly depth: number;
  readonly previous: readonly EventId[];
}

/** What a server that is not running has stored of a room. */
export interface Stored {
  readonly extremities: readonly EventId[];
  /** Servers for which something still waits. */
  readonly pending: readonly string[];
  readonly places: ReadonlyMap<string, Place>;
}

export async function storedIn(server: ServerProcess, room: string, eventIds: readonly string[]): Promise<Stored> {
  const storage = await server.openStorage();
  try {
    const places = new Map<string, Place>();
    for (const { event } of await storage.events.listByIds(eventIds as readonly EventId[])) {
      places.set(event.eventId, { depth: depthOf(event.pdu), previous: prevEventIdsOf(event.pdu) });
    }
    const extremities = [...(await storage.rooms.listExtremities(room as RoomId))].sort();
    return { extremities, pending: await storage.outgoing.listPendingDestinations(), places };
  } finally {
    await storage.stop();
  }
}

/**
 * The order that the graph gives: by depth, and of what stands beside one another, which each server lists as it came, by id. Throws
 * where the order that was given is not one of the graph.
 */
export function inGraphOrder(eventIds: readonly string[], places: ReadonlyMap<string, Place>): string[] {
  const passed = new Set<string>();
  let depth = 0;
  for (const eventId of eventIds) {
    const place = places.get(eventId);
    if (!place) throw new Error(`${eventId} is shown and not stored`);
    if (place.depth < depth) throw new Error(`${eventId} stands behind deeper events`);
    const early = place.previous.find((previous) => places.has(previous) && !passed.has(previous));
    if (early !== undefined) throw new Error(`${eventId} stands before ${early}, which it follows`);
    passed.add(eventId);
    depth = place.depth;
  }
  const depthAt = (eventId: string): number => places.get(eventId)?.depth ?? 0;
  return [...eventIds].sort((a, b) => depthAt(a) - depthAt(b) || (a < b ? -1 : 1));
}
