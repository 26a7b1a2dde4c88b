import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../src/matrix/pdu.ts';
import { checkLevelShapes } from '../../../src/rooms/local/level-shapes.ts';

const alice = '@alice:a.test';
const bob = '@bob:b.test';

function isTaken(content: JsonObject, before?: JsonObject): boolean {
  try {
    checkLevelShapes(content, before);
    return true;
  } catch (error) {
    expect(error).toMatchObject({ status: 400, errcode: 'M_BAD_JSON' });
    return false;
  }
}

describe('the power levels that a client sets', () => {
  it.each(['users_default', 'events_default', 'state_default', 'ban', 'redact', 'kick', 'invite'])(
    'are integers, or none, at %s',
    (key) => {
      expect(isTaken({ [key]: -5 })).toBe(true);
      expect(isTaken({})).toBe(true);
      for (const wrong of ['50', 1.5, 2 ** 53, null, true, [], {}]) expect(isTaken({ [key]: wrong })).toBe(false);
    },
  );

  it.each(['users', 'events', 'notifications'])('are integers among %s', (key) => {
    expect(isTaken({ [key]: { [bob]: 5 } })).toBe(true);
    for (const wrong of [
      null,
      [],
      'x',
      5,
      { [bob]: '5' },
      { [bob]: null },
      JSON.parse(`{"${bob}":1,"__proto__":"x"}`),
    ]) {
      expect(isTaken({ [key]: wrong })).toBe(false);
    }
  });

  it('are of users who can be', () => {
    for (const wrong of ['bob', '', '__proto__']) {
      expect(isTaken(JSON.parse(`{"users":{${JSON.stringify(wrong)}:5}}`))).toBe(false);
    }
  });

  it('may repeat the texts that the room has, and no others', () => {
    const before = { ban: '50', kick: '50', events: { x: ' 10' }, users: { [alice]: '100', [bob]: '50' } };
    expect(isTaken(before, before)).toBe(true);
    expect(isTaken({ ...before, users: { ...before.users, [bob]: 40 } }, before)).toBe(true);
    expect(isTaken({ ...before, users: { ...before.users, [bob]: '40' } }, before)).toBe(false);
    expect(isTaken({ ...before, redact: '50' }, before)).toBe(false);
    expect(isTaken({ ...before, events: { x: '10' } }, before)).toBe(false);
    expect(isTaken(before)).toBe(false);
    expect(isTaken({ users: { [bob]: '50' } }, { users: [bob] })).toBe(false);
    expect(isTaken({ ban: null }, { ban: null })).toBe(false);
  });
});
