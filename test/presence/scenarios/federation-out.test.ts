import { beforeEach, describe, expect, it } from 'vitest';
import { canonicalJson } from '../../../src/base/json/canonical-json.ts';
import type { UserId } from '../../../src/matrix/ids.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import type { PresenceSettings } from '../../../src/presence/settings.ts';
import { acceptAll, big, joinMany, many } from '../../support/presence-crowd.ts';
import { here, room, there, user, World } from '../../support/presence-world.ts';

const [alice, bob] = [user('alice'), user('bob')];
const [dave, erin, gina] = [user('dave:there.test'), user('erin:there.test'), user('gina:there.test')];

let world: World;

async function start(...members: readonly UserId[]): Promise<void> {
  await startWith({}, ...members);
}

async function startWith(settings: Partial<PresenceSettings>, ...members: readonly UserId[]): Promise<void> {
  world = await World.start(settings);
  await world.join(room('a'), alice, ...members);
}

/** The first update to a server carries the field in any case. */
async function announce(): Promise<void> {
  await world.put(alice, 'unavailable', 'the first');
  await world.advance(2_000);
  world.takeTransactions();
}

beforeEach(() => start(bob, dave, erin, gina));

describe('an update', () => {
  it('for a whole server names nobody', async () => {
    await announce();
    await world.put(alice, 'online', 'hi');
    await world.advance(1_000);
    expect(world.takeTransactions(there).flatMap(({ push }) => push)).toEqual([
      { user_id: alice, presence: 'online', status_msg: 'hi', currently_active: true, last_active_ago: 0 },
    ]);
  });

  it('for two allowed users of a server, and not the third, names the two', async () => {
    await world.share(alice, { denied_users: [erin] });
    await world.put(alice, 'online');
    await world.advance(1_000);
    const [entry, ...more] = world.takeTransactions(there).flatMap(({ push }) => push);
    expect(entry?.allowed_recipients).toEqual([dave, gina]);
    expect(more).toEqual([]);
  });

  it('for nobody there is not sent', async () => {
    await world.share(alice, { denied_users: ['@*:there.test'] });
    await world.put(alice, 'online');
    await world.advance(2_000);
    await world.put(alice, 'unavailable', 'x');
    await world.advance(60_000);
    expect(world.takeTransactions()).toEqual([]);
  });

  it('for nobody who is left is one offline for the server', async () => {
    await world.put(alice, 'online');
    await world.advance(1_000);
    world.takeTransactions();
    await world.share(alice, { denied_users: ['@*:there.test'] });
    await world.advance(60_000);
    expect(world.takeTransactions().flatMap(({ push }) => push)).toEqual([
      {
        user_id: alice,
        presence: 'offline',
        currently_active: false,
        last_active_ago: expect.any(Number),
        allowed_recipients: [`@*:${there}`],
      },
    ]);
  });

  it.each([
    ['an exact name of that server denied', { denied_users: ['@later:there.test'] }],
    ['a glob denied that may match there', { denied_users: ['@evil*'] }],
    ['a room denied', { denied_users: [room('b')] }],
  ])('names its recipients where somebody to come may be denied: %s', async (_, config) => {
    await world.join(room('b'), alice);
    await world.share(alice, config);
    await world.put(alice, 'online');
    await world.advance(1_000);
    expect(world.takeTransactions(there)[0]?.push[0]?.allowed_recipients).toEqual([dave, erin, gina]);
  });

  it.each([
    ['denials of other servers', { denied_users: ['@x:other.test', '@*:evil.test'] }],
    ['a glob that allows the server', { allowed_users: ['@*:there.test'], denied_users: ['@*'] }],
    ['every room of hers allowed', { allowed_users: [room('a')], denied_users: ['@*'] }],
  ])('names nobody where nobody can be denied: %s', async (_, config) => {
    await world.share(alice, config);
    await announce();
    await world.put(alice, 'online');
    await world.advance(1_000);
    expect(world.takeTransactions(there)[0]?.push[0]).not.toHaveProperty('allowed_recipients');
  });

  it('is evaluated when the transaction is built, and the latest wins', async () => {
    await world.put(alice, 'online', 'one');
    await world.advance(0);
    world.takeTransactions();
    for (const status of ['two', 'three', 'four']) await world.put(alice, 'unavailable', status);
    await world.advance(1_000);
    expect(world.takeTransactions(there).flatMap(({ push }) => push)).toMatchObject([{ status_msg: 'four' }]);
  });

  it('is sent of who went, and came back just as they were', async () => {
    await announce();
    const sent: unknown[] = [];
    for (const state of ['online', 'offline', 'online', 'offline'] as const) {
      await world.put(alice, state);
      await world.advance(2_000);
      sent.push(...world.takeTransactions(there).flatMap(({ push }) => push.map(({ presence }) => presence)));
    }
    expect(sent).toEqual(['online', 'offline', 'online', 'offline']);
  });

  it('that changed back is sent where the answer to the one before it was lost', async () => {
    await announce();
    const deliver = world.deliver.bind(world);
    world.deliver = async (parcel) => {
      await deliver(parcel);
      return false;
    };
    await world.put(alice, 'unavailable', 'arrives, and nobody says so');
    await world.advance(1_000);
    world.deliver = deliver;
    await world.put(alice, 'unavailable', 'the first');
    await world.advance(20_000);
    expect(await world.get(dave, alice)).toMatchObject({ presence: 'unavailable', status_msg: 'the first' });
  });

  it('that changed and changed back is not sent', async () => {
    await world.put(alice, 'online', 'one');
    await world.advance(0);
    world.takeTransactions();
    await world.put(alice, 'unavailable', 'two');
    await world.put(alice, 'online', 'one');
    await world.advance(20_000);
    expect(world.takeTransactions(there)).toEqual([]);
  });
});

