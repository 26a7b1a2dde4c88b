import type { Clock, Timer } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import type { EduSource } from '../federation-out/edu-source.ts';
import { forbidden } from '../matrix/errors.ts';
import { isRoomId, isUserId, type RoomId, serverOfUser, type UserId } from '../matrix/ids.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { Roster } from '../roster/roster.ts';
import type { Change } from '../storage/contract/changes.ts';
import { TypingMarks } from './typing-marks.ts';
import { TypingNews } from './typing-news.ts';

const timeoutDefaultMs = 30_000;
const timeoutMaxMs = 120_000;
/** The EDU names no time. Other servers use this, or less. */
const remoteTimeoutMs = 60_000;
/** A client that goes on typing is told of again to other servers after this: some of them forget after 30 s. */
const repeatAfterMs = 20_000;
/** People typing in one room, and over all. Beyond it a further one is left out; nobody reads such a list. */
const typistsPerRoomMax = 100;
const typistsMax = 20_000;

export interface TypingDeps {
  serverName: ServerName;
  roster: Pick<Roster, 'isJoined' | 'serversIn'>;
  /** There is something to send to this destination. */
  poke: (destination: ServerName) => void;
  /** The list of this room changed: who waits for it may be woken. Must not throw. */
  onChange: (roomId: RoomId) => void;
  clock: Clock;
  random: Random;
}

export interface SetTyping {
  roomId: RoomId;
  typing: boolean;
  /** How long it holds if nothing more is said; 30 s if not given, 2 minutes at most. */
  timeoutMs?: number | undefined;
}

/** Who is typing where: in memory, for as long as somebody says so. */
export interface Typing {
  /** Of this process. Numbers of another epoch mean nothing. Letters and digits. */
  readonly epoch: string;
  /** Grows by one with each change of any room's list. */
  number(): number;
  /** In order of their beginning. */
  listTyping(roomId: RoomId): readonly UserId[];
  /** Rooms whose list changed behind this number. Costs what changed since, for numbers that are not very old. */
  roomsChangedSince(number: number): Iterable<RoomId>;
  /** A local user starts, goes on, or stops. Throws M_FORBIDDEN when they are not in the room. */
  set(userId: UserId, request: SetTyping): void;
  /** The content of an `m.typing` EDU. Drops what is malformed, not the origin's to say, or about somebody not in the room. */
  receiveTypingEdu(origin: ServerName, content: unknown): void;
  /** For the feed's wakes: who leaves a room types there no more. */
  onChanges(changes: readonly Change[]): void;
  /** For the sender. */
  readonly source: EduSource;
  stop(): void;
}

interface Typist {
  /** Milliseconds of the monotonic clock. */
  endsAtMs: number;
  /** When other servers were last told; local users only. */
  toldAtMs: number;
}

export function createTyping(deps: TypingDeps): Typing {
  return new TypingInMemory(deps);
}

class TypingInMemory implements Typing {
  readonly epoch: string;
  readonly source: TypingMarks;
  readonly #deps: TypingDeps;
  readonly #rooms = new Map<RoomId, Map<UserId, Typist>>();
  readonly #news = new TypingNews();
  #count = 0;
  #timer: Timer | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;

  constructor(deps: TypingDeps) {
    this.#deps = deps;
    this.epoch = deps.random.token(12);
    this.source = new TypingMarks({
      clock: deps.clock,
      roster: deps.roster,
      isTyping: (roomId, userId) => this.#rooms.get(roomId)?.has(userId) ?? false,
    });
  }

  number(): number {
    return this.#news.number;
  }

