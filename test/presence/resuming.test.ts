import { beforeEach, describe, expect, it } from 'vitest';
import type { DeviceId, UserId } from '../../src/matrix/ids.ts';
import { sharingConfigType } from '../../src/matrix/presence.ts';
import { type Client, here, room, there, user, World } from '../support/presence-world.ts';

/** What a client is told that comes back after a while, or after a restart, with the token it had. */

const [alice, bob, carol] = [user('alice'), user('bob'), user('carol')];
const [dave, erin] = [user('dave:there.test'), user('erin:there.test')];
const offline = (sender: string) => ({ sender, presence: 'offline' });
const away = 120_000;

let world: World;
let bobs: Client;

beforeEach(async () => {
  world = await World.start();
  await world.join(room('a'), alice, bob, dave);
  bobs = world.device(bob);
  await world.put(alice, 'online', 'hello');
  await world.put(dave, 'online', 'hello');
  await world.advance(2_000);
  await bobs.sync({ set: 'offline' });
  await bobs.read();
});

describe('a denial, then the end of the last shared room', () => {
  it.each([
    [alice, alice],
    [alice, bob],
  ])('by %s and the leave of %s are one loss to a client from before a restart', async (subject, leaver) => {
    await world.advance(away);
    await world.share(subject, { denied_users: [bob] });
    await world.leave(room('a'), leaver);
    await world.host(here).restart();
    expect(await bobs.read()).toContainEqual(offline(subject));
  });

  it('are one loss to a client of the same process', async () => {
    await world.advance(away);
    await world.share(alice, { denied_users: [bob] });
    await world.leave(room('a'), alice);
    expect(await bobs.read()).toContainEqual(offline(alice));
  });

  it('are none to whom she denied before', async () => {
    await world.share(alice, { denied_users: [bob] });
    await world.advance(2_000);
    await world.put(dave, 'unavailable');
    await world.advance(2_000);
    expect(await bobs.read()).toContainEqual(offline(alice));
    await bobs.read();
    await world.advance(away);
    await world.put(alice, 'unavailable', 'secret');
    await world.leave(room('a'), alice);
    const seen = await bobs.read();
    expect(seen.map(({ sender }) => sender)).not.toContain(alice);
  });
});

describe('a loss that leaves no shared room', () => {
  const days = 86_400_000;

  it.each([
    [29, true],
    [31, false],
  ])('is remembered for thirty days: after %i of them, %s', async (count, isRemembered) => {
    await world.leave(room('a'), alice);
    for (let day = 0; day < count; day += 1) await world.advance(days);
    const losses = await world.host(here).storage.presence.listLosses(bob, 0);
    expect(losses.some(({ subject }) => subject === alice)).toBe(isRemembered);
    await world.host(here).restart();
    const seen = await bobs.read();
    expect(seen.some(({ sender }) => sender === alice)).toBe(isRemembered);
  });
});

