import { describe, expect, it } from 'vitest';
import { resolveState } from '../../../../src/engine/state-res/resolve.ts';
import { type RoomEvent, type StateMap, stateKeyOf } from '../../../../src/matrix/pdu.ts';
import { getRoomVersion, supportedRoomVersions } from '../../../../src/matrix/room-versions.ts';
import { type Fork, ForkedRoom, idsOf } from './forked-room.ts';

const alice = '@alice:a.test';
const bob = '@bob:b.test';
const carol = '@carol:c.test';

/** Alice made the room; Bob, at 50, and Carol, at 0, are in it. */
function furnishedRoom(version: string): { forked: ForkedRoom; base: Fork } {
  const forked = new ForkedRoom(version, alice);
  const base = forked.start();
  forked.member(base, alice, 'join');
  const creator = forked.room.version.privilegedCreators ? {} : { [alice]: 100 };
  forked.send(base, {
    type: 'm.room.power_levels',
    stateKey: '',
    sender: alice,
    content: { users: { ...creator, [bob]: 50 } },
  });
  forked.send(base, { type: 'm.room.join_rules', stateKey: '', sender: alice, content: { join_rule: 'public' } });
  forked.member(base, bob, 'join');
  forked.member(base, carol, 'join');
  return { forked, base };
}

const holder = (state: StateMap, type: string, stateKey = '') => state.get(stateKeyOf(type, stateKey));
const topic = (sender: string, text: string) => ({
  type: 'm.room.topic',
  stateKey: '',
  sender,
  content: { topic: text },
});

const versions = supportedRoomVersions.filter((id) => getRoomVersion(id).stateResolution !== 'v1');

describe.each(versions)('state resolution in room version %s', (version) => {
  it('of one state or equal states reads nothing', async () => {
    const { forked, base } = furnishedRoom(version);
    expect(await forked.resolve([base])).toEqual(idsOf(base));
    expect(await forked.resolve([base, new Map(base)])).toEqual(idsOf(base));
    expect(forked.reads.calls).toBe(0);
  });

  it('says which of the states it is, and else how it differs from the first', async () => {
    const { forked, base } = furnishedRoom(version);
    const [one, two, three] = [new Map(base), new Map(base), new Map(base)];
    forked.send(two, { ...topic(alice, 'earlier'), ts: 8_000 });
    const later = forked.send(three, { ...topic(bob, 'later'), ts: 9_000 });
    const asThree = await resolveState(forked.input([one, two, three].map(idsOf)));
    expect(asThree).toMatchObject({ sameAs: 2, removed: [] });
    expect([...asThree.set]).toEqual([[stateKeyOf('m.room.topic', ''), later.eventId]]);
    forked.send(one, { type: 'm.room.name', stateKey: '', sender: bob, content: { name: 'A' } });
    const asNone = await resolveState(forked.input([one, two, three].map(idsOf)));
    expect(asNone.sameAs).toBeUndefined();
    expect([...asNone.set]).toEqual([[stateKeyOf('m.room.topic', ''), later.eventId]]);
    expect(asNone.state.size).toBe(one.size + 1);
  });

  it('says what it takes away from the first state', async () => {
    const { forked, base } = furnishedRoom(version);
    const [one, two] = [new Map(base), new Map(base)];
    forked.send(one, { type: 'm.room.name', stateKey: '', sender: bob, content: { name: 'A' } });
    forked.member(two, bob, 'ban', alice);
    const { state, removed } = await resolveState(forked.input([one, two].map(idsOf)));
    expect(removed).toEqual([stateKeyOf('m.room.name', '')]);
    expect(state.has(stateKeyOf('m.room.name', ''))).toBe(false);
  });

  it('joins what only one side has', async () => {
    const { forked, base } = furnishedRoom(version);
    const [one, two] = [new Map(base), new Map(base)];
    const named = forked.send(one, { type: 'm.room.name', stateKey: '', sender: bob, content: { name: 'A' } });
    const titled = forked.send(two, topic(bob, 'B'));
    const resolved = await forked.resolve([one, two]);
    expect(holder(resolved, 'm.room.name')).toBe(named.eventId);
    expect(holder(resolved, 'm.room.topic')).toBe(titled.eventId);
    expect(resolved.size).toBe(base.size + 2);
  });

  it('takes the later of two events that rest on the same power levels', async () => {
    const { forked, base } = furnishedRoom(version);
    const [one, two] = [new Map(base), new Map(base)];
    const later = forked.send(one, { ...topic(bob, 'later'), ts: 9_000 });
    forked.send(two, { ...topic(alice, 'earlier'), ts: 8_000 });
    expect(holder(await forked.resolve([one, two]), 'm.room.topic')).toBe(later.eventId);
  });

  it('takes the smaller power first when power events meet: the ban stands, the banned user did nothing', async () => {
    const { forked, base } = furnishedRoom(version);
    const [one, two] = [new Map(base), new Map(base)];
    const ban = forked.member(one, bob, 'ban', alice);
    forked.send(two, { ...topic(bob, 'still here'), ts: 99_000 });
    forked.send(two, { type: 'm.room.join_rules', stateKey: '', sender: bob, content: { join_rule: 'invite' }, ts: 1 });
    const resolved = await forked.resolve([one, two]);
    expect(holder(resolved, 'm.room.member', bob)).toBe(ban.eventId);
    expect(holder(resolved, 'm.room.topic')).toBeUndefined();
    expect(holder(resolved, 'm.room.join_rules')).toBe(base.get(stateKeyOf('m.room.join_rules', ''))?.eventId);
  });

  it('lets the stronger sender win between power levels, and what rests on the losing ones comes first', async () => {
    const { forked, base } = furnishedRoom(version);
    const before = base.get(stateKeyOf('m.room.power_levels', ''))?.pdu.content ?? {};
    const [one, two] = [new Map(base), new Map(base)];
    const demotion = forked.send(one, {
      type: 'm.room.power_levels',
      stateKey: '',
      sender: alice,
      content: { ...before, users: { ...(before.users as object), [bob]: 0 } },
    });
    forked.send(two, {
      type: 'm.room.power_levels',
      stateKey: '',
      sender: bob,
      content: { ...before, users: { ...(before.users as object), [carol]: 50 } },
    });
    forked.send(two, topic(carol, 'promoted'));
    const resolved = await forked.resolve([one, two]);
    expect(holder(resolved, 'm.room.power_levels')).toBe(demotion.eventId);
    expect(holder(resolved, 'm.room.topic')).toBeUndefined();
  });

  it('orders by the mainline before it orders by time', async () => {
    const { forked, base } = furnishedRoom(version);
    const before = base.get(stateKeyOf('m.room.power_levels', ''))?.pdu.content ?? {};
    const [one, two] = [new Map(base), new Map(base)];
    forked.send(one, { ...topic(bob, 'on the old levels, with a late clock'), ts: 99_000 });
    forked.send(two, { type: 'm.room.power_levels', stateKey: '', sender: alice, content: { ...before, kick: 60 } });
    const onNewLevels = forked.send(two, topic(bob, 'on the new levels'));
    expect(holder(await forked.resolve([one, two]), 'm.room.topic')).toBe(onNewLevels.eventId);
  });

  it('passes over events that the sources do not know', async () => {
    const { forked, base } = furnishedRoom(version);
    const [one, two] = [new Map(base), new Map(base)];
    const named = forked.send(one, { type: 'm.room.name', stateKey: '', sender: bob, content: { name: 'A' } });
    const unknown = forked.send(two, topic(bob, 'lost'));
    forked.room.events.delete(unknown.eventId);
    const resolved = await forked.resolve([one, two]);
    expect(holder(resolved, 'm.room.name')).toBe(named.eventId);
    expect(holder(resolved, 'm.room.topic')).toBeUndefined();
  });

  it('costs no more reads for a room with many members', async () => {
    const readsWith = async (members: number): Promise<number> => {
      const { forked, base } = furnishedRoom(version);
      for (let index = 0; index < members; index += 1) forked.member(base, `@user${index}:a.test`, 'join');
      const [one, two] = [new Map(base), new Map(base)];
      forked.send(one, topic(bob, 'one'));
      forked.send(two, topic(alice, 'two'));
      await forked.resolve([one, two]);
      expect(forked.reads.events).toBeLessThan(15);
      return forked.reads.calls;
    };
    expect(await readsWith(200)).toBe(await readsWith(0));
  });
});

