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

const narrowed = async () =>
  (await world.host(here).storage.presence.listNarrowings()).map(({ subject }) => subject as string);

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
    expect(await narrowed()).toEqual([]);
  });

  it('is written down with a stop, also one that comes at once', async () => {
    await world.host(here).restart();
    expect(await narrowed()).toEqual([alice]);
    world.host(there).isDown = false;
    await world.advance(15 * minutes);
    expect(await world.get(dave, alice)).toEqual({ presence: 'offline' });
  });

  it('and written again is what was written last', async () => {
    await world.put(alice, 'offline', 'back soon');
    await world.advance(90 * minutes);
    await world.host(here).restart({ crash: true });
    world.host(there).isDown = false;
    await world.advance(15 * minutes);
    expect(await world.get(dave, alice)).toMatchObject({ presence: 'offline', status_msg: 'back soon' });
  });
});

describe('nothing is written down', () => {
  it('of who has no status: what the other server holds expires', async () => {
    world.host(there).isDown = true;
    await world.put(bob, 'offline');
    await world.advance(90 * minutes);
    expect(await narrowed()).toEqual([]);
  });

  it('of who is there: that is sent again anyway', async () => {
    world.host(there).isDown = true;
    await world.put(bob, 'online', 'news');
    const end = world.device(bob).poll();
    await world.advance(90 * minutes);
    expect(await narrowed()).toEqual([]);
    end();
  });

  it('while the other server takes what it is sent', async () => {
    for (const status of [null, 'one', 'two', null]) {
      await world.put(alice, 'offline', status);
      await world.advance(2_000);
    }
    await world.host(here).restart();
    expect(await narrowed()).toEqual([]);
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
