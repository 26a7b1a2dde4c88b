import { describe, expect, it } from 'vitest';
import { orderByPower } from '../../../../src/engine/state-res/power-order.ts';
import { resolveState } from '../../../../src/engine/state-res/resolve.ts';
import { EventCache } from '../../../../src/engine/state-res/sources.ts';
import type { EventId } from '../../../../src/matrix/ids.ts';
import { type StateMap, stateKeyOf } from '../../../../src/matrix/pdu.ts';
import { CaseRoom, type EventFacts, idOf } from '../../../support/resolution-case.ts';

const alice = '@alice:a.test';
const bob = '@bob:b.test';
const length = 10_000;

const start: EventFacts[] = [
  { id: 'create', type: 'm.room.create', sender: alice, state_key: '', content: {}, auth: [] },
  member('alice', alice, ['create']),
  levels('power', ['create', 'alice'], 0),
  {
    id: 'rules',
    type: 'm.room.join_rules',
    sender: alice,
    state_key: '',
    content: { join_rule: 'public' },
    auth: ['create', 'alice', 'power'],
  },
  member('bob', bob, ['create', 'power', 'rules']),
];

function member(id: string, user: string, auth: readonly string[]): EventFacts {
  return { id, type: 'm.room.member', sender: user, state_key: user, content: { membership: 'join', id }, auth };
}

function levels(id: string, auth: readonly string[], ban: number): EventFacts {
  const content = { users: { [alice]: 100 }, ban: 50 + (ban % 50) };
  return { id, type: 'm.room.power_levels', sender: alice, state_key: '', content, auth };
}

async function roomOf(version: string, events: readonly EventFacts[]): Promise<CaseRoom> {
  return CaseRoom.build(version, {
    name: '',
    versions: [version],
    events: events.map((event, ts) => ({ ts, ...event })),
  });
}

const holder = (state: StateMap, type: string, key = '') => state.get(stateKeyOf(type, key));
const stateOf = (room: CaseRoom, ids: readonly string[]): StateMap =>
  new Map(ids.map((id) => [stateKeyOf(room.get(id).pdu.type, room.get(id).pdu.state_key ?? ''), idOf(id)]));

describe.each(['2', '12'])('chains of thousands of events, in room version %s', (version) => {
  it('are resolved without going down by recursion: renames of one member', async () => {
    const renames = Array.from({ length }, (_, at) =>
      member(`bob${at}`, bob, ['create', 'power', 'rules', at === 0 ? 'bob' : `bob${at - 1}`]),
    );
    const room = await roomOf(version, [...start, ...renames]);
    const common = ['create', 'alice', 'power', 'rules'];
    const states = [stateOf(room, [...common, 'bob']), stateOf(room, [...common, `bob${length - 1}`])];
    const { state } = await resolveState(room.input(states));
    expect(holder(state, 'm.room.member', bob)).toBe(idOf(`bob${length - 1}`));
  });

  it('are resolved without going down by recursion: power levels, with a topic on the first and one on the last', async () => {
    const changes = Array.from({ length: length / 4 }, (_, at) =>
      levels(`power${at}`, ['create', 'alice', at === 0 ? 'power' : `power${at - 1}`], at),
    );
    const last = `power${length / 4 - 1}`;
    const topic = (id: string, power: string, ts: number): EventFacts => ({
      id,
      type: 'm.room.topic',
      sender: alice,
      state_key: '',
      content: {},
      auth: ['create', 'alice', power],
      ts,
    });
    // The clock was wrong: by time alone, the old topic would stand.
    const topics = [topic('old topic', 'power', 2 * length), topic('new topic', last, 1)];
    const room = await roomOf(version, [...start, ...changes, ...topics]);
    const common = ['create', 'alice', 'rules', 'bob'];
    const states = [stateOf(room, [...common, 'power', 'old topic']), stateOf(room, [...common, last, 'new topic'])];
    const { state } = await resolveState(room.input(states));
    expect(holder(state, 'm.room.power_levels')).toBe(idOf(last));
    expect(holder(state, 'm.room.topic')).toBe(idOf('new topic'));
  });
});

describe('a circle of auth events, which servers that choose ids can make', () => {
  it('is in no order, and takes nothing with it', async () => {
    const circle = [levels('one', ['create', 'alice', 'two'], 1), levels('two', ['create', 'alice', 'one'], 2)];
    const good = levels('good', ['create', 'alice', 'power'], 3);
    const room = await roomOf('2', [...start, ...circle, good]);
    const ids = ['power', 'one', 'two', 'good'].map(idOf);
    const cache = new EventCache(room.input([]));
    await cache.load(ids);
    const order = await orderByPower(new Set<EventId>(ids), cache, room.version);
    expect(order.map(({ eventId }) => eventId)).toEqual([idOf('power'), idOf('good')]);
    const common = ['create', 'alice', 'rules', 'bob'];
    const states = ['one', 'two', 'good'].map((id) => stateOf(room, [...common, id]));
    const { state } = await resolveState(room.input(states));
    expect(holder(state, 'm.room.power_levels')).toBe(idOf('good'));
  });
});
