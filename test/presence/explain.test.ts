import { beforeEach, describe, expect, it } from 'vitest';
import type { RoomId, UserId } from '../../src/matrix/ids.ts';
import type { PresenceSettings } from '../../src/presence/settings.ts';
import { here, room, there, user, World } from '../support/presence-world.ts';

const [alice, bob, carol] = [user('alice'), user('bob'), user('carol')];
const [dave, erin] = [user('dave:there.test'), user('erin:there.test')];

interface Report {
  user_id: string;
  viewers: { user_id: string; sees: boolean; step?: number; list?: string; entry?: string; shares_room: boolean }[];
  servers: { server_name: string; whole_server: boolean; viewers: number; honours_list: boolean; step?: number }[];
  warnings: { code: string; entry?: string }[];
  next_batch?: UserId;
}

let world: World;

async function prepare(settings: Partial<PresenceSettings> = {}): Promise<void> {
  world = await World.start(settings);
  await world.join(room('a'), alice, bob, carol, dave, erin);
  await world.join(room('b'), alice, bob);
}

beforeEach(() => prepare());

async function explain(page: { after?: UserId; limit?: number } = {}): Promise<Report> {
  const report = await world.presence.explain(alice, { after: page.after ?? null, limit: page.limit ?? 100 });
  return report as unknown as Report;
}

const warnings = async () => (await explain()).warnings.map(({ code, entry }) => [code, entry]);

/** Everything that must not make a difference to what the owner is told. */
const secrets: [string, () => Promise<void>][] = [
  ['wants her', () => world.share(user('frank'), { allowed_users: [alice] })],
  ['ignores her', () => world.ignore(user('frank'), alice)],
  ['is online', () => world.put(user('frank'), 'online')],
  ['is in rooms', () => world.join(room('c'), user('frank'), bob)],
];

describe('the audience', () => {
  it('of a user without a config is who shares a room: here by name, elsewhere as a whole', async () => {
    const report = await explain();
    expect(report.viewers).toEqual([
      { user_id: bob, sees: true, config: 'default', step: 8, entry: room('a'), shares_room: true },
      { user_id: carol, sees: true, config: 'default', step: 8, entry: room('a'), shares_room: true },
    ]);
    expect(report.servers).toEqual([
      {
        server_name: there,
        sees: true,
        config: 'default',
        step: 8,
        whole_server: true,
        viewers: 2,
        honours_list: false,
        withheld: false,
      },
    ]);
    expect(report.warnings).toEqual([]);
  });

  it('of a config names each with the entry that decided, and nobody else', async () => {
    await world.share(alice, { allowed_users: [room('b'), '@d*', carol], denied_users: ['@*', bob] });
    const { viewers, servers } = await explain();
    expect(viewers.map(({ user_id, sees, step, list, entry }) => [user_id, sees, step, list, entry])).toEqual([
      [bob, false, 3, 'denied_users', bob],
      [carol, true, 2, 'allowed_users', carol],
      [dave, true, 4, 'allowed_users', '@d*'],
      [erin, false, 7, 'denied_users', '@*'],
    ]);
    expect(servers).toMatchObject([{ server_name: there, whole_server: false, viewers: 1, sees: true }]);
  });

  it('is what the viewers see', async () => {
    await world.share(alice, { denied_users: [bob, '@e*'] });
    await world.put(alice, 'online');
    await world.advance(2_000);
    for (const { user_id, sees } of (await explain()).viewers)
      expect([user_id, (await world.get(user_id as UserId, alice)).presence]).toEqual([
        user_id,
        sees ? 'online' : 'offline',
      ]);
  });

  it('comes in pages', async () => {
    await world.share(alice, { denied_users: ['@e*'] });
    const seen: string[] = [];
    let after: UserId | undefined;
    for (let pages = 0; pages < 10; pages += 1) {
      const report = await explain({ ...(after ? { after } : {}), limit: 1 });
      expect(report.viewers).toHaveLength(1);
      expect(report.servers).toHaveLength(after ? 0 : 1);
      seen.push(...report.viewers.map(({ user_id }) => user_id));
      after = report.next_batch;
      if (!after) break;
    }
    expect(seen).toEqual([bob, carol, dave, erin]);
  });

  it('is empty where presence is off, and of this server where none is sent', async () => {
    await prepare({ enabled: false });
    expect(await explain()).toMatchObject({ viewers: [], servers: [], warnings: [{ code: 'presence_is_off' }] });
    await prepare({ outbound: false });
    const report = await explain();
    expect(report.viewers.map(({ user_id }) => user_id)).toEqual([bob, carol]);
    expect(report).toMatchObject({ servers: [], warnings: [{ code: 'not_sent_to_servers' }] });
  });

  it('may be asked for thirty times a minute', async () => {
    for (let count = 0; count < 30; count += 1) await explain();
    await expect(explain()).rejects.toMatchObject({ status: 429, errcode: 'M_LIMIT_EXCEEDED' });
    await world.advance(60_000);
    await explain();
  });
});

