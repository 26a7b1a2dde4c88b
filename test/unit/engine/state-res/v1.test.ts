import { describe, expect, it } from 'vitest';
import { LooseNumber } from '../../../../src/base/json/loose-number.ts';
import { type RoomEvent, type StateMap, stateKeyOf } from '../../../../src/matrix/pdu.ts';
import type { Fork, ForkedRoom } from './forked-room.ts';
import { alice, bob, carol, furnishedRoom } from './random-room.ts';

const holder = (state: StateMap, type: string, stateKey = '') => state.get(stateKeyOf(type, stateKey));
const levelsOf = (fork: Fork) => fork.get(stateKeyOf('m.room.power_levels', ''))?.pdu.content ?? {};

/** Two sides of one room, and how to let something stand on one of them, whatever its own server would have said. */
function twoSides(): { forked: ForkedRoom; one: Fork; two: Fork } {
  const { forked, base } = furnishedRoom('1');
  return { forked, one: new Map(base), two: new Map(base) };
}
const named = (sender: string, name: string, depth: number) => ({
  type: 'm.room.name',
  stateKey: '',
  sender,
  content: { name },
  depth,
});
const powers = (sender: string, fork: Fork, users: object, depth: number) => ({
  type: 'm.room.power_levels',
  stateKey: '',
  sender,
  content: { ...levelsOf(fork), users: { ...(levelsOf(fork).users as object), ...users } },
  depth,
});

describe('state resolution of room version 1', () => {
  it('keeps what only one side has, without a word of the rules', async () => {
    const { forked, one, two } = twoSides();
    const name = forked.send(one, named(bob, 'A', 20));
    forked.member(two, bob, 'ban', alice);
    expect(holder(await forked.resolve([one, two]), 'm.room.name')).toBe(name.eventId);
  });

  it('decides about power levels first, and by them about the join rules', async () => {
    const { forked, one, two } = twoSides();
    forked.send(one, powers(bob, one, { [carol]: 50 }, 20));
    const demotion = forked.send(two, powers(alice, two, { [bob]: 0 }, 30));
    // Deeper than anything, but Bob may no longer do it.
    forked.send(one, {
      type: 'm.room.join_rules',
      stateKey: '',
      sender: bob,
      content: { join_rule: 'invite' },
      depth: 40,
    });
    const rules = forked.send(two, {
      type: 'm.room.join_rules',
      stateKey: '',
      sender: alice,
      content: { join_rule: 'public', again: true },
      depth: 35,
    });
    const resolved = await forked.resolve([one, two]);
    expect(holder(resolved, 'm.room.power_levels')).toBe(demotion.eventId);
    expect(holder(resolved, 'm.room.join_rules')).toBe(rules.eventId);
  });

  it('stops at the first power levels that are not allowed, though later ones were', async () => {
    const { forked, one, two } = twoSides();
    const three = new Map(one);
    const first = forked.send(one, powers(alice, one, { [bob]: 0 }, 20));
    forked.send(two, powers(bob, two, { [carol]: 10 }, 21));
    forked.send(three, powers(alice, three, { [carol]: 20 }, 22));
    expect(holder(await forked.resolve([one, two, three]), 'm.room.power_levels')).toBe(first.eventId);
  });

  it('lets a ban stand against a join that is deeper', async () => {
    const { forked, one, two } = twoSides();
    const ban = forked.send(one, {
      type: 'm.room.member',
      stateKey: bob,
      sender: alice,
      content: { membership: 'ban' },
      depth: 20,
    });
    forked.send(two, {
      type: 'm.room.member',
      stateKey: bob,
      sender: bob,
      content: { membership: 'join', again: true },
      depth: 30,
    });
    expect(holder(await forked.resolve([one, two]), 'm.room.member', bob)).toBe(ban.eventId);
  });

  it('judges members by what was settled before them, not by each other', async () => {
    const { forked, one, two } = twoSides();
    // Alice's own membership is in conflict, so nobody is there to ban Bob when his is looked at.
    forked.send(one, {
      type: 'm.room.member',
      stateKey: alice,
      sender: alice,
      content: { membership: 'join', side: 1 },
      depth: 20,
    });
    forked.send(two, {
      type: 'm.room.member',
      stateKey: alice,
      sender: alice,
      content: { membership: 'join', side: 2 },
      depth: 21,
    });
    const rename = forked.send(one, {
      type: 'm.room.member',
      stateKey: bob,
      sender: bob,
      content: { membership: 'join', side: 1 },
      depth: 20,
    });
    forked.send(two, {
      type: 'm.room.member',
      stateKey: bob,
      sender: alice,
      content: { membership: 'ban' },
      depth: 30,
    });
    expect(holder(await forked.resolve([one, two]), 'm.room.member', bob)).toBe(rename.eventId);
  });

  it('takes the deepest of other events that is allowed, and the first of all where none is', async () => {
    const { forked, one, two } = twoSides();
    const three = new Map(one);
    const shallow = forked.send(one, named(alice, 'A', 20));
    const middle = forked.send(two, named(alice, 'B', 21));
    forked.send(three, named(bob, 'C', 22));
    const banned = (fork: Fork): void => {
      fork.set(stateKeyOf('m.room.member', bob), ban);
    };
    const ban = forked.member(new Map(one), bob, 'ban', alice);
    for (const fork of [one, two, three]) banned(fork);
    expect(holder(await forked.resolve([one, two, three]), 'm.room.name')).toBe(middle.eventId);
    const gone = forked.member(new Map(one), alice, 'leave');
    for (const fork of [one, two, three]) fork.set(stateKeyOf('m.room.member', alice), gone);
    expect(holder(await forked.resolve([one, two, three]), 'm.room.name')).toBe(shallow.eventId);
  });

  it('passes over events that the sources do not know', async () => {
    const { forked, one, two } = twoSides();
    const known = forked.send(one, named(alice, 'A', 20));
    const unknown = forked.send(two, named(alice, 'B', 30));
    forked.room.events.delete(unknown.eventId);
    expect(holder(await forked.resolve([one, two]), 'm.room.name')).toBe(known.eventId);
  });

  it('tells depths apart that no double can', async () => {
    const { forked, one, two } = twoSides();
    const deep = (event: RoomEvent, depth: string): RoomEvent => {
      const deeper = { ...event, pdu: { ...event.pdu, depth: new LooseNumber(depth) } };
      forked.room.events.set(event.eventId, deeper);
      return deeper;
    };
    for (const [first, second] of [
      ['9007199254740993', '9007199254740994'],
      ['9007199254740995', '9007199254740994'],
    ]) {
      const here = deep(forked.send(one, named(alice, `A${first}`, 20)), first ?? '');
      const there = deep(forked.send(two, named(alice, `B${first}`, 20)), second ?? '');
      const deepest = (first ?? '') > (second ?? '') ? here : there;
      expect(holder(await forked.resolve([one, two]), 'm.room.name')).toBe(deepest.eventId);
    }
  });
});
