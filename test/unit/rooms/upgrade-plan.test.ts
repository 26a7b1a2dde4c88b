import { describe, expect, it } from 'vitest';
import type { UserId } from '../../../src/matrix/ids.ts';
import type { JsonObject } from '../../../src/matrix/pdu.ts';
import { getRoomVersion } from '../../../src/matrix/room-versions.ts';
import {
  planReplacement,
  type ReplacementPlan,
  type RoomToReplace,
  restrictedPowerLevels,
  splitCanonicalAlias,
} from '../../../src/rooms/local/upgrade-plan.ts';

const alice = '@alice:a' as UserId;
const bob = '@bob:a' as UserId;
const carol = '@carol:b' as UserId;

function room(version: string, contents: Record<string, JsonObject>, more: Partial<RoomToReplace> = {}): RoomToReplace {
  return {
    version: getRoomVersion(version),
    contents: new Map(Object.entries(contents)),
    children: new Map(),
    bans: [],
    privilegedCreators: new Set(),
    ...more,
  };
}

function plan(old: RoomToReplace, version: string, more: { upgrader?: UserId; additionalCreators?: UserId[] } = {}) {
  return planReplacement(old, {
    version: getRoomVersion(version),
    upgrader: alice,
    additionalCreators: [],
    ...more,
  });
}

const contentOf = (all: ReplacementPlan, type: string): JsonObject | undefined =>
  [...all.state, ...all.ending].find((entry) => entry.type === type)?.content;
const levels = (all: ReplacementPlan): JsonObject => contentOf(all, 'm.room.power_levels') ?? {};

describe('the create event of a replacement', () => {
  it('keeps the type and that other servers stay out, and nothing else', () => {
    const create = {
      type: 'm.space',
      'm.federate': false,
      creator: bob,
      room_version: '9',
      predecessor: {},
      custom: 1,
    };
    expect(plan(room('9', { 'm.room.create': create }), '11').createContent).toEqual({
      type: 'm.space',
      'm.federate': false,
      room_version: '11',
    });
    expect(plan(room('11', { 'm.room.create': {} }), '11').createContent).toEqual({ room_version: '11' });
    expect(plan(room('11', {}), '10').createContent).toEqual({ room_version: '10', creator: alice });
  });

  it('names further creators only if asked for and where the version has them', () => {
    const old = room('12', { 'm.room.create': { additional_creators: [bob] } });
    expect(plan(old, '12').createContent.additional_creators).toBeUndefined();
    const additionalCreators = [carol, alice, carol];
    expect(plan(old, '12', { additionalCreators }).createContent.additional_creators).toEqual([carol]);
    expect(plan(old, '11', { additionalCreators }).createContent.additional_creators).toBeUndefined();
  });
});

describe('the state of a replacement', () => {
  it('is what the specification names, and not what depends on who sent it', () => {
    const kept = ['server_acl', 'encryption', 'name', 'avatar', 'topic', 'guest_access', 'history_visibility'];
    const types = [...kept, 'pinned_events', 'tombstone', 'third_party_invite'].map((name) => `m.room.${name}`);
    const old = room('11', Object.fromEntries([...types, 'custom'].map((type) => [type, { of: type }])));
    expect(plan(old, '11').state.map(({ type }) => type)).toEqual(kept.map((name) => `m.room.${name}`));
  });

  it('has the rooms of a space, but for those that were taken out', () => {
    const children = new Map<string, JsonObject>([
      ['!a:b', { via: ['b'] }],
      ['!c:b', {}],
    ]);
    expect(plan(room('11', {}, { children }), '11').state).toEqual([
      { type: 'm.space.child', stateKey: '!a:b', content: { via: ['b'] } },
    ]);
  });

  it('has the bans, but for those of its creators', () => {
    const bans = [alice, bob, carol].map((userId) => ({ userId, content: { membership: 'ban', reason: 'r', x: 1 } }));
    const banOf = (userId: UserId) => ({
      type: 'm.room.member',
      stateKey: userId,
      content: { membership: 'ban', reason: 'r' },
    });
    expect(plan(room('11', {}, { bans }), '11').bans).toEqual([banOf(bob), banOf(carol)]);
    expect(plan(room('11', {}, { bans }), '12', { additionalCreators: [bob] }).bans).toEqual([banOf(carol)]);
  });

  it.each([
    ['public', '1', 'public'],
    ['knock', '7', 'knock'],
    ['knock', '6', 'invite'],
    ['restricted', '8', 'restricted'],
    ['restricted', '7', 'invite'],
    ['knock_restricted', '10', 'knock_restricted'],
    ['knock_restricted', '9', 'invite'],
    ['constructor', '11', 'invite'],
  ])('with the join rule %s in version %s lets people in by %s', (rule, version, expected) => {
    const old = room('11', { 'm.room.join_rules': { join_rule: rule, allow: [] } });
    expect(contentOf(plan(old, version), 'm.room.join_rules')).toMatchObject({ join_rule: expected });
  });

  it('lets nobody in but the invited where the room had no rule, and ends with the power levels', () => {
    const { ending } = plan(room('11', {}), '11');
    expect(ending.map(({ type }) => type)).toEqual(['m.room.join_rules', 'm.room.power_levels']);
    expect(ending[0]?.content).toEqual({ join_rule: 'invite' });
  });
});