describe('a large audience', () => {
  const sent = () => world.takeTransactions(big);

  it('of 600 goes out in chunks of at most 256, together and in order', async () => {
    acceptAll(world);
    const users = many(601);
    await joinMany(world, room('a'), users);
    await world.share(alice, { denied_users: [users[600] ?? ''] });
    await world.put(alice, 'online');
    await world.advance(1_000);
    const transactions = sent();
    expect(transactions).toHaveLength(1);
    const sizes = transactions[0]?.push.map(({ allowed_recipients }) => allowed_recipients?.length);
    expect(sizes).toEqual([256, 256, 88]);
    const named = transactions[0]?.push.flatMap(({ allowed_recipients }) => allowed_recipients ?? []);
    expect(new Set(named)).toEqual(new Set(users.slice(0, 600)));
    expect(transactions[0]?.edus).toBe(3);
  });

  it('with long names stays below 65,536 bytes an EDU', async () => {
    acceptAll(world);
    const users = many(300, 240);
    await joinMany(world, room('a'), users);
    await world.share(alice, { denied_users: ['@nobody:big.test'] });
    const edus: unknown[] = [];
    const { source } = world.presence;
    const { take } = source;
    world.presence.source.take = async (destination, max) => {
      const parcel = await take.call(source, destination, max);
      edus.push(...parcel.edus);
      return parcel;
    };
    await world.put(alice, 'online', 'x'.repeat(2_000));
    await world.advance(1_000);
    const toBig = edus.filter((edu) => JSON.stringify(edu).includes(':big.test'));
    expect(toBig.length).toBeGreaterThan(1);
    for (const edu of toBig) expect(Buffer.byteLength(canonicalJson(edu))).toBeLessThanOrEqual(65_536);
  });
});

describe('many subjects', () => {
  it('go out fifty an EDU', async () => {
    const crowd = Array.from({ length: 120 }, (_, index) => user(`s${index}`));
    await world.join(room('a'), ...crowd);
    await world.advance(60_000);
    const deliver = world.deliver.bind(world);
    const sizes: number[][] = [];
    world.deliver = (parcel) => {
      sizes.push(parcel.contents.map((content) => (content as { push: unknown[] }).push.length));
      return deliver(parcel);
    };
    for (const userId of crowd)
      await world.presence.putPresence({ userId, deviceId: 'PUT' as never }, 'unavailable', null);
    await world.presence.idle();
    await world.advance(2_000);
    expect(sizes).toEqual([[50, 50, 20]]);
  });
});

