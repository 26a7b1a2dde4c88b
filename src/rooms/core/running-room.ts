import type { EventId, RoomId } from '../../matrix/ids.ts';
import { authEventIdsOf, prevEventIdsOf, type RoomEvent, type StateKey } from '../../matrix/pdu.ts';
import type { Batch, Expectation, Row } from '../../storage/contract/commit.ts';
import type { EventReads, StoredEvent } from '../../storage/contract/events.ts';
import type { SnapshotId } from '../../storage/contract/numbers.ts';
import type { RoomReads } from '../../storage/contract/rooms.ts';
import type { StateReads } from '../../storage/contract/state.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import type { Decision } from './accept-event.ts';

type EventRow = Extract<Row, { kind: 'event' }>;

/**
 * A room as it stands behind events that were judged and are not written yet. `storage` answers as the real one would with
 * these stored, and reads nothing twice. Belongs to one task under the room's lock, which writes `batch` or forgets it all.
 */
export class RunningRoom {
  readonly storage: Storage;
  readonly #roomId: RoomId;
  readonly #stored: Storage;
  /** Those that storage has come upon, of the events that are to be judged. */
  readonly #heardOf: ReadonlySet<EventId>;
  readonly #toJudge: ReadonlySet<EventId>;
  readonly #taken = new Set<EventId>();
  readonly #events = new Map<EventId, StoredEvent | undefined>();
  readonly #states = new Map<SnapshotId, Map<StateKey, EventId | undefined>>();
  #extremities: readonly EventId[];
  readonly #rows: Row[] = [];
  readonly #expect: Expectation[];
  readonly #unknown: EventId[] = [];