describe('a loss whose commit takes its time', () => {
  /** The leave is decided on, and committed when the returned function is called. */
  async function decide(userId: UserId): Promise<() => Promise<void>> {
    const host = world.host(here);
    const commit = host.storage.commit.bind(host.storage);
    let goOn = (): void => {};
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    host.storage.commit = async (batch) => {
      if (batch.rows.some(({ kind }) => kind === 'membership')) await held;
      return commit(batch);
    };
    const left = host.setMembership({ roomId: room('a'), userId, before: 'join', after: 'leave' });
    await world.settle();
    return async () => {
      goOn();
      await left;
    };
  }

  it('is told after a restart also to a client that was told something else meanwhile', async () => {
    const commit = await decide(alice);
    await world.advance(5_000);
    await world.put(alice, 'unavailable', 'last words');
    expect(await bobs.read()).toMatchObject([{ sender: alice, presence: 'unavailable' }]);
    await commit();
    await world.host(here).restart({ crash: true });
    expect(await bobs.read()).toContainEqual(offline(alice));
  });

  it.each([
    ['here, who leaves', carol, carol],
    ['here, whom the viewer leaves', carol, bob],
    ['elsewhere, who leaves', erin, erin],
    ['elsewhere, whom the viewer leaves', erin, bob],
  ])(
    'is told after a restart also of somebody %s, and who was never seen before it was decided on',
    async (_, subject, leaver) => {
      await world.join(room('a'), subject);
      const commit = await decide(leaver);
      await world.advance(2_000);
      await world.put(subject, 'online', 'the first');
      await world.advance(2_000);
      expect(await bobs.read()).toMatchObject([{ sender: subject, status_msg: 'the first' }]);
      await commit();
      await world.settle();
      await world.host(here).restart({ crash: true });
      expect(await bobs.read()).toContainEqual(offline(subject));
    },
  );

  it.each([
    ['lets nobody in any more', carol],
    ['is not wanted any more', bob],
  ])(
    'is told after a restart also of a stranger who %s, and was never seen before that was decided on',
    async (_, who) => {
      const host = world.host(here);
      await world.share(carol, { allowed_users: [bob] });
      await world.share(bob, { allowed_users: [carol] });
      const rows = await host.presence.checkAccountData(who, null, sharingConfigType, {});
      await world.put(carol, 'online', 'the first');
      expect(await bobs.read()).toMatchObject([{ sender: carol, status_msg: 'the first' }]);
      await host.commit(rows);
      await world.share(bob, {});
      await host.restart({ crash: true });
      expect(await bobs.read()).toContainEqual(offline(carol));
    },
  );

  it('names nobody who wanted the viewer, and was never wanted by them', async () => {
    await world.share(carol, { allowed_users: [bob] });
    await world.put(carol, 'online', 'unwanted');
    await world.share(bob, { allowed_users: ['@x:example.org'] });
    await world.share(bob, {});
    await world.share(carol, {});
    await world.settle();
    expect(await world.host(here).storage.presence.listLosses(bob, 0)).toEqual([]);
  });

  it('and a loss that is none, of who shares another room, is not told', async () => {
    await world.join(room('a'), carol);
    await world.join(room('b'), bob, carol);
    const commit = await decide(carol);
    await world.put(carol, 'online', 'the first');
    await commit();
    await world.settle();
    expect(await world.host(here).storage.presence.listLosses(bob, 0)).toEqual([]);
  });
});

describe("the machine's clock, set", () => {
  const hour = 3_600_000;

  it.each([hour, -hour])('by %i ms, hides no loss from a client that comes after a restart', async (ms) => {
    world.clock.step(ms);
    await world.leave(room('a'), alice);
    await world.advance(60_000);
    await world.host(here).restart();
    expect(await bobs.read()).toContainEqual(offline(alice));
  });

  it('back between two processes, hides no loss of either', async () => {
    await world.leave(room('a'), alice);
    world.clock.step(-hour);
    await world.host(here).restart();
    await world.leave(room('a'), dave);
    await world.host(here).restart();
    const seen = await bobs.read();
    for (const subject of [alice, dave]) expect(seen).toContainEqual(offline(subject));
  });

  it('back between two processes, lets a copy live no longer than half an hour', async () => {
    world.clock.step(-24 * hour);
    await world.host(here).restart();
    expect(await world.get(bob, dave)).toMatchObject({ presence: 'online' });
    // Whose server falls silent.
    await world.host(there).presence.stop();
    await world.advance(1_800_000);
    expect(await world.get(bob, dave)).toEqual({ presence: 'offline' });
  });
});

describe('a filter', () => {
  it.each([
    ['after a while', async () => world.advance(away)],
    ['after a restart', async () => world.host(here).restart()],
  ])('that lets nobody in loses nothing for the next one with the same token, %s', async (_, happen) => {
    await happen();
    await world.put(alice, 'unavailable', 'news');
    expect(await bobs.read({ accepts: () => false })).toEqual([]);
    expect(await bobs.read({ accepts: () => false })).toEqual([]);
    expect(await bobs.read()).toContainEqual(expect.objectContaining({ sender: alice, status_msg: 'news' }));
  });
});

