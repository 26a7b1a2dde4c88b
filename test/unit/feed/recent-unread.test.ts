import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RecentUnread } from '../../../src/feed/recent-unread.ts';
import type { EventId, RoomId, UserId } from '../../../src/matrix/ids.ts';
import type { Storage } from '../../../src/storage/contract/storage.ts';
import type { PushVerdict, ThreadId } from '../../../src/storage/contract/unread.ts';
import { eventId, eventRow, makeEvent, room } from '../../contract/make.ts';
import { propertyRuns } from '../../support/property-runs.ts';
import { StatementCounter } from '../../support/statements.ts';
import { openTestStorage } from '../../support/storage.ts';

const people = ['@alice:a', '@bob:a'] as UserId[];
const [alice = '' as UserId] = people;
const rooms = [room('one'), room('two')];
const [lobby = '' as RoomId] = rooms;
const sender = '@carol:b' as UserId;

const verdict = (weight: number): PushVerdict => ({
  actions: weight === 0 ? [] : ['notify'],
  notifies: weight > 0,
  highlights: weight > 1,
});

class World {
  readonly recent: RecentUnread;
  readonly #storage: Storage;
  readonly #said: EventId[] = [];

  private constructor(storage: Storage) {
    this.#storage = storage;
    this.recent = new RecentUnread(storage.unread);
    storage.onCommit((changes) => this.recent.apply(changes));
  }

  static async open(): Promise<World> {
    return new World(await openTestStorage());
  }

  async say(roomId: RoomId, options: { threadId?: ThreadId; weight?: number; singly?: [UserId, number][] } = {}) {
    const id = `e${this.#said.length}`;
    this.#said.push(eventId(id));
    await this.#storage.commit({
      rows: [
        eventRow(id, { roomId, sender }),
        {
          kind: 'notification',
          roomId,
          eventId: eventId(id),
          sender,
          threadId: options.threadId ?? null,
          everybody: verdict(options.weight ?? 1),
          singly: (options.singly ?? []).map(([userId, weight]) => ({ userId, verdict: verdict(weight) })),
        },
      ],
    });
  }

  async read(roomId: RoomId, userId: UserId, back: number, thread: EventId | 'main' | null = null) {
    const read = this.#said[Math.max(0, this.#said.length - 1 - back)];
    if (read) await this.#storage.commit({ rows: [{ kind: 'read_place', roomId, userId, thread, eventId: read }] });
  }

  async redact(back: number) {
    const target = this.#said[Math.max(0, this.#said.length - 1 - back)];
    const stored = target === undefined ? undefined : await this.#storage.events.find(target);
    if (!stored || stored.redactedBy) return;
    const redacted = makeEvent(stored.event.eventId.slice(1), { ...stored.event, sender, content: {} }).pdu;
    const row = { eventId: stored.event.eventId, redactedBy: eventId('redaction'), redacted };
    await this.#storage.commit({ rows: [{ kind: 'redaction', ...row }] });
  }

  /** The same as the storage says. */
  async compare(userId: UserId) {
    const known = await this.recent.listCounts(userId, rooms);
    const stored = await this.#storage.unread.listCounts(userId, new Set(rooms));
    const expected = [...stored].flatMap(([roomId, threads]) =>
      threads
        .filter(({ notifications, highlights }) => notifications > 0 || highlights > 0)
        .map(({ threadId, notifications, highlights }) => [roomId, threadId, notifications, highlights].join(' ')),
    );
    const told = [...known].flatMap(([roomId, threads]) =>
      [...threads].map(([threadId, counts]) => [roomId, threadId, counts.notifications, counts.highlights].join(' ')),
    );
    expect(told.sort()).toEqual(expected.sort());
  }

  stop(): Promise<void> {
    return this.#storage.stop();
  }
}

const step = fc.record({
  what: fc.constantFrom('say', 'say', 'say', 'read', 'redact', 'ask', 'ask'),
  who: fc.integer({ min: 0, max: 1 }),
  where: fc.integer({ min: 0, max: 1 }),
  thread: fc.constantFrom(null, 'root', 'other'),
  weight: fc.integer({ min: 0, max: 2 }),
  own: fc.option(fc.integer({ min: 0, max: 2 })),
  back: fc.integer({ min: 0, max: 4 }),
  whole: fc.boolean(),
});

describe('what is unread, for readers who ask often', () => {
  it('is what the storage says, whatever happened before', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const world = await World.open();
        for (const { what, who, where, thread, weight, own, back, whole } of steps) {
          const userId = people[who] ?? alice;
          const roomId = rooms[where] ?? lobby;
          const threadId = thread === null ? null : eventId(thread);
          if (what === 'say')
            await world.say(roomId, { threadId, weight, singly: own === null ? [] : [[userId, own]] });
          if (what === 'read') await world.read(roomId, userId, back, whole ? null : (threadId ?? 'main'));
          if (what === 'redact') await world.redact(back);
          if (what === 'ask') await world.compare(userId);
        }
        for (const userId of people) await world.compare(userId);
        await world.stop();
      }),
      { numRuns: propertyRuns(15) },
    );
  });

  it('asks the storage once for a reader, and not for each message', async () => {
    const world = await World.open();
    await world.say(lobby);
    await world.recent.listCounts(alice, [lobby]);
    const counter = new StatementCounter();
    counter.start();
    for (let n = 0; n < 3; n += 1) {
      await world.say(lobby);
      expect(await counter.during(() => world.recent.listCounts(alice, [lobby]))).toEqual([]);
    }
    expect(await world.recent.listCounts(alice, [lobby])).toEqual(
      new Map([[lobby, new Map([[null, { notifications: 4, highlights: 0 }]])]]),
    );
    await world.read(lobby, alice, 0);
    expect(await counter.during(() => world.recent.listCounts(alice, [lobby]))).toHaveLength(1);
    counter.stop();
    await world.stop();
  });
});
