import { createKeyCounts } from '../../src/e2ee/key-counts.ts';
import { createToDeviceInbox } from '../../src/e2ee/to-device-inbox.ts';
import { createRecentReads, type RecentNow } from '../../src/feed/recent-reads.ts';
import { RecentUnread } from '../../src/feed/recent-unread.ts';
import { createWaiters } from '../../src/feed/waiters.ts';
import type { DeviceId, RoomId, UserId } from '../../src/matrix/ids.ts';
import type { ServerName } from '../../src/matrix/server-name.ts';
import type { PresencePart, PresencePoll } from '../../src/presence/types.ts';
import { MembershipIndex } from '../../src/roster/membership-index.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import { AnswerWindows } from '../../src/sync/answer-windows.ts';
import type { TypingReads } from '../../src/sync/stream.ts';
import { createSync, type Sync, type SyncRequest } from '../../src/sync/sync.ts';
import { createSyncWakes } from '../../src/sync/wakes.ts';
import { ManualClock } from './manual-clock.ts';
import { openTestStorage } from './storage.ts';

/** Typing that a test sets by hand. */
export class HandTyping implements TypingReads {
  epoch = 'e1';
  #number = 0;
  readonly #lists = new Map<RoomId, { users: UserId[]; changed: number }>();

  number(): number {
    return this.#number;
  }

  set(roomId: RoomId, ...users: string[]): void {
    this.#number += 1;
    this.#lists.set(roomId, { users: users as UserId[], changed: this.#number });
  }

  listTyping(roomId: RoomId): readonly UserId[] {
    return this.#lists.get(roomId)?.users ?? [];
  }

  *roomsChangedSince(number: number): Iterable<RoomId> {
    for (const [roomId, { changed }] of this.#lists) if (changed > number) yield roomId;
  }
}

type PresenceRead = Parameters<PresencePart['read']>[0];

/** Presence that says what a test lets it say, and remembers what it was asked. */
export class HandPresence implements PresencePart {
  readonly begun: unknown[] = [];
  /** The tokens of devices for which it was asked whether there is anything at all. */
  readonly asked: string[] = [];
  readonly reads: PresenceRead[] = [];
  running = 0;
  #updates: { subject: string; text: string }[] = [];

  reset(): void {
    this.begun.length = 0;
    this.asked.length = 0;
    this.reads.length = 0;
    this.#updates = [];
  }

  tell(subject: string): void {
    this.#updates.push({ subject, text: JSON.stringify({ type: 'm.presence', sender: subject, content: {} }) });
  }

  begin(request: Parameters<PresencePart['begin']>[0]): PresencePoll {
    this.begun.push(request);
    this.running += 1;
    return {
      mayTell: (since) => {
        this.asked.push(since);
        return Number(since) < this.#updates.length;
      },
      readNow: () => undefined,
      end: () => {
        this.running -= 1;
      },
    };
  }

  async read(request: PresenceRead): Promise<{ events: string[]; token: string }> {
    this.reads.push(request);
    const after = request.since === null ? 0 : Number(request.since);
    const fresh = this.#updates.slice(after).filter(({ subject }) => request.accepts(subject as UserId));
    const token = fresh.length > 0 ? String(this.#updates.length) : (request.since ?? '0');
    return { events: fresh.map(({ text }) => text), token };
  }
}

// biome-ignore lint/suspicious/noExplicitAny: a test reads whatever was answered
export type Body = any;

type AskedSync = Partial<Omit<SyncRequest, 'requester' | 'filter'>> & { device?: string; filter?: unknown };

const noMemory: RecentNow = {
  newsSince: () => undefined,
  findTimeline: () => undefined,
  findCurrentSnapshot: () => undefined,
  findIgnored: () => undefined,
  bring: () => undefined,
};

/** Everything that sync stands on, real but for typing and presence. */
export class SyncFixture {
  readonly storage: Storage;
  readonly clock: ManualClock;
  readonly roster: MembershipIndex;
  readonly typing = new HandTyping();
  readonly presence = new HandPresence();
  readonly wake: (userId: string) => void;
  readonly text: Sync;
  /** The same without memory: every reading is as for a client far behind. */
  readonly far: Sync;
  #people = 0;

  private constructor(storage: Storage, clock: ManualClock, remembers: boolean) {
    this.storage = storage;
    this.clock = clock;
    this.roster = new MembershipIndex({ serverName: 'a' as ServerName });
    const waiters = createWaiters({ clock });
    this.wake = (userId) => waiters.wake(userId as UserId);
    const wakes = createSyncWakes({ roster: this.roster, waiters });
    const toDevice = createToDeviceInbox({ storage });
    const keyCounts = createKeyCounts({ storage });
    const unread = new RecentUnread(storage.unread);
    const recent = createRecentReads(storage);
    storage.onCommit((changes) => {
      recent.apply(changes);
      unread.apply(changes);
      this.roster.apply(changes);
      toDevice.onChanges(changes);
      keyCounts.onChanges(changes);
      wakes(changes);
    });
    const { roster, typing, presence } = this;
    const windows = new AnswerWindows({ clock, lengths: { quietMs: 0, busyMs: 0 }, loopShare: () => 0 });
    const parts = { roster, typing, presence, toDevice, keyCounts, unread, waiters, windows, clock };
    this.far = createSync({ ...parts, storage, recent: noMemory });
    this.text = remembers ? createSync({ ...parts, storage: recent.storage, recent: recent.now }) : this.far;
  }

  /** Without memory all is asked of the storage, where a test can listen. */
  static async open({ remembers = true }: { readonly remembers?: boolean } = {}): Promise<SyncFixture> {
    const clock = new ManualClock();
    return new SyncFixture(await openTestStorage(clock), clock, remembers);
  }

  request(userId: string, asked: AskedSync = {}): SyncRequest {
    const { device = 'DEVICE', filter, ...rest } = asked;
    return {
      requester: { userId: userId as UserId, deviceId: device as DeviceId },
      since: null,
      timeoutMs: 0,
      fullState: false,
      setPresence: 'online',
      setPresenceWritten: false,
      filter: filter === undefined ? null : typeof filter === 'string' ? filter : JSON.stringify(filter),
      useStateAfter: 'no',
      signal: new AbortController().signal,
      ...rest,
    };
  }

  /** For a test that shares the storage with others: nothing from before, and people nobody has met. */
  freshPeople(): { alice: string; bob: string; carol: string } {
    this.presence.reset();
    this.#people += 1;
    const n = this.#people;
    return { alice: `@alice${n}:a`, bob: `@bob${n}:a`, carol: `@carol${n}:b` };
  }

  /** One answer, parsed. */
  async sync(userId: string, asked: AskedSync = {}): Promise<Body> {
    return JSON.parse(String(await this.text(this.request(userId, asked))));
  }

  accountData(userId: string, type: string, content: Record<string, unknown>, roomId: RoomId | null = null) {
    return this.storage.commit({
      rows: [{ kind: 'account_data', userId: userId as UserId, roomId, type, content }],
    });
  }
}

/** What tells the events of a list apart: the body of messages, else type and state key, of people the bare name. */
export function brief(events: Body[]): string[] {
  return events.map(
    (event) =>
      event.content?.body ?? [event.type, event.state_key?.replace(/^@(\D+)\d*:.*$/, '$1')].filter(Boolean).join(' '),
  );
}
