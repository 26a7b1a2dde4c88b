import fc from 'fast-check';
import { expect, it } from 'vitest';
import { supportedRoomVersions } from '../../src/matrix/room-versions.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { propertyRuns } from '../support/property-runs.ts';
import { settle, TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { historyOf, mindOf, path } from './rooms.ts';

const serversCount = 3;
const usersOfEach = 2;
const minute = 60_000;

interface Person {
  readonly user: TestUser;
  /** Index of the server. */
  readonly home: number;
}

class Neighbourhood {
  readonly clock = new ManualClock();
  servers: TestServer[] = [];
  readonly people: Person[] = [];
  readonly down = new Set<number>();
  room = '';
  #count = 0;

  async start(): Promise<void> {
    for (let index = 0; index < serversCount; index++) {
      const server = await TestServer.start({ clock: this.clock });
      this.servers.push(server);
      for (let user = 0; user < usersOfEach; user++) {
        this.people.push({ user: await server.register(`user${user}`), home: index });
      }
    }
  }

  async stop(): Promise<void> {
    for (const server of this.servers) await server.stop();
  }

  async settle(): Promise<void> {
    await settle(...this.servers.filter((_, index) => !this.down.has(index)));
  }

  async takeDown(index: number): Promise<void> {
    if (this.down.has(index) || this.down.size === serversCount - 1) return;
    this.down.add(index);
    await this.servers[index]?.stop({ keepData: true });
  }

  async bringUp(index: number): Promise<void> {
    const server = this.servers[index];
    if (!this.down.delete(index) || !server) return;
    const back = await server.restart();
    this.servers[index] = back;
    for (const { user, home } of this.people) if (home === index) user.url = back.url;
  }

  async do({ kind, who, whom }: Step): Promise<void> {
    const actor = this.people[who % this.people.length];
    const other = this.people[whom % this.people.length];
    if (!actor || !other) return;
    // Between events of one moment chance decides.
    this.clock.step(1);
    if (kind === 'down') return this.takeDown(actor.home);
    if (kind === 'up') return this.bringUp(actor.home);
    if (kind === 'settle') return this.settle();
    if (this.down.has(actor.home)) return;
    const answer = await this.#act(kind, actor, other);
    // Refusals are part of life; failures of ours are not.
    expect([200, 400, 403, 404, 502]).toContain(answer.status);
  }

  #act(kind: Step['kind'], { user }: Person, { user: other, home }: Person) {
    this.#count += 1;
    const { room } = this;
    const put = (type: string, content: object, key = '') => user.call('PUT', path(room, 'state', type, key), content);
    switch (kind) {
      case 'join': {
        const via = this.servers.map(({ name }) => `via=${encodeURIComponent(name)}`).join('&');
        return user.call('POST', `/join/${encodeURIComponent(room)}?${via}`, {});
      }
      case 'leave':
        return user.call('POST', path(room, 'leave'), {});
      case 'kick':
      case 'ban':
      case 'unban':
        return user.call('POST', path(room, kind), { user_id: other.userId });
      case 'invite':
        if (this.down.has(home)) return Promise.resolve({ status: 502, body: {} });
        return user.call('POST', path(room, 'invite'), { user_id: other.userId });
      case 'topic':
        return put('m.room.topic', { topic: `topic ${this.#count}` });
      case 'name':
        return put('m.room.name', { name: `name ${this.#count}` });
      case 'power':
        return this.#changePower(user, other);
      default:
        return user.call('PUT', path(room, 'send', 'm.room.message', `m${this.#count}`), { body: `${this.#count}` });
    }
  }

  async #changePower(user: TestUser, other: TestUser) {
    const { body, status } = await user.call('GET', path(this.room, 'state', 'm.room.power_levels', ''));
    if (status !== 200) return { status, body };
    const users = { ...body.users, [other.userId]: [0, 50, 100][this.#count % 3] };
    return user.call('PUT', path(this.room, 'state', 'm.room.power_levels', ''), { ...body, users });
  }

  /** Everybody is back, hears what they missed, and says something. */
  async comeTogether(): Promise<void> {
    for (const index of [...this.down]) await this.bringUp(index);
    for (let round = 0; round < 3; round++) {
      await this.clock.advance(minute);
      await this.settle();
    }
    for (let round = 0; round < 2; round++) {
      for (const { user } of this.people) {
        this.clock.step(1);
        await user.call('PUT', path(this.room, 'send', 'm.room.message', `last${round}`), { body: `last ${round}` });
        await this.settle();
      }
    }
  }
}

const kinds = [
  'say',
  'say',
  'say',
  'join',
  'join',
  'leave',
  'kick',
  'ban',
  'unban',
  'invite',
  'topic',
  'name',
  'power',
  'down',
  'up',
  'settle',
] as const;
interface Step {
  kind: (typeof kinds)[number];
  who: number;
  whom: number;
}
const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(...kinds),
  who: fc.nat(serversCount * usersOfEach - 1),
  whom: fc.nat(serversCount * usersOfEach - 1),
});

it('whatever happens in a room, all servers that hold themselves to be in it agree in the end', async () => {
  const all = new Neighbourhood();
  await all.start();
  const version = fc.constantFrom(...supportedRoomVersions);
  try {
    await fc.assert(
      fc.asyncProperty(version, fc.array(step, { minLength: 30, maxLength: 60 }), async (roomVersion, steps) => {
        for (const index of [...all.down]) await all.bringUp(index);
        const [founder] = all.people;
        if (!founder) throw new Error('nobody is there');
        all.room = await founder.user.createRoom({
          preset: 'public_chat',
          room_version: roomVersion,
          power_level_content_override: { invite: 0, events: { 'm.room.topic': 0, 'm.room.power_levels': 50 } },
        });
        for (const { kind, who, whom } of [
          { kind: 'join', who: 2, whom: 0 } as const,
          { kind: 'power', who: 0, whom: 2 } as const,
          { kind: 'join', who: 4, whom: 0 } as const,
          ...steps,
        ]) {
          await all.do({ kind, who, whom });
        }
        await all.comeTogether();
        const minds = [];
        for (const server of all.servers) {
          const isIn = server.running.lantern.roster.usersOfServerIn(all.room as never, server.name as never).size > 0;
          if (isIn) minds.push(await mindOf(server, all.room));
        }
        const [first] = minds;
        for (const mind of minds) {
          // Also who joined through a server that had not heard of their ban: nobody stays in a room of their own.
          expect(mind.state).toEqual(first?.state);
          expect(mind.joined).toEqual(first?.joined);
        }
        // Nobody who is in the room reads anything twice.
        for (const { user } of all.people.filter(({ user: { userId } }) => first?.joined.includes(userId))) {
          const ids = (await historyOf(user, all.room)).map(({ event_id }) => event_id);
          expect(new Set(ids).size).toBe(ids.length);
        }
      }),
      // A smaller case takes as long as a whole one, so none is looked for.
      { numRuns: propertyRuns(1), endOnFailure: true },
    );
  } finally {
    await all.stop();
  }
}, 600_000);
