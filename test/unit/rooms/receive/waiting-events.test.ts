import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../../../src/base/log.ts';
import type { EventId, RoomId } from '../../../../src/matrix/ids.ts';
import type { RoomEvent } from '../../../../src/matrix/pdu.ts';
import type { ServerName } from '../../../../src/matrix/server-name.ts';
import type { Attempt, AttemptOutcome } from '../../../../src/rooms/remote/receive/try-waiting.ts';
import { WaitingEvents } from '../../../../src/rooms/remote/receive/waiting-events.ts';
import type { Storage } from '../../../../src/storage/contract/storage.ts';
import type { WaitingEvent } from '../../../../src/storage/contract/waiting-events.ts';
import { eventRow, makeEvent } from '../../../contract/make.ts';
import { ManualClock, settle } from '../../../support/manual-clock.ts';
import { unjitteredRandom } from '../../../support/random.ts';
import { openTestStorage } from '../../../support/storage.ts';

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;
const roomId = '!lobby:here.test' as RoomId;
const hs = 'hs.test' as ServerName;
const other = 'other.test' as ServerName;
const id = (name: string) => `$${name}` as EventId;

let clock: ManualClock;
let storage: Storage;
let waiting: WaitingEvents;
/** `a,b @server` of each attempt; `@` alone: nobody was asked. */
let attempts: string[];
/** What an attempt finds; by default everything waits on for what it missed. */
let judge: (entry: WaitingEvent, attempt: Attempt) => AttemptOutcome | Promise<AttemptOutcome>;
let helpers: ServerName[];
let missing: Record<string, string[]>;

const over: AttemptOutcome = { outcome: 'over', reason: 'accepted' };

function create(): WaitingEvents {
  return new WaitingEvents({
    storage,
    clock,
    random: unjitteredRandom,
    log: silentLog,
    async tryWaiting(attempt) {
      attempts.push(`${attempt.waiting.map(({ eventId }) => eventId.slice(1)).sort()} @${attempt.server ?? ''}`);
      const outcomes = new Map<WaitingEvent, AttemptOutcome>();
      for (const entry of attempt.waiting) outcomes.set(entry, await judge(entry, attempt));
      return outcomes;
    },
    listHelpers: () => helpers,
  });
}

beforeEach(async () => {
  clock = new ManualClock();
  storage = await openTestStorage(clock);
  storage.onCommit((changes) => waiting.onChanges(changes));
  attempts = [];
  helpers = [];
  missing = {};
  judge = ({ eventId }) => ({
    outcome: 'waiting',
    isVerified: true,
    missing: (missing[eventId.slice(1)] ?? []).map(id),
  });
  waiting = create();
});
afterEach(async () => {
  waiting.stop();
  await waiting.idle();
  await storage.stop();
});

const keep = async (names: readonly string[], origin = hs, room = roomId) => {
  const events = names.map((name) => ({ event: eventOf(name, room), isVerified: true, missing: lacked(name) }));
  await waiting.keep({ origin, roomId: room, ask: true }, events);
  await waiting.idle();
};
const eventOf = (name: string, room = roomId): RoomEvent => makeEvent(name, { roomId: room });
const lacked = (name: string) => (missing[name] ?? []).map(id);
const left = async () => (await storage.waitingEvents.list(0, 10_000)).map(({ eventId }) => eventId.slice(1));
const arrive = async (name: string) => {
  await storage.commit({ rows: [eventRow(name, { roomId, placement: 'outlier' })] });
  await settle();
};

