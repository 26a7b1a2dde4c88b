import { describe, expect, it } from 'vitest';
import { findRedactionTarget, mayApplyRedaction } from '../../../src/engine/event/redaction-target.ts';
import {
  creatorsOf,
  isPrivilegedCreator,
  levelToAct,
  levelToNotify,
  levelToSend,
  mayAct,
  maySend,
  powerLevelOf,
  userLevelsOf,
} from '../../../src/engine/power.ts';
import { SketchedRoom } from '../../support/room-events.ts';

const alice = '@alice:a.test';
const bob = '@bob:b.test';
const carol = '@carol:b.test';

describe('power levels', () => {
  it('default without a power levels event', () => {
    for (const version of ['10', '11']) {
      const room = new SketchedRoom(version, alice);
      expect(powerLevelOf(alice, room.find, room.version)).toBe(100);
      expect(powerLevelOf(bob, room.find, room.version)).toBe(0);
      expect(levelToSend({ type: 'x', isState: true }, room.find)).toBe(50);
      expect(levelToSend({ type: 'x', isState: false }, room.find)).toBe(0);
      expect(['invite', 'kick', 'ban', 'redact'].map((action) => levelToAct(action as 'kick', room.find))).toEqual([
        0, 50, 50, 50,
      ]);
      expect(levelToNotify('room', room.find)).toBe(50);
    }
  });

  it('are what the event says, and fall back where it says no integer', () => {
    const room = new SketchedRoom('11', alice);
    room.set('m.room.power_levels', '', alice, {
      users: { [bob]: 30, [carol]: '40' },
      users_default: 5,
      events: { x: 7, constructor: 8 },
      events_default: 1,
      state_default: 2,
      ban: 3,
      notifications: { room: 4 },
    });
    expect(powerLevelOf(bob, room.find, room.version)).toBe(30);
    expect(powerLevelOf(carol, room.find, room.version)).toBe(5);
    expect(powerLevelOf('constructor', room.find, room.version)).toBe(5);
    // With a power levels event the creator is like everybody else.
    expect(powerLevelOf(alice, room.find, room.version)).toBe(5);
    expect(levelToSend({ type: 'x', isState: true }, room.find)).toBe(7);
    expect(levelToSend({ type: 'constructor', isState: true }, room.find)).toBe(8);
    expect(levelToSend({ type: 'toString', isState: true }, room.find)).toBe(2);
    expect(levelToSend({ type: 'y', isState: false }, room.find)).toBe(1);
    expect(levelToAct('ban', room.find)).toBe(3);
    expect(levelToNotify('room', room.find)).toBe(4);
    expect(maySend(bob, { type: 'x', isState: true }, { state: room.find, version: room.version })).toBe(true);
    expect(maySend(carol, { type: 'x', isState: true }, { state: room.find, version: room.version })).toBe(false);
    expect(mayAct(carol, 'kick', { state: room.find, version: room.version })).toBe(false);
    expect(userLevelsOf(room.find('m.room.power_levels', '')?.pdu.content ?? {})).toEqual([[bob, 30]]);
  });

  it('of version 12 are infinite for creators', () => {
    const room = new SketchedRoom('12', alice, { additional_creators: [bob, 5] });
    room.set('m.room.power_levels', '', alice, { users_default: 99 });
    expect([...creatorsOf(room.create, room.version)]).toEqual([alice, bob]);
    expect(powerLevelOf(bob, room.find, room.version)).toBe(Number.POSITIVE_INFINITY);
    expect(powerLevelOf(carol, room.find, room.version)).toBe(99);
    expect(isPrivilegedCreator(bob, room.find, room.version)).toBe(true);
    expect(isPrivilegedCreator(carol, room.find, room.version)).toBe(false);
  });

  it('know no additional creators before version 12', () => {
    const room = new SketchedRoom('11', alice, { additional_creators: [bob] });
    expect([...creatorsOf(room.create, room.version)]).toEqual([alice]);
    expect(isPrivilegedCreator(alice, room.find, room.version)).toBe(false);
  });
});

describe('a redaction', () => {
  const room = new SketchedRoom('11', alice);
  room.set('m.room.power_levels', '', alice, { users: { [alice]: 50 } });
  const message = room.event({ type: 'm.room.message', sender: bob });
  const by = (sender: string, roomId = room.create.roomId as string) =>
    room.event({ type: 'm.room.redaction', sender, content: { redacts: message.eventId }, roomId });
  const may = (sender: string, roomId?: string) =>
    mayApplyRedaction({ redaction: by(sender, roomId), target: message }, room.find, room.version);

  it('is carried out for the redact level or for the same server', () => {
    expect(may(alice)).toBe(true);
    expect(may(bob)).toBe(true);
    expect(may(carol)).toBe(true);
    expect(may('@eve:e.test')).toBe(false);
  });

  it('of an event of another room is not', () => {
    expect(may(alice, '!other:a.test')).toBe(false);
  });

  it('names its target where the version has it', () => {
    expect(findRedactionTarget(by(alice).pdu, room.version)).toBe(message.eventId);
    const older = new SketchedRoom('10', alice);
    const pdu = { ...by(alice).pdu, content: {}, redacts: message.eventId };
    expect(findRedactionTarget(pdu, older.version)).toBe(message.eventId);
    expect(findRedactionTarget(pdu, room.version)).toBeUndefined();
    expect(findRedactionTarget({ ...by(alice).pdu, content: { redacts: 5 } }, room.version)).toBeUndefined();
    expect(findRedactionTarget({ ...by(alice).pdu, type: 'm.room.message' }, room.version)).toBeUndefined();
  });
});
