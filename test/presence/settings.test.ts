import { describe, expect, it } from 'vitest';
import { configShape } from '../../src/app/config/shape.ts';
import { presenceSettings } from '../../src/app/presence-parts.ts';
import { defaultPresenceSettings, type PresenceSettings } from '../../src/presence/settings.ts';
import { joinMany } from '../support/presence-crowd.ts';
import { type Client, here, room, there, user, World } from '../support/presence-world.ts';

/** Every setting of presence, by what it does and what is so without it. */

const [alice, bob] = [user('alice'), user('bob')];
const dave = user('dave:there.test');
const offline = (sender: string) => ({ sender, presence: 'offline' });

let world: World;

async function start(settings: Partial<PresenceSettings> = {}): Promise<World> {
  world = await World.start(settings);
  await world.join(room('a'), alice, bob, dave);
  return world;
}

async function watch(viewer: typeof bob): Promise<Client> {
  const client = world.device(viewer);
  await client.sync({ set: 'offline' });
  client.poll('offline', true);
  return client;
}

const stateOf = async (viewer: typeof bob) => (await world.get(viewer, alice)).presence;
const sent = () => world.takeTransactions(there).filter(({ from }) => from === here);

describe('what more servers hold than one commit takes back', () => {
  it('is taken back from all of them', async () => {
    await start();
    const crowd = Array.from({ length: 501 }, (_, index) => user(`u:s${index}.test`));
    await joinMany(world, room('a'), crowd);
    for (const subject of [alice, bob]) await world.put(subject, 'online', 'hi');
    await world.advance(2_000);
    await world.host(here).restart({ settings: { outbound: false } });
    const narrowings = await world.host(here).storage.presence.listNarrowings();
    for (const subject of [alice, bob]) expect(narrowings.filter((one) => one.subject === subject).length).toBe(502);
  });
});

describe('the configuration', () => {
  const settingsOf = (presence: object, federation: object = {}) =>
    presenceSettings(configShape.parse({ presence, federation }));

  it('left alone gives the defaults', () => {
    expect(settingsOf({})).toEqual(defaultPresenceSettings);
  });

  it.each([
    ['local_only', { local_only: true }, {}],
    ['no federation at all', {}, { enabled: false }],
  ])('%s keeps presence from crossing, in either direction', (_, presence, federation) => {
    expect(settingsOf(presence, federation)).toMatchObject({ enabled: true, inbound: false, outbound: false });
  });

  it('has each direction by itself', () => {
    expect(settingsOf({ inbound: false })).toMatchObject({ inbound: false, outbound: true });
    expect(settingsOf({ outbound: false })).toMatchObject({ inbound: true, outbound: false });
  });

  it('hands over every other setting', () => {
    const given = {
      enabled: false,
      default_config: { denied_users: ['@*'] },
      override_config: { denied_users: ['@x:y'] },
      excluded_rooms: ['!a:b'],
      largest_room: 7,
      unaware_servers: 'withhold',
      currently_active_ms: 1,
      idle_after_ms: 2,
      offline_after_ms: 3,
      restart_grace_ms: 4,
      federation_window_ms: 5,
      federation_window_max_ms: 6,
      keep_alive_min_ms: 7,
      keep_alive_max_ms: 8,
      copy_expires_ms: 9,
    };
    expect(settingsOf(given)).toMatchObject({
      enabled: false,
      defaultConfig: { denied_users: ['@*'] },
      overrideConfig: { denied_users: ['@x:y'] },
      excludedRooms: ['!a:b'],
      largestRoom: 7,
      unawareServers: 'withhold',
      currentlyActiveMs: 1,
      idleAfterMs: 2,
      offlineAfterMs: 3,
      restartGraceMs: 4,
      windowMs: 5,
      windowMaxMs: 6,
      keepAliveMinMs: 7,
      keepAliveMaxMs: 8,
      copyExpiresMs: 9,
    });
  });

  it.each([
    ['default_config', { denied_users: ['bob'] }, 'denied_users[0]'],
    ['override_config', { allowed_users: 'bob' }, 'allowed_users'],
    ['excluded_rooms', ['bob'], 'room id'],
    ['unaware_servers', 'trust', 'unaware_servers'],
    ['largest_room', 0, 'largest_room'],
  ])('refuses a bad %s', (name, value, problem) => {
    const parsed = configShape.safeParse({ presence: { [name]: value } });
    expect(JSON.stringify(parsed.error?.issues)).toContain(problem);
  });
});

