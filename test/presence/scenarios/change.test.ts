import { beforeEach, describe, expect, it } from 'vitest';
import { sharingConfigType, sharingConfigTypeUnstable } from '../../../src/matrix/presence.ts';
import type { Row } from '../../../src/storage/contract/commit.ts';
import { joinMany } from '../../support/presence-crowd.ts';
import { type Client, here, room, there, user, World } from '../../support/presence-world.ts';

const alice = user('alice');
const [bob, carol] = [user('bob'), user('carol')];
const [dave, erin] = [user('dave:there.test'), user('erin:there.test')];
const offline = (sender: string) => ({ sender, presence: 'offline' });

let world: World;
let bobs: Client;
let daves: Client;
let erins: Client;

async function prepare(): Promise<void> {
  world = await World.start();
  await world.join(room('a'), alice, bob, carol, dave, erin);
  bobs = world.device(bob);
  daves = world.device(dave);
  erins = world.device(erin);
  for (const client of [bobs, daves, erins]) {
    await client.sync({ set: 'offline' });
    client.poll('offline', true);
  }
  await world.put(alice, 'online', 'hello');
  await world.advance(2_000);
  for (const client of [bobs, daves, erins]) expect(await client.readStates()).toEqual({ [alice]: 'online' });
  world.takeTransactions();
}

beforeEach(prepare);

describe('a config that denies', () => {
  it('shows a local viewer one bare offline within a second', async () => {
    await world.share(alice, { denied_users: [bob] });
    await world.advance(1_000);
    expect(await bobs.read()).toEqual([offline(alice)]);
    await world.put(alice, 'unavailable', 'secret');
    expect(await bobs.read()).toEqual([]);
  });

  it('shows a remote viewer offline within two seconds, and the others there notice nothing', async () => {
    await world.share(alice, { denied_users: [dave] });
    await world.advance(2_000);
    expect(await daves.read()).toEqual([offline(alice)]);
    expect(await erins.read()).toEqual([]);
    expect(await world.get(dave, alice)).toEqual({ presence: 'offline' });
    expect(await world.get(erin, alice)).toMatchObject({ presence: 'online', status_msg: 'hello' });
    const [transaction, ...more] = world.takeTransactions(there);
    expect(more).toEqual([]);
    expect(transaction?.push).toEqual([
      {
        user_id: alice,
        presence: 'offline',
        currently_active: false,
        last_active_ago: expect.any(Number),
        allowed_recipients: [`@*:${there}`],
      },
      expect.objectContaining({ user_id: alice, presence: 'online', allowed_recipients: [erin] }),
    ]);
  });

  it('is in force before the PUT is answered', async () => {
    const { presence } = world.host(here);
    const rows = await presence.checkAccountData(alice, null, sharingConfigType, { denied_users: [bob] });
    await world.host(here).storage.commit({ rows });
    // Not even a turn of the loop later.
    expect(await presence.getPresence(bob, alice)).toEqual({ presence: 'offline' });
  });

  it('undone, brings her back', async () => {
    await world.share(alice, { denied_users: [bob, dave] });
    await world.advance(2_000);
    await bobs.read();
    await daves.read();
    await world.share(alice, {});
    await world.advance(2_000);
    expect(await bobs.read()).toMatchObject([{ sender: alice, presence: 'online', status_msg: 'hello' }]);
    expect(await daves.read()).toMatchObject([{ sender: alice, presence: 'online', status_msg: 'hello' }]);
  });

  it('says what it counts from: never an activity after access was lost', async () => {
    world.host(there).isDown = true;
    await world.share(alice, { denied_users: [dave, erin] });
    await world.advance(20_000);
    await world.put(alice, 'online', 'later', 'OTHER');
    await world.advance(10_000);
    world.takeTransactions();
    world.host(there).isDown = false;
    await world.advance(60_000);
    const [entry] = world.takeTransactions(there).flatMap(({ push }) => push);
    expect(entry).toMatchObject({ presence: 'offline', currently_active: false });
    expect(entry).not.toHaveProperty('status_msg');
    expect(entry?.last_active_ago).toBeGreaterThanOrEqual(32_000);
  });

  it('for somebody who is not there yet takes back what was for everybody to come', async () => {
    const gina = user('gina:there.test');
    await world.share(alice, { denied_users: [gina] });
    await world.advance(2_000);
    await world.join(room('a'), gina);
    await world.advance(5_000);
    expect((await world.get(gina, alice)).presence).toBe('offline');
    expect(await daves.read()).toEqual([]);
  });
});

