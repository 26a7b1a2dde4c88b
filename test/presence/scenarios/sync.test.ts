import { beforeEach, describe, expect, it } from 'vitest';
import { type Client, here, room, user, World } from '../../support/presence-world.ts';

const [alice, bob, carol, dave] = [user('alice'), user('bob'), user('carol'), user('dave')];

let world: World;
let bobs: Client;

beforeEach(async () => {
  world = await World.start({}, [here]);
  await world.join(room('a'), alice, bob);
  bobs = world.device(bob);
});

describe('an initial sync', () => {
  it('shows the user themselves and the members who are not offline or have a status', async () => {
    await world.join(room('a'), carol, dave);
    await world.put(alice, 'online');
    await world.put(carol, 'offline', 'away');
    await world.put(dave, 'offline');
    const seen = await bobs.sync();
    expect(seen.map(({ sender, presence, status_msg }) => [sender, presence, status_msg])).toEqual([
      [bob, 'online', undefined],
      [alice, 'online', undefined],
      [carol, 'offline', 'away'],
    ]);
  });

  it('names nobody who shares no room', async () => {
    await world.put(carol, 'online');
    expect(await bobs.sync()).toMatchObject([{ sender: bob }]);
  });
});

describe('an incremental sync', () => {
  it("shows the user's own changes", async () => {
    await bobs.sync();
    await world.put(bob, 'unavailable', 'mine', 'OTHER');
    await world.put(bob, 'online', 'mine', 'OTHER');
    expect(await bobs.read()).toMatchObject([{ sender: bob, presence: 'online', status_msg: 'mine' }]);
  });

  it('tells whoever shares any of the rooms of a subject', async () => {
    await world.join(room('b'), alice, carol);
    await world.join(room('c'), dave, alice);
    const clients = [bobs, world.device(carol), world.device(dave)];
    for (const client of clients) await client.sync();
    await world.put(alice, 'online', 'one');
    for (const client of clients) expect(await client.readStates()).toEqual({ [alice]: 'online' });
  });

  it('counts how long ago somebody was active when it is given out, not when they were', async () => {
    await bobs.sync();
    await world.put(alice, 'online');
    const { token } = bobs;
    await world.advance(7_000);
    expect(await bobs.read()).toMatchObject([{ sender: alice, last_active_ago: 7_000 }]);
    bobs.token = token;
    await world.advance(1_000);
    expect(await bobs.read()).toMatchObject([{ sender: alice, last_active_ago: 8_000 }]);
  });

  it('names a subject once, with the newest state', async () => {
    await bobs.sync();
    await world.put(alice, 'online', 'one');
    await world.put(alice, 'unavailable', 'two');
    await world.put(alice, 'online', 'three');
    expect(await bobs.read()).toMatchObject([{ sender: alice, presence: 'online', status_msg: 'three' }]);
    expect(await bobs.read()).toEqual([]);
  });

  it('wakes a sync that waits', async () => {
    await bobs.sync();
    const { woken } = world.host(here);
    woken.length = 0;
    await world.put(alice, 'online');
    expect(woken).toEqual([bob]);
  });

  it('gives each device what that device has not had', async () => {
    const other = world.device(bob, 'LAPTOP');
    await bobs.sync();
    await other.sync();
    await other.read();
    await world.put(alice, 'online', 'x');
    expect(await bobs.read()).toHaveLength(1);
    expect(await bobs.read()).toEqual([]);
    expect(await other.read()).toHaveLength(1);
    expect(await other.read()).toEqual([]);
  });

  it('repeats an answer that did not arrive', async () => {
    await bobs.sync();
    await world.put(alice, 'online', 'x');
    const { token } = bobs;
    expect(await bobs.read()).toHaveLength(1);
    bobs.token = token;
    expect(await bobs.read()).toHaveLength(1);
  });

  it('leaves out whom the filter leaves out, and does not count that as news', async () => {
    await bobs.sync();
    const { token } = bobs;
    await world.put(alice, 'online', 'x');
    expect(await bobs.read({ accepts: (subject) => subject !== alice })).toEqual([]);
    expect(bobs.token).toBe(token);
    expect(await bobs.read({ accepts: (subject) => subject === alice })).toHaveLength(1);
  });
});