describe('enabled', () => {
  it('false: nobody is shown to anybody, nothing is sent and nothing taken in; a PUT is taken without a word', async () => {
    await start({ enabled: false });
    const bobs = await watch(bob);
    await world.put(alice, 'online', 'hello');
    await world.device(alice).sync();
    await world.advance(2_000);
    expect(await bobs.read()).toEqual([]);
    expect(await world.device(bob, 'NEW').read()).toEqual([]);
    expect(await world.get(bob, alice)).toEqual({ presence: 'offline' });
    expect(await world.get(alice, alice)).toEqual({ presence: 'offline' });
    expect(sent()).toEqual([]);
    await world.presence.receive(there, [{ push: [{ user_id: dave, presence: 'online', last_active_ago: 0 }] }]);
    expect(await world.get(bob, dave)).toEqual({ presence: 'offline' });
  });

  it('true, after a start without: whoever is there is seen again', async () => {
    await start();
    await world.host(here).restart({ settings: { enabled: false } });
    await world.host(here).restart({ settings: {} });
    await world.put(alice, 'online');
    await world.advance(2_000);
    expect(await stateOf(bob)).toBe('online');
    expect(await stateOf(dave)).toBe('online');
  });
});

describe('outbound and inbound', () => {
  it('outbound false: ours are seen here, and by no other server; theirs are seen here', async () => {
    await start();
    await world.host(here).restart({ settings: { outbound: false } });
    await world.put(alice, 'online');
    await world.put(dave, 'online');
    await world.advance(2_000);
    expect(await stateOf(bob)).toBe('online');
    expect(await stateOf(dave)).toBe('offline');
    expect(sent()).toEqual([]);
    expect((await world.get(bob, dave)).presence).toBe('online');
  });

  it('outbound switched on: other servers get at once what they may have', async () => {
    await start();
    await world.host(here).restart({ settings: { outbound: false } });
    await world.put(alice, 'online', 'hello');
    await world.advance(2_000);
    await world.host(here).restart({ settings: {} });
    await world.advance(2_000);
    expect(await world.get(dave, alice)).toMatchObject({ presence: 'online', status_msg: 'hello' });
  });

  it('inbound false: theirs are not seen here, ours are seen there', async () => {
    await start();
    await world.host(here).restart({ settings: { inbound: false } });
    const bobs = await watch(bob);
    await world.put(alice, 'online');
    await world.put(dave, 'online');
    await world.advance(2_000);
    expect((await world.get(bob, dave)).presence).toBe('offline');
    expect(await bobs.readStates()).toEqual({ [alice]: 'online' });
    expect(await stateOf(dave)).toBe('online');
  });
});

describe("a change of the administrator's configs, or of rooms that count", () => {
  const changes: [string, Partial<PresenceSettings>][] = [
    ['a default', { defaultConfig: { denied_users: [bob, dave] } }],
    ['an override', { overrideConfig: { denied_users: [bob, dave] } }],
    ['an excluded room', { excludedRooms: [room('a')] }],
    ['a largest room', { largestRoom: 2 }],
  ];

  it.each(changes)('by %s takes sight at the restart, here and there', async (_, settings) => {
    await start();
    await world.put(alice, 'online');
    await world.advance(2_000);
    const [bobs, daves] = [await watch(bob), await watch(dave)];
    await world.host(here).restart({ settings });
    expect(await bobs.read()).toContainEqual(offline(alice));
    await world.advance(2_000);
    expect(await daves.read()).toEqual([offline(alice)]);
  });

  it.each(changes)('without %s any more gives it at the restart, here and there', async (_, settings) => {
    await start();
    await world.host(here).restart({ settings });
    await world.put(alice, 'online');
    await world.advance(2_000);
    const [bobs, daves] = [await watch(bob), await watch(dave)];
    await world.host(here).restart({ settings: {} });
    expect(await bobs.readStates()).toMatchObject({ [alice]: 'online' });
    await world.advance(2_000);
    expect(await daves.readStates()).toEqual({ [alice]: 'online' });
  });

  it("that changes nobody's audience tells other servers nothing", async () => {
    await start();
    await world.put(alice, 'online', 'hello');
    await world.advance(2_000);
    sent();
    await world.host(here).restart({ settings: { excludedRooms: [room('z')] } });
    await world.advance(10_000);
    expect(sent()).toEqual([]);
  });

  it('that is unreadable keeps the server from starting', async () => {
    await expect(World.start({ overrideConfig: { denied_users: 'everybody' } })).rejects.toThrow('denied_users');
  });
});

