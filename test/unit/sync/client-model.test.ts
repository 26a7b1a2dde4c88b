import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import type { EventId } from '../../../src/matrix/ids.ts';
import { propertyRuns } from '../../support/property-runs.ts';
import { RoomBuilder } from '../../support/room-builder.ts';
import { type Body, SyncFixture } from '../../support/sync-fixture.ts';

/** A client that believes what it is told and nothing else. */
class ModelClient {
  readonly state = new Map<string, string>();
  readonly seen: string[] = [];
  readonly useStateAfter: boolean;
  since: string | null = null;

  constructor(useStateAfter: boolean) {
    this.useStateAfter = useStateAfter;
  }

  apply(body: Body, roomId: string): void {
    this.since = body.next_batch;
    const room = body.rooms?.join?.[roomId];
    if (!room) return;
    for (const event of (room.state ?? room.state_after).events) this.#set(event);
    for (const event of room.timeline.events) {
      this.seen.push(event.event_id);
      if (!this.useStateAfter && event.state_key !== undefined) this.#set(event);
    }
  }

  #set(event: Body): void {
    this.state.set(`${event.type} ${event.state_key}`, event.event_id);
  }
}

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('message' as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('state' as const), key: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('resolve' as const), key: fc.nat(3), back: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('member' as const), key: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('sync' as const), limit: fc.integer({ min: 0, max: 4 }) }) },
);

let fixtures: Record<'memory' | 'storage', SyncFixture>;

beforeAll(async () => {
  fixtures = { memory: await SyncFixture.open(), storage: await SyncFixture.open({ remembers: false }) };
});

/** Events that were ever stored under a key, oldest first. */
type Past = Map<string, EventId[]>;

async function act(
  room: RoomBuilder,
  alice: string,
  past: Past,
  current: Map<string, string>,
  what: Body,
): Promise<void> {
  const note = (key: string, eventId: EventId): void => {
    past.set(key, [...(past.get(key) ?? []), eventId]);
    current.set(key, eventId);
  };
  if (what.do === 'message') await room.say(alice, 'hello');
  if (what.do === 'state') note(`org.key${what.key} `, await room.state(alice, `org.key${what.key}`, {}));
  if (what.do === 'member') {
    const userId = `@crowd${what.key}:a`;
    note(`m.room.member ${userId}`, await room.join(userId));
  }
  if (what.do === 'resolve') {
    const events = past.get(`org.key${what.key} `) ?? [];
    const earlier = events[events.length - 1 - what.back];
    if (earlier === undefined) return;
    await room.resolveTo(`org.key${what.key}`, earlier);
    current.set(`org.key${what.key} `, earlier);
  }
}

test.each([
  ['the state and then the timeline', 'memory', false],
  ['the state and then the timeline', 'storage', false],
  ['the state after', 'memory', true],
  ['the state after', 'storage', true],
] as const)(
  'a client that applies %s, read from %s, has the state of the room after every answer',
  async (_, source, useStateAfter) => {
    const fixture = fixtures[source];
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const { alice } = fixture.freshPeople();
        const room = await RoomBuilder.create(fixture.storage, alice);
        const client = new ModelClient(useStateAfter);
        const past: Past = new Map();
        const current = new Map<string, string>();
        // What a shown event says and state resolution then takes back has no words but the state after.
        const fresh = new Set<number>();
        for (const what of [...steps, { do: 'sync' as const, limit: 2 }]) {
          if (what.do !== 'sync') {
            if (what.do === 'resolve' && !useStateAfter && fresh.has(what.key)) continue;
            if (what.do === 'state') fresh.add(what.key);
            await act(room, alice, past, current, what);
            continue;
          }
          fresh.clear();
          const filter = { room: { timeline: { limit: what.limit } } };
          client.apply(
            await fixture.sync(alice, { since: client.since, filter, useStateAfter: useStateAfter ? 'stable' : 'no' }),
            room.roomId,
          );
          for (const [key, eventId] of current) expect(client.state.get(key), key).toBe(eventId);
        }
        expect(new Set(client.seen).size).toBe(client.seen.length);
      }),
      { numRuns: propertyRuns(60) },
    );
  },
);
