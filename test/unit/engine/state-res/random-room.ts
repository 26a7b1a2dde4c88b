import fc from 'fast-check';
import type { JsonObject } from '../../../../src/matrix/pdu.ts';
import { stateKeyOf } from '../../../../src/matrix/pdu.ts';
import type { EventSketch } from '../../../support/room-events.ts';
import { type Fork, ForkedRoom } from './forked-room.ts';

export const alice = '@alice:a.test';
export const bob = '@bob:b.test';
export const carol = '@carol:c.test';
const dave = '@dave:d.test';
const users = [alice, bob, carol, dave];
const forkCount = 3;

/** One thing that somebody tries in one fork of a room; the rules may refuse it. */
export interface Step {
  readonly fork: number;
  readonly kind: number;
  readonly sender: string;
  readonly target: string;
  readonly level: number;
  /** Clocks are wrong in any way, and often the same. */
  readonly ts: number;
}

export const step: fc.Arbitrary<Step> = fc.record({
  fork: fc.nat(forkCount - 1),
  kind: fc.nat(10),
  sender: fc.constantFrom(...users),
  target: fc.constantFrom(...users),
  level: fc.constantFrom(0, 25, 50, 100),
  ts: fc.integer({ min: 1, max: 6 }),
});

/** Alice made the room; Bob, at 50, and Carol, at 0, are in it, Dave is not. */
export function furnishedRoom(version: string): { forked: ForkedRoom; base: Fork } {
  const forked = new ForkedRoom(version, alice);
  const base = forked.start();
  forked.member(base, alice, 'join');
  const creator = forked.room.version.privilegedCreators ? {} : { [alice]: 100 };
  const levels = { users: { ...creator, [bob]: 50 } };
  forked.send(base, { type: 'm.room.power_levels', stateKey: '', sender: alice, content: levels });
  forked.send(base, { type: 'm.room.join_rules', stateKey: '', sender: alice, content: { join_rule: 'public' } });
  forked.member(base, bob, 'join');
  forked.member(base, carol, 'join');
  return { forked, base };
}

/** What came of the steps: bans, kicks, joins of every kind, power fights and closed doors, on three sides that do not see each other. */
export function play(version: string, steps: readonly Step[]): { forked: ForkedRoom; forks: Fork[] } {
  const { forked, base } = furnishedRoom(version);
  const forks = Array.from({ length: forkCount }, () => new Map(base));
  for (const each of steps) {
    const fork = forks[each.fork];
    const levels = fork?.get(stateKeyOf('m.room.power_levels', ''))?.pdu.content ?? {};
    if (fork) forked.trySend(fork, { ...sketchOf(each, levels), ts: each.ts });
  }
  return { forked, forks };
}

/** What somebody tries, by the power levels that hold where they are. */
export function sketchOf(
  { kind, sender, target, level }: Step,
  levels: JsonObject,
): EventSketch & { stateKey: string } {
  const member = (stateKey: string, content: JsonObject) => ({ type: 'm.room.member', stateKey, sender, content });
  const state = (type: string, content: JsonObject) => ({ type, stateKey: '', sender, content });
  const restricted = { join_rule: 'restricted', allow: [{ type: 'm.room_membership', room_id: '!other:a.test' }] };
  switch (kind) {
    case 0:
      return state('m.room.topic', { topic: `${level}` });
    case 1:
      return member(target, { membership: 'ban' });
    case 2:
      return member(target, { membership: 'leave' });
    case 3:
      return member(sender, { membership: 'join', displayname: `${level}` });
    case 4:
      return member(target, { membership: 'invite' });
    case 5:
      return member(sender, { membership: 'join', join_authorised_via_users_server: target });
    case 6:
      return member(sender, { membership: 'knock' });
    case 7:
      return state('m.room.join_rules', { join_rule: level > 30 ? 'public' : level > 0 ? 'knock' : 'invite' });
    case 8:
      return state('m.room.join_rules', restricted);
    case 9:
      return state('m.room.power_levels', { ...levels, state_default: level });
    default:
      return state('m.room.power_levels', { ...levels, users: { ...(levels.users as object), [target]: level } });
  }
}

/** A server that lost its way: a place of its state has any event there ever was for it. */
export const lapses = fc.array(fc.record({ fork: fc.nat(forkCount - 1), place: fc.nat(11), event: fc.nat(9) }), {
  maxLength: 4,
});

export function lapse(
  forked: ForkedRoom,
  forks: readonly Fork[],
  list: readonly { fork: number; place: number; event: number }[],
): void {
  for (const { fork: index, place, event } of list) {
    const fork = forks[index];
    const key = fork && [...fork.keys()][place];
    const others = [...forked.room.events.values()].filter(
      ({ pdu }) => key === stateKeyOf(pdu.type, pdu.state_key ?? '') && pdu.type !== 'm.room.create',
    );
    const other = others[event % Math.max(1, others.length)];
    if (fork && key !== undefined && other) fork.set(key, other);
  }
}
