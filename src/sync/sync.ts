import type { Clock } from '../base/clock.ts';
import type { LongText } from '../base/json/long-text.ts';
import type { EndSignal } from '../base/tasks/ending.ts';
import type { KeyCounts } from '../e2ee/key-counts.ts';
import type { ToDeviceInbox } from '../e2ee/to-device-inbox.ts';
import type { Waiters, WaitTicket } from '../feed/feed.ts';
import type { RecentNow } from '../feed/recent-reads.ts';
import { invalidParam } from '../matrix/errors.ts';
import type { SyncFilter } from '../matrix/filter.ts';
import type { DeviceId, UserId } from '../matrix/ids.ts';
import type { PresenceState } from '../matrix/presence.ts';
import type { PresencePart } from '../presence/types.ts';
import type { Roster } from '../roster/roster.ts';
import type { Position } from '../storage/contract/numbers.ts';
import type { Storage } from '../storage/contract/storage.ts';
import { Answer } from './answer.ts';
import type { AnswerWindows } from './answer-windows.ts';
import { createFilterResolver, type FilterResolver } from './apply-filter.ts';
import { encodeAnswer } from './encode-answer.ts';
import { LazyMemberMemory, type LazyMembers } from './lazy-members.ts';
import { QuietMemory } from './quiet.ts';
import { readScope } from './scope.ts';
import { asksStorage, narrowNews, type SyncQuestion, type SyncStream, type TypingReads } from './stream.ts';
import { createAccountDataStream } from './streams/account-data.ts';
import { createDeviceListsStream } from './streams/device-lists.ts';
import { createEphemeralStream } from './streams/ephemeral.ts';
import { createKeyCountsStream } from './streams/key-counts.ts';
import { createPresenceStream } from './streams/presence.ts';
import { createRoomsInvitedStream } from './streams/rooms-invited.ts';
import { createRoomsJoinedStream } from './streams/rooms-joined.ts';
import { createRoomsLeftStream } from './streams/rooms-left.ts';
import { createToDeviceStream } from './streams/to-device.ts';
import { encodeSyncToken, parseSyncToken, type SyncToken } from './token.ts';
import { tellUnread, tellUnreadNow, type UnreadCounts } from './unread.ts';

export interface SyncDeps {
  readonly storage: Pick<
    Storage,
    'accounts' | 'accountData' | 'deviceLists' | 'events' | 'receipts' | 'relations' | 'rooms' | 'state' | 'position'
  >;
  readonly recent: RecentNow;
  readonly roster: Pick<Roster, 'roomsOf' | 'snapshotOfRooms' | 'usersIn' | 'shareRoom' | 'connect' | 'disconnect'>;
  readonly waiters: Pick<Waiters, 'ticket' | 'wait'>;
  readonly windows: Pick<AnswerWindows, 'answered' | 'isBusy' | 'opensAtMs'>;
  readonly typing: TypingReads;
  readonly presence: PresencePart;
  readonly toDevice: Pick<ToDeviceInbox, 'list' | 'collect'>;
  readonly keyCounts: KeyCounts;
  readonly unread: UnreadCounts;
  readonly clock: Clock;
}

/** Whoever waits for less has better things to do than to wait for others. */
const windowedFromMs = 1_000;

export interface SyncRequest {
  readonly requester: { readonly userId: UserId; readonly deviceId: DeviceId };
  /** As the client sent it; null: an initial sync. */
  readonly since: string | null;
  /** How long to wait for something to tell. */
  readonly timeoutMs: number;
  readonly fullState: boolean;
  readonly setPresence: PresenceState;
  /** Whether the client wrote `set_presence` out. */
  readonly setPresenceWritten: boolean;
  /** JSON or a filter id, as the client sent it. */
  readonly filter: string | null;
  /** Whether to tell the state at the end of timelines and not at their start (MSC4222), and under which name. */
  readonly useStateAfter: 'no' | 'stable' | 'unstable';
  /** Ends the wait when the client goes away or the server stops. */
  readonly signal: EndSignal;
}

/**
 * `GET /sync`: what is new to this device since its token, as the JSON text of the body. With something to tell it
 * answers at once (or at the end of the device's window, `AnswerWindows`); else when something comes up, or after `timeoutMs` with nothing and the very token it was given.
 * Throws M_INVALID_PARAM for a token or a filter that is none.
 */
export type Sync = (request: SyncRequest) => Promise<SyncText>;
export type SyncText = string | LongText;

