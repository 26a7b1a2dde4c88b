import { checkAuth } from '../../engine/auth/check.ts';
import { listNeededKeys, selectAuthEvents } from '../../engine/auth/needed-state.ts';
import { type AuthState, authStateOfMap } from '../../engine/auth-state.ts';
import { buildEvent, type EventTemplate, withRedacts } from '../../engine/event/build.ts';
import { referenceTo } from '../../engine/event/event-id.ts';
import { badJson, forbidden, tooLarge } from '../../matrix/errors.ts';
import type { DeviceId, EventId, RoomId, UserId } from '../../matrix/ids.ts';
import { depthOf, isStateEvent, type JsonObject, type RoomEvent, type StateKey, stateKeyOf } from '../../matrix/pdu.ts';
import type { RoomVersion } from '../../matrix/room-versions.ts';
import type { Expectation, Row } from '../../storage/contract/commit.ts';
import type { MembershipStep } from '../../storage/contract/presence.ts';
import type { SnapshotId } from '../../storage/contract/state.ts';
import { membershipOf } from '../state-reads.ts';
import type { RoomsCore } from './deps.ts';
import { membershipRowOf } from './member-row.ts';
import { predecessorOf } from './predecessor.ts';
import type { RoomHead } from './room-head.ts';

/** An event that a local user wants to send. */
export interface NewEvent {
  readonly type: string;
  readonly sender: UserId;
  /** Given for a state event. */
  readonly stateKey?: string | undefined;
  readonly content: JsonObject;
  /** For `m.room.redaction`: the target. */
  readonly redacts?: EventId | undefined;
  /** When it was sent elsewhere, by the word of an application service; now when not given. */
  readonly sentAtMs?: number | undefined;
}

export interface AppendOptions {
  /** The device and transaction that sent it, for its echo. */
  readonly transaction?: { readonly userId: UserId; readonly deviceId: DeviceId; readonly transactionId: string };
}

type DraftDeps = Pick<RoomsCore, 'storage' | 'clock' | 'sign'>;

/**
 * Local events built one on top of the other and not yet stored. Each is authorised by the state behind the one before it;
 * `rows` and `expectations` make the commit. Belongs to one task under the room's lock.
 */
export class RoomDraft {
  readonly roomId: RoomId;
  readonly version: RoomVersion;
  readonly rows: Row[] = [];
  readonly steps: MembershipStep[] = [];
  readonly events: RoomEvent[] = [];
  readonly #deps: DraftDeps;
  readonly #head: RoomHead;
  readonly #changed = new Map<StateKey, RoomEvent>();
  /** What was read of the state before the draft, which stays as it is; undefined for a place where nothing holds. */
  readonly #stored = new Map<StateKey, RoomEvent | undefined>();
  #prevEvents: readonly RoomEvent[];
  #depth: number;
  #snapshotId: SnapshotId;

  constructor(deps: DraftDeps, head: RoomHead) {
    this.#deps = deps;
    this.#head = head;
    this.roomId = head.roomId;
    this.version = head.version;
    this.#prevEvents = head.prevEvents;
    this.#depth = head.depth;
    this.#snapshotId = head.snapshotId;
  }

  /** The events that hold at these places now: those of the draft before those that are stored. */
  async readState(keys: readonly StateKey[]): Promise<Map<StateKey, RoomEvent>> {
    await this.#readStored(keys.filter((key) => !this.#changed.has(key) && !this.#stored.has(key)));
    const state = new Map<StateKey, RoomEvent>();
    for (const key of keys) {
      const event = this.#changed.get(key) ?? this.#stored.get(key);
      if (event) state.set(key, event);
    }
    return state;
  }

