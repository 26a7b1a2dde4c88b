import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { poll } from '../../client/rooms-support.ts';
import { settle, startPair, type TestServer } from '../../support/server.ts';
import type { TestUser } from '../../support/user.ts';

/** The scenarios once more through everything: HTTP, the sync loop, real transactions between two whole servers. */

let a: TestServer;
let b: TestServer;
let alice: TestUser;
let bob: TestUser;
let carol: TestUser;
let room: string;

const stable = 'm.presence_sharing_config';
const unstable = 'events.matrix-community.presence_sharing_config';

let count = 0;

beforeAll(async () => {
  [a, b] = await startPair();
});

beforeEach(async () => {
  count += 1;
  alice = await a.register(`alice${count}`);
  carol = await a.register(`carol${count}`);
  bob = await b.register(`bob${count}`);
  room = await alice.createRoom({ preset: 'public_chat' });
  await carol.join(room);
  await bob.join(room, a.name);
  await settle(a, b);
});

afterAll(async () => {
  await a.stop();
  await b.stop();
});

/** Lets time pass on both servers, and what it causes happen. */
async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 500) {
    await a.clock.advance(Math.min(left, 500));
    await settle(a, b);
  }
}

/** What a sync shows of Alice. */
async function seesAlice(viewer: TestUser): Promise<Record<string, unknown>[]> {
  const { presence } = await viewer.sync({ set_presence: 'offline' });
  const events: { sender: string; content: Record<string, unknown> }[] = presence?.events ?? [];
  return events.filter(({ sender }) => sender === alice.userId).map(({ content }) => content);
}

describe('the story', () => {
  it('of Alice, who denies Bob and then allows one room only', async () => {
    await bob.sync({ set_presence: 'offline' });
    await carol.sync({ set_presence: 'offline' });
    await alice.setPresence('online', 'hello');
    await pass(1_000);
    expect(await seesAlice(bob)).toMatchObject([{ presence: 'online', status_msg: 'hello' }]);
    expect(await seesAlice(carol)).toMatchObject([{ presence: 'online' }]);

    await alice.setAccountData(stable, { denied_users: [bob.userId] });
    await pass(2_000);
    expect(await seesAlice(bob)).toEqual([{ presence: 'offline' }]);
    expect(await seesAlice(carol)).toEqual([]);
    expect((await bob.getPresence(alice.userId)).body).toEqual({ presence: 'offline' });

    await alice.setAccountData(unstable, { allowed_users: [room], denied_users: ['@*'] });
    await pass(2_000);
    expect(await seesAlice(bob)).toMatchObject([{ presence: 'online', status_msg: 'hello' }]);
    expect((await alice.ok('GET', `/user/${alice.userId}/account_data/${stable}`)).allowed_users).toEqual([room]);
    expect(await seesAlice(carol)).toEqual([]);
  });

  it('of a server that is down while Alice denies Bob', async () => {
    await bob.sync({ set_presence: 'offline' });
    await alice.setPresence('online');
    await pass(1_000);
    expect(await seesAlice(bob)).toHaveLength(1);
    await b.stop({ keepData: true });
    await alice.setAccountData(stable, { denied_users: [bob.userId] });
    await a.clock.advance(5_000);
    a = await a.restart();
    alice.url = a.url;
    b = await b.restart();
    bob.url = b.url;
    await pass(90_000);
    expect(await seesAlice(bob)).toContainEqual({ presence: 'offline' });
    expect((await bob.getPresence(alice.userId)).body).toEqual({ presence: 'offline' });
  });
});

