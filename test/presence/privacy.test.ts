import { describe, expect, it } from 'vitest';
import type { UserId } from '../../src/matrix/ids.ts';
import type { JsonObject } from '../../src/matrix/pdu.ts';
import { sharingConfigType, sharingConfigTypeUnstable } from '../../src/matrix/presence.ts';
import type { PresenceSettings } from '../../src/presence/settings.ts';
import { type Client, here, room, there, user, World } from '../support/presence-world.ts';

const alice = user('alice');
const [bob, carol, frank] = [user('bob'), user('carol'), user('frank')];
const [dave, erin, gina] = [user('dave:there.test'), user('erin:there.test'), user('gina:there.test')];
const members = [bob, carol, dave, erin];
const strangers = [frank, gina];
const everybody = '@*';

interface Case {
  readonly name: string;
  readonly config?: JsonObject;
  readonly type?: string;
  readonly ignored?: readonly UserId[];
  readonly settings?: Partial<PresenceSettings>;
  /** Who names her in their own config. */
  readonly wanted?: readonly UserId[];
  readonly sees: readonly UserId[];
  /** Who is let in besides, but did not ask to be told. */
  readonly permitted?: readonly UserId[];
}

/** Room a: everybody but the strangers. Room b: alice, bob and dave. */
const cases: readonly Case[] = [
  { name: 'without a config everybody who shares a room', sees: members },
  { name: 'an empty config', config: {}, sees: members },
  { name: 'allow exact', config: { allowed_users: [bob, dave], denied_users: [everybody] }, sees: [bob, dave] },
  { name: 'allow glob', config: { allowed_users: ['@?a*'], denied_users: [everybody] }, sees: [carol, dave] },
  { name: 'allow room', config: { allowed_users: [room('b')], denied_users: [everybody] }, sees: [bob, dave] },
  { name: 'deny exact', config: { denied_users: [bob, erin] }, sees: [carol, dave] },
  { name: 'deny glob', config: { denied_users: ['@*:there.test'] }, sees: [bob, carol] },
  {
    name: 'deny exact over allow glob',
    config: { allowed_users: ['@*:here.test', '@*:there.test'], denied_users: [bob, erin, everybody] },
    sees: [carol, dave],
  },
  {
    name: 'allow exact over ignore',
    config: { allowed_users: [bob, dave] },
    ignored: [bob, carol, dave, erin],
    sees: [bob, dave],
  },
  { name: 'deny one of two shared rooms', config: { denied_users: [room('a')] }, sees: [bob, dave] },
  { name: 'deny all shared rooms', config: { denied_users: [room('a'), room('b')] }, sees: [] },
  { name: 'ignore', ignored: [bob, dave], sees: [carol, erin] },
  {
    name: 'nobody but one room',
    config: { allowed_users: [room('b')], denied_users: ['@**:*'] },
    sees: [bob, dave],
  },
  {
    name: 'that room, but not one member of it',
    config: { allowed_users: [room('b')], denied_users: [everybody, bob] },
    sees: [dave],
  },
  {
    name: 'my company but not Bob',
    config: { allowed_users: ['@*:here.test'], denied_users: [bob, everybody] },
    sees: [carol],
  },
  { name: 'nobody', config: { denied_users: [everybody] }, sees: [] },
  {
    name: 'no shared room, without consent',
    config: { allowed_users: [frank, gina] },
    sees: members,
    permitted: [frank, gina],
  },
  {
    name: 'no shared room, with consent',
    config: { allowed_users: [frank, gina] },
    wanted: [frank, gina],
    sees: [...members, ...strangers],
  },
  { name: 'no shared room, with consent alone', wanted: [frank, gina], sees: members },
  {
    name: 'no shared room, a glob and consent',
    config: { allowed_users: ['@*'] },
    wanted: [frank, gina],
    sees: members,
  },
  { name: 'a room that she is not in', config: { allowed_users: [room('z')], denied_users: [everybody] }, sees: [] },
  { name: 'an excluded room', settings: { excludedRooms: [room('a')] }, sees: [bob, dave] },
  {
    name: 'a glob does not reach into an excluded room, a name does',
    config: { allowed_users: ['@*:there.test', carol] },
    settings: { excludedRooms: [room('a')] },
    sees: [bob, carol, dave],
  },
  { name: 'a room that is too large', settings: { largestRoom: 4 }, sees: [bob, dave] },
  {
    name: "the administrator's default, for who has no config",
    settings: { defaultConfig: { allowed_users: [room('b')], denied_users: [everybody] } },
    sees: [bob, dave],
  },
  {
    name: "the administrator's default, from which an empty config opts out",
    settings: { defaultConfig: { denied_users: [everybody] } },
    config: {},
    sees: members,
  },
  {
    name: "the administrator's override",
    settings: { overrideConfig: { denied_users: ['@*:there.test', carol] } },
    config: { allowed_users: [...members] },
    sees: [bob],
  },
  {
    name: "the administrator's override, which lets in nobody whom she denies",
    settings: { overrideConfig: { allowed_users: [bob], denied_users: [carol] } },
    config: { denied_users: [bob] },
    sees: [dave, erin],
  },
  {
    name: "the administrator's override of a room",
    settings: { overrideConfig: { denied_users: [room('a')] } },
    sees: [bob, dave],
  },
  { name: 'the stable type', type: sharingConfigType, config: { denied_users: [bob] }, sees: [carol, dave, erin] },
  {
    name: 'the unstable type',
    type: sharingConfigTypeUnstable,
    config: { denied_users: [bob] },
    sees: [carol, dave, erin],
  },
];

