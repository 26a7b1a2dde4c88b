import { describe, expect, it } from 'vitest';
import { here, room, there, user, World } from '../support/presence-world.ts';

const [alice, bob] = [user('alice'), user('bob')];
const [dave, erin] = [user('dave:there.test'), user('erin:there.test')];

/** What went out about a subject, in order: for whom, and the state. An announcement means the same as no list. */
function told(world: World): [string, readonly string[] | undefined][] {
  return world
    .takeTransactions(there)
    .flatMap(({ push }) => push)
    .map(({ presence, allowed_recipients: list }) => [
      presence,
      presence !== 'offline' && list?.[0] === `@*:${there}` ? undefined : list,
    ]);
}

describe('an update for everybody of a server, now and to come', () => {
  it('is taken back when a room grows too large that the server is not even in: its users may join there', async () => {
    const world = await World.start({ largestRoom: 3 });
    await world.join(room('a'), alice, dave);
    await world.join(room('b'), alice, bob, user('x'));
    await world.put(alice, 'online', 'secret');
    await world.advance(2_000);
    expect(told(world)).toContainEqual(['online', undefined]);
    await world.join(room('b'), user('y'));
    await world.advance(2_000);
    expect(told(world)).toEqual([
      ['offline', [`@*:${there}`]],
      ['online', [dave]],
    ]);
    const erins = world.device(erin);
    await world.join(room('b'), erin);
    await world.advance(2_000);
    expect(await erins.sync()).toMatchObject([{ sender: erin }]);
    expect(await world.get(erin, alice)).toEqual({ presence: 'offline' });
    expect(await world.get(dave, alice)).toMatchObject({ presence: 'online', status_msg: 'secret' });
  });

  it('is taken back when one of them leaves who goes on to see her by name: for them it must not be left out', async () => {
    const world = await World.start({ excludedRooms: [room('b')] });
    const wished = world.device(dave);
    await world.join(room('a'), alice, dave);
    await world.share(dave, { allowed_users: [alice] });
    await world.share(alice, { allowed_users: [dave] });
    await world.put(alice, 'online', 'secret');
    await world.advance(2_000);
    await wished.read();
    expect(told(world)).toContainEqual(['online', undefined]);
    await world.leave(room('a'), dave);
    await world.host(here).restart({ crash: true });
    await world.advance(3_000);
    expect(told(world).slice(0, 2)).toEqual([
      ['offline', [`@*:${there}`]],
      ['online', [dave]],
    ]);
    expect(await world.get(dave, alice)).toMatchObject({ presence: 'online' });
    await world.join(room('b'), alice, erin);
    await world.advance(2_000);
    expect(await world.get(erin, alice)).toEqual({ presence: 'offline' });
  });

  it.each([
    ['a denied user of theirs who shares no room yet', { denied_users: [erin] }],
    ['a glob that might match one of theirs', { denied_users: ['@e*'] }],
    ['a denied room of which they are not in', { denied_users: [room('b')] }],
    ['an allowed room beside a room that is not', { allowed_users: [room('a')], denied_users: ['@*'] }],
  ] as const)('is not sent with %s', async (_, config) => {
    const world = await World.start();
    await world.join(room('a'), alice, dave);
    await world.join(room('b'), alice, bob);
    await world.share(alice, config);
    await world.put(alice, 'online', 'secret');
    await world.advance(2_000);
    expect(told(world)).toContainEqual(['online', [dave]]);
    await world.join(room('b'), erin);
    await world.advance(2_000);
    expect((await world.get(erin, alice)).presence).toBe('offline');
  });

  it('is not sent where one is ignored, also one who shares no room yet', async () => {
    const world = await World.start();
    await world.join(room('a'), alice, dave);
    await world.ignore(alice, erin);
    await world.put(alice, 'online');
    await world.advance(2_000);
    expect(told(world)).toEqual([['online', [dave]]]);
  });

  it('is taken back before she enters a denied or excluded room, or none there could be kept from seeing her', async () => {
    const world = await World.start({ excludedRooms: [room('excluded')] });
    await world.join(room('a'), alice, dave);
    await world.join(room('excluded'), erin, bob);
    await world.put(alice, 'online');
    await world.advance(2_000);
    expect(told(world)).toEqual([['online', undefined]]);
    await world.join(room('excluded'), alice);
    await world.advance(2_000);
    expect((await world.get(erin, alice)).presence).toBe('offline');
    expect((await world.get(dave, alice)).presence).toBe('online');
    expect(told(world)).toEqual([
      ['offline', [`@*:${there}`]],
      ['online', [dave]],
    ]);
  });
});

describe('one of them who leaves, and goes on to be let in by name', () => {
  it('makes it fewer than everybody: that is stored with the leave', async () => {
    const [owner, leaver, other] = [user('owner'), user('leaver:there.test'), user('other:there.test')];
    const own = await World.start();
    await own.join(room('w'), owner, leaver, other);
    await own.share(owner, { allowed_users: [leaver] });
    await own.put(owner, 'online', 'to everybody');
    await own.advance(2_000);
    const step = { roomId: room('w'), userId: leaver, before: 'join', after: 'leave' } as const;
    expect(await own.presence.rowsForAudienceChange([step])).toContainEqual(
      expect.objectContaining({ kind: 'narrowing', destination: there, subject: owner }),
    );
  });
});