describe('over HTTP', () => {
  const path = (user: TestUser) => `/presence/${encodeURIComponent(user.userId)}/status`;

  it('a PUT for somebody else is forbidden', async () => {
    expect(await alice.call('PUT', path(bob), { presence: 'online' })).toMatchObject({
      status: 403,
      body: { errcode: 'M_FORBIDDEN' },
    });
  });

  it.each([
    ['no state', {}],
    ['an unknown state', { presence: 'busy' }],
    ['a status that is no text', { presence: 'online', status_msg: 7 }],
    ['a status that is too long', { presence: 'online', status_msg: 'x'.repeat(5_000) }],
    ['no object', '[]'],
    ['no JSON', '{'],
  ])('a PUT with %s is refused', async (_, body) => {
    expect((await alice.call('PUT', path(alice), body)).status).toBe(400);
  });

  it('who shares no room gets 404, whether the user exists or not', async () => {
    const zoe = await a.register('zoe');
    await alice.setPresence('online');
    const denied = await zoe.getPresence(alice.userId);
    const unknown = await zoe.getPresence(`@nobody:${a.name}`);
    const elsewhere = await zoe.getPresence(bob.userId);
    expect(denied).toMatchObject({ status: 404, body: { errcode: 'M_NOT_FOUND' } });
    expect(unknown).toEqual(denied);
    expect(elsewhere).toEqual(denied);
  });

  it('the old prefix answers too', async () => {
    await alice.setPresence('unavailable', 'x');
    const old = `/_matrix/client/r0${path(alice)}`;
    expect((await alice.ok('GET', old)).presence).toBe('unavailable');
    expect((await alice.call('PUT', old, { presence: 'online' })).status).toBe(200);
  });

  it('an invalid config names its first bad entry, and the old one stays', async () => {
    await alice.setAccountData(stable, { denied_users: [bob.userId] });
    const accountData = `/user/${alice.userId}/account_data/${unstable}`;
    const refused = await alice.call('PUT', accountData, { denied_users: ['@ok:x.y', 'bob'] });
    expect(refused).toMatchObject({ status: 400, body: { errcode: 'M_BAD_JSON' } });
    expect(refused.body.error).toContain('denied_users[1]');
    expect(await alice.ok('GET', accountData)).toEqual({ denied_users: [bob.userId] });
  });

  it('a config comes down /sync under both types', async () => {
    await alice.sync();
    await alice.setAccountData(stable, { denied_users: [bob.userId] });
    const types = (await alice.sync()).account_data.events.map(({ type }: { type: string }) => type);
    expect(types.sort()).toEqual([unstable, stable].sort());
  });

  it('a filter of /sync chooses whose presence comes', async () => {
    const sync = async (presence: Record<string, unknown>) => {
      const filter = JSON.stringify({ presence });
      const body = await carol.ok('GET', `/sync?timeout=0&filter=${encodeURIComponent(filter)}`);
      return (body.presence?.events ?? []).map(({ sender }: { sender: string }) => sender);
    };
    await alice.setPresence('online');
    expect(await sync({})).toEqual([carol.userId, alice.userId]);
    expect(await sync({ senders: [alice.userId] })).toEqual([alice.userId]);
    expect(await sync({ not_senders: [alice.userId] })).toEqual([carol.userId]);
    expect(await sync({ types: ['m.other'] })).toEqual([]);
  });

  it('an unknown set_presence is refused', async () => {
    expect(await alice.call('GET', '/sync?timeout=0&set_presence=busy')).toMatchObject({
      status: 400,
      body: { errcode: 'M_INVALID_PARAM' },
    });
  });

  it('a change wakes a sync that waits', async () => {
    await carol.sync({ set_presence: 'offline' });
    const { answer } = await poll(a, carol, { set_presence: 'offline', timeout: '20000' });
    await alice.setPresence('online', 'wake up');
    await a.clock.advance(1_000);
    const { presence } = await answer;
    expect(presence.events).toMatchObject([{ sender: alice.userId, content: { status_msg: 'wake up' } }]);
  });

  it('sending a message is activity, reading is not', async () => {
    await alice.sync();
    await a.clock.advance(20_000);
    await alice.ok('GET', '/joined_rooms');
    expect((await carol.getPresence(alice.userId)).body.last_active_ago).toBe(20_000);
    await alice.say(room, 'hi');
    expect((await carol.getPresence(alice.userId)).body).toMatchObject({ presence: 'online', last_active_ago: 0 });
  });

  it('logout ends the device at once', async () => {
    await alice.setPresence('online');
    await alice.ok('POST', '/logout', {});
    await settle(a, b);
    expect((await carol.getPresence(alice.userId)).body.presence).toBe('offline');
  });
});

