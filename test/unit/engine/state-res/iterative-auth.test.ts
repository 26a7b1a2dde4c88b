import { describe, expect, it } from 'vitest';
import { applyAllowed } from '../../../../src/engine/state-res/iterative-auth.ts';
import { EventCache } from '../../../../src/engine/state-res/sources.ts';
import type { EventId } from '../../../../src/matrix/ids.ts';
import { type StateKey, type StateMap, stateKeyOf } from '../../../../src/matrix/pdu.ts';
import { supportedRoomVersions } from '../../../../src/matrix/room-versions.ts';
import { ForkedRoom } from './forked-room.ts';

const alice = '@alice:a.test';
const bob = '@bob:b.test';

describe.each(supportedRoomVersions)('the iterative auth checks of room version %s', (version) => {
  const forked = new ForkedRoom(version, alice);
  const fork = forked.start();
  const aliceJoins = forked.member(fork, alice, 'join');
  const rules = forked.send(fork, {
    type: 'm.room.join_rules',
    stateKey: '',
    sender: alice,
    content: { join_rule: 'public' },
  });
  const bobJoins = forked.member(fork, bob, 'join');
  const bobLeaves = forked.member(fork, bob, 'leave');
  const bobReturns = forked.member(fork, bob, 'join');
  const bobKey = stateKeyOf('m.room.member', bob);

  async function apply(
    events: readonly (typeof bobJoins)[],
    initial: StateMap = new Map(),
    rejected: readonly EventId[] = [],
  ): Promise<StateMap> {
    const cache = new EventCache(forked.input([]));
    await cache.load(events.map((event) => event.eventId));
    const changes = new Map<StateKey, EventId>();
    await applyAllowed(
      events,
      { start: initial, changes },
      { cache, version: forked.room.version, isRejected: (id) => rejected.includes(id) },
    );
    return new Map([...initial, ...changes]);
  }

  it('take from the auth events what the state has not', async () => {
    expect((await apply([bobLeaves])).get(bobKey)).toBe(bobLeaves.eventId);
  });

  it('but no auth event that was rejected', async () => {
    expect((await apply([bobLeaves], new Map(), [bobJoins.eventId])).get(bobKey)).toBeUndefined();
  });

  it('believe the state before the auth events', async () => {
    const banned = forked.room.event({
      type: 'm.room.member',
      stateKey: bob,
      sender: alice,
      content: { membership: 'ban' },
      auth: [aliceJoins],
    });
    forked.room.events.set(banned.eventId, banned);
    const initial: StateMap = new Map([[bobKey, banned.eventId]]);
    expect((await apply([bobReturns], initial)).get(bobKey)).toBe(banned.eventId);
    expect((await apply([bobReturns])).get(bobKey)).toBe(bobReturns.eventId);
  });

  it('let each event see those that were allowed before it, and leave the state they started from alone', async () => {
    const initial: StateMap = new Map([[stateKeyOf('m.room.join_rules', ''), rules.eventId]]);
    const applied = await apply([bobJoins, bobLeaves], initial);
    expect(applied.get(bobKey)).toBe(bobLeaves.eventId);
    expect(initial.size).toBe(1);
    // A second leave finds nothing to leave.
    const again = forked.room.event({
      type: 'm.room.member',
      stateKey: bob,
      sender: bob,
      content: { membership: 'leave', reason: 'again' },
      auth: [bobJoins],
    });
    forked.room.events.set(again.eventId, again);
    expect((await apply([bobLeaves, again])).get(bobKey)).toBe(bobLeaves.eventId);
  });

  it('pass over what is no state event', async () => {
    const message = forked.room.event({ type: 'm.room.message', sender: alice, auth: [aliceJoins] });
    expect((await apply([message])).size).toBe(0);
  });
});
