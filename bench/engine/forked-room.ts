import { selectAuthEvents } from '../../src/engine/auth/needed-state.ts';
import type { ResolveInput } from '../../src/engine/state-res/resolve.ts';
import { tellStates } from '../../src/engine/state-res/state-sets.ts';
import type { EventId } from '../../src/matrix/ids.ts';
import { authEventIdsOf, type RoomEvent, type StateKey, type StateMap, stateKeyOf } from '../../src/matrix/pdu.ts';
import { type EventSketch, SketchedRoom } from '../../test/support/room-events.ts';

export type Fork = Map<StateKey, RoomEvent>;

export const creator = '@creator:a.test';
export const moderator = '@moderator:b.test';

export function memberName(index: number): string {
  return `@member${index}:s${index % 50}.test`;
}

/** A public room of a creator, a moderator at 50 and many members, whose history then forks. */
export class LargeRoom {
  readonly room: SketchedRoom;
  readonly base: Fork;
  #now = 1_700_000_000_000;

  constructor(version: string, members: number) {
    this.room = new SketchedRoom(version, creator);
    this.base = new Map(this.room.state);
    this.member(this.base, creator, { membership: 'join' });
    const users = this.room.version.privilegedCreators ? {} : { [creator]: 100 };
    this.state(this.base, 'm.room.power_levels', creator, { users: { ...users, [moderator]: 50 } });
    this.state(this.base, 'm.room.join_rules', creator, { join_rule: 'public' });
    this.member(this.base, moderator, { membership: 'join' });
    for (let index = 0; index < members; index += 1) this.member(this.base, memberName(index), { membership: 'join' });
  }

  /** A state event of a fork, by the auth events that are right there. Whether it is allowed is not asked. */
  send(fork: Fork, sketch: EventSketch & { stateKey: string }): RoomEvent {
    this.#now += 1;
    const { type, sender, stateKey, content = {} } = sketch;
    const event = this.room.event({
      ts: this.#now,
      depth: 2,
      ...sketch,
      auth: selectAuthEvents(
        { type, sender, state_key: stateKey, content },
        (neededType, neededKey) => fork.get(stateKeyOf(neededType, neededKey)),
        this.room.version,
      ),
    });
    this.room.events.set(event.eventId, event);
    fork.set(stateKeyOf(type, stateKey), event);
    return event;
  }

  state(fork: Fork, type: string, sender: string, content: Record<string, unknown>): RoomEvent {
    return this.send(fork, { type, stateKey: '', sender, content });
  }

  member(fork: Fork, userId: string, content: Record<string, unknown>, sender = userId): RoomEvent {
    return this.send(fork, { type: 'm.room.member', stateKey: userId, sender, content });
  }

  input(forks: readonly [Fork, ...Fork[]]): ResolveInput {
    const [first, ...others] = forks;
    const stateSets = tellStates([idsOf(first), ...others.map(idsOf)]);
    return { version: this.room.version, stateSets, ...this.sources() };
  }

  /** Everything is at hand in memory: what is measured is the resolution alone. */
  sources(): Pick<ResolveInput, 'load' | 'listAuthEdges' | 'isRejected'> {
    const pick = <T>(ids: readonly EventId[], of: (event: RoomEvent) => T): Map<EventId, T> => {
      const found = new Map<EventId, T>();
      for (const id of ids) {
        const event = this.room.events.get(id);
        if (event) found.set(id, of(event));
      }
      return found;
    };
    return {
      load: async (ids) => pick(ids, (event) => event),
      listAuthEdges: async (ids) => pick(ids, (event) => authEventIdsOf(event.pdu)),
      isRejected: () => false,
    };
  }
}

export function idsOf(fork: Fork): StateMap {
  return new Map([...fork].map(([key, event]) => [key, event.eventId]));
}

/**
 * Two sides of a netsplit that differ in `conflicts` places: power levels and topic on both, bans on one side of people who rename
 * themselves on the other, and renames on both.
 */
export function splitWithConflicts(large: LargeRoom, conflicts: number): readonly [Fork, Fork] {
  const [here, there] = [new Map(large.base), new Map(large.base)];
  const levels = large.base.get(stateKeyOf('m.room.power_levels', ''))?.pdu.content ?? {};
  large.state(here, 'm.room.power_levels', creator, { ...levels, kick: 60 });
  large.state(there, 'm.room.power_levels', creator, { ...levels, invite: 10 });
  large.state(here, 'm.room.topic', moderator, { topic: 'here' });
  large.state(there, 'm.room.topic', creator, { topic: 'there' });
  for (let index = 0; index < conflicts - 2; index += 1) {
    const user = memberName(index);
    if (index % 5 === 0) large.member(here, user, { membership: 'ban' }, moderator);
    else large.member(here, user, { membership: 'join', displayname: `here ${index}` });
    large.member(there, user, { membership: 'join', displayname: `there ${index}` });
  }
  return [here, there];
}