describe('a join', () => {
  it('shows the newcomer to those who are there, once', async () => {
    await bobs.sync();
    await world.put(carol, 'online');
    await world.join(room('a'), carol);
    expect(await bobs.read({ newlyShared: [carol] })).toMatchObject([{ sender: carol, presence: 'online' }]);
    expect(await bobs.read()).toEqual([]);
  });

  it('shows those who are there to the newcomer, in the answer that carries the join', async () => {
    await world.put(alice, 'online', 'x');
    const carols = world.device(carol);
    await carols.sync();
    await world.join(room('a'), carol);
    expect(await carols.read({ newlyShared: [alice, bob] })).toMatchObject([{ sender: alice, status_msg: 'x' }]);
    expect(await carols.read()).toEqual([]);
  });

  it('does not wait for the fan-out, and is not repeated by it', async () => {
    await world.put(alice, 'online', 'x');
    const carols = world.device(carol);
    await carols.sync();
    const { storage, presence } = world.host(here);
    const rows = await presence.rowsForAudienceChange([
      { roomId: room('a'), userId: carol, before: null, after: 'join' },
    ]);
    const joined = storage.commit({
      rows: [
        ...rows,
        {
          kind: 'membership',
          roomId: room('a'),
          userId: carol,
          membership: 'join',
          eventId: '$join' as never,
          sender: carol,
          displayname: null,
          avatarUrl: null,
        },
      ],
    });
    await joined;
    const answer = await presence.read({
      viewer: carol,
      deviceId: carols.deviceId,
      since: carols.token,
      newlyShared: new Set([alice]),
      accepts: () => true,
    });
    expect(answer.events).toHaveLength(1);
    carols.token = answer.token;
    expect(await carols.read()).toEqual([]);
  });

  it('shows nobody who denies the newcomer', async () => {
    await world.put(alice, 'online', 'x');
    await world.share(alice, { denied_users: [carol] });
    const carols = world.device(carol);
    await carols.sync();
    await world.join(room('a'), carol);
    expect(await carols.read({ newlyShared: [alice] })).toEqual([]);
  });
});

describe('the token', () => {
  it('is not stepped by what a denied subject does', async () => {
    await world.put(alice, 'online');
    await world.share(alice, { denied_users: [bob] });
    await bobs.sync();
    const { token } = bobs;
    const { woken } = world.host(here);
    woken.length = 0;
    for (const state of ['unavailable', 'online', 'offline'] as const) {
      await world.put(alice, state, 'secret');
      await world.advance(1_000);
      expect(await bobs.read()).toEqual([]);
      expect(bobs.token).toBe(token);
    }
    expect(woken).toEqual([]);
  });

  it('says by its number nothing of what others are told', async () => {
    await world.join(room('b'), carol, dave);
    await bobs.sync();
    const numberOf = (token: string | null) => Number(/n(\d+)$/.exec(token ?? '')?.[1]);
    await world.put(alice, 'online', '1');
    await bobs.read();
    const first = numberOf(bobs.token);
    await world.device(dave).sync();
    for (let index = 0; index < 20; index += 1) await world.put(carol, 'online', `${index}`);
    await world.put(alice, 'online', '2');
    await bobs.read();
    expect(numberOf(bobs.token) - first).toBe(1);
  });

  it('stays the same, byte for byte, while nothing is told', async () => {
    await bobs.sync();
    const { token } = bobs;
    await world.put(carol, 'online');
    await world.advance(5_000);
    await bobs.read();
    expect(bobs.token).toBe(token);
  });
});

describe('a viewer who was away', () => {
  const away = async (): Promise<void> => {
    await world.advance(200_000);
  };

  beforeEach(async () => {
    await world.join(room('a'), carol, dave);
    await world.put(alice, 'offline', 'a');
    await world.put(carol, 'offline', 'c');
    await world.advance(20);
    await bobs.sync();
    await bobs.read();
    await away();
  });

  it('is told of who changed, and of nobody else', async () => {
    await world.put(carol, 'offline', 'new');
    await away();
    expect(await bobs.read()).toMatchObject([{ sender: bob }, { sender: carol, status_msg: 'new' }]);
  });

  it('is told nothing, and keeps the token, when nothing changed', async () => {
    await bobs.read();
    await away();
    await away();
    const { token } = bobs;
    expect(await bobs.read()).toEqual([]);
    expect(bobs.token).toBe(token);
    expect(await bobs.read()).toEqual([]);
    await world.put(carol, 'offline', 'later');
    expect(await bobs.read()).toMatchObject([{ sender: carol, status_msg: 'later' }]);
  });

  it('gets a bare offline of who denied them meanwhile, once', async () => {
    await bobs.read();
    await away();
    await world.share(alice, { denied_users: [bob] });
    await world.put(alice, 'online', 'secret');
    expect(await bobs.read()).toEqual([{ sender: alice, presence: 'offline' }]);
    expect(await bobs.read()).toEqual([]);
  });

  it('is not told of who denied them then and denies them now, whatever they did', async () => {
    await world.share(alice, { denied_users: [bob] });
    await world.advance(20);
    await bobs.read();
    await away();
    await world.put(alice, 'online', 'secret');
    await world.share(alice, { denied_users: [bob, dave] });
    await world.share(alice, { denied_users: ['@*'] });
    expect(await bobs.read()).toEqual([]);
  });

  it('is told of who allows them again', async () => {
    await world.share(alice, { denied_users: [bob] });
    await world.advance(20);
    await bobs.read();
    await away();
    await world.share(alice, {});
    expect(await bobs.read()).toMatchObject([{ sender: alice, status_msg: 'a' }]);
  });

  it('gets a bare offline of who left the last shared room', async () => {
    await bobs.read();
    await away();
    await world.leave(room('a'), alice);
    expect(await bobs.read()).toEqual([{ sender: alice, presence: 'offline' }]);
  });

  it('is told of who came into a shared room', async () => {
    const erin = user('erin');
    await world.put(erin, 'offline', 'e');
    await bobs.read();
    await away();
    await world.join(room('a'), erin);
    expect(await bobs.read()).toMatchObject([{ sender: erin, status_msg: 'e' }]);
  });
});

