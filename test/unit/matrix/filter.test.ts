import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  acceptsRoom,
  acceptsSender,
  acceptsType,
  filterEntriesMax,
  matchesType,
  parseRoomEventFilter,
  parseSyncFilter,
} from '../../../src/matrix/filter.ts';

describe('parseSyncFilter', () => {
  test('an empty filter excludes nothing and includes no left rooms', () => {
    const filter = parseSyncFilter({});
    expect(filter.includeLeave).toBe(false);
    expect(filter.roomTimeline.limit).toBeUndefined();
    expect(acceptsType(filter.roomTimeline, 'm.room.message')).toBe(true);
    expect(acceptsSender(filter.presence, '@a:b')).toBe(true);
    expect(acceptsRoom(filter, '!a:b')).toBe(true);
  });

  test('unknown fields and nulls are ignored', () => {
    expect(parseSyncFilter({ 'org.example': 1, room: { timeline: null, 'x.y': [] } })).toEqual(parseSyncFilter({}));
  });

  test('sections are read each from its own place', () => {
    const filter = parseSyncFilter({
      presence: { not_senders: ['@p:b'] },
      account_data: { types: ['m.direct'] },
      room: {
        include_leave: true,
        not_rooms: ['!n:b'],
        state: { lazy_load_members: true },
        timeline: { limit: 5, contains_url: false },
        ephemeral: { not_types: ['m.typing'] },
        account_data: { rooms: ['!r:b'] },
      },
    });
    expect(acceptsSender(filter.presence, '@p:b')).toBe(false);
    expect(acceptsType(filter.accountData, 'm.push_rules')).toBe(false);
    expect(filter.includeLeave).toBe(true);
    expect(acceptsRoom(filter, '!n:b')).toBe(false);
    expect(filter.roomState.lazyLoadMembers).toBe(true);
    expect(filter.roomTimeline).toMatchObject({ limit: 5, containsUrl: false, lazyLoadMembers: false });
    expect(acceptsType(filter.roomEphemeral, 'm.typing')).toBe(false);
    expect(acceptsRoom(filter.roomAccountData, '!other:b')).toBe(false);
  });

  test.each([
    [[], 'filter'],
    ['text', 'filter'],
    [{ room: [] }, 'room'],
    [{ room: { timeline: 7 } }, 'room.timeline'],
    [{ room: { timeline: { limit: -1 } } }, 'room.timeline.limit'],
    [{ room: { timeline: { limit: 1.5 } } }, 'room.timeline.limit'],
    [{ room: { timeline: { types: 'm.room.message' } } }, 'room.timeline.types'],
    [{ room: { state: { senders: ['bob'] } } }, 'room.state.senders[0]'],
    [{ room: { rooms: ['#alias:b'] } }, 'room.rooms[0]'],
    [{ room: { include_leave: 'yes' } }, 'room.include_leave'],
    [{ presence: { types: [1] } }, 'presence.types[0]'],
    [{ event_format: 'xml' }, 'event_format'],
    [{ event_fields: [{}] }, 'event_fields[0]'],
    [{ account_data: { types: Array(filterEntriesMax + 1).fill('x') } }, 'account_data.types'],
  ])('%j is refused and the message names %s', (value, name) => {
    expect(() => parseSyncFilter(value)).toThrow(expect.objectContaining({ errcode: 'M_BAD_JSON' }));
    expect(() => parseSyncFilter(value)).toThrow(name);
  });

  test('a room event filter alone is parsed for the endpoints of a room', () => {
    expect(parseRoomEventFilter({ related_by_rel_types: ['m.thread'], contains_url: true })).toMatchObject({
      relatedByTypes: ['m.thread'],
      containsUrl: true,
    });
  });
});

describe('matching', () => {
  test.each([
    ['m.room.message', 'm.room.message', true],
    ['m.room.message', 'm.room.messages', false],
    ['m.*', 'm.room.message', true],
    ['m.*', 'n.room', false],
    ['*', '', true],
    ['*.message', 'm.room.message', true],
    ['m.*.message', 'm.room.message', true],
    ['m.*.message', 'm.message', false],
    ['a*b*c', 'aXbYc', true],
    ['a*b*c', 'acb', false],
    ['ab*ba', 'aba', false],
    ['m.room?', 'm.rooms', false],
    ['**', 'anything', true],
  ])('%s against %s is %s', (pattern, type, expected) => {
    expect(matchesType(pattern, type)).toBe(expected);
  });

  test('a wildcard matches as a regular expression would', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '*'), maxLength: 8 });
    fc.assert(
      fc.property(text, fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 10 }), (pattern, type) => {
        const oracle = new RegExp(`^${pattern.replaceAll('*', '.*')}$`);
        expect(matchesType(pattern, type)).toBe(oracle.test(type));
      }),
    );
  });

  test('what is excluded stays out although it is also included', () => {
    const filter = parseRoomEventFilter({
      types: ['m.*'],
      not_types: ['m.room.member'],
      senders: ['@a:b', '@c:d'],
      not_senders: ['@c:d'],
      rooms: ['!r:b', '!s:b'],
      not_rooms: ['!s:b'],
    });
    expect([acceptsType(filter, 'm.room.name'), acceptsType(filter, 'm.room.member')]).toEqual([true, false]);
    expect([acceptsSender(filter, '@a:b'), acceptsSender(filter, '@c:d')]).toEqual([true, false]);
    expect([acceptsRoom(filter, '!r:b'), acceptsRoom(filter, '!s:b')]).toEqual([true, false]);
  });
});