  async #readStored(keys: readonly StateKey[]): Promise<void> {
    if (this.#head.isNew || keys.length === 0) return;
    const { state: snapshots, events } = this.#deps.storage;
    const ids = await snapshots.getFromSnapshot(this.#head.snapshotId, keys);
    const stored = ids.size > 0 ? await events.listByIds([...ids.values()]) : [];
    const byId = new Map(stored.map((entry) => [entry.event.eventId, entry.event]));
    for (const key of keys) {
      const eventId = ids.get(key);
      this.#stored.set(key, eventId === undefined ? undefined : byId.get(eventId));
    }
  }

  /** The same for the rules. */
  async readAuthState(keys: readonly StateKey[]): Promise<AuthState> {
    return authStateOfMap(await this.readState(keys));
  }

  /** Builds, signs and authorises the event. Throws M_BAD_JSON, M_TOO_LARGE, M_FORBIDDEN; nothing is added then. */
  async append(event: NewEvent, options: AppendOptions = {}): Promise<RoomEvent> {
    const { built, state } = await this.build(event);
    const verdict = checkAuth(built, state, this.version);
    if (!verdict.allowed) throw forbidden(`You may not do that: ${verdict.reason}`);
    await this.add(built, options);
    return built;
  }

  /** The signed event as it would be next, not added and not authorised, and the state that it needs. */
  async build(event: NewEvent): Promise<{ built: RoomEvent; state: AuthState }> {
    const { type, sender, stateKey, content, redacts, sentAtMs } = event;
    const subject = { type, sender, content, ...(stateKey === undefined ? {} : { state_key: stateKey }) };
    const state = authStateOfMap(await this.readState(listNeededKeys(subject, this.version)));
    const refer = (to: RoomEvent) => referenceTo(to, this.version);
    const template: EventTemplate = {
      ...subject,
      ...(type === 'm.room.create' && this.version.roomIdFormat === 'create_hash' ? {} : { room_id: this.roomId }),
      depth: Math.min(this.#depth + 1, Number.MAX_SAFE_INTEGER),
      origin_server_ts: sentAtMs ?? this.#deps.clock.now(),
      prev_events: this.#prevEvents.map(refer),
      auth_events: selectAuthEvents(subject, state, this.version).map(refer),
    };
    const complete = redacts === undefined ? template : withRedacts(template, redacts, this.version);
    const result = buildEvent(complete, this.version, this.#deps.sign);
    if (result.outcome === 'parsed') return { built: result.event, state };
    if (result.problem === 'too_large') throw tooLarge(`The event is refused: ${result.reason}`);
    throw badJson(`The event is refused: ${result.reason}`);
  }

  /** Takes an authorised event into the draft. */
  async add(event: RoomEvent, options: AppendOptions = {}): Promise<void> {
    const before = this.#snapshotId;
    if (isStateEvent(event)) {
      const key = stateKeyOf(event.pdu.type, event.pdu.state_key);
      await this.#noteMembership(event, key);
      this.#snapshotId = this.#deps.storage.newSnapshotId();
      this.#changed.set(key, event);
      this.rows.push({
        kind: 'snapshot',
        snapshotId: this.#snapshotId,
        roomId: this.roomId,
        parent: before,
        set: new Map([[key, event.eventId]]),
        removed: [],
      });
    }
    this.rows.push({
      kind: 'event',
      event,
      verdict: 'accepted',
      placement: 'timeline',
      snapshotBefore: before,
      snapshotAfter: this.#snapshotId,
      receivedAtMs: this.#deps.clock.now(),
      ...(options.transaction ? { transaction: options.transaction } : {}),
    });
    this.events.push(event);
    this.#prevEvents = [event];
    this.#depth = depthOf(event.pdu);
  }

  async #noteMembership(event: RoomEvent, key: StateKey): Promise<void> {
    const row = membershipRowOf(event);
    if (!row) return;
    const before = (await this.readState([key])).get(key);
    const step = { before: before ? membershipOf(before.pdu.content) : null, after: row.membership };
    if (step.before === step.after) return;
    // A new room's create event is not stored yet, so nobody can ask it for the room before.
    const create = this.#changed.get(stateKeyOf('m.room.create', ''));
    const origin = create ? { predecessor: predecessorOf(create) } : {};
    this.steps.push({ roomId: this.roomId, userId: row.userId, ...step, ...origin });
  }

  /** Rows that must stand before those of the events. */
  openingRows(): Row[] {
    if (!this.#head.isNew) return [];
    const { roomId, snapshotId } = this.#head;
    return [
      { kind: 'room', roomId, version: this.version.id },
      { kind: 'snapshot', snapshotId, roomId, parent: null, set: new Map(), removed: [] },
    ];
  }

  /** Rows of the room itself, behind those of its events: memberships, extremities, current state. */
  closingRows(): Row[] {
    const used = new Set(this.#head.prevEvents.map(({ eventId }) => eventId));
    const unused = this.#head.extremities.filter((eventId) => !used.has(eventId));
    const ends = this.#prevEvents.map(({ eventId }) => eventId);
    const rows: Row[] = [];
    for (const event of this.#changed.values()) {
      const row = membershipRowOf(event);
      if (row) rows.push(row);
    }
    rows.push({ kind: 'extremities', roomId: this.roomId, eventIds: [...unused, ...ends] });
    if (this.#changed.size > 0) {
      const set = new Map([...this.#changed].map(([key, event]) => [key, event.eventId]));
      rows.push({ kind: 'current_state', roomId: this.roomId, snapshotId: this.#snapshotId, set, removed: [] });
    }
    return rows;
  }

  expectations(): Expectation[] {
    if (this.#head.isNew) return [{ kind: 'room_unknown', roomId: this.roomId }];
    return [{ kind: 'extremities', roomId: this.roomId, eventIds: this.#head.extremities }];
  }
}
