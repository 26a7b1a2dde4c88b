import type { EventId, RoomId, UserId } from '../../src/matrix/ids.ts';
import { type JsonObject, type StateKey, stateKeyOf } from '../../src/matrix/pdu.ts';
import type { Row } from '../../src/storage/contract/commit.ts';
import type { EventVerdict } from '../../src/storage/contract/events.ts';
import type { SnapshotId } from '../../src/storage/contract/numbers.ts';
import type { Membership } from '../../src/storage/contract/rooms.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';

export interface BuiltEvent {
  sender: string;
  type: string;
  content?: JsonObject;
  stateKey?: string;
  verdict?: EventVerdict;
  /** Else the newest event of the room. */
  prevEvents?: readonly string[];
  transaction?: { deviceId: string; transactionId: string };
  /** None if not given. */
  authEvents?: readonly EventId[];
  /** When its server says it was sent. */
  sentAtMs?: number;
}

const someDayMs = 1_700_000_000_000;

let rooms = 0;

/**
 * A room as rows, without keys, rules or resolution: what is said is stored. Each event is a commit of its own, as in the
 * server, and the state is what the state events say, in their order.
 */
export class RoomBuilder {
  readonly roomId: RoomId;
  readonly #storage: Storage;
  readonly #version: string;
  readonly #idsForServers: boolean;
  #snapshot: SnapshotId | null = null;
  #last: EventId | null = null;
  #depth = 0;

  private constructor(storage: Storage, roomId: string, version: string, idsForServers: boolean) {
    this.#storage = storage;
    this.roomId = roomId as RoomId;
    this.#version = version;
    this.#idsForServers = idsForServers;
  }

  /**
   * A room with its create event, its creator joined, and a history visibility if one is asked for. `idsForServers`: event ids of the form that other
   * servers insist on, instead of such as one can read.
   */
  static async create(
    storage: Storage,
    creator: string,
    options: { roomId?: string; historyVisibility?: string; idsForServers?: boolean } = {},
  ): Promise<RoomBuilder> {
    const version = '11';
    rooms += 1;
    const room = new RoomBuilder(storage, options.roomId ?? `!room${rooms}:a`, version, options.idsForServers ?? false);
    await storage.commit({ rows: [{ kind: 'room', roomId: room.roomId, version }] });
    await room.state(creator, 'm.room.create', { room_version: version });
    await room.join(creator);
    if (options.historyVisibility) {
      await room.state(creator, 'm.room.history_visibility', { history_visibility: options.historyVisibility });
    }
    return room;
  }

