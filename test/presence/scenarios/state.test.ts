import { beforeEach, describe, expect, it } from 'vitest';
import type { DeviceId, UserId } from '../../../src/matrix/ids.ts';
import type { PresenceState } from '../../../src/matrix/presence.ts';
import { type Client, here, room, user, World } from '../../support/presence-world.ts';

const [alice, bob] = [user('alice'), user('bob')];

let world: World;
let viewer: Client;
let endPoll: () => void;

beforeEach(async () => {
  world = await World.start({}, [here]);
  await world.join(room('a'), alice, bob);
  viewer = world.device(bob);
  await viewer.sync({ set: 'offline' });
  endPoll = viewer.poll('offline', true);
});

async function stateOf(subject: UserId): Promise<PresenceState> {
  return (await world.get(bob, subject)).presence;
}

describe('what a user says of themselves', () => {
  it('round-trips, for themselves and for who shares a room', async () => {
    await world.put(alice, 'online', 'writing tests');
    for (const reader of [alice, bob]) {
      expect(await world.get(reader, alice)).toEqual({
        presence: 'online',
        status_msg: 'writing tests',
        last_active_ago: 0,
        currently_active: true,
      });
    }
    expect(await viewer.read()).toEqual([
      {
        sender: alice,
        presence: 'online',
        status_msg: 'writing tests',
        last_active_ago: 0,
        currently_active: true,
      },
    ]);
  });

  it('may be unavailable', async () => {
    await world.put(alice, 'unavailable', 'lunch');
    expect(await world.get(bob, alice)).toMatchObject({ presence: 'unavailable', status_msg: 'lunch' });
  });

  it('loses its status by a PUT without one, not by a sync', async () => {
    const phone = world.device(alice);
    await world.put(alice, 'online', 'here', 'PHONE');
    await phone.sync({ set: 'online' });
    expect(await world.get(bob, alice)).toHaveProperty('status_msg', 'here');
    await world.put(alice, 'online', null, 'PHONE');
    expect(await world.get(bob, alice)).not.toHaveProperty('status_msg');
  });

  it('keeps its status over a time-out', async () => {
    await world.put(alice, 'online', 'back on Monday');
    await viewer.read();
    await world.advance(30_000);
    const [seen] = await viewer.read();
    expect(seen).toMatchObject({ sender: alice, presence: 'offline', status_msg: 'back on Monday' });
    expect(seen?.last_active_ago).toBe(30_000);
    expect(await world.get(bob, alice)).toMatchObject({ presence: 'offline', status_msg: 'back on Monday' });
  });
});

describe('time', () => {
  it('makes a user idle five minutes after their last activity, however long they are connected', async () => {
    const phone = world.device(alice);
    const end = phone.poll();
    await world.advance(299_999);
    expect(await stateOf(alice)).toBe('online');
    await world.advance(1);
    expect(await stateOf(alice)).toBe('unavailable');
    end();
  });

  it('lets a client that only syncs go idle, and one that does something come back', async () => {
    const phone = world.device(alice);
    for (let minute = 0; minute < 6; minute += 1) {
      const end = phone.poll('online', true);
      await world.advance(29_000);
      end();
      const again = phone.poll('online', true);
      await world.advance(31_000);
      again();
    }
    expect(await stateOf(alice)).toBe('unavailable');
    world.presence.activity({ userId: alice, deviceId: phone.deviceId });
    expect(await world.get(bob, alice)).toMatchObject({
      presence: 'online',
      last_active_ago: 0,
      currently_active: true,
    });
  });

  it('takes a user for offline thirty seconds after the last sync ended, and not while one is in flight', async () => {
    const phone = world.device(alice);
    const end = phone.poll();
    await world.advance(120_000);
    expect(await stateOf(alice)).toBe('online');
    end();
    await world.advance(29_999);
    expect(await stateOf(alice)).toBe('online');
    await world.advance(1);
    expect(await stateOf(alice)).toBe('offline');
  });

  it('ends currently_active a minute after the last activity, and says so once', async () => {
    const phone = world.device(alice);
    const end = phone.poll();
    await world.settle();
    await viewer.read();
    await world.advance(30_000);
    world.presence.activity({ userId: alice, deviceId: phone.deviceId });
    await world.settle();
    expect(await viewer.read()).toEqual([]);
    await world.advance(59_999);
    expect(await viewer.read()).toEqual([]);
    await world.advance(1);
    expect(await viewer.read()).toEqual([
      { sender: alice, presence: 'online', currently_active: false, last_active_ago: 60_000 },
    ]);
    end();
  });
});