describe('the pace', () => {
  it('gives a destination at most one transaction a second, whatever it is', async () => {
    for (let index = 0; index < 20; index += 1) {
      await world.put(alice, index % 2 === 0 ? 'online' : 'offline', `${index}`);
      await world.advance(200);
    }
    const times = world.takeTransactions(there).map(({ atMs }) => atMs);
    expect(times.length).toBeGreaterThan(2);
    for (const [index, atMs] of times.entries())
      expect(atMs - (times[index - 1] ?? -1_000)).toBeGreaterThanOrEqual(1_000);
  });

  it('makes narrowing and coming online wait for the second only, the rest for the window', async () => {
    await startWith({ windowMs: 20_000 }, bob, dave);
    await world.put(alice, 'online');
    await world.advance(0);
    expect(world.takeTransactions(there)).toHaveLength(1);
    await world.put(alice, 'unavailable', 'slow');
    await world.advance(19_999);
    expect(world.takeTransactions(there)).toEqual([]);
    await world.advance(1);
    expect(world.takeTransactions(there)).toHaveLength(1);
    await world.put(alice, 'offline');
    await world.advance(20_000);
    expect(world.takeTransactions(there)).toHaveLength(1);
    await world.put(alice, 'online');
    await world.advance(1_000);
    expect(world.takeTransactions(there)).toHaveLength(1);
    await world.share(alice, { denied_users: [dave] });
    await world.advance(1_000);
    expect(world.takeTransactions(there)).toHaveLength(1);
  });

  it('spreads the wake-ups of 500 servers, and bounds their transactions', async () => {
    acceptAll(world);
    const users = Array.from({ length: 500 }, (_, index) => user(`u:s${index}.test`));
    await joinMany(world, room('a'), users);
    await world.put(alice, 'online');
    await world.advance(2_000);
    const first = world.takeTransactions().filter(({ from }) => from === here);
    expect(new Set(first.map(({ to }) => to)).size).toBe(501);
    const perMs = new Map<number, number>();
    for (const { atMs } of first) perMs.set(atMs, (perMs.get(atMs) ?? 0) + 1);
    expect(Math.max(...perMs.values())).toBeLessThanOrEqual(20);
    for (let index = 0; index < 10; index += 1) {
      await world.put(alice, 'unavailable', `${index}`);
      await world.advance(1_000);
    }
    expect(world.takeTransactions().length).toBeLessThanOrEqual(501);
  });

  it('does not count servers of which nothing is held or waits any more', async () => {
    acceptAll(world);
    const users = Array.from({ length: 500 }, (_, index) => user(`u:s${index}.test`));
    await joinMany(world, room('many'), [bob, ...users]);
    await world.put(bob, 'online');
    await world.advance(60_000);
    await world.put(bob, 'offline');
    await world.advance(60_000);
    world.takeTransactions();
    // The window is that of one server again.
    for (const state of ['online', 'unavailable'] as const) {
      await world.put(alice, state, state);
      await world.advance(1_000);
    }
    expect(world.takeTransactions(there)).toHaveLength(2);
  });

  it('costs a dead server one mark a subject, and an attempt each window at most', async () => {
    world.host(there).isDown = true;
    for (let minute = 0; minute < 30; minute += 1) {
      await world.put(alice, minute % 2 === 0 ? 'unavailable' : 'online', `${minute}`);
      await world.advance(60_000);
    }
    const attempts = world.takeTransactions(there);
    expect(attempts.length).toBeLessThanOrEqual(66);
    // With an offline before it where what is held there must not outlive this process.
    for (const { push } of attempts) {
      expect(new Set(push.map(({ user_id: subject }) => subject))).toEqual(new Set([alice]));
      expect(push.length).toBeLessThanOrEqual(2);
    }
  });
});