describe('an ignore list', () => {
  it('takes sight from whom it names, here and there, and gives it back', async () => {
    await world.ignore(alice, bob, dave);
    await world.advance(2_000);
    expect(await bobs.read()).toEqual([offline(alice)]);
    expect(await daves.read()).toEqual([offline(alice)]);
    expect(await erins.read()).toEqual([]);
    await world.ignore(alice);
    await world.advance(2_000);
    expect(await bobs.read()).toMatchObject([{ presence: 'online' }]);
    expect(await daves.read()).toMatchObject([{ presence: 'online' }]);
  });
});

describe('the last shared room', () => {
  it('left by the subject, leaves one offline with everybody, here and there', async () => {
    await world.leave(room('a'), alice);
    await world.advance(2_000);
    for (const client of [bobs, daves, erins]) {
      expect(await client.read()).toEqual([offline(alice)]);
      await expect(world.get(client.userId, alice)).rejects.toMatchObject({ status: 404 });
    }
    const push = world.takeTransactions(there).flatMap((transaction) => transaction.push);
    expect(push).toMatchObject([{ presence: 'offline', allowed_recipients: [`@*:${there}`] }]);
    await world.put(alice, 'unavailable', 'secret');
    await world.advance(2_000);
    expect(world.takeTransactions(there)).toEqual([]);
  });

  it('left by a kick or a ban is left all the same', async () => {
    await world.leave(room('a'), alice, 'ban');
    await world.advance(2_000);
    expect(await bobs.read()).toEqual([offline(alice)]);
    expect(await daves.read()).toEqual([offline(alice)]);
  });

  it('left by a viewer: their own server says so without waiting for the other', async () => {
    world.host(there).isDown = true;
    await world.leave(room('a'), dave);
    expect(await daves.read()).toEqual([offline(alice)]);
    expect(await erins.read()).toEqual([]);
  });

  it('is not left while another is shared', async () => {
    await world.join(room('b'), alice, bob, dave);
    for (const client of [bobs, daves, erins]) await client.read();
    await world.leave(room('a'), alice);
    await world.advance(2_000);
    expect(await bobs.read()).toEqual([]);
    expect(await daves.read()).toEqual([]);
    expect(await erins.read()).toEqual([offline(alice)]);
  });
});