describe('two devices', () => {
  const words = ['online', 'unavailable', 'hidden', 'gone'] as const;
  const rank = { online: 2, unavailable: 1, hidden: 0, gone: 0 };
  const expected = (one: (typeof words)[number], other: (typeof words)[number]): PresenceState => {
    const best = Math.max(rank[one], rank[other]);
    return best === 2 ? 'online' : best === 1 ? 'unavailable' : 'offline';
  };
  const pairs = words.flatMap((one) => words.map((other) => ({ one, other, state: expected(one, other) })));

  it.each(pairs)('$one and $other make $state', async ({ one, other, state }) => {
    const ends: (() => void)[] = [];
    for (const [deviceId, word] of [
      ['ONE', one],
      ['OTHER', other],
    ] as const) {
      const device = world.device(alice, deviceId);
      if (word === 'hidden') await world.put(alice, 'offline', null, deviceId);
      if (word === 'gone') device.poll()();
      else ends.push(device.poll(word === 'hidden' ? 'online' : word, word === 'unavailable'));
    }
    await world.advance(31_000);
    expect(await stateOf(alice)).toBe(state);
    for (const end of ends) end();
  });
});

describe('two devices that are online', () => {
  it.each([
    ['first', 'ONE', 'OTHER'],
    ['last', 'OTHER', 'ONE'],
  ])('count as the one that was active last, which is the %s to sync', async (_, newest, older) => {
    const ends = ['ONE', 'OTHER'].map((deviceId) => world.device(alice, deviceId).poll());
    await world.advance(10_000);
    for (const deviceId of [older, newest]) {
      world.presence.activity({ userId: alice, deviceId: deviceId as DeviceId });
      await world.advance(20_000);
    }
    expect(await world.get(bob, alice)).toMatchObject({ currently_active: true, last_active_ago: 20_000 });
    await world.advance(280_000 - 1);
    expect(await stateOf(alice)).toBe('online');
    await world.advance(1);
    expect(await stateOf(alice)).toBe('unavailable');
    for (const end of ends) end();
  });
});

describe('more than a hundred devices', () => {
  it('are more than are remembered, but of one that syncs nothing is forgotten', async () => {
    world = await World.start({ putsPerMinute: 1_000 });
    const end = world.device(alice).poll();
    for (let index = 0; index < 105; index += 1) await world.put(alice, 'offline', null, `OLD${index}`);
    expect((await world.get(alice, alice)).presence).toBe('online');
    end();
  });
});

describe('who hides', () => {
  it('stays hidden whatever they do', async () => {
    await world.put(alice, 'online', 'x', 'PHONE');
    await viewer.read();
    await world.put(alice, 'offline', null, 'PHONE');
    const before = await viewer.read();
    expect(before).toMatchObject([{ sender: alice, presence: 'offline' }]);
    await world.advance(10_000);
    const phone = world.device(alice);
    world.presence.activity({ userId: alice, deviceId: phone.deviceId });
    await phone.sync();
    world.presence.activity({ userId: alice, deviceId: phone.deviceId });
    await world.settle();
    expect(await viewer.read()).toEqual([]);
    expect(await world.get(bob, alice)).toMatchObject({ presence: 'offline', last_active_ago: 10_000 });
  });

  it('stays hidden by set_presence=offline too: receipts of theirs change nothing', async () => {
    const phone = world.device(alice);
    await phone.sync({ set: 'offline' });
    world.presence.activity({ userId: alice, deviceId: phone.deviceId });
    await world.settle();
    expect(await viewer.read()).toEqual([]);
    expect(await stateOf(alice)).toBe('offline');
  });

  it('is still hidden after a restart, before the first word of the device', async () => {
    const phone = world.device(alice);
    await world.put(alice, 'offline', null, 'PHONE');
    await world.host(here).restart({ crash: true });
    world.presence.activity({ userId: alice, deviceId: phone.deviceId });
    await phone.sync();
    expect(await stateOf(alice)).toBe('offline');
    await phone.sync({ set: 'unavailable' });
    await phone.sync({ set: 'online' });
    expect(await stateOf(alice)).toBe('online');
  });

  it('ends it after a crash by the word that would have ended it before: what their syncs said is stored too', async () => {
    const phone = world.device(alice);
    await world.put(alice, 'offline', null, 'PHONE');
    await world.advance(120_000);
    // Says nothing new, and changes nothing that anybody sees.
    await phone.sync({ set: 'online' });
    expect(await stateOf(alice)).toBe('offline');
    await world.advance(120_000);
    await world.host(here).restart({ crash: true });
    await phone.sync({ set: 'unavailable' });
    expect(await stateOf(alice)).toBe('unavailable');
  });
});