describe('an event that waits', () => {
  it('is stored, and then who brought it is asked at once', async () => {
    missing = { b: ['a'] };
    await keep(['b']);
    expect(attempts).toEqual(['b @hs.test']);
    expect(await left()).toEqual(['b']);
  });

  it('waits no more when that helped', async () => {
    judge = () => over;
    await keep(['b', 'c']);
    expect(attempts).toEqual(['b,c @hs.test']);
    expect(await left()).toEqual([]);
    await clock.advance(dayMs);
    expect(attempts).toHaveLength(1);
  });

  it('is judged a little after what it misses came, without asking anybody', async () => {
    missing = { b: ['a'] };
    await keep(['b']);
    judge = () => over;
    await arrive('a');
    expect(attempts).toHaveLength(1);
    await clock.advance(2_000);
    await waiting.idle();
    expect(attempts).toEqual(['b @hs.test', 'b @']);
    expect(await left()).toEqual([]);
  });

  it('is not asked for when what it misses came before its turn', async () => {
    missing = { b: ['a'] };
    const kept = { event: eventOf('b'), isVerified: true, missing: lacked('b') };
    await waiting.keep({ origin: hs, roomId, ask: false }, [kept]);
    await arrive('a');
    judge = () => over;
    await clock.advance(1_000);
    await waiting.keep({ origin: hs, roomId, ask: true }, [kept]);
    await waiting.idle();
    expect(attempts).toEqual([]);
    await clock.advance(1_000);
    await waiting.idle();
    expect(attempts).toEqual(['b @']);
    expect(await left()).toEqual([]);
  });

  it('is judged with all that wait for it in turn, and for nothing else', async () => {
    missing = { b: ['a'], c: ['b'], d: ['c'], x: ['y'] };
    await keep(['d', 'x', 'c', 'b']);
    attempts.length = 0;
    judge = () => over;
    await arrive('a');
    await clock.advance(2_000);
    await waiting.idle();
    expect(attempts).toEqual(['b @', 'c @', 'd @']);
    expect(await left()).toEqual(['x']);
  });

  it('waits no more when it comes by another way', async () => {
    missing = { b: ['a'] };
    await keep(['b']);
    judge = () => over;
    await arrive('b');
    await clock.advance(2_000);
    await waiting.idle();
    expect(await left()).toEqual([]);
  });

  it('is asked for again after two minutes, four, and so on up to six hours', async () => {
    await keep(['b']);
    const asked: number[] = [];
    const startMs = clock.now();
    judge = () => {
      asked.push((clock.now() - startMs) / minuteMs);
      return { outcome: 'waiting', isVerified: true, missing: [] };
    };
    for (let minute = 0; minute < 60 * 24; minute++) await clock.advance(minuteMs);
    expect(asked.slice(0, 6)).toEqual([2, 6, 14, 30, 62, 126]);
    expect((asked.at(-1) ?? 0) - (asked.at(-2) ?? 0)).toBe(360);
  });

  it('is asked of other servers of the room in turn', async () => {
    helpers = [hs, other];
    await keep(['b']);
    await clock.advance(2 * minuteMs);
    await clock.advance(4 * minuteMs);
    await waiting.idle();
    expect(attempts).toEqual(['b @hs.test', 'b @other.test', 'b @hs.test']);
  });

  it('is given up after a week', async () => {
    await keep(['b']);
    await clock.advance(6 * dayMs);
    expect(await left()).toEqual(['b']);
    await clock.advance(2 * dayMs);
    await waiting.idle();
    expect(await left()).toEqual([]);
  });

  it('is judged again at the next start, though nobody is asked before its time', async () => {
    missing = { b: ['a'] };
    await keep(['b']);
    await arrive('a');
    waiting.stop();
    attempts.length = 0;
    waiting = create();
    judge = () => over;
    waiting.start();
    await waiting.idle();
    expect(attempts).toEqual(['b @']);
    expect(await left()).toEqual([]);
  });

  it('goes on being asked for after a start', async () => {
    await keep(['b']);
    waiting.stop();
    waiting = create();
    waiting.start();
    await waiting.idle();
    attempts.length = 0;
    await clock.advance(2 * minuteMs);
    await waiting.idle();
    expect(attempts).toEqual(['b @hs.test']);
  });

  it('is tried with its room, each server’s apart', async () => {
    await keep(['a', 'b']);
    await keep(['c'], other);
    attempts.length = 0;
    waiting.tryRoom(roomId);
    await waiting.idle();
    expect(attempts).toEqual(['a,b @hs.test', 'c @other.test']);
  });

  it('is tried once at a time, and once more for what happens meanwhile', async () => {
    let finish: () => void = () => undefined;
    const wait: AttemptOutcome = { outcome: 'waiting', isVerified: true, missing: [] };
    judge = () => new Promise((resolve) => (finish = () => resolve(wait)));
    await waiting.keep({ origin: hs, roomId, ask: true }, [{ event: eventOf('b'), isVerified: true, missing: [] }]);
    await settle();
    waiting.tryRoom(roomId);
    await settle();
    expect(attempts).toEqual(['b @hs.test']);
    judge = () => over;
    finish();
    await waiting.idle();
    expect(attempts).toEqual(['b @hs.test', 'b @']);
    expect(await left()).toEqual([]);
  });

  it('for our own join is not asked for before that has ended', async () => {
    await waiting.keep({ origin: hs, roomId, ask: false }, [{ event: eventOf('b'), isVerified: false, missing: [] }]);
    await waiting.idle();
    expect(attempts).toEqual([]);
    waiting.tryRoom(roomId);
    await waiting.idle();
    expect(attempts).toEqual(['b @hs.test']);
  });

  it('of one server that does not answer holds up no other server and no other room', async () => {
    const slow: (() => void)[] = [];
    judge = ({ origin }) => (origin === hs ? new Promise((resolve) => slow.push(() => resolve(over))) : over);
    for (let count = 0; count < 20; count++) {
      const room = `!room${count}:here.test` as RoomId;
      await waiting.keep({ origin: hs, roomId: room, ask: true }, [
        { event: eventOf(`s${count}`, room), isVerified: true, missing: [] },
      ]);
    }
    await waiting.keep({ origin: other, roomId, ask: true }, [
      { event: eventOf('good'), isVerified: true, missing: [] },
    ]);
    await settle();
    expect(attempts.filter((attempt) => attempt.endsWith('@hs.test'))).toHaveLength(4);
    expect(attempts).toContain('good @other.test');
    expect(await left()).not.toContain('good');
    while ((await left()).length > 0) {
      for (const finish of slow.splice(0)) finish();
      await settle();
    }
    expect(attempts).toHaveLength(21);
  });
});