export function createSync(deps: SyncDeps): Sync {
  const filters = createFilterResolver(deps);
  const lazyMembers = new LazyMemberMemory();
  const quiet = new QuietMemory();
  // Rooms before account data, which completes them.
  const streams: readonly SyncStream[] = [
    createRoomsJoinedStream(deps),
    createRoomsLeftStream(deps),
    createRoomsInvitedStream(deps),
    createAccountDataStream(deps),
    createEphemeralStream(deps),
    createDeviceListsStream(deps),
    createKeyCountsStream(deps),
    createPresenceStream(deps),
    createToDeviceStream(deps),
  ];

  const parts: Parts = { deps, streams, quiet, filters, lazyMembers };
  return async (request) => {
    const { userId, deviceId } = request.requester;
    const asked = parse(parts, request);
    // Mostly it is known at once, and a long-poll does not pay for waiting for nothing.
    const parsed = asked instanceof Promise ? await asked : asked;
    deps.roster.connect(userId);
    try {
      const { setPresence, setPresenceWritten: written } = request;
      const presence = deps.presence.begin({ userId, deviceId, setPresence, written });
      try {
        const poll = new Poll(parts, request, { parsed, presence });
        for (;;) {
          const look = poll.look();
          const text = look instanceof Promise ? await look : look;
          if (text !== undefined) return text;
          const wait = poll.wait();
          if (wait === undefined || !(await wait)) return poll.nothing();
        }
      } finally {
        presence.end();
      }
    } finally {
      deps.roster.disconnect(userId);
    }
  };
}

interface Parts {
  readonly deps: SyncDeps;
  readonly streams: readonly SyncStream[];
  readonly quiet: QuietMemory;
  readonly filters: FilterResolver;
  readonly lazyMembers: LazyMemberMemory;
}

interface Parsed {
  readonly since: SyncToken | null;
  readonly filter: SyncFilter;
  readonly lazy: LazyMembers | null;
}

/** Also notes what the client collected. Throws or rejects with M_INVALID_PARAM. */
function parse(parts: Parts, request: SyncRequest): Parsed | Promise<Parsed> {
  const { deps, filters, lazyMembers } = parts;
  const { userId, deviceId } = request.requester;
  const since = request.since === null ? null : checkToken(deps, request.since);
  const parsedWith = (filter: SyncFilter): Parsed => {
    const isLazy = filter.roomState.lazyLoadMembers;
    return { since, filter, lazy: isLazy ? lazyMembers.open(userId, deviceId, request.since) : null };
  };
  const filter = filters.resolve(userId, request.filter);
  const collecting = since === null ? undefined : deps.toDevice.collect(request.requester, since.toDevice);
  if (collecting === undefined && !(filter instanceof Promise)) return parsedWith(filter);
  return Promise.all([filter, collecting]).then(([known]) => parsedWith(known));
}

/** Undefined: nothing, for now. */
type Told = SyncText | undefined;

/** One sync that is answered once there is something to tell. */
class Poll {
  readonly #parts: Parts;
  readonly #request: SyncRequest;
  readonly #parsed: Parsed;
  readonly #presence: SyncQuestion['presence'];
  readonly #endsAtMs: number;
  readonly #opensAtMs: number | undefined;
  /** Nothing up to here concerned this client. */
  #after: Position;
  #ticket: WaitTicket | undefined;
  /** It has, or may have, something to tell that waits for the end of its window. */
  #isHeld = false;

  constructor(
    parts: Parts,
    request: SyncRequest,
    { parsed, presence }: { readonly parsed: Parsed; readonly presence: SyncQuestion['presence'] },
  ) {
    const { deps, quiet } = parts;
    const { userId, deviceId } = request.requester;
    const { since, filter } = parsed;
    this.#parts = parts;
    this.#request = request;
    this.#parsed = parsed;
    this.#presence = presence;
    this.#endsAtMs = deps.clock.monotonic() + request.timeoutMs;
    this.#after = since?.position ?? 0;
    if (request.since !== null)
      this.#after = quiet.find(userId, deviceId, { since: request.since, filter }) ?? this.#after;
    this.#opensAtMs = isWindowed(request) ? deps.windows.opensAtMs(userId, deviceId) : undefined;
  }

