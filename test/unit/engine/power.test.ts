import { describe, expect, it } from 'vitest';
import { LooseNumber } from '../../../src/base/json/loose-number.ts';
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
  readPowerLevel,
  userLevelsOf,
} from '../../../src/engine/power.ts';
import { getRoomVersion, supportedRoomVersions } from '../../../src/matrix/room-versions.ts';
import { SketchedRoom } from '../../support/room-events.ts';

const alice = '@alice:a.test';
const bob = '@bob:b.test';
const carol = '@carol:b.test';

describe('power levels', () => {
  it('default without a power levels event', () => {
    for (const version of supportedRoomVersions) {
      const room = new SketchedRoom(version, alice);
      const facts = { state: room.find, version: room.version };
      expect(powerLevelOf(alice, room.find, room.version)).toBe(version === '12' ? Number.POSITIVE_INFINITY : 100);
      expect(powerLevelOf(bob, room.find, room.version)).toBe(0);
      expect(levelToSend({ type: 'x', isState: true }, facts)).toBe(50);
      expect(levelToSend({ type: 'x', isState: false }, facts)).toBe(0);
      expect(['invite', 'kick', 'ban', 'redact'].map((action) => levelToAct(action as 'kick', facts))).toEqual([
        0, 50, 50, 50,
      ]);
      expect(levelToNotify('room', facts)).toBe(50);
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
    const facts = { state: room.find, version: room.version };
    expect(powerLevelOf(bob, room.find, room.version)).toBe(30);
    expect(powerLevelOf(carol, room.find, room.version)).toBe(5);
    expect(powerLevelOf('constructor', room.find, room.version)).toBe(5);
    // With a power levels event the creator is like everybody else.
    expect(powerLevelOf(alice, room.find, room.version)).toBe(5);
    expect(levelToSend({ type: 'x', isState: true }, facts)).toBe(7);
    expect(levelToSend({ type: 'constructor', isState: true }, facts)).toBe(8);
    expect(levelToSend({ type: 'toString', isState: true }, facts)).toBe(2);
    expect(levelToSend({ type: 'y', isState: false }, facts)).toBe(1);
    expect(levelToAct('ban', facts)).toBe(3);
    expect(levelToNotify('room', facts)).toBe(4);
    expect(maySend(bob, { type: 'x', isState: true }, facts)).toBe(true);
    expect(maySend(carol, { type: 'x', isState: true }, facts)).toBe(false);
    expect(mayAct(carol, 'kick', facts)).toBe(false);
    expect(userLevelsOf(room.find('m.room.power_levels', '')?.pdu.content ?? {}, room.version)).toEqual([[bob, 30]]);
  });

  it('that are texts are levels before version 10', () => {
    const levels = { users: { [bob]: ' 30', [carol]: 'x' } };
    expect(userLevelsOf(levels, getRoomVersion('9'))).toEqual([[bob, 30]]);
    expect(userLevelsOf(levels, getRoomVersion('10'))).toEqual([]);
  });

  it('that are fractions are cut off, where the format of events lets them come', () => {
    for (const [value, level] of [
      [50.57, 50],
      [-1.9, -1],
      [5.114698e4, 51146],
      [new LooseNumber('5.114698E4'), 51146],
      [new LooseNumber('1e400'), undefined],
      [1e300, 1e300],
      [Number.POSITIVE_INFINITY, undefined],
      [Number.NaN, undefined],
    ] as const) {
      expect(readPowerLevel(value, getRoomVersion('5'))).toBe(level);
      expect(readPowerLevel(value, getRoomVersion('10'))).toBeUndefined();
    }
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

  it('that the rules of versions 1 and 2 let through is carried out, whoever sent the event', () => {
    for (const version of ['1', '2', '3']) {
      const older = new SketchedRoom(version, alice);
      const target = older.event({ type: 'm.room.message', sender: bob });
      const redaction = older.event({ type: 'm.room.redaction', sender: '@eve:e.test' });
      expect(mayApplyRedaction({ redaction, target }, older.find, older.version)).toBe(version !== '3');
      const elsewhere = older.event({ type: 'm.room.redaction', sender: alice, roomId: '!other:a.test' });
      expect(mayApplyRedaction({ redaction: elsewhere, target }, older.find, older.version)).toBe(false);
    }
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
