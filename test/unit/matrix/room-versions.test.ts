import { describe, expect, it } from 'vitest';
import {
  defaultRoomVersion,
  findRoomVersion,
  getRoomVersion,
  supportedRoomVersions,
} from '../../../src/matrix/room-versions.ts';

describe('room versions', () => {
  it('are found by their id, and only by it', () => {
    for (const id of supportedRoomVersions) expect(findRoomVersion(id)?.id).toBe(id);
    for (const other of ['9', '13', '', 'constructor', 11, null, undefined, ['11']]) {
      expect(findRoomVersion(other)).toBeUndefined();
    }
    expect(() => getRoomVersion('org.example')).toThrow('not supported');
  });

  it('contain the default', () => {
    expect(supportedRoomVersions).toEqual(['10', '11', '12']);
    expect(findRoomVersion(defaultRoomVersion)?.id).toBe('11');
  });

  it('carry on what the version before had and changed nothing of', () => {
    expect(getRoomVersion('11')).toMatchObject({ stateResolution: 'v2', redaction: 'v11', roomIdFormat: 'opaque' });
    expect(getRoomVersion('12')).toMatchObject({ stateResolution: 'v2.1', redaction: 'v11', creatorFrom: 'sender' });
    expect(getRoomVersion('10')).toMatchObject({ redaction: 'v9', redactsIn: 'event', creatorFrom: 'content' });
  });
});