describe('a narrowing', () => {
  const narrowings = (rows: readonly Row[]) => rows.flatMap((row) => (row.kind === 'narrowing' ? [row.subject] : []));

  it('stands in the commit that causes it', async () => {
    const { presence } = world.host(here);
    await world.put(alice, 'online');
    expect(narrowings(await presence.checkAccountData(alice, null, 'm.presence_sharing_config', {}))).toEqual([]);
    for (const [type, content] of [
      ['m.presence_sharing_config', { denied_users: [dave] }],
      ['m.ignored_user_list', { ignored_users: { [dave]: {} } }],
    ] as const)
      expect(narrowings(await presence.checkAccountData(alice, null, type, content))).toEqual([alice]);
    for (const userId of [alice, dave]) {
      const step = { roomId: room('a'), userId, before: 'join', after: 'leave' } as const;
      expect(narrowings(await presence.rowsForAudienceChange([step]))).toContain(alice);
    }
  });

  it('stands in the commit of the join by which a room grows too large', async () => {
    await world.put(alice, 'online');
    await world.host(here).restart({ settings: { largestRoom: 5 } });
    const step = { roomId: room('a'), userId: user('frank'), before: null, after: 'join' } as const;
    expect(narrowings(await world.presence.rowsForAudienceChange([step]))).toEqual([alice]);
    const smaller = { ...step, userId: carol, before: 'join', after: 'leave' } as const;
    expect(narrowings(await world.presence.rowsForAudienceChange([smaller]))).toEqual([]);
  });

  it('is made good where facts moved between the decision and its commit', async () => {
    const zed = user('zed:there.test');
    const host = world.host(here);
    await world.join(room('new'), bob);
    await world.put(bob, 'online', 'secret');
    for (const userId of [dave, erin]) await world.leave(room('a'), userId);
    const rows = await host.presence.checkAccountData(bob, null, 'm.presence_sharing_config', { denied_users: [zed] });
    expect(narrowings(rows)).toEqual([]);
    await world.join(room('new'), zed);
    await world.advance(2_000);
    expect(await world.get(zed, bob)).toMatchObject({ presence: 'online' });
    await host.commit(rows);
    await world.settle();
    await world.advance(2_000);
    expect(await world.get(zed, bob)).toEqual({ presence: 'offline' });
  });
});

describe('a narrowing that is on its way', () => {
  it('does not clear the one that follows it meanwhile', async () => {
    const deliver = world.deliver.bind(world);
    world.deliver = async (parcel) => {
      world.deliver = deliver;
      const arrives = await deliver(parcel);
      await world.host(here).putAccountData(alice, sharingConfigType, { denied_users: [dave, erin] });
      return arrives;
    };
    await world.share(alice, { denied_users: [dave] });
    await world.advance(5_000);
    for (const viewer of [dave, erin]) expect(await world.get(viewer, alice)).toEqual({ presence: 'offline' });
    expect(await world.host(here).storage.presence.listNarrowings()).toEqual([]);
  });
});

describe('a narrowing that could not be delivered', () => {
  it('arrives after an outage of the other server', async () => {
    world.host(there).isDown = true;
    await world.share(alice, { denied_users: [dave] });
    await world.advance(10_000);
    expect(await daves.read()).toEqual([]);
    world.host(there).isDown = false;
    await world.advance(60_000);
    expect(await daves.read()).toEqual([offline(alice)]);
    expect((await world.get(erin, alice)).presence).not.toBe('online');
  });

  it('arrives after a restart of ours that came before it could be told', async () => {
    world.host(there).isDown = true;
    await world.share(alice, { denied_users: [dave] });
    await world.advance(1_000);
    await world.host(here).restart({ crash: true });
    world.host(there).isDown = false;
    await world.advance(3_000);
    expect(await daves.read()).toEqual([offline(alice)]);
    expect(await world.host(here).storage.presence.listNarrowings()).toEqual([]);
  });

  it('is cleared only by the attempt that carried it, and outlives one that was under way', async () => {
    const { storage } = world.host(here);
    const deliver = world.deliver.bind(world);
    world.deliver = async (parcel) => {
      world.deliver = deliver;
      // Narrowed again while the first one is on its way; then nothing more arrives.
      const arrived = await deliver(parcel);
      await world.host(here).putAccountData(alice, sharingConfigType, { denied_users: [dave, erin] });
      await world.presence.idle();
      world.host(there).isDown = true;
      return arrived;
    };
    await world.share(alice, { denied_users: [dave] });
    await world.advance(500);
    expect(await storage.presence.listNarrowings()).toHaveLength(1);
    expect((await world.get(erin, alice)).presence).toBe('online');
    world.host(there).isDown = false;
    await world.advance(5_000);
    expect(await storage.presence.listNarrowings()).toEqual([]);
    expect((await world.get(erin, alice)).presence).toBe('offline');
  });

  it('is not cleared by an attempt that failed', async () => {
    world.host(there).isDown = true;
    await world.share(alice, { denied_users: [dave] });
    await world.advance(100_000);
    expect(world.takeTransactions(there).length).toBeGreaterThan(1);
    expect(await world.host(here).storage.presence.listNarrowings()).toHaveLength(1);
  });
});