async function prepare({ config, type, ignored, settings, wanted = [] }: Case): Promise<World> {
  const world = await World.start(settings);
  await world.join(room('a'), alice, ...members);
  await world.join(room('b'), alice, bob, dave);
  await world.join(room('c'), frank, gina);
  if (config) await world.share(alice, config, type);
  if (ignored) await world.ignore(alice, ...ignored);
  for (const viewer of wanted) await world.share(viewer, { allowed_users: [alice] });
  return world;
}

/** Nobody is named to another server who does not see her, and nobody of this one is named to it. */
function expectRecipients(world: World, sees: readonly UserId[]): void {
  for (const { push } of world.transactions.filter(({ from }) => from === here)) {
    for (const { user_id, allowed_recipients } of push) {
      if (user_id !== alice) continue;
      const isWhole = allowed_recipients === undefined || allowed_recipients[0] === `@*:${there}`;
      const named = isWhole ? members.filter((member) => member.endsWith(there)) : allowed_recipients;
      expect(named.length).toBeGreaterThan(0);
      for (const recipient of named) expect(sees).toContain(recipient);
    }
  }
}

describe.each(cases)('$name', (example) => {
  const { sees, permitted = [] } = example;
  const seers = (clients: Map<UserId, Client>, states: Map<UserId, unknown>) =>
    [...clients.keys()].filter((viewer) => states.get(viewer) === 'online');

  it('on the live sync and over federation', async () => {
    const world = await prepare(example);
    const clients = new Map([...members, ...strangers].map((viewer) => [viewer, world.device(viewer)]));
    for (const client of clients.values()) await client.sync({ set: 'offline' });
    await world.put(alice, 'online', 'to some');
    await world.advance(2_000);
    const states = new Map<UserId, unknown>();
    for (const [viewer, client] of clients) {
      const seen = await client.read();
      expect(seen.length).toBeLessThanOrEqual(1);
      states.set(viewer, seen[0]?.presence);
      if (!sees.includes(viewer)) expect(seen).toEqual([]);
    }
    expect(seers(clients, states)).toEqual([...sees]);
    expectRecipients(world, [...sees, ...permitted]);
  });

  it('on the initial sync and on GET', async () => {
    const world = await prepare(example);
    await world.put(alice, 'online', 'to some');
    await world.advance(2_000);
    for (const viewer of [...members, ...strangers]) {
      const states = await world.device(viewer).readStates();
      expect([viewer, states[alice]]).toEqual([viewer, sees.includes(viewer) ? 'online' : undefined]);
      // Who asks need not have wanted to be told; of another server nothing is held for who did not.
      if (sees.includes(viewer) || (permitted.includes(viewer) && viewer.endsWith(`:${here}`))) {
        expect(await world.get(viewer, alice)).toMatchObject({ presence: 'online', status_msg: 'to some' });
      } else if (members.includes(viewer)) {
        expect(await world.get(viewer, alice)).toEqual({ presence: 'offline' });
      } else {
        await expect(world.get(viewer, alice)).rejects.toMatchObject({ status: 404, errcode: 'M_NOT_FOUND' });
      }
    }
  });
});

const isOfRooms = ({ excludedRooms, largestRoom }: Partial<PresenceSettings> = {}) => excludedRooms ?? largestRoom;