describe('a subject of another server', () => {
  it('who denied the viewer then and now is not named, whatever they did and however often', async () => {
    await world.share(dave, { denied_users: [bob] });
    await world.join(room('a'), carol);
    await world.advance(2_000);
    await world.put(alice, 'unavailable');
    expect(await bobs.read()).toContainEqual(offline(dave));
    await bobs.read();
    await world.advance(away);
    for (let round = 0; round < 8; round += 1) {
      await world.put(dave, round % 2 === 0 ? 'unavailable' : 'online', `secret ${round}`);
      await world.advance(2_000);
    }
    expect(await world.get(carol, dave)).toMatchObject({ status_msg: 'secret 7' });
    expect((await bobs.read()).map(({ sender }) => sender)).not.toContain(dave);
  });

  it('who changed often and then denied the viewer is shown offline', async () => {
    await world.advance(away);
    for (let round = 0; round < 8; round += 1) {
      await world.put(dave, round % 2 === 0 ? 'unavailable' : 'online', `hello ${round}`);
      await world.advance(2_000);
    }
    await world.share(dave, { denied_users: [bob] });
    await world.advance(2_000);
    expect(await bobs.read()).toContainEqual(offline(dave));
  });

  it('is not shown from what was held before their presence was refused here', async () => {
    await world.put(dave, 'offline', 'was here');
    await world.advance(2_000);
    expect(await world.get(bob, dave)).toMatchObject({ status_msg: 'was here' });
    await world.host(here).restart({ settings: { inbound: false } });
    expect(await world.get(bob, dave)).toEqual({ presence: 'offline' });
    expect(await bobs.read()).toContainEqual(offline(dave));
    await world.share(dave, { denied_users: [bob] });
    await world.advance(5_000);
    await world.host(here).restart({ settings: {} });
    expect(await world.get(bob, dave)).toEqual({ presence: 'offline' });
  });

  it('is forgotten with the last shared room, also for who is away: a re-join shows nothing old', async () => {
    await world.join(room('a'), carol);
    await world.advance(away);
    // Nothing that their server says arrives.
    world.host(here).isDown = true;
    await world.leave(room('a'), bob);
    await world.join(room('a'), bob);
    expect(await world.get(bob, dave)).toEqual({ presence: 'offline' });
    expect(await world.get(carol, dave)).toMatchObject({ presence: 'offline', status_msg: 'hello' });
  });
});

describe('a crash', () => {
  it('in the minute in which somebody first came online leaves nobody who saw it with a green dot', async () => {
    const phone = { userId: carol, deviceId: 'PHONE' as DeviceId };
    await world.join(room('a'), carol);
    world.presence.begin({ ...phone, setPresence: 'online', written: false });
    await world.advance(2_000);
    expect(await bobs.readStates()).toMatchObject({ [carol]: 'online' });
    await world.host(here).restart({ crash: true });
    await world.advance(60_000);
    expect(await bobs.read()).toContainEqual(expect.objectContaining({ sender: carol, presence: 'offline' }));
  });

  it('does not make a user write more than once a minute', async () => {
    const { storage } = world.host(here);
    const { commit } = storage;
    let rows = 0;
    storage.commit = (batch) => {
      rows += batch.rows.filter((row) => row.kind === 'presence' && row.userId === carol).length;
      return commit(batch);
    };
    const phone = { userId: carol, deviceId: 'PHONE' as DeviceId };
    for (let second = 0; second < 60; second += 1) {
      world.presence.begin({ ...phone, setPresence: second % 2 === 0 ? 'online' : 'unavailable', written: true }).end();
      await world.advance(1_000);
    }
    expect(rows).toBeLessThanOrEqual(2);
    expect(rows).toBeGreaterThan(0);
  });
});

describe('somebody of another server who denies the viewer, then as now', () => {
  it('is not named to them, however often the others were told something', async () => {
    await world.join(room('a'), carol);
    await world.share(dave, { denied_users: [bob] });
    await world.advance(2_000);
    // A token of after the loss: an answer with nothing in it would have given the former one.
    await world.put(alice, 'unavailable', 'hello');
    await world.advance(2_000);
    expect((await bobs.readStates())[alice]).toBe('unavailable');
    await world.advance(away);
    for (let time = 0; time < 30; time += 1) {
      await world.put(dave, time % 2 === 0 ? 'unavailable' : 'online', `${time}`);
      await world.advance(2_000);
    }
    expect(await world.get(carol, dave)).toMatchObject({ status_msg: '29' });
    expect((await bobs.read()).map(({ sender }) => sender)).not.toContain(dave);
  });
});

describe('that a remote user was seen here', () => {
  it('is stored for thirty days, and not longer', async () => {
    const listStored = async () =>
      (await world.host(here).storage.presence.listCopies(null, 100)).map((row) => row.subject);
    await world.put(dave, 'offline');
    await world.advance(120_000);
    const day = 86_400_000;
    await world.host(here).restart({ downMs: 29 * day });
    await world.advance(120_000);
    expect(await listStored()).toEqual([dave]);
    await world.host(here).restart({ downMs: 2 * day });
    await world.advance(120_000);
    expect(await listStored()).toEqual([]);
  });
});