  /** Stores one event; its id. */
  async send(event: BuiltEvent): Promise<EventId> {
    const eventId = this.#nextId(event.type);
    const accepted = (event.verdict ?? 'accepted') === 'accepted';
    const before = this.#snapshot ?? this.#storage.newSnapshotId();
    const rows: Row[] = [];
    if (this.#snapshot === null) {
      rows.push({
        kind: 'snapshot',
        snapshotId: before,
        roomId: this.roomId,
        parent: null,
        set: new Map(),
        removed: [],
      });
    }
    const isState = event.stateKey !== undefined && accepted;
    const after = isState ? this.#storage.newSnapshotId() : before;
    const set = new Map<StateKey, EventId>();
    if (event.stateKey !== undefined && isState) {
      set.set(stateKeyOf(event.type, event.stateKey), eventId);
      rows.push({ kind: 'snapshot', snapshotId: after, roomId: this.roomId, parent: before, set, removed: [] });
    }
    rows.push(this.#eventRow(event, eventId, { before, after }));
    if (isState) rows.push({ kind: 'current_state', roomId: this.roomId, snapshotId: after, set, removed: [] });
    if (isState && event.type === 'm.room.member') rows.push(this.#membershipRow(event, eventId));
    if (accepted) rows.push({ kind: 'extremities', roomId: this.roomId, eventIds: [eventId] });
    await this.#commit(rows);
    this.#snapshot = accepted ? after : before;
    if (accepted) this.#last = eventId;
    return eventId;
  }

  /** Messages in one commit, as if they had come together: a second apart, the first at `fromMs`. */
  async sayMany(sender: string, bodies: readonly string[], fromMs = someDayMs): Promise<EventId[]> {
    const at = this.#snapshot;
    if (at === null) throw new Error('a room begins with its create event');
    const rows: Row[] = [];
    const eventIds: EventId[] = [];
    for (const [n, body] of bodies.entries()) {
      const event = {
        sender,
        type: 'm.room.message',
        content: { msgtype: 'm.text', body },
        sentAtMs: fromMs + n * 1_000,
      };
      const eventId = this.#nextId(event.type);
      rows.push(this.#eventRow(event, eventId, { before: at, after: at }));
      eventIds.push(eventId);
      this.#last = eventId;
    }
    if (this.#last !== null) rows.push({ kind: 'extremities', roomId: this.roomId, eventIds: [this.#last] });
    await this.#commit(rows);
    return eventIds;
  }

  /** All of them join (or join again), in one commit. Their member events, in the order of the users. */
  async joinMany(
    userIds: readonly string[],
    authEventsOf: (userId: string) => readonly EventId[] = () => [],
  ): Promise<EventId[]> {
    const before = this.#snapshot;
    if (before === null) throw new Error('a room begins with its create event');
    const after = this.#storage.newSnapshotId();
    const set = new Map<StateKey, EventId>();
    const events: Row[] = [];
    const memberships: Row[] = [];
    for (const userId of userIds) {
      const authEvents = authEventsOf(userId);
      const event = {
        sender: userId,
        type: 'm.room.member',
        stateKey: userId,
        content: { membership: 'join' },
        authEvents,
      };
      const eventId = this.#nextId(event.type);
      set.set(stateKeyOf(event.type, userId), eventId);
      events.push(this.#eventRow(event, eventId, { before, after }));
      memberships.push(this.#membershipRow(event, eventId));
      this.#last = eventId;
    }
    const { roomId } = this;
    await this.#commit([
      { kind: 'snapshot', snapshotId: after, roomId, parent: before, set, removed: [] },
      ...events,
      { kind: 'current_state', roomId, snapshotId: after, set, removed: [] },
      ...memberships,
      ...(this.#last === null ? [] : [{ kind: 'extremities' as const, roomId, eventIds: [this.#last] }]),
    ]);
    this.#snapshot = after;
    return [...set.values()];
  }

  #nextId(type: string): EventId {
    this.#depth += 1;
    const id = `${this.roomId.slice(1, this.roomId.indexOf(':'))}-${this.#depth}-${type}`;
    return `$${this.#idsForServers ? id.replaceAll('.', '_').padEnd(43, '_').slice(0, 43) : id}` as EventId;
  }

  #eventRow(event: BuiltEvent, eventId: EventId, at: { before: SnapshotId; after: SnapshotId }): Row {
    const sender = event.sender as UserId;
    const { transaction } = event;
    return {
      kind: 'event',
      verdict: event.verdict ?? 'accepted',
      placement: 'timeline',
      snapshotBefore: at.before,
      snapshotAfter: at.after,
      receivedAtMs: someDayMs,
      event: {
        eventId,
        roomId: this.roomId,
        roomVersion: this.#version,
        pdu: {
          type: event.type,
          sender,
          room_id: this.roomId,
          ...(event.stateKey === undefined ? {} : { state_key: event.stateKey }),
          content: event.content ?? {},
          depth: this.#depth,
          origin_server_ts: event.sentAtMs ?? someDayMs,
          prev_events: (event.prevEvents ?? (this.#last === null ? [] : [this.#last])) as EventId[],
          auth_events: [...(event.authEvents ?? [])],
          hashes: { sha256: '' },
          signatures: {},
        },
      },
      ...(transaction
        ? {
            transaction: {
              userId: sender,
              deviceId: transaction.deviceId as never,
              transactionId: transaction.transactionId,
            },
          }
        : {}),
    };
  }

  #membershipRow(event: BuiltEvent, eventId: EventId): Row {
    return {
      kind: 'membership',
      roomId: this.roomId,
      userId: event.stateKey as UserId,
      membership: event.content?.membership as Membership,
      eventId,
      sender: event.sender as UserId,
      displayname: null,
      avatarUrl: null,
    };
  }

  async #commit(rows: Row[]): Promise<void> {
    const result = await this.#storage.commit({ rows });
    if (result.outcome !== 'committed') throw new Error(`conflict: ${JSON.stringify(result.expectation)}`);
  }

  say(sender: string, body: string, more: Partial<BuiltEvent> = {}): Promise<EventId> {
    return this.send({ sender, type: 'm.room.message', content: { msgtype: 'm.text', body }, ...more });
  }

  state(sender: string, type: string, content: JsonObject, stateKey = ''): Promise<EventId> {
    return this.send({ sender, type, content, stateKey });
  }

  member(sender: string, userId: string, membership: Membership, more: JsonObject = {}): Promise<EventId> {
    return this.state(sender, 'm.room.member', { membership, ...more }, userId);
  }

  join(userId: string, more: JsonObject = {}): Promise<EventId> {
    return this.member(userId, userId, 'join', more);
  }

  leave(userId: string): Promise<EventId> {
    return this.member(userId, userId, 'leave');
  }

  /** The current state becomes other than its events say, as state resolution does it: without an event. */
  async resolveTo(type: string, eventId: EventId | null, stateKey = ''): Promise<void> {
    const key = stateKeyOf(type, stateKey);
    const snapshotId = this.#storage.newSnapshotId();
    const set = new Map(eventId === null ? [] : [[key, eventId] as const]);
    const removed = eventId === null ? [key] : [];
    await this.#commit([
      { kind: 'snapshot', snapshotId, roomId: this.roomId, parent: this.#snapshot, set, removed },
      { kind: 'current_state', roomId: this.roomId, snapshotId, set, removed },
    ]);
    this.#snapshot = snapshotId;
  }
}