describe.each(cases.filter(({ settings }) => isOfRooms(settings) === undefined))(
  '$name, for who joins later',
  (example) => {
    it('in the answer that carries the join, and over federation', async () => {
      const world = await World.start(example.settings);
      await world.join(room('a'), alice);
      await world.join(room('b'), alice);
      await world.join(room('c'), ...members);
      if (example.config) await world.share(alice, example.config, example.type);
      if (example.ignored) await world.ignore(alice, ...example.ignored);
      await world.put(alice, 'online', 'to some');
      const clients = members.map((viewer) => world.device(viewer));
      for (const client of clients) await client.sync({ set: 'offline' });
      await world.join(room('b'), bob, dave);
      await world.join(room('a'), ...members);
      await world.advance(3_000);
      for (const client of clients) {
        const seen = await client.read({ newlyShared: [alice] });
        expect([client.userId, seen.length]).toEqual([client.userId, example.sees.includes(client.userId) ? 1 : 0]);
      }
      expectRecipients(world, [...example.sees, ...(example.permitted ?? [])]);
    });
  },
);

describe('what cannot be read', () => {
  it('shares with nobody, and names the first bad entry to who wrote it', async () => {
    const world = await World.start();
    await world.join(room('a'), alice, ...members);
    await world.share(alice, { denied_users: [bob] });
    for (const [content, problem] of [
      [{ allowed_users: [bob, 'carol'] }, 'allowed_users[1]'],
      [{ denied_users: 'bob' }, 'denied_users'],
      [{ denied_users: null }, 'denied_users'],
      [{ allowed_users: [1] }, 'allowed_users[0]'],
      [{ denied_users: [`@${'x'.repeat(255)}:y`] }, 'denied_users[0]'],
      [{ denied_users: Array.from({ length: 101 }, (_, index) => `@${index}*`) }, 'denied_users[100]'],
      [{ denied_users: Array.from({ length: 1_001 }, (_, index) => `@${index}:y`) }, 'denied_users[1000]'],
    ] as const) {
      const refused = world.share(alice, content as JsonObject);
      await expect(refused).rejects.toMatchObject({ status: 400, errcode: 'M_BAD_JSON' });
      await expect(refused).rejects.toThrow(problem);
    }
    await world.put(alice, 'online');
    expect((await world.get(bob, alice)).presence).toBe('offline');
    expect((await world.get(carol, alice)).presence).toBe('online');
  });

  it('when it is found in storage, hides its owner from everybody but themselves', async () => {
    for (const [type, content] of [
      [sharingConfigType, { allowed_users: ['nonsense'] }],
      ['m.ignored_user_list', { ignored_users: ['@bob:here.test'] }],
    ] as const) {
      const world = await World.start();
      await world.join(room('a'), alice, ...members);
      await world.host(here).commit([{ kind: 'account_data', userId: alice, roomId: null, type, content }]);
      await world.host(here).restart();
      await world.put(alice, 'online');
      await world.advance(2_000);
      for (const viewer of members) expect((await world.get(viewer, alice)).presence).toBe('offline');
      expect((await world.get(alice, alice)).presence).toBe('online');
      expect(world.transactions).toEqual([]);
    }
  });

  it('when two different documents are found, lets a viewer see who passes both', async () => {
    const world = await World.start();
    await world.join(room('a'), alice, ...members);
    const row = { kind: 'account_data', userId: alice, roomId: null } as const;
    await world.host(here).commit([
      { ...row, type: sharingConfigType, content: { denied_users: [bob] } },
      { ...row, type: sharingConfigTypeUnstable, content: { denied_users: [carol] } },
    ]);
    await world.host(here).restart();
    await world.put(alice, 'online');
    await world.advance(2_000);
    expect((await world.get(bob, alice)).presence).toBe('offline');
    expect((await world.get(carol, alice)).presence).toBe('offline');
    expect((await world.get(dave, alice)).presence).toBe('online');
  });
});

describe('the two account-data types', () => {
  it('are one document: a PUT of either stores both', async () => {
    const world = await World.start({}, [here]);
    const { storage } = world.host(here);
    for (const [type, content] of [
      [sharingConfigType, { denied_users: [bob] }],
      [sharingConfigTypeUnstable, { denied_users: [carol] }],
    ] as const) {
      await world.share(alice, content, type);
      for (const either of [sharingConfigType, sharingConfigTypeUnstable]) {
        expect((await storage.accountData.find(alice, null, either))?.content).toEqual(content);
      }
    }
  });
});