describe('timers', () => {
  it('currentlyActiveMs, idleAfterMs and offlineAfterMs are what they say', async () => {
    await start({ currentlyActiveMs: 5_000, idleAfterMs: 20_000, offlineAfterMs: 7_000 });
    const end = world.device(alice).poll();
    await world.settle();
    await world.advance(4_999);
    expect(await world.get(bob, alice)).toMatchObject({ presence: 'online', currently_active: true });
    await world.advance(1);
    expect(await world.get(bob, alice)).toMatchObject({ presence: 'online', currently_active: false });
    await world.advance(14_999);
    expect(await stateOf(bob)).toBe('online');
    await world.advance(1);
    expect(await stateOf(bob)).toBe('unavailable');
    end();
    await world.advance(6_999);
    expect(await stateOf(bob)).toBe('unavailable');
    await world.advance(1);
    expect(await stateOf(bob)).toBe('offline');
  });

  it('restartGraceMs is how long users may take to come back', async () => {
    await start({ restartGraceMs: 10_000 });
    await world.put(alice, 'online');
    await world.host(here).restart();
    await world.advance(9_999);
    expect(await stateOf(bob)).toBe('online');
    await world.advance(1);
    expect(await stateOf(bob)).toBe('offline');
  });

  it('copyExpiresMs is how long the last word of another server counts', async () => {
    await start({ copyExpiresMs: 10_000 });
    await world.presence.receive(there, [{ push: [{ user_id: dave, presence: 'online', last_active_ago: 0 }] }]);
    await world.advance(9_999);
    expect((await world.get(bob, dave)).presence).toBe('online');
    await world.advance(1);
    expect((await world.get(bob, dave)).presence).toBe('offline');
  });

  it('keepAliveMinMs and keepAliveMaxMs are when who is there is told again', async () => {
    await start({ keepAliveMinMs: 120_000, keepAliveMaxMs: 240_000, idleAfterMs: 10_000_000 });
    const end = world.device(alice).poll();
    await world.advance(65_000);
    sent();
    await world.advance(110_000);
    expect(sent()).toEqual([]);
    await world.advance(130_000);
    expect(sent().length).toBeGreaterThan(0);
    end();
  });

  it.each([3_000, 10_000])('windowMs %i is how long further presence for a server waits', async (windowMs) => {
    await start({ windowMs });
    await world.put(alice, 'online', 'one');
    await world.advance(1_000);
    expect(sent()).toHaveLength(1);
    await world.put(alice, 'online', 'two');
    await world.advance(windowMs - 1_100);
    expect(sent()).toEqual([]);
    await world.advance(200);
    expect(sent()).toHaveLength(1);
  });

  it('windowMaxMs bounds the window, also of a server that fails', async () => {
    await start({ windowMs: 1_000, windowMaxMs: 4_000 });
    world.host(there).isDown = true;
    await world.put(alice, 'online', 'one');
    await world.advance(60_000);
    sent();
    world.host(there).isDown = false;
    await world.put(alice, 'online', 'two');
    await world.advance(4_100);
    expect(sent().some(({ accepted }) => accepted)).toBe(true);
  });

  it('putsPerMinute is how many PUTs a user may make', async () => {
    await start({ putsPerMinute: 3 });
    for (const status of ['one', 'two', 'three']) await world.put(alice, 'online', status);
    const refused = world.put(alice, 'online', 'four');
    await expect(refused).rejects.toMatchObject({ status: 429, errcode: 'M_LIMIT_EXCEEDED' });
    await expect(refused).rejects.toMatchObject({ fields: { retry_after_ms: expect.any(Number) } });
    await world.put(bob, 'online', 'one');
    await world.advance(60_000);
    await world.put(alice, 'online', 'four');
    expect(await world.get(bob, alice)).toMatchObject({ status_msg: 'four' });
  });
});
