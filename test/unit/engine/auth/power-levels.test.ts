import { describe, expect, it } from 'vitest';
import { checkAuth } from '../../../../src/engine/auth/check.ts';
import type { JsonObject } from '../../../../src/matrix/pdu.ts';
import { supportedRoomVersions } from '../../../../src/matrix/room-versions.ts';
import { SketchedRoom } from '../../../support/room-events.ts';

const alice = '@alice:a.test';
const bob = '@bob:b.test';
const carol = '@carol:c.test';
const dan = '@dan:d.test';

const current: JsonObject = {
  ban: 50,
  kick: 60,
  events: { 'm.room.name': 50, 'm.room.topic': 60 },
  notifications: { room: 50, 'org.example': 60 },
  users: { [bob]: 50, [carol]: 50, [dan]: 20 },
};

/** Bob, at 50, changes the levels above. */
function judge(version: string, content: JsonObject, before: JsonObject | null = current, sender = bob): string {
  const room = new SketchedRoom(version, alice);
  for (const user of [alice, bob, carol, dan]) room.member(user, 'join');
  if (before) room.set('m.room.power_levels', '', alice, before);
  const event = room.event({ type: 'm.room.power_levels', stateKey: '', sender, content });
  const verdict = checkAuth(event, room.find, room.version);
  return verdict.allowed ? 'allowed' : verdict.reason;
}

describe.each(supportedRoomVersions)('the power level rules of room version %s', (version) => {
  const change = (part: JsonObject): string => judge(version, { ...current, ...part });

  it.each(['users_default', 'events_default', 'state_default', 'ban', 'redact', 'kick', 'invite'])(
    '9.1: %s is an integer or absent',
    (key) => {
      expect(judge(version, { [key]: 10 }, null, alice)).toBe('allowed');
      for (const wrong of ['10', null, true, [10]]) {
        expect(judge(version, { [key]: wrong }, null, alice)).toMatch(`${key} is not an integer`);
      }
    },
  );

  it.each(['events', 'notifications'])('9.2: %s is an object of integers or absent', (key) => {
    expect(judge(version, { [key]: { a: 10 } }, null, alice)).toBe('allowed');
    for (const wrong of [{ a: '10' }, { a: null }, [], 'x', 5, null]) {
      expect(judge(version, { [key]: wrong }, null, alice)).toMatch(`${key} is not an object`);
    }
  });

  it('9.3: users is an object of integers by user id', () => {
    expect(judge(version, { users: { [bob]: 10 } }, null, alice)).toBe('allowed');
    for (const wrong of [{ [bob]: '10' }, { bob: 10 }, { '@bob': 10 }, [], null, { __proto__: null, [bob]: 1, x: 1 }]) {
      expect(judge(version, { users: wrong }, null, alice)).toMatch('users is not an object');
    }
  });

  it('9.4: where the room has none, any are allowed', () => {
    // Without power levels only the creator has the 50 that state takes.
    const levels = { ban: 1000, users: { [bob]: 1000 } };
    expect(judge(version, levels, null, alice)).toBe('allowed');
  });

  it('9.5: single levels change only up to the own level, old and new', () => {
    expect(change({ ban: 40 })).toBe('allowed');
    expect(change({ ban: 50 })).toBe('allowed');
    expect(change({ ban: 51 })).toMatch('ban');
    expect(change({ kick: 50 })).toMatch('kick');
    expect(change({ redact: 50 })).toBe('allowed');
    expect(change({ redact: 51 })).toMatch('redact');
    const { ban: _ban, ...withoutBan } = current;
    const { kick: _kick, ...withoutKick } = current;
    expect(judge(version, withoutBan)).toBe('allowed');
    expect(judge(version, withoutKick)).toMatch('kick');
  });

  it.each(['events', 'notifications'])('9.6 and 9.7: entries of %s likewise', (map) => {
    const [low, high] = Object.keys(current[map] as JsonObject);
    const changeMap = (part: JsonObject, without?: string): string => {
      const entries = { ...(current[map] as JsonObject), ...part };
      return change({ [map]: Object.fromEntries(Object.entries(entries).filter(([key]) => key !== without)) });
    };
    expect(changeMap({ [low ?? '']: 0 })).toBe('allowed');
    expect(changeMap({ [low ?? '']: 51 })).toMatch(map);
    expect(changeMap({ [high ?? '']: 10 })).toMatch(map);
    expect(changeMap({ added: 50 })).toBe('allowed');
    expect(changeMap({ added: 51 })).toMatch(map);
    expect(changeMap({ constructor: 51 })).toMatch(map);
    expect(changeMap({}, low)).toBe('allowed');
    expect(changeMap({}, high)).toMatch(map);
  });

  it('9.8 and 9.9: users change only below the own level, and to it at most', () => {
    const users = (part: JsonObject, without?: string): string => {
      const entries = { ...(current.users as JsonObject), ...part };
      return change({ users: Object.fromEntries(Object.entries(entries).filter(([key]) => key !== without)) });
    };
    expect(users({ [dan]: 50 })).toBe('allowed');
    expect(users({ [dan]: 51 })).toMatch('users');
    expect(users({}, dan)).toBe('allowed');
    expect(users({ [carol]: 0 })).toMatch('users');
    expect(users({}, carol)).toMatch('users');
    expect(users({ [bob]: 0 })).toBe('allowed');
    expect(users({}, bob)).toBe('allowed');
    expect(users({ [bob]: 51 })).toMatch('users');
    expect(users({ '@eve:e.test': 50 })).toBe('allowed');
    expect(users({ '@eve:e.test': 51 })).toMatch('users');
  });

  it('9.10: saying the same again is allowed, whatever the levels', () => {
    expect(judge(version, { ...current })).toBe('allowed');
  });

  it('are for those with the level to send them', () => {
    expect(judge(version, { ...current }, current, dan)).toMatch('may not send');
  });
});

describe('creators', () => {
  it('of version 12 stand above all levels and cannot be given one', () => {
    expect(judge('12', { users: { [bob]: 1_000_000 } }, current, alice)).toBe('allowed');
    expect(judge('12', { users: { [alice]: 100 } }, current, alice)).toMatch('creator');
    expect(judge('12', { users: { [alice]: 100 } }, null, alice)).toMatch('creator');
    expect(judge('11', { users: { [alice]: 100 } }, null, alice)).toBe('allowed');
  });

  it('of version 12 include the additional ones', () => {
    const room = new SketchedRoom('12', alice, { additional_creators: [bob] });
    room.member(alice, 'join');
    room.member(bob, 'join');
    room.set('m.room.power_levels', '', alice, { events: { 'm.room.tombstone': 150 } });
    const judgeHere = (type: string, content: JsonObject, sender: string) =>
      checkAuth(room.event({ type, stateKey: '', sender, content }), room.find, room.version).allowed;
    expect(judgeHere('m.room.tombstone', {}, bob)).toBe(true);
    expect(judgeHere('m.room.power_levels', { users: { [bob]: 1 } }, alice)).toBe(false);
    const kick = room.event({
      type: 'm.room.member',
      stateKey: bob,
      sender: alice,
      content: { membership: 'leave' },
    });
    expect(checkAuth(kick, room.find, room.version).allowed).toBe(false);
  });

  it('of versions 10 and 11 are as mighty as the power levels say', () => {
    for (const version of ['10', '11']) expect(judge(version, { ban: 1 }, current, alice)).toMatch('may not send');
  });
});
