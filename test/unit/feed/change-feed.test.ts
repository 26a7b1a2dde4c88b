import { describe, expect, it } from 'vitest';
import { silentLog } from '../../../src/base/log.ts';
import { createFeed } from '../../../src/feed/change-feed.ts';
import type { Reaction } from '../../../src/feed/feed.ts';
import type { EventId, RoomId, UserId } from '../../../src/matrix/ids.ts';
import type { Change, LoggedChange } from '../../../src/storage/contract/changes.ts';
import type { Batch, CommitResult, Row } from '../../../src/storage/contract/commit.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const alice = '@alice:here.test' as UserId;
const den = '!den:here.test' as RoomId;

/** The change log alone: what survives a restart of the feed. */
class LogStorage {
  readonly log: LoggedChange[] = [];
  readonly cursors = new Map<string, number>();
  readonly rows: Row[] = [];
  commits = 0;
  newest = 1_000;
  refuse = 0;

  readonly changes = {
    /** Never parts the changes of one position. */
    list: async (after: number, limit: number) => {
      const behind = this.log.filter(({ position }) => position > after);
      const last = behind[limit - 1]?.position ?? Number.POSITIVE_INFINITY;
      return behind.filter(({ position }) => position <= last);
    },
    findCursor: async (name: string) => this.cursors.get(name),
  };

  position(): number {
    return this.newest;
  }

  async commit(batch: Batch): Promise<CommitResult> {
    await Promise.resolve();
    if (this.refuse > 0) {
      this.refuse -= 1;
      throw new Error('the disk is full');
    }
    this.commits += 1;
    for (const row of batch.rows) {
      if (row.kind === 'reaction_cursor') this.cursors.set(row.name, row.position);
      else this.rows.push(row);
    }
    return { outcome: 'committed', position: this.newest, positions: batch.rows.map(() => null) };
  }

  /** Changes of one commit, all at one position. */
  add(...kinds: LoggedChange['kind'][]): Change[] {
    this.newest += 1;
    const changes = kinds.map((kind) => changeOf(kind, this.newest));
    this.log.push(...changes);
    return changes;
  }
}

function changeOf(kind: LoggedChange['kind'], position: number): LoggedChange {
  const eventId = `$${position}` as EventId;
  switch (kind) {
    case 'event':
      return { kind, position, roomId: den, eventId, type: 'm.room.message', stateKey: null, sender: alice };
    case 'membership':
      return { kind, position, roomId: den, userId: alice, before: null, after: 'join', eventId };
    case 'profile':
      return { kind, position, userId: alice, before: null, after: { displayname: 'A', avatarUrl: null } };
    case 'account_data':
      return { kind, position, userId: alice, roomId: null, type: 'x', before: null, content: {} };
    case 'device_list':
      return { kind, position, userId: alice, viewer: null, here: true, deviceIds: [], signingKeys: true };
  }
}

const row: Row = { kind: 'filter', userId: alice, filterId: 'f', definition: {} };

function reaction(react: Reaction['react'], kinds: Reaction['kinds'] = ['event'], name = 'test'): Reaction {
  return { name, kinds, react };
}

/** Reacts by writing the position down. */
function noting(positions: number[], rows: Row[] = []): Reaction['react'] {
  return async ({ position }) => {
    positions.push(position);
    return rows;
  };
}

function setUp(storage = new LogStorage()) {
  const clock = new ManualClock();
  return { storage, clock, feed: createFeed({ storage, clock, log: silentLog }) };
}

describe('wakes', () => {
  it('are told of every change in order, within the call', () => {
    const { storage, feed } = setUp();
    const seen: string[] = [];
    feed.onChanges((changes) => seen.push(...changes.map(({ kind }) => `1 ${kind}`)));
    feed.onChanges((changes) => seen.push(...changes.map(({ kind }) => `2 ${kind}`)));
    feed.handle(storage.add('event', 'membership'));
    expect(seen).toEqual(['1 event', '1 membership', '2 event', '2 membership']);
  });

  it('that throw spoil neither the commit nor the other listeners', () => {
    const { storage, feed } = setUp();
    let told = 0;
    feed.onChanges(() => {
      throw new Error('a bug');
    });
    feed.onChanges(() => {
      told += 1;
    });
    feed.handle(storage.add('event'));
    expect(told).toBe(1);
  });
});

