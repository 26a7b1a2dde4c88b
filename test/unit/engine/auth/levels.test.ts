import { describe, expect, it } from 'vitest';
import { checkAuth } from '../../../../src/engine/auth/check.ts';
import { authStateOfEvents } from '../../../../src/engine/auth-state.ts';
import { levelToSend, powerLevelOf } from '../../../../src/engine/power.ts';
import type { JsonObject } from '../../../../src/matrix/pdu.ts';
import { supportedRoomVersions } from '../../../../src/matrix/room-versions.ts';
import { SketchedRoom } from '../../../support/room-events.ts';
import { alice, bob, carol, dan, founder, furnishedRoom, judge } from './rules/rule-table.ts';

const withTexts = supportedRoomVersions.filter((version) => Number(version) < 10);
const withIntegers = supportedRoomVersions.filter((version) => Number(version) >= 10);

/** Alice changes the levels of her room, which say this, to that. */
function judgeLevels(version: string, after: JsonObject, before: JsonObject | null = null, sender = alice): string {
  const room = new SketchedRoom(version, alice);
  for (const user of [alice, bob, carol]) room.member(user, 'join');
  if (before) room.set('m.room.power_levels', '', alice, before);
  return judge(room, { type: 'm.room.power_levels', stateKey: '', sender, content: after });
}

/** Room version 1, "m.room.power_levels events accept values as strings": its examples and what they rule out. */
const texts: readonly [string, number | undefined][] = [
  ['100', 100],
  ['000100', 100],
  ['+100', 100],
  ['-100', -100],
  [' 100 ', 100],
  [' 00100 ', 100],
  [' +100 ', 100],
  [' -100 ', -100],
  ['\t\n7\r', 7],
  ['0', 0],
  ['-0', 0],
  ['9007199254740993', 9007199254740992],
  ['', undefined],
  [' ', undefined],
  ['50.0', undefined],
  ['5e1', undefined],
  ['0x10', undefined],
  ['1_000', undefined],
  ['++5', undefined],
  ['- 5', undefined],
  ['5 5', undefined],
  ['five', undefined],
  ['Infinity', undefined],
  ['NaN', undefined],
  ['٥', undefined],
  [`1${'0'.repeat(400)}`, undefined],
];

describe.each(withTexts)('a power level in room version %s', (version) => {
  it.each(texts)('that is the text %j is read as %s', (text, level) => {
    const outcome = judgeLevels(version, { users: { [bob]: text } });
    expect(outcome === 'allowed').toBe(level !== undefined);
    const room = new SketchedRoom(version, alice);
    room.set('m.room.power_levels', '', alice, { users: { [bob]: text }, users_default: 3, events: { x: text } });
    expect(powerLevelOf(bob, room.find, room.version)).toEqual(level === 0 ? expect.closeTo(0) : (level ?? 3));
    expect(levelToSend({ type: 'x', isState: true }, { state: room.find, version: room.version })).toEqual(
      level === 0 ? expect.closeTo(0) : (level ?? 50),
    );
  });

  it.each(['ban', 'users_default', 'events', 'users'])('that is no level is refused in %s', (key) => {
    const isMap = key === 'events' || key === 'users';
    for (const wrong of [null, true, [50], {}, 'x']) {
      const value = isMap ? { [bob]: wrong } : wrong;
      expect(judgeLevels(version, { [key]: value })).toMatch(`${key} is not`);
    }
  });

  it('is the same as text and as number, so that to write it otherwise is no change', () => {
    const before = { ban: '60', kick: 60, events: { x: ' 060' }, users: { [alice]: '100', [bob]: '50', [carol]: 50 } };
    const after = { ban: 60, kick: '+60', events: { x: 60 }, users: { [alice]: 100, [bob]: 50, [carol]: '50' } };
    expect(judgeLevels(version, after, before, bob)).toBe('allowed');
    expect(judgeLevels(version, { ...after, ban: '61' }, before, bob)).toMatch('ban');
  });

  it('that is a text counts in every rule', () => {
    const room = furnishedRoom(version, { users: { [alice]: '100', [bob]: '50' }, kick: '51', state_default: '40' });
    const kick = { type: 'm.room.member', stateKey: carol, sender: bob, content: { membership: 'leave' } };
    expect(judge(room, kick)).toBe('the sender may not kick the user');
    expect(judge(room, { ...kick, sender: alice })).toBe('allowed');
    expect(judge(room, { type: 'x', stateKey: '', sender: bob })).toBe('allowed');
    expect(judge(room, { type: 'x', stateKey: '', sender: carol })).toBe('the sender may not send x');
  });
});

describe.each(withIntegers)('a power level in room version %s', (version) => {
  it.each(['users_default', 'events_default', 'state_default', 'ban', 'redact', 'kick', 'invite'])(
    'that is no integer is refused in %s',
    (key) => {
      expect(judgeLevels(version, { [key]: -10 })).toBe('allowed');
      for (const wrong of ['10', null, true, [10]]) {
        expect(judgeLevels(version, { [key]: wrong })).toBe(`${key} is not an integer`);
      }
    },
  );

  it.each(['events', 'notifications', 'users'])('that is no integer is refused among %s', (key) => {
    expect(judgeLevels(version, { [key]: { [bob]: 10 } })).toBe('allowed');
    for (const wrong of [{ [bob]: '10' }, { [bob]: null }, [], 'x', 5, null]) {
      expect(judgeLevels(version, { [key]: wrong })).toMatch(`${key} is not an object of integers`);
    }
  });
});

