import { beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import { type Client, here, room, there, user, World } from '../../support/presence-world.ts';

const [bob, carol, frank] = [user('bob'), user('carol'), user('frank')];
const dave = user('dave:there.test');
const minute = 60_000;

let world: World;
let bobs: Client;
let carols: Client;

beforeEach(async () => {
  world = await World.start({}, [here]);
  await world.join(room('a'), bob, carol, dave);
  await world.join(room('b'), frank);
  bobs = world.device(bob);
  carols = world.device(carol);
  for (const client of [bobs, carols]) {
    await client.sync({ set: 'offline' });
    client.poll('offline', true);
  }
});

const entry = (fields: Record<string, unknown> = {}) => ({
  user_id: dave,
  presence: 'online',
  last_active_ago: 5_000,
  currently_active: true,
  ...fields,
});

async function receive(...push: readonly unknown[]): Promise<void> {
  await world.presence.receive(there, [{ push }]);
  await world.settle();
}

async function states(): Promise<string[]> {
  return [(await world.get(bob, dave)).presence, (await world.get(carol, dave)).presence];
}

describe('allowed_recipients', () => {
  it.each([
    ['absent', {}, ['online', 'online']],
    ['empty', { allowed_recipients: [] }, ['online', 'online']],
    ['null', { allowed_recipients: null }, ['online', 'online']],
    ['a name', { allowed_recipients: [bob] }, ['online', 'offline']],
    ['a glob', { allowed_recipients: ['@b*:here.test'] }, ['online', 'offline']],
    ['a glob with ?', { allowed_recipients: ['@?arol:here.test'] }, ['offline', 'online']],
    ['everybody here', { allowed_recipients: [`@*:${here}`] }, ['online', 'online']],
    ['a list that matches nobody', { allowed_recipients: ['@zoe:here.test'] }, ['offline', 'offline']],
    ['a list of other servers', { allowed_recipients: ['@bob:other.test'] }, ['offline', 'offline']],
    ['a list with no valid entry', { allowed_recipients: [1, null, 'bob', '!room:here.test'] }, ['offline', 'offline']],
    ['a list with one valid entry', { allowed_recipients: [1, bob, {}] }, ['online', 'offline']],
    ['no list', { allowed_recipients: bob }, ['offline', 'offline']],
    ['an object', { allowed_recipients: { 0: bob } }, ['offline', 'offline']],
    ['false', { allowed_recipients: false }, ['offline', 'offline']],
  ])('%s', async (_, field, expected) => {
    await receive(entry(field));
    expect(await states()).toEqual(expected);
    expect([await bobs.read(), await carols.read()].map(({ length }) => length)).toEqual(
      expected.map((state) => (state === 'online' ? 1 : 0)),
    );
  });

  it('names nobody who shares no room', async () => {
    await receive(entry({ allowed_recipients: [frank] }));
    await expect(world.get(frank, dave)).rejects.toMatchObject({ status: 404 });
    expect(await world.device(frank).readStates()).toEqual({});
  });
});

describe('what was addressed governs every later read', () => {
  beforeEach(() => receive(entry({ allowed_recipients: [bob, frank], status_msg: 'psst' })));

  it('the initial sync', async () => {
    expect(await world.device(bob, 'NEW').readStates()).toEqual({ [dave]: 'online' });
    expect(await world.device(carol, 'NEW').readStates()).toEqual({});
  });

  it('GET, with the hour counted on', async () => {
    await world.advance(10_000);
    expect(await world.get(bob, dave)).toEqual({
      presence: 'online',
      status_msg: 'psst',
      currently_active: true,
      last_active_ago: 15_000,
    });
    expect(await world.get(carol, dave)).toEqual({ presence: 'offline' });
  });

  it('a member who joins', async () => {
    const franks = world.device(frank);
    await franks.sync({ set: 'offline' });
    const zoes = world.device(user('zoe'));
    await zoes.sync({ set: 'offline' });
    await world.join(room('a'), frank, user('zoe'));
    expect(await franks.read({ newlyShared: [dave] })).toMatchObject([{ sender: dave, status_msg: 'psst' }]);
    expect(await zoes.read({ newlyShared: [dave] })).toEqual([]);
    expect(await franks.read()).toEqual([]);
  });

  it('a restart', async () => {
    await world.host(here).restart({ crash: true });
    expect(await states()).toEqual(['online', 'offline']);
  });
});

describe('entries', () => {
  it('of another server are dropped, the rest goes on', async () => {
    await receive(entry({ user_id: '@x:evil.test' }), entry({ user_id: bob }), entry({ user_id: 7 }), entry());
    expect(await states()).toEqual(['online', 'online']);
    expect((await bobs.read()).map(({ sender }) => sender)).toEqual([dave]);
  });

  it.each([
    ['busy', 'unavailable'],
    ['whatever', 'unavailable'],
    ['unavailable', 'unavailable'],
  ])('with the state %s count as %s', async (presence, state) => {
    await receive(entry({ presence }));
    expect(await states()).toEqual([state, state]);
  });

  it.each([
    ['missing', undefined],
    ['negative', -5],
    ['text', 'soon'],
    ['absurd', 1e300],
  ])('with a last_active_ago that is %s are clamped', async (_, last_active_ago) => {
    await receive(entry({ last_active_ago }));
    const seen = await world.get(bob, dave);
    expect(seen.presence).toBe('online');
    expect(seen.last_active_ago).toBeGreaterThanOrEqual(0);
    expect(Number.isSafeInteger(seen.last_active_ago)).toBe(true);
  });

  it.each([
    ['no object', 'x'],
    ['an array', []],
    ['null', null],
    ['without a state', entry({ presence: undefined })],
    ['a state that is no text', entry({ presence: 5 })],
    ['a status that is no text', entry({ status_msg: { a: 1 } })],
    ['an activity that is no boolean', entry({ currently_active: 'yes' })],
    ['a user id that is none', entry({ user_id: 'dave' })],
  ])('that are malformed cost themselves only: %s', async (_, bad) => {
    await receive(bad, entry({ status_msg: 'good' }), bad);
    expect(await world.get(bob, dave)).toMatchObject({ status_msg: 'good' });
  });

  it.each([[[null]], [[5]], [['x']], [[{}]], [[{ push: null }]], [[{ push: { 0: entry() } }]], [[]]])(
    'that are not there at all harm nobody: %j',
    async (contents) => {
      await world.presence.receive(there, contents);
      expect(await states()).toEqual(['offline', 'offline']);
    },
  );

  it('are cut to a bearable size', async () => {
    await receive(entry({ status_msg: 'x'.repeat(100_000) }));
    expect((await world.get(bob, dave)).status_msg).toHaveLength(2_048);
  });

  it('are bounded in number: those behind the ten thousandth count for nothing', async () => {
    const others = Array.from({ length: 9_999 }, () => entry({ user_id: '@x:evil.test' }));
    await receive(...others, entry({ status_msg: 'last that counts' }), entry({ status_msg: 'one too many' }));
    expect(await world.get(bob, dave)).toMatchObject({ status_msg: 'last that counts' });
  });

  it('name at most a thousand, and a hundred globs: whom the rest of a list names is not shown the update', async () => {
    const others = (count: number, suffix = '') =>
      Array.from({ length: count }, (_, index) => `@u${index}${suffix}:here.test`);
    await receive(entry({ allowed_recipients: [...others(999), bob, carol] }));
    expect(await states()).toEqual(['online', 'offline']);
    await receive(
      entry({ allowed_recipients: [...others(99, '*'), '@c*:here.test', '@bo*:here.test'], presence: 'unavailable' }),
    );
    expect(await states()).toEqual(['online', 'unavailable']);
  });

  it('that claim activity of somebody who is not online are not believed in that', async () => {
    await receive(entry({ presence: 'unavailable', currently_active: true }));
    expect(await world.get(bob, dave)).toMatchObject({ presence: 'unavailable', currently_active: false });
  });

  it('with fields that nobody knows are taken', async () => {
    await receive(entry({ avatar_url: 'mxc://x/y', displayname: 7 }));
    expect(await states()).toEqual(['online', 'online']);
  });

  it('that claim to be ours are not taken', async () => {
    await world.presence.receive(here, [{ push: [entry({ user_id: bob })] }]);
    expect((await world.get(carol, bob)).presence).toBe('offline');
  });
});

describe('a server that answers nothing', () => {
  it('is not waited for by what comes', async () => {
    await receive(entry({ presence: 'unavailable' }));
    let asked = 0;
    world.deliver = () => {
      asked += 1;
      return new Promise(() => {});
    };
    await world.put(bob, 'online', 'on its way');
    await world.advance(1_000);
    expect(asked).toBeGreaterThan(0);
    await receive(entry({ allowed_recipients: [carol] }), entry({ user_id: '@new:there.test' }));
    expect(await states()).toEqual(['unavailable', 'online']);
  });
});

describe('several entries for one subject', () => {
  it('do not replace each other: each reaches whom it names', async () => {
    await receive(
      entry({ allowed_recipients: [bob], status_msg: 'for bob' }),
      entry({ allowed_recipients: [carol], status_msg: 'for carol', presence: 'unavailable' }),
    );
    expect(await bobs.read()).toMatchObject([{ presence: 'online', status_msg: 'for bob' }]);
    expect(await carols.read()).toMatchObject([{ presence: 'unavailable', status_msg: 'for carol' }]);
  });

  it('count by the last that names a viewer', async () => {
    await receive(entry({ status_msg: 'for all' }), entry({ allowed_recipients: [carol], status_msg: 'for carol' }));
    expect(await world.get(bob, dave)).toMatchObject({ status_msg: 'for all' });
    expect(await world.get(carol, dave)).toMatchObject({ status_msg: 'for carol' });
  });

  it('let who keeps access through a narrowing notice nothing, and wake only who loses it', async () => {
    await receive(entry());
    await bobs.read();
    await carols.read();
    const { woken } = world.host(here);
    woken.length = 0;
    await receive(
      entry({ presence: 'offline', currently_active: false, allowed_recipients: [`@*:${here}`] }),
      entry({ allowed_recipients: [bob] }),
    );
    expect(woken).toEqual([carol]);
    expect(await bobs.read()).toEqual([]);
    expect(await carols.read()).toEqual([{ sender: dave, presence: 'offline' }]);
    expect(await states()).toEqual(['online', 'offline']);
  });
});

describe('a transaction that is taken in while others work', () => {
  it('shows nobody what lies between a narrowing and what follows it', async () => {
    await receive(entry());
    // Each step of the way takes longer than anybody may hold up the others.
    let ms = 0;
    vi.spyOn(systemClock, 'monotonic').mockImplementation(() => {
      ms += 20;
      return ms;
    });
    const others = Array.from({ length: 500 }, (_, index) => entry({ user_id: `@u${index}:there.test` }));
    const narrowing = entry({ presence: 'offline', currently_active: false, allowed_recipients: [`@*:${here}`] });
    const chunks = Array.from({ length: 98 }, (_, index) => entry({ allowed_recipients: [`@v${index}:here.test`] }));
    let isDone = false;
    const received = world.presence
      .receive(there, [{ push: [narrowing, ...others, ...chunks, entry({ allowed_recipients: [bob] })] }])
      .then(() => {
        isDone = true;
      });
    let looks = 0;
    for (; !isDone; looks += 1) {
      expect((await world.get(bob, dave)).presence).toBe('online');
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    await received;
    expect(looks).toBeGreaterThan(3);
    expect(await states()).toEqual(['online', 'offline']);
  });
});

describe('offline', () => {
  it('without a status erases what it covers, also over a crash', async () => {
    await receive(entry({ status_msg: 'secret' }));
    await bobs.read();
    await receive(entry({ presence: 'offline', currently_active: false }));
    expect(await bobs.read()).toEqual([{ sender: dave, presence: 'offline' }]);
    await world.host(here).restart({ crash: true });
    expect(await world.get(bob, dave)).toEqual({ presence: 'offline' });
  });

  it('is stored also where it takes back what is gone here already', async () => {
    await receive(entry({ allowed_recipients: [bob, carol] }));
    await world.leave(room('a'), bob);
    await receive(entry({ presence: 'offline', currently_active: false, allowed_recipients: [bob] }));
    await world.host(here).restart({ crash: true });
    await world.join(room('a'), bob);
    expect(await states()).toEqual(['offline', 'online']);
  });

  it('for one viewer leaves the others what they have', async () => {
    await receive(entry());
    await receive(entry({ presence: 'offline', currently_active: false, allowed_recipients: [bob] }));
    expect(await states()).toEqual(['offline', 'online']);
    await world.host(here).restart({ crash: true });
    expect(await states()).toEqual(['offline', 'online']);
  });

  it('with a status is an update like any other, and does not expire', async () => {
    await receive(entry({ presence: 'offline', currently_active: false, status_msg: 'gone fishing' }));
    await world.advance(60 * minute);
    expect(await world.get(bob, dave)).toMatchObject({ presence: 'offline', status_msg: 'gone fishing' });
    await world.host(here).restart();
    expect(await world.get(carol, dave)).toMatchObject({ presence: 'offline', status_msg: 'gone fishing' });
  });

  it('told to who knows of nothing else says nothing', async () => {
    await receive(entry({ presence: 'offline', currently_active: false }));
    expect(await bobs.read()).toEqual([]);
  });
});

describe('time', () => {
  it('lets a copy expire thirty minutes after the last update', async () => {
    await receive(entry({ status_msg: 'x' }));
    await bobs.read();
    await world.advance(30 * minute - 1);
    expect(await bobs.read()).toEqual([]);
    expect(await states()).toEqual(['online', 'online']);
    await world.advance(1);
    expect(await bobs.read()).toEqual([{ sender: dave, presence: 'offline' }]);
    expect(await states()).toEqual(['offline', 'offline']);
  });

  it('is counted for each viewer from the last update that named them', async () => {
    await receive(entry());
    await world.advance(20 * minute);
    await receive(entry({ allowed_recipients: [bob] }));
    await world.advance(10 * minute);
    expect(await states()).toEqual(['online', 'offline']);
    await world.advance(20 * minute);
    expect(await states()).toEqual(['offline', 'offline']);
  });

  it('is renewed by an equal update, which wakes nobody and is not written at once', async () => {
    await receive(entry());
    await bobs.read();
    await world.advance(20 * minute);
    const { woken, storage } = world.host(here);
    woken.length = 0;
    let commits = 0;
    const commit = storage.commit.bind(storage);
    storage.commit = (batch) => {
      commits += 1;
      return commit(batch);
    };
    await receive(entry());
    expect(commits).toBe(0);
    expect(woken).toEqual([]);
    expect(await bobs.read()).toEqual([]);
    await world.advance(29 * minute);
    expect(await states()).toEqual(['online', 'online']);
    await world.host(here).restart({ crash: true });
    expect(await states()).toEqual(['online', 'online']);
  });

  it.each([
    ['a stop', 'online'],
    ['a crash', 'offline'],
  ])('is written within a minute: a renewal right before %s leaves them %s until the next one', async (how, state) => {
    await receive(entry());
    await world.advance(25 * minute);
    await receive(entry());
    await world.host(here).restart({ crash: how === 'a crash' });
    await world.advance(4 * minute);
    expect(await states()).toEqual(['online', 'online']);
    await world.advance(2 * minute);
    expect(await states()).toEqual([state, state]);
    await receive(entry());
    expect(await states()).toEqual(['online', 'online']);
  });

  it('does not make a remote user idle on our side', async () => {
    await receive(entry());
    await world.advance(29 * minute);
    expect(await world.get(bob, dave)).toMatchObject({ presence: 'online', currently_active: true });
  });
});

describe('rooms', () => {
  it('the last of which is left by the viewer, leave one offline and no copy', async () => {
    await receive(entry({ allowed_recipients: [bob, carol] }));
    await bobs.read();
    await carols.read();
    await world.leave(room('a'), bob);
    expect(await bobs.read()).toEqual([{ sender: dave, presence: 'offline' }]);
    await world.join(room('a'), bob);
    expect(await states()).toEqual(['offline', 'online']);
  });

  it.each([
    ['the viewer', bob],
    ['the subject', dave],
  ])('the last of which is left by %s, leave no copy that a crash brings back', async (_, leaver) => {
    await receive(entry());
    await world.leave(room('a'), leaver);
    await world.host(here).restart({ crash: true });
    await world.join(room('a'), leaver);
    expect((await world.get(bob, dave)).presence).toBe('offline');
  });

  it('the last of which is left by a viewer who wants them, leave no older words to speak in the place of the newest', async () => {
    await world.share(bob, { allowed_users: [dave] });
    await receive(entry({ status_msg: 'to Bob', allowed_recipients: [bob] }));
    await receive(entry({ presence: 'unavailable', status_msg: 'to the room' }));
    expect(await bobs.read()).toMatchObject([{ status_msg: 'to the room' }]);
    await world.leave(room('a'), bob);
    expect(await bobs.read()).toEqual([{ sender: dave, presence: 'offline' }]);
    await expect(world.get(bob, dave)).rejects.toMatchObject({ status: 404 });
    await world.host(here).restart({ crash: true });
    await expect(world.get(bob, dave)).rejects.toMatchObject({ status: 404 });
    await receive(entry({ status_msg: 'to Bob again', allowed_recipients: [bob] }));
    expect(await world.get(bob, dave)).toMatchObject({ status_msg: 'to Bob again' });
  });

  it('the last of which is left by the subject, leave one offline', async () => {
    await receive(entry());
    await bobs.read();
    await world.leave(room('a'), dave);
    expect(await bobs.read()).toEqual([{ sender: dave, presence: 'offline' }]);
    await expect(world.get(bob, dave)).rejects.toMatchObject({ status: 404 });
  });

  it('may come after the presence: what is faster than its join is kept for it', async () => {
    const kim = user('kim:other.test');
    await world.presence.receive('other.test' as ServerName, [{ push: [entry({ user_id: kim })] }]);
    await expect(world.get(bob, kim)).rejects.toMatchObject({ status: 404 });
    expect(await bobs.read()).toEqual([]);
    await world.join(room('a'), kim);
    expect(await bobs.read()).toMatchObject([{ sender: kim, presence: 'online' }]);
  });
});

describe('a viewer who was away', () => {
  it('gets a bare offline of whom they lost, and nothing of who was never for them', async () => {
    const lonely = world.device(user('erin'));
    await world.join(room('a'), lonely.userId);
    await receive(entry({ allowed_recipients: [bob, lonely.userId] }));
    await world.advance(100);
    await lonely.sync({ set: 'offline' });
    await lonely.read();
    const denied = world.device(user('zoe'));
    await world.join(room('a'), denied.userId);
    await denied.sync({ set: 'offline' });
    await denied.read();
    await world.advance(5 * minute);
    await receive(entry({ presence: 'offline', currently_active: false, allowed_recipients: [`@*:${here}`] }));
    await receive(entry({ presence: 'unavailable', allowed_recipients: [bob] }));
    expect((await lonely.read()).filter(({ sender }) => sender === dave)).toEqual([
      { sender: dave, presence: 'offline' },
    ]);
    expect((await denied.read()).filter(({ sender }) => sender === dave)).toEqual([]);
  });
});