describe('the power levels of a replacement', () => {
  it('are those of the room', () => {
    const old = {
      users: { [bob]: 100, [carol]: 50 },
      users_default: 1,
      events: { x: 7 },
      ban: 60,
      notifications: { room: 3 },
    };
    expect(levels(plan(room('11', { 'm.room.power_levels': old }), '11'))).toEqual(old);
  });

  it('are numbers where they were texts, without what is no level', () => {
    const old = { users: { [bob]: ' 0050 ', nobody: 1, [carol]: 'x' }, ban: '60', kick: {}, invite: null, events: [] };
    expect(levels(plan(room('9', { 'm.room.power_levels': old }), '11'))).toEqual({ users: { [bob]: 50 }, ban: 60 });
    expect(levels(plan(room('5', { 'm.room.power_levels': { ban: 1e300, kick: 2.9 } }), '11'))).toMatchObject({
      ban: Number.MAX_SAFE_INTEGER,
      kick: 2,
    });
  });

  it('leave out creators where these stand above all, and guard the next upgrade', () => {
    const old = room('11', { 'm.room.power_levels': { users: { [alice]: 100, [bob]: 100, [carol]: 50 } } });
    expect(levels(plan(old, '12', { additionalCreators: [bob] }))).toEqual({
      users: { [carol]: 50 },
      events: { 'm.room.tombstone': 150 },
    });
    const guarded = room('11', { 'm.room.power_levels': { state_default: 200, events: { 'm.room.tombstone': 300 } } });
    expect(levels(plan(guarded, '12')).events).toEqual({ 'm.room.tombstone': 300 });
    const high = room('11', { 'm.room.power_levels': { state_default: 200 } });
    expect(levels(plan(high, '12')).events).toEqual({ 'm.room.tombstone': 201 });
  });

  it('give the creators of the old room the highest level where the new version knows no such creators', () => {
    const privilegedCreators = new Set([alice, bob]);
    const old = { users: { [carol]: 50 }, events: { 'm.room.tombstone': 150 } };
    expect(levels(plan(room('12', { 'm.room.power_levels': old }, { privilegedCreators }), '11')).users).toEqual({
      [alice]: 150,
      [bob]: 150,
      [carol]: 50,
    });
    expect(levels(plan(room('12', {}, { privilegedCreators }), '11')).users).toEqual({ [alice]: 100, [bob]: 100 });
  });
});

describe('the power levels of a room that was replaced', () => {
  const restricted = (content: JsonObject) => restrictedPowerLevels(content, getRoomVersion('11'));
  it('keep people from sending and inviting', () => {
    expect(restricted({ users: { [bob]: 7 } })).toEqual({ users: { [bob]: 7 }, events_default: 50, invite: 50 });
    expect(restricted({ users_default: 60, invite: 99 })).toEqual({
      users_default: 60,
      events_default: 61,
      invite: 99,
    });
  });
  it('stay where they do so already', () => {
    expect(restricted({ events_default: 50, invite: 51 })).toBeUndefined();
  });
});

describe('canonical aliases', () => {
  it('go with the aliases that moved', () => {
    const content = { alias: '#a:a', alt_aliases: ['#b:a', '#c:b'], more: 1 };
    expect(splitCanonicalAlias(content, new Set(['#a:a', '#b:a']))).toEqual({
      replacement: { more: 1, alias: '#a:a', alt_aliases: ['#b:a'] },
      old: { more: 1, alt_aliases: ['#c:b'] },
    });
  });
  it('stay where none moved', () => {
    expect(splitCanonicalAlias({ alias: '#c:b' }, new Set(['#a:a']))).toBeUndefined();
    expect(splitCanonicalAlias(undefined, new Set(['#a:a']))).toBeUndefined();
    expect(splitCanonicalAlias({ alt_aliases: 'odd' }, new Set(['#a:a']))).toBeUndefined();
  });
});