describe.each(supportedRoomVersions)('power levels in room version %s', (version) => {
  it('name users by their ids', () => {
    for (const wrong of ['bob', '@bob', '@:', 'bob:b.test', '@bob:b test', '__proto__']) {
      const users = JSON.parse(`{${JSON.stringify(wrong)}:1,${JSON.stringify(bob)}:1}`);
      expect(judgeLevels(version, { users })).toMatch('users is not an object');
    }
  });

  it('that are of no notification are nobody’s matter where notifications are not guarded', () => {
    const isGuarded = Number(version) >= 6;
    for (const wrong of [[], { room: {} }, 'x']) {
      const outcome = judgeLevels(version, { notifications: wrong });
      expect(outcome === 'allowed').toBe(!isGuarded);
    }
  });

  // matrix-spec issues 1267 and 2388. ruma takes the default of a single level as its value, Dendrite those of types and users too.
  it('compare what is said before and after; a default is not said', () => {
    const low = { [bob]: 40, ...founder(new SketchedRoom(version, alice)) };
    const before = { users: low, events: { 'm.room.power_levels': 40 } };
    // Bans take 50, which Bob has not, while nothing is said of them.
    expect(judgeLevels(version, { ...before, ban: 40 }, before, bob)).toBe('allowed');
    expect(judgeLevels(version, before, { ...before, ban: 40 }, bob)).toBe('allowed');
    // A type whose state takes 50 by default, in and out.
    const named = { ...before, events: { ...before.events, x: 40 } };
    expect(judgeLevels(version, named, before, bob)).toBe('allowed');
    expect(judgeLevels(version, before, named, bob)).toBe('allowed');
    // Said is said, though it says nothing new.
    expect(judgeLevels(version, { ...before, ban: 50 }, before, bob)).toMatch('ban');
  });

  it.each<[JsonObject, boolean, string, string]>([
    [{}, false, carol, 'allowed'],
    [{}, true, carol, 'may not send'],
    [{}, true, bob, 'allowed'],
    [{ events_default: 10 }, false, carol, 'may not send'],
    [{ events_default: 10 }, false, bob, 'allowed'],
    [{ state_default: 0 }, true, carol, 'allowed'],
    [{ state_default: 60 }, true, bob, 'may not send'],
    [{ events: { x: 5 } }, false, carol, 'may not send'],
    [{ events: { x: 5 } }, true, bob, 'allowed'],
    [{ events: { x: 0 }, state_default: 90 }, true, carol, 'allowed'],
    [{ events: { y: 5 } }, false, carol, 'allowed'],
    [{ users_default: 60 }, true, carol, 'allowed'],
  ])('of %j make an event, of state: %s, from %s: %s', (levels, isState, sender, expected) => {
    const room = furnishedRoom(version, levels);
    expect(judge(room, { type: 'x', sender, ...(isState ? { stateKey: '' } : {}) })).toMatch(expected);
  });

  it('do without an event: the creator is at 100, others at 0, state at 50', () => {
    const room = new SketchedRoom(version, alice);
    room.member(alice, 'join');
    room.member(bob, 'join');
    expect(judge(room, { type: 'x', sender: alice, stateKey: '' })).toBe('allowed');
    expect(judge(room, { type: 'x', sender: bob, stateKey: '' })).toMatch('may not send');
    expect(judge(room, { type: 'x', sender: bob })).toBe('allowed');
  });

  it('are read of a room that has a create event', () => {
    const room = furnishedRoom(version);
    const event = room.event({ type: 'x', sender: alice });
    expect(checkAuth(event, authStateOfEvents([]), room.version)).toEqual({
      allowed: false,
      reason: 'the room has no create event',
    });
  });

  it('bind the creator too, except where creators stand above them', () => {
    const room = new SketchedRoom(version, alice);
    room.member(alice, 'join');
    room.set('m.room.power_levels', '', alice, { state_default: 101 });
    const outcome = judge(room, { type: 'x', sender: alice, stateKey: '' });
    expect(outcome).toMatch(room.version.privilegedCreators ? 'allowed' : 'may not send');
  });
});

describe('creators of version 12', () => {
  it('are the sender and the additional ones, and none of them can touch another', () => {
    const room = new SketchedRoom('12', alice, { additional_creators: [bob] });
    for (const user of [alice, bob, dan]) room.member(user, 'join');
    room.set('m.room.power_levels', '', alice, { users: { [dan]: 100 }, events: { 'm.room.tombstone': 150 } });
    const tombstone = (sender: string) => judge(room, { type: 'm.room.tombstone', stateKey: '', sender });
    expect(tombstone(bob)).toBe('allowed');
    expect(tombstone(dan)).toMatch('may not send');
    const act = (target: string, sender: string, membership: string) =>
      judge(room, { type: 'm.room.member', stateKey: target, sender, content: { membership } });
    for (const membership of ['leave', 'ban']) {
      expect(act(bob, alice, membership)).toMatch('may not');
      expect(act(bob, dan, membership)).toMatch('may not');
      expect(act(dan, bob, membership)).toBe('allowed');
    }
  });
});