describe('events that wait are bounded', () => {
  const names = (prefix: string, count: number) => Array.from({ length: count }, (_, index) => `${prefix}${index}`);
  const countOf = async (origin: ServerName) =>
    (await storage.waitingEvents.countByOrigin(null)).find((entry) => entry.origin === origin)?.count ?? 0;

  it('in a room: the oldest of the server that has most are dropped', async () => {
    await keep(names('good', 20), other);
    for (let start = 0; start < 600; start += 50) await keep(names(`flood${start}-`, 50), hs);
    expect(await countOf(other)).toBe(20);
    expect(await countOf(hs)).toBe(480);
    expect(await left()).toContain('flood550-49');
    expect(await left()).not.toContain('flood0-0');
  });

  it('of a server, in however many rooms', async () => {
    for (let room = 0; room < 12; room++) await keep(names(`r${room}-`, 50), hs, `!r${room}:here.test` as RoomId);
    expect(await countOf(hs)).toBe(500);
    expect(await left()).not.toContain('r0-0');
  });

  it('in all', async () => {
    for (let count = 0; count < 11; count++) {
      const origin = `server${count}.test` as ServerName;
      for (let room = 0; room < 2; room++) {
        const events = names(`o${count}-${room}-`, 240).map((name) => ({
          event: eventOf(name, `!r${count}-${room}:here.test` as RoomId),
          isVerified: true,
          missing: [],
        }));
        await waiting.keep({ origin, roomId: `!r${count}-${room}:here.test` as RoomId, ask: true }, events);
      }
    }
    await waiting.idle();
    expect((await left()).length).toBe(5_000);
  });
});