describe('a stranger who is allowed by name', () => {
  it.each(secrets)('looks the same whether or not he %s', async (_, happen) => {
    await world.share(alice, { allowed_users: [user('frank'), user('gina:there.test')] });
    const before = await explain();
    expect(before.viewers).toContainEqual(
      expect.objectContaining({ user_id: user('frank'), sees: true, step: 2, shares_room: false }),
    );
    await happen();
    expect(await explain()).toEqual(before);
  });
});

describe('a warning', () => {
  it('is given of an allow that overrides an ignore, and not of another', async () => {
    await world.ignore(alice, bob, carol);
    await world.share(alice, { allowed_users: [bob] });
    expect(await warnings()).toEqual([['allow_overrides_ignore', bob]]);
  });

  it.each(['allowed_users', 'denied_users'])('is given of rooms of %s that do nothing', async (list) => {
    await prepare({ excludedRooms: [room('b')] });
    await world.join(room('alone'), alice);
    await world.share(alice, { [list]: [room('z'), room('b'), room('alone'), room('a')] });
    const ofRooms = (await warnings()).filter(([, entry]) => entry?.startsWith('!'));
    expect(ofRooms).toEqual([
      ['not_in_room', room('z')],
      ['room_does_not_count', room('b')],
      ['matches_nobody', room('alone')],
    ]);
  });

  it('is given of a glob that matches nobody with whom she shares a room', async () => {
    await world.join(room('c'), user('zoe'));
    await world.share(alice, { allowed_users: ['@z*', '@b*'], denied_users: ['@q?', '@*'] });
    expect(await warnings()).toEqual([
      ['matches_nobody', '@z*'],
      ['matches_nobody', '@q?'],
    ]);
  });

  it('is given of servers that may not honour a list, and not where they need none', async () => {
    await world.share(alice, { denied_users: [erin] });
    expect(await warnings()).toEqual([['server_may_not_honour_list', there]]);
    await world.share(alice, { denied_users: [bob] });
    expect(await warnings()).toEqual([]);
  });

  it('is not given of a server that sent a list itself, for seven days, also over a restart', async () => {
    await world.share(alice, { denied_users: [erin] });
    const lists = { user_id: dave, presence: 'online', last_active_ago: 0, allowed_recipients: [bob] };
    await world.host(here).presence.receive(there, [{ push: [lists] }]);
    await world.settle();
    expect(await warnings()).toEqual([]);
    await world.host(here).restart({ crash: true });
    expect(await warnings()).toEqual([]);
    await world.advance(7 * 86_400_000 - 1_000);
    expect(await warnings()).toEqual([]);
    await world.advance(1_000);
    expect(await warnings()).toEqual([['server_may_not_honour_list', there]]);
  });

  it.each([
    ['withhold', {}, true],
    ['withhold', { denied_users: [erin] }, true],
    ['whole_server_only', {}, false],
    ['whole_server_only', { denied_users: [erin] }, true],
  ] as const)(
    'is given of a server that is told nothing, with %s and %o',
    async (unawareServers, config, isWithheld) => {
      await prepare({ unawareServers });
      await world.share(alice, config);
      const report = await explain();
      expect(report.servers).toMatchObject([{ server_name: there, withheld: isWithheld, sees: !isWithheld }]);
      expect(report.viewers.map(({ user_id }) => user_id)).toEqual([bob, carol]);
      expect(await warnings()).toEqual(isWithheld ? [['server_withheld', there]] : []);
    },
  );

  it('is given of servers that are not told, because the list names too many', async () => {
    const names = Array.from({ length: 21 }, (_, index) => user(`x:${index}.test`));
    await world.share(alice, { allowed_users: names });
    expect(await warnings()).toContainEqual(['server_not_told', '20.test']);
    expect(await warnings()).not.toContainEqual(['server_not_told', '19.test']);
  });

  it('is given of a config that cannot be read: nobody sees her', async () => {
    const content = { allowed_users: 'everybody' };
    const row = { kind: 'account_data', userId: alice, roomId: null as RoomId | null } as const;
    await world.host(here).commit([{ ...row, type: 'm.presence_sharing_config', content }]);
    await world.host(here).restart();
    const report = await explain();
    expect(report.warnings).toMatchObject([{ code: 'config_unreadable' }]);
    expect(report.viewers.some(({ sees }) => sees)).toBe(false);
    expect(report.servers).toMatchObject([{ server_name: there, sees: false, viewers: 0 }]);
  });
});