describe('a reaction', () => {
  it('that is new begins at the newest position and keeps that beginning over a restart', async () => {
    const { storage, feed } = setUp();
    storage.add('event');
    const seen: number[] = [];
    feed.addReaction(reaction(noting(seen)));
    await feed.start();
    await feed.idle();
    expect(seen).toEqual([]);
    expect(storage.cursors.get('test')).toBe(storage.newest);
    await feed.stop();

    storage.add('event');
    const again = setUp(storage);
    again.feed.addReaction(reaction(noting(seen)));
    await again.feed.start();
    await again.feed.idle();
    expect(seen).toEqual([storage.newest]);
  });

  it('gets each change of its kinds once, in order, over many pages', async () => {
    const { storage, feed } = setUp();
    const seen: number[] = [];
    feed.addReaction(reaction(noting(seen)));
    await feed.start();
    const changes: Change[] = [];
    for (let index = 0; index < 950; index += 1) changes.push(...storage.add(index % 2 === 0 ? 'event' : 'profile'));
    feed.handle(changes);
    await feed.idle();
    expect(seen).toEqual(storage.log.filter(({ kind }) => kind === 'event').map(({ position }) => position));
  });

  it('stores its cursor for changes that led to no row now and then, and at the stop', async () => {
    const { storage, feed } = setUp();
    feed.addReaction(reaction(noting([])));
    await feed.start();
    await feed.idle();
    const { commits } = storage;
    for (let index = 0; index < 199; index += 1) feed.handle(storage.add('event'));
    await feed.idle();
    expect(storage.commits).toBe(commits);
    feed.handle(storage.add('event'));
    await feed.idle();
    expect([storage.commits, storage.cursors.get('test')]).toEqual([commits + 1, storage.newest]);
    feed.handle(storage.add('event'));
    await feed.idle();
    await feed.stop();
    expect([storage.commits, storage.cursors.get('test')]).toEqual([commits + 2, storage.newest]);
  });

  it('is told what is far behind by the storage, and the rest from memory', async () => {
    const { storage, feed } = setUp();
    const seen: number[] = [];
    let release: () => void = () => {};
    const first = new Promise<void>((resolve) => {
      release = resolve;
    });
    feed.addReaction(
      reaction(async (change) => {
        await first;
        return noting(seen)(change);
      }),
    );
    await feed.start();
    for (let index = 0; index < 3_000; index += 1) feed.handle(storage.add('event'));
    release();
    await feed.idle();
    expect(seen).toEqual(storage.log.map(({ position }) => position));
  });

  it('asks the storage for nothing that it has just been told', async () => {
    const { storage, feed } = setUp();
    const seen: number[] = [];
    feed.addReaction(reaction(noting(seen)));
    await feed.start();
    await feed.idle();
    storage.changes.list = async () => {
      throw new Error('asked');
    };
    feed.handle(storage.add('event'));
    feed.handle(storage.add('event', 'membership'));
    await feed.idle();
    expect(seen).toEqual([storage.newest - 1, storage.newest]);
  });

  it('is not set going, and stores nothing, for changes that do not concern it', async () => {
    const { storage, feed } = setUp();
    const seen: number[] = [];
    let wanted: number | undefined;
    feed.addReaction({ ...reaction(noting(seen)), concerns: ({ position }) => position === wanted });
    await feed.start();
    await feed.idle();
    const { commits } = storage;
    feed.handle(storage.add('event'));
    await feed.idle();
    expect([seen, storage.commits]).toEqual([[], commits]);
    wanted = storage.newest + 1;
    feed.handle(storage.add('event'));
    await feed.idle();
    expect(seen).toEqual([wanted]);
  });

  it('passes what does not concern it without reading it, however much that is', async () => {
    const { storage, feed } = setUp();
    const seen: number[] = [];
    feed.addReaction(reaction(noting(seen), ['membership']));
    await feed.start();
    await feed.idle();
    const { commits } = storage;
    storage.changes.list = async () => {
      throw new Error('asked');
    };
    for (let index = 0; index < 2_500; index += 1) {
      feed.handle(storage.add('event'));
      if (index % 500 === 0) await feed.idle();
    }
    await feed.idle();
    expect(storage.commits - commits).toBe(2);
    expect(storage.newest - (storage.cursors.get('test') ?? 0)).toBeLessThan(1_000);
    feed.handle(storage.add('event', 'membership'));
    await feed.idle();
    expect(seen).toEqual([storage.newest]);
  });

  it('reads what came while it was at work, also what does not concern it', async () => {
    const { storage, feed } = setUp();
    let finish: () => void = () => {};
    const seen: number[] = [];
    feed.addReaction({
      ...reaction(
        async ({ position }) => {
          seen.push(position);
          if (seen.length === 1) await new Promise<void>((resolve) => (finish = resolve));
          return [];
        },
        ['membership'],
      ),
    });
    await feed.start();
    await feed.idle();
    feed.handle(storage.add('membership'));
    await new Promise(setImmediate);
    feed.handle(storage.add('event'));
    feed.handle(storage.add('membership'));
    feed.handle(storage.add('event'));
    finish();
    await feed.idle();
    expect(seen).toEqual([storage.newest - 3, storage.newest - 1]);
    await feed.stop();
    expect(storage.cursors.get('test')).toBe(storage.newest);
  });

  it('does not pass, at the stop, what it has not read', async () => {
    const { storage, feed } = setUp();
    feed.addReaction(
      reaction(async () => {
        throw new Error('not yet');
      }, ['membership']),
    );
    await feed.start();
    await feed.idle();
    const before = storage.newest;
    feed.handle(storage.add('membership'));
    await new Promise(setImmediate);
    const stopped = feed.stop();
    feed.handle(storage.add('event'));
    await stopped;
    feed.handle(storage.add('event'));
    expect(storage.cursors.get('test')).toBe(before);
  });

  it('never runs twice at once, however many commits come meanwhile', async () => {
    const { storage, feed } = setUp();
    let running = 0;
    let most = 0;
    let count = 0;
    feed.addReaction(
      reaction(async () => {
        running += 1;
        most = Math.max(most, running);
        if (count < 5) feed.handle(storage.add('event'));
        await Promise.resolve();
        running -= 1;
        count += 1;
        return [];
      }),
    );
    await feed.start();
    feed.handle(storage.add('event'));
    feed.handle(storage.add('event'));
    await feed.idle();
    expect({ most, count }).toEqual({ most: 1, count: storage.log.length });
  });

  it('reads on behind a page that is longer than asked for, because one position has several changes', async () => {
    const { storage, feed } = setUp();
    const seen: string[] = [];
    const react = async ({ kind, position }: LoggedChange) => {
      seen.push(`${kind} ${position}`);
      return [];
    };
    feed.addReaction(reaction(react, ['event', 'membership']));
    await feed.start();
    // 199 singles, then a pair across the border of the first page of 200.
    const changes: Change[] = [];
    for (let index = 0; index < 199; index += 1) changes.push(...storage.add('event'));
    changes.push(...storage.add('event', 'membership'), ...storage.add('event'));
    feed.handle(changes);
    await feed.idle();
    expect(seen).toHaveLength(202);
    expect(new Set(seen).size).toBe(202);
  });

  it('has its rows stored together with its cursor', async () => {
    const { storage, feed } = setUp();
    feed.addReaction(reaction(async () => [row]));
    await feed.start();
    const commitsBefore = storage.commits;
    feed.handle(storage.add('event'));
    await feed.idle();
    expect(storage.rows).toEqual([row]);
    expect(storage.commits - commitsBefore).toBe(1);
    expect(storage.cursors.get('test')).toBe(storage.newest);
  });

  it('is tried again with longer and longer pauses, and the change behind waits for it', async () => {
    const { storage, clock, feed } = setUp();
    const tries: number[] = [];
    let broken = true;
    feed.addReaction(
      reaction(async ({ position }) => {
        tries.push(position);
        if (broken) throw new Error('not yet');
        return [row];
      }),
    );
    await feed.start();
    const first = storage.newest + 1;
    feed.handle(storage.add('event'));
    feed.handle(storage.add('event'));
    await clock.advance(999);
    expect(tries).toEqual([first]);
    await clock.advance(1);
    expect(tries).toEqual([first, first]);
    await clock.advance(1_999);
    expect(tries).toEqual([first, first]);
    broken = false;
    await clock.advance(1);
    expect(tries).toEqual([first, first, first, first + 1]);
    expect(storage.rows).toEqual([row, row]);
  });

  it('passes a change over that failed too often, and goes on behind it', async () => {
    const { storage, clock, feed } = setUp();
    const bad = storage.newest + 1;
    let tries = 0;
    const done: number[] = [];
    feed.addReaction(
      reaction(async ({ position }) => {
        if (position === bad) {
          tries += 1;
          throw new Error('never');
        }
        done.push(position);
        return [];
      }),
    );
    await feed.start();
    feed.handle(storage.add('event'));
    feed.handle(storage.add('event'));
    await clock.advance(600_000);
    await feed.idle();
    expect(tries).toBe(8);
    expect(done).toEqual([bad + 1]);
    expect(storage.cursors.get('test')).toBe(bad + 1);
  });

  it('that fails holds up no other', async () => {
    const { storage, clock, feed } = setUp();
    const reacted: number[] = [];
    feed.addReaction(
      reaction(
        async () => {
          throw new Error('never');
        },
        ['event'],
        'broken',
      ),
    );
    feed.addReaction(reaction(noting(reacted), ['event'], 'sound'));
    await feed.start();
    feed.handle(storage.add('event'));
    await clock.advance(0);
    expect(reacted).toEqual([storage.newest]);
  });

  it('loses nothing when storing its rows fails', async () => {
    const { storage, clock, feed } = setUp();
    feed.addReaction(reaction(async () => [row]));
    await feed.start();
    storage.refuse = 3;
    feed.handle(storage.add('event'));
    await clock.advance(10_000);
    await feed.idle();
    expect(storage.rows).toEqual([row]);
    expect(storage.cursors.get('test')).toBe(storage.newest);
  });

  it('resumes behind its last stored row after a crash', async () => {
    const storage = new LogStorage();
    const first = setUp(storage);
    const seen: number[] = [];
    first.feed.addReaction(
      reaction(async ({ position }) => {
        seen.push(position);
        if (seen.length === 3) return new Promise<Row[]>(() => {});
        return [row];
      }),
    );
    await first.feed.start();
    for (let index = 0; index < 4; index += 1) first.feed.handle(storage.add('event'));
    await first.clock.advance(0);
    expect(seen).toHaveLength(3);

    const second = setUp(storage);
    const resumed: number[] = [];
    second.feed.addReaction(reaction(noting(resumed, [row])));
    await second.feed.start();
    await second.feed.idle();
    expect(resumed).toEqual(storage.log.slice(2).map(({ position }) => position));
    expect(storage.rows).toHaveLength(4);
  });

  it('is left alone by kinds it does not read, until a thousand of them have passed', async () => {
    const { storage, feed } = setUp();
    feed.addReaction(reaction(async () => []));
    await feed.start();
    await feed.idle();
    const commitsBefore = storage.commits;
    for (let index = 0; index < 999; index += 1) feed.handle(storage.add('profile'));
    await feed.idle();
    expect(storage.commits).toBe(commitsBefore);
    feed.handle(storage.add('profile'));
    await feed.idle();
    expect(storage.cursors.get('test')).toBe(storage.newest);
  });

  it('lets the stop cut a pause short and stays where it was', async () => {
    const { storage, clock, feed } = setUp();
    feed.addReaction(
      reaction(async () => {
        throw new Error('never');
      }),
    );
    await feed.start();
    await feed.idle();
    const before = storage.cursors.get('test');
    feed.handle(storage.add('event'));
    await clock.advance(1_500);
    await feed.stop();
    expect(storage.cursors.get('test')).toBe(before);
    expect(clock.pendingCount).toBe(0);
  });
});