describe('what version 12 resolves otherwise', () => {
  /** Bob joined while everybody could; then only the invited could, which both sides know, but one side never heard of Bob. */
  async function lateNews(version: string): Promise<{ resolved: StateMap; join: RoomEvent }> {
    const forked = new ForkedRoom(version, alice);
    const base = forked.start();
    forked.member(base, alice, 'join');
    forked.send(base, { type: 'm.room.join_rules', stateKey: '', sender: alice, content: { join_rule: 'public' } });
    // Carol's join puts the open join rules into the auth chains of both sides.
    forked.member(base, carol, 'join');
    const [one, two] = [new Map(base), new Map(base)];
    const join = forked.member(one, bob, 'join');
    const closed = forked.send(two, {
      type: 'm.room.join_rules',
      stateKey: '',
      sender: alice,
      content: { join_rule: 'invite' },
    });
    one.set(stateKeyOf('m.room.join_rules', ''), closed);
    return { resolved: await forked.resolve([one, two]), join };
  }

  it('starts from nothing, so that an event is judged by what it was sent under', async () => {
    const newer = await lateNews('12');
    expect(holder(newer.resolved, 'm.room.member', bob)).toBe(newer.join.eventId);
    const older = await lateNews('11');
    expect(holder(older.resolved, 'm.room.member', bob)).toBeUndefined();
  });

  /** One server's state fell back to the first power levels, though its topic rests on the second; the other has the third. */
  async function fallenBack(
    version: string,
  ): Promise<{ resolved: StateMap; first: RoomEvent | undefined; third: RoomEvent }> {
    const { forked, base } = furnishedRoom(version);
    const first = base.get(stateKeyOf('m.room.power_levels', ''));
    const levels = (kick: number, ts: number) => ({
      type: 'm.room.power_levels',
      stateKey: '',
      sender: alice,
      content: { ...first?.pdu.content, kick },
      // The clock went backwards, so that time alone puts the first levels last.
      ts,
    });
    const current = new Map(base);
    forked.send(current, levels(70, 3));
    const shared = forked.send(current, topic(bob, 'on the second levels'));
    const third = forked.send(current, levels(80, 4));
    const fallen = new Map(base).set(stateKeyOf('m.room.topic', ''), shared);
    return { resolved: await forked.resolve([fallen, current]), first, third };
  }

  it('replays what lies between two conflicted events, so that old state does not come back', async () => {
    const newer = await fallenBack('12');
    expect(holder(newer.resolved, 'm.room.power_levels')).toBe(newer.third.eventId);
    const older = await fallenBack('11');
    expect(holder(older.resolved, 'm.room.power_levels')).toBe(older.first?.eventId);
  });
});
