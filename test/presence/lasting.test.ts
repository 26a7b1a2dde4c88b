import { beforeEach, describe, expect, it } from 'vitest';
import { here, room, there, user, World } from '../support/presence-world.ts';

/** What another server holds and would keep for ever: an offline with a status does not expire. Marks end with the process. */

const [alice, bob] = [user('alice'), user('bob')];
const [dave, erin] = [user('dave:there.test'), user('erin:there.test')];
const minutes = 60_000;

let world: World;

beforeEach(async () => {
  world = await World.start();
  await world.join(room('a'), alice, bob, dave);
  await world.put(alice, 'offline', 'on holiday');
  await world.put(bob, 'online');
  await world.advance(2_000);
  expect(await world.get(dave, alice)).toMatchObject({ presence: 'offline', status_msg: 'on holiday' });
});

const written = async () =>
  (await world.host(here).storage.presence.listFacts()).flatMap(({ name }) =>
    name.startsWith('untold:') ? [name.slice('untold:'.length)] : [],
  );

const crash = () => world.host(here).restart({ crash: true, downMs: 120 * minutes });

describe('a status that was cleared while the other server was down', () => {
  beforeEach(async () => {
    world.host(there).isDown = true;
    await world.put(alice, 'offline');
  });

  it.each(['a stop', 'a crash'])('is gone there after %s of ours, however long it was down', async (how) => {
    await world.advance(90 * minutes);
    await world.host(here).restart({ crash: how === 'a crash' });
    world.host(there).isDown = false;
    await world.advance(15 * minutes);
    expect(await world.get(dave, alice)).toEqual({ presence: 'offline' });
    expect(await written()).toEqual([]);
  });

  it('is written down before the PUT is answered: a crash in the same moment loses nothing', async () => {
    world.host(there).isDown = false;
    await world.host(here).presence.putPresence({ userId: alice, deviceId: 'PUT' as never }, 'offline', 'back soon');
    expect(await written()).toEqual([alice]);
    await crash();
    await world.advance(60_000);
    expect(await world.get(dave, alice)).toMatchObject({ presence: 'offline', status_msg: 'back soon' });
  });

  it('and written again is what was written last', async () => {
    await world.put(alice, 'offline', 'back soon');
    await world.advance(90 * minutes);
    await world.host(here).restart({ crash: true });
    world.host(there).isDown = false;
    await world.advance(15 * minutes);
    expect(await world.get(dave, alice)).toMatchObject({ presence: 'offline', status_msg: 'back soon' });
  });

  it('and whose owner came and went meanwhile, is gone there too', async () => {
    await world.put(alice, 'offline', 'on holiday');
    await world.put(alice, 'online');
    await world.advance(60_000);
    await crash();
    world.host(there).isDown = false;
    await world.advance(15 * minutes);
    expect(await world.get(dave, alice)).toEqual({ presence: 'offline' });
  });
});

describe('a status of long ago', () => {
  it('reaches who may see it since just before a crash', async () => {
    await world.share(alice, { denied_users: [dave] });
    await world.advance(120 * minutes);
    expect(await world.get(dave, alice)).toEqual({ presence: 'offline' });
    world.host(there).isDown = true;
    await world.share(alice, {});
    await crash();
    world.host(there).isDown = false;
    await world.advance(15 * minutes);
    expect(await world.get(dave, alice)).toMatchObject({ presence: 'offline', status_msg: 'on holiday' });
    expect(await written()).toEqual([]);
  });

  it('is not sent again by a start: it has arrived', async () => {
    await world.advance(120 * minutes);
    world.takeTransactions();
    await world.host(here).restart();
    await world.advance(15 * minutes);
    expect(world.takeTransactions(there).flatMap(({ push }) => push.map((entry) => entry.user_id))).not.toContain(
      alice,
    );
  });
});

describe('nothing is written down', () => {
  it('of who has no status: what the other server holds expires', async () => {
    world.host(there).isDown = true;
    await world.put(bob, 'offline');
    await world.advance(90 * minutes);
    expect(await written()).toEqual([]);
  });

  it('of who is there: that is sent again anyway', async () => {
    world.host(there).isDown = true;
    await world.put(bob, 'online', 'news');
    const end = world.device(bob).poll();
    await world.advance(90 * minutes);
    expect(await written()).toEqual([]);
    end();
  });

  it('of who is seen by no other server', async () => {
    await world.share(alice, { denied_users: [`@*:${there}`] });
    await world.leave(room('a'), dave);
    await world.advance(60_000);
    await world.put(alice, 'offline', 'alone');
    expect(await written()).toEqual([]);
  });

  it('for longer than a minute where the other server takes what it is sent', async () => {
    for (const status of [null, 'one', 'two', null]) {
      await world.put(alice, 'offline', status);
      await world.advance(2_000);
    }
    await world.advance(60_000);
    expect(await written()).toEqual([]);
  });
});

describe('a deactivated user', () => {
  it.each(['was down', 'was up'])(
    'is offline without a word on a server that %s, also after a crash of ours',
    async (how) => {
      await world.join(room('a'), erin);
      world.host(there).isDown = how === 'was down';
      await world.deactivate(alice);
      await world.host(here).restart({ crash: true });
      world.host(there).isDown = false;
      await world.advance(15 * minutes);
      for (const viewer of [dave, erin]) expect(await world.get(viewer, alice)).toEqual({ presence: 'offline' });
      expect(await world.host(here).storage.presence.find(alice)).toBeUndefined();
    },
  );
});

describe('an end of presence that the other server missed', () => {
  it.each(['a stop', 'a crash'])('is told after %s of ours, status or none', async (how) => {
    expect(await world.get(dave, bob)).toMatchObject({ presence: 'online' });
    world.host(there).isDown = true;
    await world.put(bob, 'offline');
    await world.advance(10_000);
    await world.host(here).restart({ crash: how === 'a crash' });
    world.host(there).isDown = false;
    await world.advance(60_000);
    expect(await world.get(dave, bob)).toEqual({ presence: 'offline' });
  });
});

describe('a status that an earlier process told, and whose end nobody heard of', () => {
  it('is taken back after a second restart, though she had none any more when she went', async () => {
    world.host(there).isDown = true;
    await world.put(alice, 'online');
    await world.host(here).restart();
    await world.put(alice, 'offline');
    await world.advance(2_000);
    await crash();
    world.host(there).isDown = false;
    await world.advance(15 * minutes);
    expect(await world.get(dave, alice)).toEqual({ presence: 'offline' });
  });
});