  listTyping(roomId: RoomId): readonly UserId[] {
    return [...(this.#rooms.get(roomId)?.keys() ?? [])];
  }

  roomsChangedSince(number: number): Iterable<RoomId> {
    return this.#news.listSince(number);
  }

  set(userId: UserId, { roomId, typing, timeoutMs = timeoutDefaultMs }: SetTyping): void {
    if (!this.#deps.roster.isJoined(roomId, userId)) throw forbidden('You are not in this room');
    if (!typing) {
      this.#end(roomId, userId);
      return;
    }
    const typist = this.#begin(roomId, userId, Math.min(Math.max(timeoutMs, 0), timeoutMaxMs));
    if (typist) this.#tellOthers(roomId, userId, typist);
  }

  receiveTypingEdu(origin: ServerName, content: unknown): void {
    const parsed = parseTypingEdu(content);
    if (!parsed || serverOfUser(parsed.userId) !== origin || origin === this.#deps.serverName) return;
    const { roomId, userId, typing } = parsed;
    if (!typing) this.#end(roomId, userId);
    else if (this.#deps.roster.isJoined(roomId, userId)) this.#begin(roomId, userId, remoteTimeoutMs);
  }

  onChanges(changes: readonly Change[]): void {
    for (const change of changes) {
      if (change.kind === 'membership' && change.after !== 'join') this.#end(change.roomId, change.userId);
    }
  }

  stop(): void {
    this.#timer?.clear();
    this.#rooms.clear();
  }

  /** Undefined when there is no place left. */
  #begin(roomId: RoomId, userId: UserId, timeoutMs: number): Typist | undefined {
    const endsAtMs = this.#deps.clock.monotonic() + timeoutMs;
    const known = this.#rooms.get(roomId)?.get(userId);
    this.#setTimer(endsAtMs);
    if (known) {
      known.endsAtMs = endsAtMs;
      return known;
    }
    const typists = this.#rooms.get(roomId) ?? new Map<UserId, Typist>();
    if (typists.size >= typistsPerRoomMax || this.#count >= typistsMax) return undefined;
    const typist = { endsAtMs, toldAtMs: Number.NEGATIVE_INFINITY };
    typists.set(userId, typist);
    this.#rooms.set(roomId, typists);
    this.#count += 1;
    this.#changed(roomId);
    return typist;
  }

  #end(roomId: RoomId, userId: UserId): void {
    const typists = this.#rooms.get(roomId);
    if (!typists?.delete(userId)) return;
    if (typists.size === 0) this.#rooms.delete(roomId);
    this.#count -= 1;
    this.#changed(roomId);
    if (serverOfUser(userId) === this.#deps.serverName) this.#markOthers(roomId, userId);
  }

  #changed(roomId: RoomId): void {
    this.#news.add(roomId);
    this.#deps.onChange(roomId);
  }

  #tellOthers(roomId: RoomId, userId: UserId, typist: Typist): void {
    const now = this.#deps.clock.monotonic();
    if (now - typist.toldAtMs < repeatAfterMs) return;
    typist.toldAtMs = now;
    this.#markOthers(roomId, userId);
  }

  #markOthers(roomId: RoomId, userId: UserId): void {
    for (const server of this.#deps.roster.serversIn(roomId)) {
      if (server === this.#deps.serverName) continue;
      this.source.mark(server, roomId, userId);
      this.#deps.poke(server);
    }
  }

  /** One timer, for whoever's time is over first. */
  #setTimer(atMs: number): void {
    if (atMs >= this.#timerAtMs) return;
    this.#timer?.clear();
    this.#timerAtMs = atMs;
    this.#timer = this.#deps.clock.setTimer(Math.max(0, atMs - this.#deps.clock.monotonic()), () => this.#endDue());
  }

  #endDue(): void {
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    const now = this.#deps.clock.monotonic();
    let next = Number.POSITIVE_INFINITY;
    for (const [roomId, typists] of this.#rooms) {
      for (const [userId, { endsAtMs }] of typists) {
        if (endsAtMs <= now) this.#end(roomId, userId);
        else next = Math.min(next, endsAtMs);
      }
    }
    if (next !== Number.POSITIVE_INFINITY) this.#setTimer(next);
  }
}

function parseTypingEdu(content: unknown): { roomId: RoomId; userId: UserId; typing: boolean } | undefined {
  if (typeof content !== 'object' || content === null) return undefined;
  const { room_id: roomId, user_id: userId, typing } = content as Record<string, unknown>;
  if (!isRoomId(roomId) || !isUserId(userId) || typeof typing !== 'boolean') return undefined;
  return { roomId, userId, typing };
}