describe('nothing is told of what changes nothing', () => {
  it('when a PUT repeats what was so', async () => {
    await world.put(alice, 'unavailable', 'busy');
    await viewer.read();
    const { woken, storage } = world.host(here);
    woken.length = 0;
    const written: string[] = [];
    const { commit } = storage;
    storage.commit = (batch) => {
      written.push(...batch.rows.flatMap((row) => (row.kind === 'presence' ? [row.userId] : [])));
      return commit.call(storage, batch);
    };
    await world.put(alice, 'unavailable', 'busy');
    await world.advance(29_000);
    expect(woken).toEqual([]);
    expect(written).not.toContain(alice);
    expect(await viewer.read()).toEqual([]);
  });

  it('when a thousand PUTs come: they are limited, and few are written', async () => {
    const { storage } = world.host(here);
    let commits = 0;
    const commit = storage.commit.bind(storage);
    storage.commit = (batch) => {
      commits += 1;
      return commit(batch);
    };
    const answers: number[] = [];
    for (let index = 0; index < 1_000; index += 1) {
      try {
        const word = { userId: alice, deviceId: 'PUT' as DeviceId };
        await world.presence.putPresence(word, index % 2 === 0 ? 'online' : 'unavailable', null);
        answers.push(200);
      } catch (error) {
        expect(error).toMatchObject({ status: 429, errcode: 'M_LIMIT_EXCEEDED' });
        expect((error as { fields: { retry_after_ms: number } }).fields.retry_after_ms).toBeGreaterThan(0);
        answers.push(429);
      }
    }
    expect(answers.filter((status) => status === 200)).toHaveLength(60);
    expect(commits).toBeLessThanOrEqual(60);
    await world.settle();
    expect(await viewer.read()).toHaveLength(1);
  });
});

describe('syncs that change the presence more often than the limit', () => {
  const flap = async (times: number) => {
    const phone = world.device(alice);
    for (let time = 1; time <= times; time += 1) await phone.sync({ set: time % 2 === 1 ? 'unavailable' : 'online' });
  };

  beforeEach(async () => {
    world = await World.start({ putsPerMinute: 6 }, [here]);
    await world.join(room('a'), alice, bob);
    viewer = world.device(bob);
    viewer.poll('offline', true);
    await viewer.read();
  });

  it('are shown up to it; the rest is deferred to the latest value, and nothing is refused', async () => {
    const states: string[] = [];
    const phone = world.device(alice);
    for (let time = 1; time <= 21; time += 1) {
      await phone.sync({ set: time % 2 === 1 ? 'unavailable' : 'online' });
      states.push(...(await viewer.read()).map(({ presence }) => presence));
    }
    expect(states).toHaveLength(6);
    expect(states.at(-1)).toBe('online');
    const end = phone.poll('unavailable', true);
    await world.advance(60_000);
    expect(await viewer.read()).toMatchObject([{ sender: alice, presence: 'unavailable' }]);
    end();
  });

  it('do not keep a PUT from being shown at once', async () => {
    await flap(21);
    await viewer.read();
    await world.put(alice, 'unavailable', 'busy');
    expect(await viewer.read()).toMatchObject([{ sender: alice, presence: 'unavailable', status_msg: 'busy' }]);
  });

  it('do not keep a user who has gone from being taken for offline, a minute later at most', async () => {
    await flap(21);
    await viewer.read();
    await world.advance(59_000);
    await viewer.read();
    await world.advance(1_000);
    expect(await stateOf(alice)).toBe('offline');
  });

  it('below the limit are shown at once', async () => {
    await flap(5);
    expect(await viewer.read()).toMatchObject([{ sender: alice, presence: 'unavailable' }]);
  });
});

