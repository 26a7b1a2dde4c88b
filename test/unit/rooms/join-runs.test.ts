import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { EventId, RoomId, UserId } from '../../../src/matrix/ids.ts';
import { joinsOfRunMax } from '../../../src/rooms/local/join-runs.ts';
import type { Row } from '../../../src/storage/contract/commit.ts';
import { type TestHome, World } from './world.ts';

let world: World;
let home: TestHome;
let alice: UserId;
let roomId: RoomId;
let people: UserId[];

beforeEach(async () => {
  world = new World();
  home = await world.add('hs1');
  alice = await home.user('alice');
  people = await Promise.all(Array.from({ length: 2 * joinsOfRunMax }, (_, n) => home.user(`user${n}`)));
  roomId = await home.rooms.creating.createRoom(alice, { preset: 'public_chat' });
});
afterEach(() => {
  vi.restoreAllMocks();
  return world.stop();
});

const join = (userId: UserId) => home.rooms.membership.join({ roomId, userId, servers: [], content: {} });

/** Rows of the commits that brought somebody into the room. */
function watchJoins(): (readonly Row[])[] {
  const seen: (readonly Row[])[] = [];
  const commit = home.storage.commit;
  vi.spyOn(home.storage, 'commit').mockImplementation((batch) => {
    if (batch.rows.some((row) => row.kind === 'membership')) seen.push(batch.rows);
    return commit(batch);
  });
  return seen;
}

function countEvents(rows: readonly Row[]): number {
  return rows.filter((row) => row.kind === 'event').length;
}

describe('joins that wait for one room', () => {
  it('are written together, so many at a time, and all are in', async () => {
    const commits = watchJoins();
    await Promise.all(people.map(join));
    expect(home.roster.usersIn(roomId).size).toBe(people.length + 1);
    expect(commits.length).toBeLessThanOrEqual(4);
    for (const rows of commits) expect(countEvents(rows)).toBeLessThanOrEqual(joinsOfRunMax);
    expect(home.steps.filter(({ after }) => after === 'join')).toHaveLength(people.length + 1);
  });

  it('follow one another in the room: each builds on the one before and is authorised by its state', async () => {
    const before = home.storage.position();
    await Promise.all(people.map(join));
    const events = await home.storage.events.listTimeline(roomId, before, home.storage.position(), 100);
    expect(events).toHaveLength(people.length);
    const depths = events.map(({ depth }) => depth);
    expect(depths).toEqual([...depths].sort((a, b) => a - b));
    expect(new Set(depths).size).toBe(depths.length);
    const stored = await home.storage.events.listByIds(events.map(({ eventId }) => eventId));
    for (const [index, { event, snapshotAfter }] of stored.entries()) {
      const previous = stored[index - 1];
      if (previous) expect(event.pdu.prev_events).toEqual([previous.event.eventId]);
      if (previous) expect(stored[index]?.snapshotBefore).toBe(previous.snapshotAfter);
      expect(snapshotAfter).not.toBe(stored[index]?.snapshotBefore);
    }
    expect(await home.storage.rooms.listExtremities(roomId)).toEqual([stored.at(-1)?.event.eventId as EventId]);
  });

  it('do not share a refusal: who is banned is alone refused', async () => {
    const [banned = alice, ...others] = people;
    await home.rooms.membership.ban({ roomId, sender: alice, target: banned, reason: undefined });
    const outcomes = await Promise.allSettled(people.map(join));
    expect(outcomes[0]).toMatchObject({ status: 'rejected', reason: { errcode: 'M_FORBIDDEN' } });
    expect(outcomes.slice(1).every(({ status }) => status === 'fulfilled')).toBe(true);
    expect(home.roster.isJoined(roomId, banned)).toBe(false);
    for (const other of others) expect(home.roster.isJoined(roomId, other)).toBe(true);
  });

  it('are decided again when somebody else wrote to the room, but for those that were refused', async () => {
    const [banned = alice, ...others] = people.slice(0, 5);
    await home.rooms.membership.ban({ roomId, sender: alice, target: banned, reason: undefined });
    const commit = home.storage.commit;
    let conflicts = 0;
    vi.spyOn(home.storage, 'commit').mockImplementation(async (batch) => {
      if (conflicts > 0 || !batch.rows.some((row) => row.kind === 'membership')) return commit(batch);
      conflicts += 1;

      return { outcome: 'conflict', expectation: { kind: 'extremities', roomId, eventIds: [] } };
    });
    const outcomes = await Promise.allSettled([banned, ...others].map(join));
    expect(conflicts).toBe(1);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', ...others.map(() => 'fulfilled')]);
    for (const other of others) expect(home.roster.isJoined(roomId, other)).toBe(true);
  });

  it('all fail when the commit does, and the next one is not held up', async () => {
    const commit = home.storage.commit;
    const failing = vi.spyOn(home.storage, 'commit').mockRejectedValue(new Error('the disk is full'));
    const outcomes = await Promise.allSettled(people.slice(0, 5).map(join));
    expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true);
    failing.mockImplementation(commit);
    await join(people[7] ?? alice);
    expect(home.roster.usersIn(roomId).size).toBe(2);
  });

  it('of another room are not held up', async () => {
    const other = await home.rooms.creating.createRoom(alice, { preset: 'public_chat' });
    await Promise.all([
      ...people.map(join),
      home.rooms.membership.join({ roomId: other, userId: people[0] ?? alice, servers: [], content: {} }),
    ]);
    expect(home.roster.usersIn(other).size).toBe(2);
  });
});