describe('keep-alive', () => {
  it.each(['online', 'unavailable'] as const)(
    're-sends who is %s after 20 to 25 minutes, again and again',
    async (state) => {
      const phone = world.device(alice);
      const end = phone.poll(state, true);
      await world.advance(400_000);
      const last = world.transactions.filter(({ to }) => to === there).at(-1)?.atMs ?? Number.NaN;
      world.takeTransactions();
      await world.advance(1_200_000 - (world.clock.monotonic() - last) - 1);
      expect(world.takeTransactions(there)).toEqual([]);
      await world.advance(300_001);
      const [renewal, ...more] = world.takeTransactions(there);
      expect(more).toEqual([]);
      expect(renewal?.push).toMatchObject([{ user_id: alice, presence: 'unavailable' }]);
      expect((await world.get(dave, alice)).presence).toBe('unavailable');
      await world.advance(3_600_000);
      expect(world.takeTransactions(there).length).toBeGreaterThanOrEqual(2);
      expect((await world.get(dave, alice)).presence).toBe('unavailable');
      end();
    },
  );

  it('does not re-send who is offline', async () => {
    await world.put(alice, 'online');
    await world.advance(60_000);
    world.takeTransactions();
    await world.advance(3_600_000);
    expect(world.takeTransactions(there)).toEqual([]);
  });

  it('goes on after a restart of who has been the same for an hour', async () => {
    await world.put(alice, 'unavailable', 'here all day');
    world.device(alice).poll('unavailable', true);
    world.device(alice, 'PUT').poll('unavailable', true);
    await world.advance(3_600_000);
    await world.host(here).restart();
    world.device(alice).poll('unavailable', true);
    world.device(alice, 'PUT').poll('unavailable', true);
    await world.advance(1_000_000);
    expect(await world.get(dave, alice)).toMatchObject({ presence: 'unavailable', status_msg: 'here all day' });
    await world.advance(1_000_000);
    expect(await world.get(dave, alice)).toMatchObject({ presence: 'unavailable', status_msg: 'here all day' });
  });

  it('goes on after a restart before the copies there expire', async () => {
    const end = world.device(alice).poll();
    await world.advance(1_100_000);
    await world.host(here).restart();
    const again = world.device(alice).poll();
    await world.advance(3_600_000);
    expect((await world.get(dave, alice)).presence).toBe('unavailable');
    for (let minute = 0; minute < 40; minute += 1) {
      await world.advance(60_000);
      expect((await world.get(dave, alice)).presence).toBe('unavailable');
    }
    end();
    again();
  });
});

describe('a server new to a room', () => {
  it('gets the current presence of the local members who share with it, and only it', async () => {
    world = await World.start({}, [here, there, 'other.test' as ServerName]);
    await world.join(room('a'), alice, bob, dave);
    await world.share(bob, { denied_users: ['@*:other.test'] });
    await world.put(alice, 'online', 'a');
    await world.put(bob, 'online', 'b');
    await world.advance(5_000);
    world.takeTransactions();
    await world.join(room('a'), user('kim:other.test'));
    await world.advance(5_000);
    const sent = world.takeTransactions().filter(({ from }) => from === here);
    expect(sent.map(({ to }) => to)).toEqual(['other.test']);
    expect(sent.flatMap(({ push }) => push)).toMatchObject([{ user_id: alice, status_msg: 'a' }]);
    expect((await world.get(user('kim:other.test'), alice)).presence).toBe('online');
  });

  it('is not sent what it holds already: one more of its users in the room causes nothing', async () => {
    await world.put(alice, 'online');
    await world.advance(2_000);
    world.takeTransactions();
    const late = user('late:there.test');
    await world.join(room('a'), late);
    await world.advance(10_000);
    expect(world.takeTransactions(there)).toEqual([]);
    expect((await world.get(late, alice)).presence).toBe('online');
  });

  it('is sent it when that user was not covered', async () => {
    await world.share(alice, { denied_users: [erin] });
    await world.put(alice, 'online');
    await world.advance(2_000);
    world.takeTransactions();
    const late = user('late:there.test');
    await world.join(room('a'), late);
    await world.advance(10_000);
    expect(world.takeTransactions(there).flatMap(({ push }) => push)).toMatchObject([
      { user_id: alice, allowed_recipients: [dave, gina, late] },
    ]);
  });

  it('is not sent who is offline without a word', async () => {
    await world.put(alice, 'offline');
    await world.advance(60_000);
    world.takeTransactions();
    await world.join(room('a'), user('kim:new.test'));
    await world.advance(10_000);
    expect(world.takeTransactions()).toEqual([]);
  });
});

describe('switched off', () => {
  it('nothing is sent, and nothing of others is taken in', async () => {
    await startWith({ enabled: false }, bob, dave);
    await world.put(alice, 'online');
    await world.device(alice).sync();
    await world.presence.receive(there, [{ push: [{ user_id: dave, presence: 'online', last_active_ago: 0 }] }]);
    await world.advance(5_000);
    expect(world.takeTransactions()).toEqual([]);
    expect(await world.get(bob, alice)).toEqual({ presence: 'offline' });
    expect(await world.get(alice, alice)).toEqual({ presence: 'offline' });
    expect(await world.get(bob, dave)).toEqual({ presence: 'offline' });
    expect(await world.device(bob).sync()).toEqual([]);
  });
});