  /** The body, where there is something to tell now. */
  look(): Told | Promise<Told> {
    const { deps, streams } = this.#parts;
    const request = this.#request;
    // Before anything is read: what comes up meanwhile ends the wait at once.
    this.#ticket = deps.waiters.ticket(request.requester.userId);
    const question = this.#question();
    const isEarly = this.#opensAtMs !== undefined && deps.clock.monotonic() < this.#opensAtMs;
    const asked = isEarly && deps.windows.isBusy ? streams : listAsked(streams, question);
    this.#isHeld = isEarly && asked.length > 0;
    if (request.since === null || (asked.length > 0 && !this.#isHeld)) {
      const preparing = prepare(asked, question);
      if (preparing !== undefined) return preparing.then(() => this.#readPrepared(asked, question));
      const answer = readNow(deps, asked, question);
      if (answer !== undefined) return this.#take(question, answer);
      return read(deps, asked, question).then((found) => this.#take(question, found));
    }
    this.#noteQuiet(question);
    return undefined;
  }

  #question(): SyncQuestion {
    const { deps } = this.#parts;
    const request = this.#request;
    return {
      viewer: request.requester,
      since: this.#parsed.since,
      after: this.#after,
      upTo: deps.storage.position(),
      news: deps.recent.newsSince(this.#after),
      presence: this.#presence,
      typing: { epoch: deps.typing.epoch, number: deps.typing.number() },
      filter: this.#parsed.filter,
      fullState: request.fullState,
      useStateAfter: request.useStateAfter !== 'no',
      lazy: this.#parsed.lazy,
      nowMs: deps.clock.now(),
    };
  }

  /** Up to where it was asked, unless something happened meanwhile that has to be read with a scope: that is of one moment with its position. */
  #readPrepared(asked: readonly SyncStream[], question: SyncQuestion): Told | Promise<Told> {
    const { deps, streams } = this.#parts;
    const answer = readNow(deps, asked, { ...question, news: deps.recent.newsSince(question.after) });
    if (answer !== undefined) return this.#take(question, answer);
    const present = this.#question();
    return read(deps, listAsked(streams, present), present).then((found) => this.#take(present, found));
  }

  /** Resolves when it is worth another look, with false when the time is over; undefined where it is over now. */
  wait(): Promise<boolean> | undefined {
    const { deps } = this.#parts;
    const { fullState, signal } = this.#request;
    const leftMs = fullState ? 0 : this.#endsAtMs - deps.clock.monotonic();
    if (leftMs <= 0 || this.#ticket === undefined) return undefined;
    return deps.waiters.wait(this.#ticket, {
      timeoutMs: leftMs,
      signal,
      notBeforeMs: this.#opensAtMs,
      isWoken: this.#isHeld,
    });
  }

  /** With the very token that was given; an initial sync always has something to tell. */
  nothing(): SyncText | Promise<SyncText> {
    return encode(this.#parts.deps, new Answer(), this.#request.since ?? '', this.#request);
  }

  #take(question: SyncQuestion, answer: Answer): Told | Promise<SyncText> {
    const { deps } = this.#parts;
    const { requester, since } = this.#request;
    if (since === null || !answer.isEmpty()) {
      deps.windows.answered(requester.userId, requester.deviceId);
      return finish(deps, question, answer, this.#request);
    }
    this.#noteQuiet(question);
    return undefined;
  }

  /** Nothing in it concerned this client, so the next reading begins where this one ended. */
  #noteQuiet({ upTo, filter }: SyncQuestion): void {
    if (upTo <= this.#after || this.#isHeld) return;
    const { requester, since } = this.#request;
    this.#after = upTo;
    // An initial sync is always answered.
    if (since !== null) this.#parts.quiet.put(requester.userId, requester.deviceId, { since, filter, upTo });
  }
}

function isWindowed({ since, timeoutMs, fullState }: SyncRequest): boolean {
  return since !== null && timeoutMs >= windowedFromMs && !fullState;
}

const none: readonly SyncStream[] = [];

/** Those that may have something to tell; mostly none or one. */
function listAsked(streams: readonly SyncStream[], question: SyncQuestion): readonly SyncStream[] {
  let asked: SyncStream[] | undefined;
  for (const stream of streams) {
    if (stream.mayTell?.(question) === false) continue;
    asked ??= [];
    asked.push(stream);
  }
  return asked ?? none;
}

function prepare(streams: readonly SyncStream[], question: SyncQuestion): Promise<unknown> | undefined {
  if (isNarrow(question)) for (const stream of streams) if (stream.prepare) return stream.prepare(question);
  return undefined;
}

/** Undefined where some of it takes longer. */
function readNow(deps: SyncDeps, streams: readonly SyncStream[], question: SyncQuestion): Answer | undefined {
  if (!isNarrow(question)) return undefined;
  const answer = new Answer(question.since?.presence);
  for (const stream of streams) if (stream.readNow?.(question, answer) !== true) return undefined;
  return tellUnreadNow(deps.unread, question, answer) ? answer : undefined;
}

function isNarrow(question: SyncQuestion): boolean {
  return !asksStorage(question) || narrowNews(question) !== undefined;
}

async function read(deps: SyncDeps, streams: readonly SyncStream[], question: SyncQuestion): Promise<Answer> {
  const scope = await readScope(deps, question);
  const answer = new Answer(question.since?.presence);
  for (const stream of streams) await stream.read(scope, answer);
  await tellUnread(deps.unread, scope, answer);
  return answer;
}

function finish(
  deps: SyncDeps,
  { upTo, typing, lazy }: SyncQuestion,
  answer: Answer,
  request: SyncRequest,
): SyncText | Promise<SyncText> {
  const toDevice = answer.toDeviceUpTo ?? upTo;
  const nextBatch = encodeSyncToken({ position: upTo, toDevice, typing, presence: answer.presenceToken });
  lazy?.tell(nextBatch, answer.membersTold);
  return encode(deps, answer, nextBatch, request);
}

function encode(
  { keyCounts }: SyncDeps,
  answer: Answer,
  nextBatch: string,
  { requester, useStateAfter }: SyncRequest,
): SyncText | Promise<SyncText> {
  const known = keyCounts.textOf(requester);
  if (typeof known === 'string') return encodeAnswer(answer, nextBatch, { useStateAfter, always: known });
  return known.then((always) => encodeAnswer(answer, nextBatch, { useStateAfter, always }));
}

/** A token from the future is none of ours: it would make the client wait for what it already has. */
function checkToken(deps: SyncDeps, text: string): SyncToken {
  const token = parseSyncToken(text);
  if (!token || token.position > deps.storage.position()) throw invalidParam('since is not a token of this server');
  return token;
}
