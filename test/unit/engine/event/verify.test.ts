import { describe, expect, it } from 'vitest';
import { findMissingSigner, keysValidAt, listRequiredSigners } from '../../../../src/engine/event/verify.ts';
import type { EventId } from '../../../../src/matrix/ids.ts';
import type { JsonObject, RoomEvent } from '../../../../src/matrix/pdu.ts';
import { getRoomVersion, supportedRoomVersions } from '../../../../src/matrix/room-versions.ts';
import type { ServerName } from '../../../../src/matrix/server-name.ts';
import { type EventSketch, makeEvent } from '../../../support/room-events.ts';

const version = getRoomVersion('11');

describe('the servers that must have signed', () => {
  const signers = (type: string, content: JsonObject): string[] =>
    listRequiredSigners(
      makeEvent(version, { type, sender: '@alice:a.test', stateKey: '@bob:b.test', content }),
      version,
    );

  it.each<[string, string, JsonObject, string[]]>([
    ["the sender's", 'm.room.message', {}, ['a.test']],
    ["the sender's, for an invite", 'm.room.member', { membership: 'invite' }, ['a.test']],
    ['none, for a third-party invite', 'm.room.member', { membership: 'invite', third_party_invite: {} }, []],
    [
      "the sender's, for a join with a third-party invite",
      'm.room.member',
      { membership: 'join', third_party_invite: {} },
      ['a.test'],
    ],
    [
      "the sender's and that of who vouches for a join",
      'm.room.member',
      { membership: 'join', join_authorised_via_users_server: '@carol:c.test' },
      ['a.test', 'c.test'],
    ],
    ['one, when both are the same', 'm.room.member', { join_authorised_via_users_server: '@carol:a.test' }, ['a.test']],
    [
      "only the sender's, when who vouches is no user",
      'm.room.member',
      { join_authorised_via_users_server: 5 },
      ['a.test'],
    ],
    [
      "only the sender's, for another type with that key",
      'x',
      { join_authorised_via_users_server: '@c:c.test' },
      ['a.test'],
    ],
  ])('are %s', (_name, type, content, expected) => {
    expect(signers(type, content)).toEqual(expected);
  });

  it('are asked one after the other, with the redacted event and its time', async () => {
    const event = makeEvent(version, {
      type: 'm.room.member',
      sender: '@bob:b.test',
      stateKey: '@bob:b.test',
      content: { membership: 'join', displayname: 'Bob', join_authorised_via_users_server: '@carol:c.test' },
      ts: 77,
    });
    const asked: [JsonObject, string, number][] = [];
    const verify =
      (answer: (server: string) => boolean) => async (object: JsonObject, server: ServerName, at: number) => {
        asked.push([object, server, at]);
        return answer(server);
      };
    expect(
      await findMissingSigner(
        event,
        version,
        verify(() => true),
      ),
    ).toBeUndefined();
    expect(asked.map(([, server, at]) => [server, at])).toEqual([
      ['b.test', 77],
      ['c.test', 77],
    ]);
    expect(JSON.stringify(asked)).not.toContain('displayname');
    expect(
      await findMissingSigner(
        event,
        version,
        verify((server) => server === 'b.test'),
      ),
    ).toBe('c.test');
    expect(
      await findMissingSigner(
        event,
        version,
        verify(() => false),
      ),
    ).toBe('b.test');
  });
});

describe('what differs between room versions', () => {
  const versionsIn = (has: (id: string) => boolean): string[] => supportedRoomVersions.filter(has);
  const eventOf = (id: string, more: Partial<EventSketch> = {}): RoomEvent =>
    makeEvent(getRoomVersion(id), { type: 'm.room.message', sender: '@alice:a.test', ...more });
  const signersOf = (event: RoomEvent) => listRequiredSigners(event, getRoomVersion(event.roomVersion));

  it('is that whoever gave the id must have signed, in versions 1 and 2', () => {
    const asks = versionsIn((id) => {
      const event = { ...eventOf(id), eventId: '$x:b.test' as EventId };
      return signersOf(event).includes('b.test' as ServerName);
    });
    expect(asks).toEqual(['1', '2']);
    expect(signersOf(eventOf('1'))).toEqual(['a.test']);
    const invite = { membership: 'invite', third_party_invite: {} };
    const content = { type: 'm.room.member', stateKey: '@bob:b.test', content: invite };
    expect(signersOf({ ...eventOf('1', content), eventId: '$x:b.test' as EventId })).toEqual(['b.test']);
  });

  it('is that whoever vouches for a join must have signed, from version 8 on', () => {
    const content = { membership: 'join', join_authorised_via_users_server: '@carol:c.test' };
    const join = { type: 'm.room.member', stateKey: '@alice:a.test', content };
    const asks = versionsIn((id) => signersOf(eventOf(id, join)).includes('c.test' as ServerName));
    expect(asks).toEqual(['8', '9', '10', '11', '12']);
  });

  it('is that keys must have been valid then, from version 5 on', () => {
    const asks = versionsIn((id) => keysValidAt(eventOf(id, { ts: 77 }).pdu, getRoomVersion(id)) === 77);
    expect(asks).toEqual(['5', '6', '7', '8', '9', '10', '11', '12']);
    for (const id of ['1', '2', '3', '4']) expect(keysValidAt(eventOf(id).pdu, getRoomVersion(id))).toBe(0);
  });
});