describe('the config follows the rooms', () => {
  const stored = async () => {
    const { accountData } = world.host(here).storage;
    const [one, other] = [
      await accountData.find(alice, null, sharingConfigType),
      await accountData.find(alice, null, sharingConfigTypeUnstable),
    ];
    expect(one?.content).toEqual(other?.content);
    return one?.content;
  };

  it('an allowed room that she leaves is removed, so that a re-join shares nothing', async () => {
    await world.join(room('b'), alice, bob);
    await world.share(alice, { allowed_users: [room('b'), carol], denied_users: ['@*'] });
    await world.leave(room('b'), alice);
    expect(await stored()).toEqual({ allowed_users: [carol], denied_users: ['@*'] });
    await world.join(room('b'), alice);
    expect((await world.get(bob, alice)).presence).toBe('offline');
  });

  it('a denied room stays denied over a kick and a re-join, until she forgets it', async () => {
    await world.join(room('b'), alice, user('zoe'));
    await world.share(alice, { denied_users: [room('b')] });
    await world.leave(room('b'), alice);
    expect(await stored()).toEqual({ denied_users: [room('b')] });
    await world.join(room('b'), alice);
    expect((await world.get(user('zoe'), alice)).presence).toBe('offline');
    await world.leave(room('b'), alice);
    await world.forget(room('b'), alice);
    expect(await stored()).toEqual({ denied_users: [] });
  });

  it('the successor of a denied room is denied before anything is shared there', async () => {
    await world.share(alice, { denied_users: [room('a')] });
    await world.advance(2_000);
    await bobs.read();
    const host = world.host(here);
    const step = { roomId: room('a2'), userId: alice, before: null, after: 'join', predecessor: room('a') } as const;
    await world.join(room('a2'), bob);
    await host.setMembership(step);
    await world.advance(2_000);
    expect(await stored()).toEqual({ denied_users: [room('a'), room('a2')] });
    expect(await bobs.read({ newlyShared: [alice] })).toEqual([]);
    expect((await world.get(bob, alice)).presence).toBe('offline');
  });

  it('no allowed room is carried over', async () => {
    await world.share(alice, { allowed_users: [room('a')], denied_users: ['@*'] });
    const step = { roomId: room('a2'), userId: alice, before: null, after: 'join', predecessor: room('a') } as const;
    await world.host(here).setMembership(step);
    expect(await stored()).toEqual({ allowed_users: [room('a')], denied_users: ['@*'] });
  });

  it('a PUT that comes between a leave and its commit is not lost', async () => {
    await world.join(room('b'), alice, bob);
    await world.share(alice, { allowed_users: [room('b')], denied_users: ['@*'] });
    const host = world.host(here);
    const leave = { roomId: room('b'), userId: alice, before: 'join', after: 'leave' } as const;
    const rows = await host.presence.rowsForAudienceChange([leave]);
    await world.share(alice, { allowed_users: [room('b'), carol], denied_users: ['@*', bob] });
    await host.commit(rows);
    await world.settle();
    expect(await stored()).toEqual({ allowed_users: [carol], denied_users: ['@*', bob] });
  });
});

