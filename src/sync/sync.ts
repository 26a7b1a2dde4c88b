import type { Clock } from '../base/clock.ts';
import type { EndSignal } from '../base/ending.ts';
import type { KeyCounts } from '../e2ee/key-counts.ts';
import type { ToDeviceInbox } from '../e2ee/to-device-inbox.ts';
import type { Waiters } from '../feed/feed.ts';
import { invalidParam } from '../matrix/errors.ts';
import type { SyncFilter } from '../matrix/filter.ts';
import type { DeviceId, UserId } from '../matrix/ids.ts';
import type { PresenceState } from '../matrix/presence.ts';
import type { PresencePart } from '../presence/types.ts';
import type { Roster } from '../roster/roster.ts';
import type { Position } from '../storage/contract/numbers.ts';
import type { Storage } from '../storage/contract/storage.ts';
import { Answer, encodeAnswer } from './answer.ts';
import type { AnswerWindows } from './answer-windows.ts';
import { createFilterResolver } from './apply-filter.ts';
import { LazyMemberMemory, type LazyMembers } from './lazy-members.ts';
import { QuietMemory } from './quiet.ts';
import { readScope } from './scope.ts';
import { asksStorage, type SyncQuestion, type SyncStream, type TypingReads } from './stream.ts';
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
import { tellUnread, type UnreadCounts } from './unread.ts';

export interface SyncDeps {
  readonly storage: Pick<
    Storage,
    'accounts' | 'accountData' | 'deviceLists' | 'events' | 'receipts' | 'relations' | 'rooms' | 'state' | 'position'
  >;
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
export type Sync = (request: SyncRequest) => Promise<string>;

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

  return async (request) => {
    const { userId, deviceId } = request.requester;
    const since = request.since === null ? null : checkToken(deps, request.since);
    // Mostly both are known at once, and a long-poll does not pay for waiting for nothing.
    const resolved = filters.resolve(userId, request.filter);
    const filter = resolved instanceof Promise ? await resolved : resolved;
    const collecting = since === null ? undefined : deps.toDevice.collect(request.requester, since.toDevice);
    if (collecting !== undefined) await collecting;
    const lazy = filter.roomState.lazyLoadMembers ? lazyMembers.open(userId, deviceId, request.since) : null;
    deps.roster.connect(userId);
    try {
      const end = deps.presence.begin({
        userId,
        deviceId,
        setPresence: request.setPresence,
        written: request.setPresenceWritten,
      });
      try {
        return await poll({ deps, streams, quiet }, request, { since, filter, lazy });
      } finally {
        end();
      }
    } finally {
      deps.roster.disconnect(userId);
    }
  };
}

interface Parsed {
  readonly since: SyncToken | null;
  readonly filter: SyncFilter;
  readonly lazy: LazyMembers | null;
}

interface Parts {
  readonly deps: SyncDeps;
  readonly streams: readonly SyncStream[];
  readonly quiet: QuietMemory;
}

async function poll({ deps, streams, quiet }: Parts, request: SyncRequest, parsed: Parsed): Promise<string> {
  const { userId, deviceId } = request.requester;
  const { filter } = parsed;
  const endsAtMs = deps.clock.monotonic() + request.timeoutMs;
  let after: Position = parsed.since?.position ?? 0;
  if (request.since !== null) after = quiet.find(userId, deviceId, { since: request.since, filter }) ?? after;
  const opensAtMs = isWindowed(request) ? deps.windows.opensAtMs(userId, deviceId) : undefined;
  for (;;) {
    // Before anything is read: what comes up meanwhile ends the wait at once.
    const ticket = deps.waiters.ticket(userId);
    const question: SyncQuestion = {
      viewer: request.requester,
      since: parsed.since,
      after,
      upTo: deps.storage.position(),
      typing: { epoch: deps.typing.epoch, number: deps.typing.number() },
      filter,
      fullState: request.fullState,
      useStateAfter: request.useStateAfter !== 'no',
      lazy: parsed.lazy,
      nowMs: deps.clock.now(),
    };
    const isEarly = opensAtMs !== undefined && deps.clock.monotonic() < opensAtMs;
    const asked = isEarly && deps.windows.isBusy ? streams : listAsked(streams, question);
    // It has, or may have, something to tell that waits for the end of its window.
    const isHeld = isEarly && asked.length > 0;
    if (request.since === null || (asked.length > 0 && !isHeld)) {
      const answer = readNow(asked, question) ?? (await read(deps, asked, question));
      if (request.since === null || !answer.isEmpty()) {
        deps.windows.answered(userId, deviceId);
        return finish(deps, question, answer, request);
      }
    }
    // Nothing up to here concerned this client, so the next reading begins where this one ended.
    if (question.upTo > after && !isHeld) {
      after = question.upTo;
      quiet.put(userId, deviceId, { since: request.since, filter, upTo: after });
    }
    const leftMs = request.fullState ? 0 : endsAtMs - deps.clock.monotonic();
    const until = { timeoutMs: leftMs, signal: request.signal, notBeforeMs: opensAtMs, isWoken: isHeld };
    if (leftMs <= 0 || !(await deps.waiters.wait(ticket, until))) {
      return encode(deps, new Answer(), request.since, request);
    }
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

/** Undefined where some of it takes longer. */
function readNow(streams: readonly SyncStream[], question: SyncQuestion): Answer | undefined {
  if (asksStorage(question)) return undefined;
  const answer = new Answer(question.since?.presence);
  for (const stream of streams) if (stream.readNow?.(question, answer) !== true) return undefined;
  return answer;
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
): string | Promise<string> {
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
): string | Promise<string> {
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
