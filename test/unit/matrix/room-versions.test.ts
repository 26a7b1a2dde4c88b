import { describe, expect, it } from 'vitest';
import {
  defaultRoomVersion,
  findRoomVersion,
  getRoomVersion,
  type RoomVersion,
  supportedRoomVersions,
} from '../../../src/matrix/room-versions.ts';

const all = ['1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12'];

describe('room versions', () => {
  it('are found by their id, and only by it', () => {
    for (const id of supportedRoomVersions) expect(findRoomVersion(id)?.id).toBe(id);
    for (const other of ['0', '13', '01', '', 'constructor', 11, null, undefined, ['11']]) {
      expect(findRoomVersion(other)).toBeUndefined();
    }
    expect(() => getRoomVersion('org.example')).toThrow('not supported');
  });

  it('are all that the specification has, oldest first, the default among them', () => {
    expect(supportedRoomVersions).toEqual(all);
    expect(findRoomVersion(defaultRoomVersion)?.id).toBe('11');
  });

  // "Room version … builds on version …": the sections "added in" of the specification's page for each version.
  it.each<[string, Partial<RoomVersion>]>([
    ['2', { stateResolution: 'v2' }],
    ['3', { eventIds: 'hash', redactionRule: false }],
    ['4', { eventIds: 'url_safe_hash' }],
    ['5', { enforcesKeyValidity: true }],
    ['6', { redaction: 'v6', strictIntegers: true, aliasesRule: false, guardsNotificationLevels: true }],
    ['7', { knocking: true }],
    ['8', { redaction: 'v8', restrictedJoins: true }],
    ['9', { redaction: 'v9' }],
    ['10', { integerPowerLevels: true, knockRestrictedJoins: true }],
    ['11', { redaction: 'v11', creatorFrom: 'sender', redactsIn: 'content', keyLengthIn: 'bytes' }],
    [
      '12',
      { privilegedCreators: true, roomIdFormat: 'create_hash', createIsAuthEvent: false, stateResolution: 'v2.1' },
    ],
  ])('%s is the one before and what it changed, nothing else', (id, change) => {
    const before = getRoomVersion(String(Number(id) - 1));
    expect(getRoomVersion(id)).toEqual({ ...before, ...change, id });
    for (const [feature, value] of Object.entries(change)) expect(before).not.toMatchObject({ [feature]: value });
  });
});