describe('a token from before a restart', () => {
  beforeEach(async () => {
    await world.join(room('a'), carol, dave);
    await world.put(alice, 'online', 'a');
    await world.put(carol, 'online', 'c');
    await bobs.sync();
    await bobs.read();
  });

  it('names everybody who shares a room and has a record: the state where allowed, else a bare offline', async () => {
    await world.put(alice, 'unavailable', 'changed');
    await world.share(carol, { denied_users: [bob] });
    await world.host(here).restart();
    const seen = await bobs.read();
    expect(seen).toHaveLength(3);
    expect(seen).toContainEqual(expect.objectContaining({ sender: alice, presence: 'unavailable' }));
    expect(seen).toContainEqual({ sender: carol, presence: 'offline' });
    expect(seen).toContainEqual(expect.objectContaining({ sender: bob }));
    expect(await bobs.read()).toEqual([]);
  });

  it('a day old, tells of who went offline, denied the viewer, or left the last room', async () => {
    await world.advance(3_600_000);
    await world.share(carol, { denied_users: [bob] });
    await world.put(dave, 'online', 'd');
    await world.leave(room('a'), dave);
    await world.host(here).restart();
    await world.advance(20 * 3_600_000);
    const seen = await bobs.read();
    expect(seen).toContainEqual(expect.objectContaining({ sender: alice, presence: 'offline', status_msg: 'a' }));
    expect(seen).toContainEqual({ sender: carol, presence: 'offline' });
    expect(seen).toContainEqual({ sender: dave, presence: 'offline' });
  });

  it('tells of no loss older than the token', async () => {
    await world.put(dave, 'online', 'd');
    await world.leave(room('a'), dave);
    await bobs.read();
    await world.advance(120_000);
    await world.put(alice, 'online', 'b');
    await bobs.read();
    await world.host(here).restart();
    expect((await bobs.read()).map(({ sender }) => sender)).not.toContain(dave);
  });

  it('that nobody here wrote is answered the same', async () => {
    bobs.token = 'nonsense';
    const seen = await bobs.read();
    expect(seen.map(({ sender }) => sender).sort()).toEqual([alice, bob, carol].sort());
  });
});

describe('set_presence', () => {
  it.each([
    ['online', 'online'],
    ['unavailable', 'unavailable'],
    ['offline', 'offline'],
  ] as const)('%s makes %s', async (set, state) => {
    await bobs.sync({ set });
    expect((await world.get(alice, bob)).presence).toBe(state);
  });

  it('left out makes online', async () => {
    await bobs.sync();
    expect((await world.get(alice, bob)).presence).toBe('online');
  });
});

describe('what is answered at once', () => {
  it('is what was addressed since a token; an initial sync asks for everybody', async () => {
    const client = world.device(bob, 'AT ONCE');
    await client.read();
    const device = { userId: bob, deviceId: client.deviceId };
    const poll = world.presence.begin({ ...device, setPresence: 'offline', written: true });
    const ask = (since: string | null) =>
      poll.readNow({
        ...{ viewer: bob, deviceId: client.deviceId, since },
        ...{ newlyShared: new Set(), accepts: () => true },
      });
    expect(ask(client.token)).toEqual({ events: [], token: client.token });
    expect(ask(null)).toBeUndefined();
    poll.end();
  });
});