  private constructor(
    stored: Storage,
    roomId: RoomId,
    facts: { heardOf: ReadonlySet<EventId>; toJudge: ReadonlySet<EventId>; extremities: readonly EventId[] },
  ) {
    this.#stored = stored;
    this.#roomId = roomId;
    this.#heardOf = facts.heardOf;
    this.#toJudge = facts.toJudge;
    this.#extremities = facts.extremities;
    this.#expect = [{ kind: 'extremities', roomId, eventIds: facts.extremities }];
    this.storage = {
      ...stored,
      events: { ...stored.events, ...this.#eventReads() },
      rooms: { ...stored.rooms, ...this.#roomReads() },
      state: { ...stored.state, ...this.#stateReads() },
    };
  }

  /** Reads at once what judging these events is going to ask for. */
  static async open(stored: Storage, roomId: RoomId, events: readonly RoomEvent[]): Promise<RunningRoom> {
    const eventIds = events.map((event) => event.eventId);
    const heardOf = await stored.events.listHeardOf(eventIds);
    const extremities = await stored.rooms.listExtremities(roomId);
    const room = new RunningRoom(stored, roomId, { heardOf, toJudge: new Set(eventIds), extremities });
    const named = events.flatMap(({ pdu }) => [...prevEventIdsOf(pdu), ...authEventIdsOf(pdu)]);
    await room.#read([...eventIds, ...extremities, ...named]);
    return room;
  }

  /** Whether the event is one of those that are not written yet. */
  holds(eventId: EventId): boolean {
    return this.#taken.has(eventId);
  }

  /** What was decided holds for the events after it. */
  take({ rows, expect }: Decision): void {
    for (const row of rows) {
      if (row.kind === 'event') this.#takeEvent(row);
      if (row.kind === 'extremities') this.#extremities = row.eventIds as readonly EventId[];
    }
    this.#rows.push(...rows);
    for (const expectation of expect) {
      // The extremities were those of the room as it runs; what is stored must be as it was at the beginning.
      if (expectation.kind === 'extremities') continue;
      if (expectation.kind === 'events_unknown') this.#unknown.push(...expectation.eventIds);
      else this.#expect.push(expectation);
    }
  }

  /** All that was taken, as one commit. */
  batch(): Batch {
    const last = this.#rows.findLastIndex(({ kind }) => kind === 'extremities');
    const rows = this.#rows.filter(({ kind }, index) => kind !== 'extremities' || index === last);
    return { rows, expect: [...this.#expect, { kind: 'events_unknown', eventIds: this.#unknown }] };
  }

  #takeEvent({ event, verdict, placement, snapshotBefore, snapshotAfter, receivedAtMs }: EventRow): void {
    const fields = { event, verdict, placement, snapshotBefore, snapshotAfter, receivedAtMs };
    this.#taken.add(event.eventId);
    this.#events.set(event.eventId, { ...fields, position: null, redactedBy: null });
  }

  #isNew(eventId: EventId): boolean {
    return this.#toJudge.has(eventId) && !this.#heardOf.has(eventId);
  }

  /** Most of it is asked again and again, of a few events each time, and known. */
  async #list(eventIds: readonly EventId[]): Promise<StoredEvent[]> {
    if (eventIds.some((eventId) => this.#isUnread(eventId))) await this.#read(eventIds);
    const found: StoredEvent[] = [];
    for (const eventId of eventIds) {
      const stored = this.#events.get(eventId);
      if (stored && !found.includes(stored)) found.push(stored);
    }
    return found;
  }

  async #read(eventIds: readonly EventId[]): Promise<void> {
    const unread = [...new Set(eventIds)].filter((eventId) => this.#isUnread(eventId));
    if (unread.length === 0) return;
    const found = await this.#stored.events.listByIds(unread);
    for (const eventId of unread) this.#events.set(eventId, undefined);
    for (const stored of found) this.#events.set(stored.event.eventId, stored);
  }

  #isUnread(eventId: EventId): boolean {
    return !this.#events.has(eventId) && !this.#isNew(eventId);
  }

  #eventReads(): Pick<EventReads, 'find' | 'listByIds' | 'listSuccessors' | 'listWaitingRedactions'> {
    const { events } = this.#stored;
    return {
      find: async (eventId) => (await this.#list([eventId]))[0],
      listByIds: (eventIds) => this.#list(eventIds),
      // None of those before it builds on it: they are in order.
      listSuccessors: async (eventId) => (this.#isNew(eventId) ? [] : events.listSuccessors(eventId)),
      listWaitingRedactions: async (eventId) => (this.#isNew(eventId) ? [] : events.listWaitingRedactions(eventId)),
    };
  }

  #roomReads(): Pick<RoomReads, 'find' | 'listExtremities'> {
    const { rooms } = this.#stored;
    const row = once(() => rooms.find(this.#roomId));
    return {
      find: (roomId) => (roomId === this.#roomId ? row() : rooms.find(roomId)),
      listExtremities: async (roomId) =>
        roomId === this.#roomId ? [...this.#extremities] : rooms.listExtremities(roomId),
    };
  }

  #stateReads(): Pick<StateReads, 'findCurrentSnapshot' | 'getFromSnapshot'> {
    const { state } = this.#stored;
    const current = once(() => state.findCurrentSnapshot(this.#roomId));
    return {
      findCurrentSnapshot: (roomId) => (roomId === this.#roomId ? current() : state.findCurrentSnapshot(roomId)),
      getFromSnapshot: async (snapshotId, keys) => {
        const known = this.#states.get(snapshotId) ?? new Map<StateKey, EventId | undefined>();
        this.#states.set(snapshotId, known);
        const unread = keys.filter((key) => !known.has(key));
        if (unread.length > 0) {
          const read = await state.getFromSnapshot(snapshotId, unread);
          for (const key of unread) known.set(key, read.get(key));
        }
        const found = new Map<StateKey, EventId>();
        for (const key of keys) {
          const eventId = known.get(key);
          if (eventId !== undefined) found.set(key, eventId);
        }
        return found;
      },
    };
  }
}

function once<T>(read: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined;
  return () => {
    answer ??= read();
    return answer;
  };
}
