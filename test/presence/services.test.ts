import { describe, expect, it } from 'vitest';
import type { ServiceAudience } from '../../src/appservices/sending/service-sender.ts';
import { sharingConfigType } from '../../src/matrix/presence.ts';
import { type Host, here, room, user, World } from '../support/presence-world.ts';

const [alice, bob, ghost, other] = [user('alice'), user('bob'), user('ghost_1'), user('ghost_2')];
const remote = user('rita:there.test');
const [lobby, attic] = [room('lobby'), room('attic')];
const id = 'bridge';

/** A service that stands for everybody whose name begins with `ghost`, and takes what it is told. */
class Service {
  readonly #host: Host;
  pokes = 0;

  static async start(world: World): Promise<Service> {
    const service = new Service(world);
    await service.#host.presence.services.start();
    return service;
  }

  private constructor(world: World) {
    this.#host = world.host(here);
    const isUserOf = (_: string, userId: string): boolean => userId.startsWith('@ghost');
    const audience: ServiceAudience = {
      serviceIds: [id],
      usersIn: (_, roomId) =>
        new Set([...this.#host.roster.localUsersIn(roomId)].filter((userId) => isUserOf(id, userId))),
      isUserOf,
      poke: () => {
        this.pokes += 1;
      },
    };
    this.#host.presence.services.serve(audience);
  }

  get isWaiting(): boolean {
    return this.#host.presence.services.hasPending(id);
  }

  /** What a transaction would carry now; `lost`: nobody knows whether it came. */
  async take(how: { lost?: boolean; max?: number } = {}): Promise<string[]> {
    await this.#host.presence.idle();
    const parcel = await this.#host.presence.services.take(id, how.max ?? 100);
    parcel[how.lost ? 'refused' : 'accepted']();
    return parcel.events.map((text) => {
      const { sender, content } = JSON.parse(text);
      return [sender.slice(1).split(':')[0], content.presence, content.status_msg].filter(Boolean).join(' ');
    });
  }
}

describe('presence for a service', () => {
  it('is that of whom one of its users sees, and of nobody else', async () => {
    const world = await World.start();
    const service = await Service.start(world);
    await world.join(lobby, alice, ghost);
    await world.join(attic, bob);
    await world.put(alice, 'online', 'here');
    await world.put(bob, 'online', 'elsewhere');
    expect(await service.take()).toEqual(['alice online here']);
    await world.join(attic, other);
    expect(await service.take()).toEqual(['bob online elsewhere']);
  });

  it('is that of its own users, and of a subject who lets one of them in is enough', async () => {
    const world = await World.start();
    const service = await Service.start(world);
    await world.join(lobby, alice, ghost, other);
    await world.share(alice, { denied_users: [ghost] });
    await world.put(alice, 'online');
    await world.put(ghost, 'unavailable');
    expect((await service.take()).sort()).toEqual(['alice online', 'ghost_1 unavailable']);
    await world.share(alice, { denied_users: [ghost, other] });
    expect(await service.take()).toEqual(['alice offline']);
  });

  it('ends with exactly one offline, when denied, ignored, or gone from the last room', async () => {
    for (const end of [
      (world: World) => world.share(alice, { denied_users: ['@ghost*'] }),
      (world: World) => world.share(alice, { denied_users: [lobby] }),
      (world: World) => world.ignore(alice, ghost),
      (world: World) => world.leave(lobby, ghost),
      (world: World) => world.leave(lobby, alice),
    ]) {
      const world = await World.start();
      const service = await Service.start(world);
      await world.join(lobby, alice, ghost);
      await world.put(alice, 'online', 'secret');
      expect(await service.take()).toEqual(['alice online secret']);
      await end(world);
      expect(await service.take()).toEqual(['alice offline']);
      await world.put(alice, 'unavailable', 'more secrets');
      expect(await service.take()).toEqual([]);
    }
  });

  it('is asked of the policy when it is built: who denies between mark and sending is not told of', async () => {
    const world = await World.start();
    const service = await Service.start(world);
    await world.join(lobby, alice, ghost);
    await world.put(alice, 'online', 'secret');
    await world.share(alice, { denied_users: ['@ghost*'] });
    expect(await service.take()).toEqual([]);
  });

  it('is taken back where nobody knows whether it came', async () => {
    const world = await World.start();
    const service = await Service.start(world);
    await world.join(lobby, alice, ghost);
    await world.put(alice, 'online', 'secret');
    expect(await service.take({ lost: true })).toEqual(['alice online secret']);
    await world.share(alice, { denied_users: ['@ghost*'] });
    expect(await service.take()).toEqual(['alice offline']);
    expect(await service.take()).toEqual([]);
  });

  it('tells the latest state only, and an equal one not again', async () => {
    const world = await World.start();
    const service = await Service.start(world);
    await world.join(lobby, alice, ghost);
    await world.put(alice, 'online', 'one');
    await world.put(alice, 'unavailable', 'two');
    expect(await service.take()).toEqual(['alice unavailable two']);
    await world.put(alice, 'unavailable', 'two');
    expect(await service.take()).toEqual([]);
    expect(service.isWaiting).toBe(false);
  });

  it('does not go on asking for what turned out to be nothing', async () => {
    const world = await World.start();
    const service = await Service.start(world);
    await world.join(lobby, alice, ghost);
    await world.put(alice, 'online', 'one');
    await service.take();
    await world.put(alice, 'unavailable', 'two');
    await world.put(alice, 'online', 'one');
    expect(service.isWaiting).toBe(true);
    expect(await service.take()).toEqual([]);
    expect(service.isWaiting).toBe(false);
  });

  it('tells what does not fit into one transaction with the next', async () => {
    const world = await World.start();
    const service = await Service.start(world);
    await world.join(lobby, alice, bob, ghost);
    await world.put(alice, 'online');
    await world.put(bob, 'online');
    expect([...(await service.take({ max: 1 })), ...(await service.take({ max: 1 }))].sort()).toEqual([
      'alice online',
      'bob online',
    ]);
    expect(await service.take()).toEqual([]);
  });

  it('of a stranger needs both sides, as for everybody', async () => {
    const world = await World.start();
    const service = await Service.start(world);
    await world.share(alice, { allowed_users: [ghost] });
    await world.put(alice, 'online', 'for one');
    expect(await service.take()).toEqual([]);
    await world.share(ghost, { allowed_users: [alice] }, sharingConfigType);
    expect(await service.take()).toEqual(['alice online for one']);
    await world.share(ghost, {});
    expect(await service.take()).toEqual(['alice offline']);
  });

  it('of another server is what that server addressed to one of its users', async () => {
    const world = await World.start();
    const service = await Service.start(world);
    await world.join(lobby, alice, ghost, remote);
    await world.share(remote, { denied_users: ['@ghost*'] });
    await world.put(remote, 'online', 'for alice');
    await world.advance(2_000);
    expect(await world.device(alice).readStates()).toMatchObject({ [remote]: 'online' });
    expect(await service.take()).toEqual([]);
    await world.share(remote, {});
    await world.advance(2_000);
    expect(await service.take()).toEqual(['rita online for alice']);
  });

  it('after a restart is the present of everybody near, and of whom it was told and sees no more one offline', async () => {
    const world = await World.start();
    const service = await Service.start(world);
    await world.join(lobby, alice, bob, ghost);
    await world.put(alice, 'online', 'still here');
    await world.put(bob, 'online', 'secret');
    expect(await service.take()).toHaveLength(2);
    await world.share(bob, { denied_users: ['@ghost*'] });
    await world.host(here).restart({ crash: true });
    const next = await Service.start(world);
    expect((await next.take()).sort()).toEqual(['alice online still here', 'bob offline']);
    expect(await next.take()).toEqual([]);
    await world.host(here).restart({ crash: true });
    expect(await (await Service.start(world)).take()).toEqual(['alice online still here']);
  });

  it('is taken back by the next process, once, of whoever was lost with the last room, whichever way', async () => {
    for (const end of [
      (world: World) => world.leave(lobby, ghost),
      (world: World) => world.leave(lobby, alice),
      async (world: World) => {
        await world.leave(lobby, alice);
        await world.leave(lobby, ghost);
      },
    ]) {
      const world = await World.start();
      const service = await Service.start(world);
      await world.join(lobby, alice, ghost);
      await world.put(alice, 'online', 'stale');
      expect(await service.take()).toEqual(['alice online stale']);
      await end(world);
      await world.host(here).restart({ crash: true });
      const next = await Service.start(world);
      expect(await next.take()).toEqual(['alice offline']);
      await world.host(here).restart({ crash: true });
      expect(await (await Service.start(world)).take()).toEqual([]);
    }
  });

  it('of whom it was never told is not taken back after a restart', async () => {
    const world = await World.start();
    await Service.start(world);
    await world.join(lobby, alice, ghost);
    await world.put(alice, 'online', 'told to nobody');
    await world.leave(lobby, ghost);
    await world.host(here).restart({ crash: true });
    expect(await (await Service.start(world)).take()).toEqual([]);
  });

  it('is taken back by the next process also where nobody knows whether it came', async () => {
    const world = await World.start();
    const service = await Service.start(world);
    await world.join(lobby, alice, ghost);
    await world.put(alice, 'online', 'maybe');
    expect(await service.take({ lost: true })).toEqual(['alice online maybe']);
    await world.leave(lobby, ghost);
    await world.host(here).restart({ crash: true });
    expect(await (await Service.start(world)).take()).toEqual(['alice offline']);
  });

  it('is not given at all to who is denied while it is written down', async () => {
    const world = await World.start();
    const service = await Service.start(world);
    await world.join(lobby, alice, ghost);
    await world.put(alice, 'online', 'secret');
    await world.host(here).presence.idle();
    const taken = world.host(here).presence.services.take(id, 100);
    const denied = world.share(alice, { denied_users: ['@ghost*'] });
    const { events, accepted } = await taken;
    accepted();
    expect(events).toEqual([]);
    await denied;
    expect(await service.take()).toEqual([]);
    await world.host(here).restart({ crash: true });
    expect(await (await Service.start(world)).take()).toEqual([]);
  });

  it('for a new service names nobody whom it never saw', async () => {
    const world = await World.start();
    await world.join(lobby, alice, bob, ghost);
    await world.put(alice, 'online');
    await world.put(bob, 'online', 'secret');
    await world.share(bob, { denied_users: ['@ghost*'] });
    const service = await Service.start(world);
    expect(await service.take()).toEqual(['alice online']);
  });

  it('is nothing where the server has none', async () => {
    const world = await World.start({ enabled: false });
    const service = await Service.start(world);
    await world.join(lobby, alice, ghost);
    await world.put(alice, 'online');
    expect(await service.take()).toEqual([]);
  });

  it('is not waited for by a service when somebody it does not see changes', async () => {
    const world = await World.start();
    const service = await Service.start(world);
    await world.join(lobby, alice, ghost);
    await world.join(attic, bob);
    await service.take();
    service.pokes = 0;
    await world.put(bob, 'online');
    expect(service.pokes).toBe(0);
    await world.put(alice, 'online');
    expect(service.pokes).toBeGreaterThan(0);
  });
});