describe('the end of a process', () => {
  it('gives users who were online 45 seconds to come back', async () => {
    const phone = world.device(alice);
    const end = phone.poll();
    await world.advance(1_000);
    await world.host(here).restart();
    expect(await stateOf(alice)).toBe('online');
    await world.advance(44_999);
    expect(await stateOf(alice)).toBe('online');
    await world.advance(1);
    expect(await stateOf(alice)).toBe('offline');
    end();
  });

  it('lets who comes back within them notice nothing', async () => {
    const phone = world.device(alice);
    const end = phone.poll();
    await world.advance(60_000);
    await world.host(here).restart({ crash: true });
    await world.advance(30_000);
    const again = phone.poll();
    await world.advance(100_000);
    expect(await stateOf(alice)).toBe('online');
    again();
    end();
  });

  it('leaves who said online, and was active a moment ago, online when their device goes on syncing', async () => {
    const phone = world.device(alice);
    const end = phone.poll('online', true);
    await world.put(alice, 'online', 'here', 'PHONE');
    await world.advance(60_000);
    await world.host(here).restart();
    const again = phone.poll('online', true);
    await world.advance(100_000);
    expect(await stateOf(alice)).toBe('online');
    await world.advance(150_000);
    expect(await stateOf(alice)).toBe('unavailable');
    again();
    end();
  });

  it.each(['a stop', 'a crash'])('brings no device to life that had hidden or gone before %s', async (how) => {
    const phone = world.device(alice, 'PHONE');
    const tablet = world.device(alice, 'TABLET');
    const end = phone.poll('online', true);
    await tablet.sync();
    for (const deviceId of ['TABLET', 'WATCH']) await world.put(alice, 'online', null, deviceId);
    await tablet.sync({ set: 'offline' });
    await world.advance(120_000);
    await phone.sync({ set: 'online' });
    await world.advance(60_000);
    await world.host(here).restart({ crash: how === 'a crash' });
    expect(await stateOf(alice)).toBe('online');
    await world.put(alice, 'offline', null, 'PHONE');
    expect(await stateOf(alice)).toBe('offline');
    end();
  });

  it.each(['a stop', 'a crash'])('ends the PUT of a device that was gone before %s', async (how) => {
    await world.put(alice, 'unavailable', 'here', 'PHONE');
    await world.advance(120_000);
    expect(await stateOf(alice)).toBe('offline');
    await world.host(here).restart({ crash: how === 'a crash' });
    await world.device(alice, 'PHONE').sync();
    expect(await stateOf(alice)).toBe('online');
  });

  it('keeps the PUT of a device that had hidden before', async () => {
    await world.device(alice).sync({ set: 'offline' });
    await world.put(alice, 'online', 'here', 'PHONE');
    await world.put(alice, 'unavailable', 'here', 'TABLET');
    await world.host(here).restart({ crash: true });
    await world.device(alice, 'TABLET').sync({ set: 'unavailable' });
    expect(await stateOf(alice)).toBe('online');
  });

  it('lets nobody stay online for ever after a crash', async () => {
    const end = world.device(alice).poll();
    await world.advance(61_000);
    await world.host(here).restart({ crash: true });
    await world.advance(46_000);
    expect(await stateOf(alice)).toBe('offline');
    end();
  });

  it('keeps a PUT whose 200 was given just before a crash', async () => {
    await world.put(alice, 'unavailable', 'kept');
    await world.host(here).restart({ crash: true });
    expect(await world.get(bob, alice)).toMatchObject({ presence: 'unavailable', status_msg: 'kept' });
  });
});

describe('a device that ends', () => {
  it('by logout ends at once', async () => {
    const phone = world.device(alice);
    const end = phone.poll();
    await world.settle();
    world.presence.deviceGone(alice, phone.deviceId);
    expect(await stateOf(alice)).toBe('offline');
    end();
  });

  it('by logout has ended also for a process that comes after a crash', async () => {
    const end = world.device(alice, 'PHONE').poll();
    await world.put(alice, 'online', 'x', 'TABLET');
    world.presence.deviceGone(alice, 'TABLET' as DeviceId);
    await world.settle();
    await world.host(here).restart({ crash: true });
    await world.put(alice, 'unavailable', 'x', 'PHONE');
    expect(await stateOf(alice)).toBe('unavailable');
    end();
  });

  it('by deactivation takes status and record with it', async () => {
    await world.put(alice, 'online', 'secret');
    await viewer.read();
    await world.deactivate(alice);
    expect(await viewer.read()).toMatchObject([{ sender: alice, presence: 'offline' }]);
    expect(await world.get(bob, alice)).toEqual({ presence: 'offline' });
    await world.advance(61_000);
    expect(await world.host(here).storage.presence.find(alice)).toBeUndefined();
    endPoll();
  });
});