describe('rooms', () => {
  it('shared anew bring the presence in the answer that carries the join, both ways', async () => {
    const dan = await a.register('dan');
    await dan.sync({ set_presence: 'offline' });
    await carol.sync({ set_presence: 'offline' });
    await alice.setPresence('online', 'here');
    await dan.setPresence('online', 'new');
    await carol.sync({ set_presence: 'offline' });
    await dan.join(room);
    const body = await dan.sync({ set_presence: 'offline' });
    expect(Object.keys(body.rooms.join)).toEqual([room]);
    expect(body.presence.events.map(({ sender }: { sender: string }) => sender)).toContain(alice.userId);
    const carols = await carol.sync({ set_presence: 'offline' });
    expect(Object.keys(carols.rooms.join)).toEqual([room]);
    expect(carols.presence.events.map(({ sender }: { sender: string }) => sender)).toEqual([dan.userId]);
  });

  it('joined by a user of another server bring them the presence of who is there', async () => {
    const second = await alice.createRoom({ preset: 'public_chat' });
    await alice.setPresence('online', 'here');
    const dave = await b.register('dave');
    await dave.sync({ set_presence: 'offline' });
    await dave.join(second, a.name);
    await pass(2_000);
    expect(await seesAlice(dave)).toMatchObject([{ presence: 'online', status_msg: 'here' }]);
  });

  it('left for the last time show one offline on both servers', async () => {
    for (const viewer of [bob, carol]) await viewer.sync({ set_presence: 'offline' });
    await alice.setPresence('online', 'here');
    await pass(1_000);
    for (const viewer of [bob, carol]) await viewer.sync({ set_presence: 'offline' });
    await alice.leave(room);
    await pass(2_000);
    for (const viewer of [bob, carol]) {
      expect(await seesAlice(viewer)).toEqual([{ presence: 'offline' }]);
      expect((await viewer.getPresence(alice.userId)).status).toBe(404);
    }
  });

  it('upgraded by hand, stay denied where the old one was', async () => {
    await alice.setAccountData(stable, { denied_users: [room] });
    const successor = await alice.createRoom({
      preset: 'public_chat',
      creation_content: { predecessor: { room_id: room, event_id: '$x' } },
    });
    const config = await alice.ok('GET', `/user/${alice.userId}/account_data/${stable}`);
    expect(config.denied_users).toEqual([room, successor]);
    await carol.join(successor);
    await alice.setPresence('online');
    expect((await carol.getPresence(alice.userId)).body).toEqual({ presence: 'offline' });
  });
});

describe('the answer that carries a join', () => {
  it('shows those who are there, and not the newcomer to themselves once more', async () => {
    await alice.setPresence('online', 'hello');
    const dora = await a.register(`dora${count}`);
    await dora.setPresence('online', 'mine');
    await dora.sync({ set_presence: 'offline' });
    await dora.sync({ set_presence: 'offline' });
    await dora.join(room);
    await settle(a, b);
    const { presence } = await dora.sync({ set_presence: 'offline' });
    expect(presence?.events.map(({ sender }: { sender: string }) => sender)).toEqual([alice.userId]);
  });
});

describe('a word that is not written out', () => {
  it('ends no PUT of offline, nor keeps the first that is from ending it', async () => {
    await alice.sync();
    await alice.setPresence('offline');
    for (let round = 0; round < 2; round += 1) {
      await alice.sync();
      expect((await carol.getPresence(alice.userId)).body.presence).toBe('offline');
    }
    await alice.sync({ set_presence: 'online' });
    expect((await carol.getPresence(alice.userId)).body.presence).toBe('online');
  });

  it('of status is none: an empty one clears what was there', async () => {
    await alice.setPresence('online', 'hello');
    expect((await carol.getPresence(alice.userId)).body).toMatchObject({ status_msg: 'hello' });
    await alice.setPresence('online', '');
    expect((await carol.getPresence(alice.userId)).body).not.toHaveProperty('status_msg');
  });
});