describe('a setting', () => {
  it.each([
    ['switched off', { enabled: false }],
    ['kept to ourselves', { outbound: false }],
    ['with the room excluded', { excludedRooms: [room('a')] }],
    ['with the room too large', { largestRoom: 4 }],
  ] as const)('%s at a restart takes back what other servers hold', async (_, settings) => {
    await world.host(here).restart({ settings: { ...settings } });
    await world.advance(3_000);
    expect(await daves.read()).toEqual([offline(alice)]);
    expect(world.takeTransactions(there).flatMap(({ push }) => push)).toMatchObject([{ presence: 'offline' }]);
    await world.put(alice, 'online', 'secret');
    await world.advance(3_000);
    expect(world.takeTransactions(there)).toEqual([]);
  });

  it('that excludes the room shows local viewers offline', async () => {
    await world.host(here).restart({ settings: { excludedRooms: [room('a')] } });
    expect(await bobs.read()).toContainEqual(offline(alice));
  });

  it('left as it was takes nothing back', async () => {
    await world.host(here).restart();
    await world.advance(3_000);
    expect(await daves.read()).toEqual([]);
  });
});

describe('a setting that shares more', () => {
  it.each([
    ['without a limit', {}],
    ['with a higher limit', { largestRoom: 10 }],
  ] as const)('%s gives other servers at once what a room that was too large kept back', async (_, settings) => {
    world = await World.start({ largestRoom: 5 });
    await world.join(room('a'), alice, bob, carol, dave, erin, user('f'));
    await world.leave(room('a'), user('f'));
    await world.put(alice, 'online', 'hello');
    await world.advance(2_000);
    expect(await world.get(dave, alice)).toEqual({ presence: 'offline' });
    await world.host(here).restart({ settings: { ...settings } });
    await world.advance(2_000);
    expect(await world.get(dave, alice)).toMatchObject({ presence: 'online', status_msg: 'hello' });
  });
});

describe('a room that grows too large', () => {
  it('takes sight at once, and gives it back only below four fifths of the limit', async () => {
    world = await World.start({ largestRoom: 5 });
    await world.join(room('a'), alice, bob, carol, dave, erin);
    const client = world.device(bob);
    const remote = world.device(dave);
    for (const each of [client, remote]) {
      await each.sync({ set: 'offline' });
      each.poll('offline', true);
    }
    await world.put(alice, 'online');
    await world.advance(2_000);
    await client.read();
    await remote.read();
    await world.join(room('a'), user('f'));
    await world.advance(2_000);
    expect(await client.read()).toEqual([offline(alice)]);
    expect(await remote.read()).toEqual([offline(alice)]);
    await world.leave(room('a'), user('f'));
    await world.advance(2_000);
    expect(await client.read()).toEqual([]);
    await world.host(here).restart();
    expect((await world.get(bob, alice)).presence).toBe('offline');
    await world.leave(room('a'), carol);
    await world.leave(room('a'), erin);
    await world.advance(2_000);
    expect((await world.get(bob, alice)).presence).toBe('online');
    expect(await remote.read()).toMatchObject([{ sender: alice, presence: 'online' }]);
  });

  describe.each([
    ['that was too large when the limit came', {}, () => world.host(here).restart({ settings: { largestRoom: 5 } })],
    ['that came with all its members at once', { largestRoom: 5 }, async () => {}],
  ])('%s', (_, settings, limit) => {
    const crowd = ['f', 'g', 'h', 'i'].map((name) => user(name));

    beforeEach(async () => {
      world = await World.start(settings);
      await joinMany(world, room('a'), [alice, bob, ...crowd]);
      await world.put(alice, 'online');
      await limit();
      world.device(alice).poll();
    });

    it.each([
      ['the same process', false],
      ['a crash', true],
    ])('counts again only below four fifths of the limit, also for %s', async (_how, isCrash) => {
      const seen = [];
      for (const left of crowd) {
        const step = { roomId: room('a'), userId: left, before: 'join', after: 'leave' } as const;
        await world.host(here).setMembership(step);
        if (isCrash) await world.host(here).restart({ crash: true, settings: { largestRoom: 5 } });
        seen.push((await world.get(bob, alice)).presence);
      }
      // Five are left, then four, three and two.
      expect(seen).toEqual(['offline', 'offline', 'online', 'online']);
    });
  });
});
