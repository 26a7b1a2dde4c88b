import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { here, room, there, user, World } from '../support/presence-world.ts';
import { TestServer } from '../support/server.ts';
import { StatementCounter } from '../support/statements.ts';
import type { TestUser } from '../support/user.ts';

/**
 * Nothing about whoever denies a viewer can be read from what an answer costs, from error texts, or from when limits are met. The tokens have
 * their own file, metrics too.
 */

const type = 'm.presence_sharing_config';
const counter = new StatementCounter();

let server: TestServer;
/** She denies Bob; Carol shares the room too, and never said anything. */
let alice: TestUser;
let bob: TestUser;
let carol: TestUser;
/** Shares no room with Bob; Frank allows him by name, but Bob wants neither. */
let erin: TestUser;
let frank: TestUser;

beforeAll(async () => {
  server = await TestServer.start({ config: { rate_limits: { enabled: true }, presence: { puts_per_minute: 10 } } });
  const names = ['alice', 'bob', 'carol', 'erin', 'frank'];
  [alice, bob, carol, erin, frank] = (await Promise.all(names.map((name) => server.register(name)))) as [
    TestUser,
    TestUser,
    TestUser,
    TestUser,
    TestUser,
  ];
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  await carol.join(room);
  await alice.setAccountData(type, { denied_users: [bob.userId] });
  for (const user of [alice, erin, frank]) await user.setPresence('online', 'secret');
  await server.settle();
  await server.clock.advance(61_000);
  counter.start();
});

afterAll(async () => {
  counter.stop();
  await server.stop();
});

/** The answer, and what was asked of the database for it. */
async function look(user: TestUser, path: string): Promise<unknown> {
  let answer: unknown;
  const statements = await counter.during(async () => {
    answer = await user.call('GET', path);
  });
  return { answer, statements };
}

const statusOf = (userId: string) => `/presence/${encodeURIComponent(userId)}/status`;

describe('GET', () => {
  it('of a member who denies answers as of one who was never seen, and asks as much of the database', async () => {
    const denied = await look(bob, statusOf(alice.userId));
    expect(denied).toEqual(await look(bob, statusOf(carol.userId)));
    expect(denied).toMatchObject({ answer: { status: 200, body: { presence: 'offline' } } });
  });

  it('of one who lets the viewer in asks no more and no less of the database', async () => {
    const denied = (await look(bob, statusOf(alice.userId))) as { statements: unknown };
    const allowed = (await look(carol, statusOf(alice.userId))) as { statements: unknown };
    const unknown = (await look(bob, statusOf('@nobody:localhost'))) as { statements: unknown };
    expect(allowed).toMatchObject({ answer: { body: { status_msg: 'secret' } } });
    expect(allowed.statements).toEqual(denied.statements);
    expect(unknown.statements).toEqual(denied.statements);
  });

  it('of a stranger, of nobody and of somebody elsewhere answers the same, and asks as much of the database', async () => {
    const stranger = await look(bob, statusOf(erin.userId));
    expect(stranger).toMatchObject({ answer: { status: 404, body: { errcode: 'M_NOT_FOUND' } } });
    for (const userId of ['@nobody:localhost', `@nobody:${server.name}`, '@erin:elsewhere.test'])
      expect(await look(bob, statusOf(userId))).toEqual(stranger);
  });
});

describe('how long GET takes', () => {
  /** What waits for a query, a timer or another server is not there after any number of turns. */
  async function turnsOf(look: () => Promise<unknown>): Promise<number> {
    let isThere = false;
    const note = () => {
      isThere = true;
    };
    void look().then(note, note);
    let turns = 0;
    for (; !isThere && turns < 100; turns += 1) await Promise.resolve();
    return turns;
  }

  it('depends on nobody: it waits for nothing, and takes as many turns of whoever is asked about', async () => {
    const world = await World.start({}, [here]);
    const [viewer, denies, silent] = [user('viewer'), user('denies'), user('silent')];
    const [elsewhere, quiet] = [user('denies:there.test'), user('silent:there.test')];
    await world.join(room('a'), viewer, denies, silent, elsewhere, quiet);
    await world.share(denies, { denied_users: ['@*'] });
    await world.put(denies, 'online', 'secret');
    const push = { user_id: elsewhere, presence: 'online', last_active_ago: 0, allowed_recipients: [silent] };
    await world.presence.receive(there, [{ push: [push] }]);
    const turns = (subject: typeof viewer) => turnsOf(() => world.get(viewer, subject));
    const ofMember = await turns(silent);
    expect(ofMember).toBeLessThan(10);
    for (const subject of [denies, elsewhere, quiet]) expect(await turns(subject)).toBe(ofMember);
    await world.leave(room('a'), viewer);
    const ofNobody = await turns(user('nobody'));
    expect(ofNobody).toBeLessThan(10);
    for (const subject of [denies, silent, elsewhere, quiet, user('nobody:there.test')])
      expect(await turns(subject)).toBe(ofNobody);
  });
});

describe('/sync', () => {
  it('while she changes answers as in a quiet hour, and asks as much of the database', async () => {
    const quiet = { set_presence: 'offline', timeout: '0' };
    for (let round = 0; round < 3; round += 1) await bob.sync(quiet);
    const path = `/sync?${new URLSearchParams({ ...quiet, since: bob.since ?? '' })}`;
    const before = await look(bob, path);
    await alice.setPresence('unavailable', 'another secret');
    await alice.setAccountData(type, { denied_users: [bob.userId, '@x:example.org'] });
    await server.settle();
    expect(await look(bob, path)).toEqual(before);
  });

  it('of who was away asks as much of the database, whatever she did meanwhile', async () => {
    const asked: unknown[] = [];
    for (const happens of [async () => {}, () => alice.setPresence('online', 'a third one')]) {
      const device = await bob.newDevice();
      await device.sync({ set_presence: 'offline' });
      await server.clock.advance(300_000);
      await happens();
      await server.settle();
      const since = encodeURIComponent(device.since ?? '');
      const looked = await look(device, `/sync?timeout=0&set_presence=offline&since=${since}`);
      const { answer, statements } = looked as { answer: { body: { presence?: unknown } }; statements: unknown };
      expect(answer.body.presence).toBeUndefined();
      asked.push(statements);
    }
    expect(asked[0]).toEqual(asked[1]);
  });
});

describe('a limit', () => {
  it('counts the caller alone: what others put brings nobody nearer to it', async () => {
    for (let count = 0; count < 10; count += 1)
      await alice.call('PUT', statusOf(alice.userId), { presence: 'online', status_msg: `${count}` });
    expect((await alice.call('PUT', statusOf(alice.userId), { presence: 'online' })).status).toBe(429);
    expect((await bob.call('PUT', statusOf(bob.userId), { presence: 'online' })).status).toBe(200);
  });
});

describe('a refused config', () => {
  it('names an entry of its writer, and nothing of whoever it is about', async () => {
    const put = (user: TestUser, entry: string) =>
      user.call('PUT', `/user/${user.userId}/account_data/${type}`, { allowed_users: [entry] });
    const refused = await put(bob, 'alice');
    expect(refused.status).toBe(400);
    expect(await put(bob, 'nobody')).toEqual({
      ...refused,
      body: { ...refused.body, error: String(refused.body.error).replace('alice', 'nobody') },
    });
    for (const userId of [alice.userId, frank.userId, `@nobody:${server.name}`])
      expect(await put(bob, userId)).toEqual({ status: 200, body: {} });
  });
});
