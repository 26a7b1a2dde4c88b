import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { UserId } from '../../src/matrix/ids.ts';
import { HostileReply, type HostileRequest, HostileServer } from '../support/hostile-server.ts';
import { settle, TestServer } from '../support/server.ts';
import { StatementCounter } from '../support/statements.ts';
import { StubRoom } from '../support/stub-room.ts';
import type { TestUser } from '../support/user.ts';

/** Exactly what another server gets to see, and what it can make ours show: one whole server, and one played by the test. */

interface Push {
  user_id: string;
  presence: string;
  last_active_ago?: number;
  status_msg?: string;
  currently_active?: boolean;
  allowed_recipients?: string[];
}

const type = 'm.presence_sharing_config';

let server: TestServer;
let stub: HostileServer;
let alice: TestUser;
let bob: TestUser;
let room: StubRoom;
let dora: UserId;
let eve: UserId;
let starts: number;

beforeEach(async () => {
  starts = 1;
  server = await TestServer.start();
  stub = await HostileServer.start(server.clock.now());
  alice = await server.register('alice');
  bob = await server.register('bob');
  const roomId = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(roomId);
  dora = stub.user('dora');
  eve = stub.user('eve');
  room = await StubRoom.join(stub, server, roomId, dora);
  await joinToo(eve);
  await settle(server);
});

afterEach(async () => {
  let announcements = 0;
  for (const push of pushes(stub.asked('send'))) {
    expect(typeof push.last_active_ago).toBe('number');
    if ('allowed_recipients' in push) expect(push.allowed_recipients?.length).toBeGreaterThan(0);
    for (const recipient of push.allowed_recipients ?? []) expect(recipient.endsWith(`:${stub.name}`)).toBe(true);
    // Of the whole server only what takes back, and the announcement, which means the same as no list.
    if (push.allowed_recipients?.includes(`@*:${stub.name}`)) {
      if (push.presence !== 'offline') {
        announcements += 1;
        continue;
      }
      expect(push).toEqual({
        user_id: push.user_id,
        presence: 'offline',
        last_active_ago: push.last_active_ago,
        currently_active: false,
        allowed_recipients: [`@*:${stub.name}`],
      });
    }
  }
  expect(announcements).toBeLessThanOrEqual(starts);
  await server.stop();
  await stub.stop();
});

async function joinToo(userId: UserId): Promise<void> {
  const join = room.add({ type: 'm.room.member', sender: userId, state_key: userId, content: { membership: 'join' } });
  const answer = await stub.send(server, { pdus: [join.pdu] });
  expect(answer.body.pdus[join.eventId]).toEqual({});
}

/** Lets time pass, and what it causes happen. */
async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 500) {
    await server.clock.advance(Math.min(left, 500));
    await settle(server);
  }
}

function pushes(requests: readonly HostileRequest[]): Push[] {
  return requests.flatMap(({ body }) =>
    (body.edus ?? [])
      .filter((edu: { edu_type: string }) => edu.edu_type === 'm.presence')
      .flatMap((edu: { content: { push: Push[] } }) => edu.content.push),
  );
}

let seen = 0;

/** What has come since the last call. */
function taken(): HostileRequest[] {
  const all = stub.asked('send');
  const news = all.slice(Math.min(seen, all.length));
  seen = all.length;
  return news;
}

beforeEach(() => {
  seen = 0;
});

async function restart(): Promise<void> {
  server = await server.restart();
  starts += 1;
}

async function get(viewer: TestUser, subject: string) {
  return (await viewer.getPresence(subject)).body;
}

async function tell(...push: unknown[]): Promise<void> {
  const answer = await stub.send(server, { edus: [{ edu_type: 'm.presence', content: { push } }] });
  expect(answer).toEqual({ status: 200, body: { pdus: {} } });
  await settle(server);
}

describe('what leaves', () => {
  it('names who may see and nobody else, and says nothing where nobody may', async () => {
    await alice.setAccountData(type, { denied_users: [eve] });
    await alice.setPresence('online', 'for some');
    await pass(2_000);
    const told = taken();
    expect(pushes(told)).toMatchObject([{ user_id: alice.userId, status_msg: 'for some', allowed_recipients: [dora] }]);
    expect(JSON.stringify(told.map(({ body }) => body.edus ?? []))).not.toContain(eve);
    await alice.setAccountData(type, { denied_users: [`@*:${stub.name}`] });
    await pass(3_000);
    expect(pushes(taken())).toMatchObject([{ presence: 'offline', allowed_recipients: [`@*:${stub.name}`] }]);
    await alice.setPresence('unavailable', 'for nobody');
    await alice.setPresence('online', 'for nobody');
    await pass(40_000);
    expect(pushes(taken())).toEqual([]);
  });

  it('is for everybody only without a list, but for the first one, which tells that we know the field', async () => {
    await alice.setPresence('online', 'first');
    await pass(2_000);
    expect(pushes(taken())).toMatchObject([{ status_msg: 'first', allowed_recipients: [`@*:${stub.name}`] }]);
    await alice.setPresence('online');
    await pass(2_000);
    const [push, ...more] = pushes(taken());
    expect(more).toEqual([]);
    expect(push).toEqual({
      user_id: alice.userId,
      presence: 'online',
      currently_active: true,
      last_active_ago: expect.any(Number),
    });
  });

  it('takes back in the first transaction after an outage and a restart of ours, with the rest directly behind it', async () => {
    await alice.setPresence('online', 'hello');
    await pass(2_000);
    stub.on('send', () => new HostileReply(503, {}));
    await alice.setAccountData(type, { denied_users: [eve] });
    await pass(10_000);
    const refused = taken();
    expect(pushes(refused).length).toBeGreaterThan(0);
    await restart();
    alice.url = server.url;
    stub.on('send', () => ({ pdus: {} }));
    await pass(120_000);
    const [first, second] = pushes(taken());
    expect(first).toMatchObject({
      user_id: alice.userId,
      presence: 'offline',
      allowed_recipients: [`@*:${stub.name}`],
    });
    expect(second).toMatchObject({ user_id: alice.userId, allowed_recipients: [dora] });
    await restart();
    await pass(60_000);
    expect(pushes(taken()).filter(({ allowed_recipients: who }) => who?.[0]?.startsWith('@*'))).toEqual([]);
  });

  it('is left out by a retry, which repeats the event alone under its id; presence comes anew behind it', async () => {
    await alice.setPresence('online', 'hello');
    await pass(2_000);
    taken();
    stub.on('send', () => new HostileReply(503, {}));
    await Promise.all([alice.say(room.roomId, 'hi'), alice.setAccountData(type, { denied_users: [eve] })]);
    await pass(2_000);
    const failed = stub.asked('send').length;
    stub.on('send', () => ({ pdus: {} }));
    await pass(20_000);
    const requests = taken().filter(({ body }) => body.pdus.length > 0);
    expect(requests.length).toBeGreaterThan(1);
    expect(new Set(requests.map(({ rest }) => rest[0])).size).toBe(1);
    const [, ...retries] = requests;
    expect(pushes(retries)).toEqual([]);
    expect(pushes(stub.asked('send').slice(failed)).slice(0, 2)).toMatchObject([
      { presence: 'offline', allowed_recipients: [`@*:${stub.name}`] },
      { presence: 'online', allowed_recipients: [dora] },
    ]);
  });

  it('does not say when she was active after access was lost', async () => {
    await alice.setPresence('online');
    await pass(2_000);
    stub.on('send', () => new HostileReply(503, {}));
    await alice.setAccountData(type, { denied_users: ['@*'] });
    const lostAt = server.clock.now();
    await pass(30_000);
    await alice.setPresence('online');
    await alice.say(room.roomId, 'still here');
    await pass(30_000);
    taken();
    stub.on('send', () => ({ pdus: {} }));
    await pass(60_000);
    const entries = pushes(taken());
    expect(entries.length).toBeGreaterThan(0);
    for (const { presence, last_active_ago: ago = 0 } of entries) {
      expect(presence).toBe('offline');
      expect(server.clock.now() - ago).toBeLessThanOrEqual(lostAt + 60_000);
      expect(ago).toBeGreaterThanOrEqual(60_000);
    }
  });

  it('goes nowhere when the last of their users has left', async () => {
    await alice.setPresence('online');
    await pass(2_000);
    for (const userId of [dora, eve]) {
      const leave = room.add({
        type: 'm.room.member',
        sender: userId,
        state_key: userId,
        content: { membership: 'leave' },
      });
      await stub.send(server, { pdus: [leave.pdu] });
    }
    await pass(3_000);
    taken();
    await alice.setPresence('unavailable', 'secret');
    await pass(40_000);
    expect(pushes(taken())).toEqual([]);
  });
});

describe('what comes', () => {
  const online = (more: Record<string, unknown> = {}) => ({
    user_id: dora,
    presence: 'online',
    last_active_ago: 5,
    currently_active: true,
    status_msg: 'x',
    ...more,
  });

  it.each([
    ['no list', () => ({}), true],
    ['null', () => ({ allowed_recipients: null }), true],
    ['an empty list', () => ({ allowed_recipients: [] }), true],
    ['their name', () => ({ allowed_recipients: [bob.userId] }), true],
    ['a glob of the server', () => ({ allowed_recipients: [`@*:${server.name}`] }), true],
    ['a glob that matches', () => ({ allowed_recipients: ['@b*b:*'] }), true],
    ['another name', () => ({ allowed_recipients: [alice.userId] }), false],
    ['a name in other letters', () => ({ allowed_recipients: [bob.userId.replace('@bob', '@Bob')] }), false],
    ['a glob that does not match', () => ({ allowed_recipients: [`@x*:${server.name}`] }), false],
    ['names of other servers', () => ({ allowed_recipients: ['@bob:elsewhere', '@*:elsewhere'] }), false],
    ['a room', () => ({ allowed_recipients: [room.roomId] }), false],
    ['no list but a name', () => ({ allowed_recipients: bob.userId }), false],
    ['an object', () => ({ allowed_recipients: {} }), false],
    ['false', () => ({ allowed_recipients: false }), false],
    ['numbers', () => ({ allowed_recipients: [1, null, {}, ['@*']] }), false],
    ['a number among names', () => ({ allowed_recipients: [1, bob.userId] }), true],
  ] as const)('with %s reaches whom it should, on every path', async (_, list, reaches) => {
    await bob.sync({ set_presence: 'offline' });
    const fresh = await bob.newDevice();
    await tell(online(list()));
    const of = (body: { presence?: { events: { sender: string }[] } }) =>
      (body.presence?.events ?? []).filter(({ sender }) => sender === dora);
    expect(of(await bob.sync({ set_presence: 'offline' }))).toHaveLength(reaches ? 1 : 0);
    expect(of(await fresh.sync({ set_presence: 'offline' }))).toHaveLength(reaches ? 1 : 0);
    expect(await get(bob, dora)).toMatchObject(
      reaches ? { presence: 'online', status_msg: 'x' } : { presence: 'offline' },
    );
  });

  it('from bad neighbours does not spoil the good ones, nor the transaction', async () => {
    const bad = [
      null,
      7,
      'x',
      [],
      {},
      { user_id: alice.userId, presence: 'online', status_msg: 'spoofed' },
      { user_id: '@mallory:elsewhere', presence: 'online' },
      { user_id: 5, presence: 'online' },
      { ...online(), user_id: eve, presence: 3 },
      { ...online(), user_id: eve, status_msg: {} },
      { ...online(), user_id: eve, currently_active: 'yes' },
      { ...online(), user_id: eve, allowed_recipients: 'no' },
    ];
    await tell(
      ...bad,
      online({ presence: 'busy', last_active_ago: -9_007_199_254_740_991, unknown: { field: [] } }),
      ...bad,
    );
    expect(await get(bob, dora)).toMatchObject({ presence: 'unavailable', status_msg: 'x' });
    expect(await get(bob, eve)).toEqual({ presence: 'offline' });
    expect(await get(bob, alice.userId)).toEqual({ presence: 'offline' });
    for (const content of [{}, { push: null }, { push: {} }, { push: 'x' }]) {
      const answer = await stub.send(server, { edus: [{ edu_type: 'm.presence', content }, null, 5] });
      expect(answer.status).toBe(200);
    }
    expect(await get(bob, dora)).toMatchObject({ presence: 'unavailable' });
  });

  it('takes from one and leaves the others untouched when a narrowing is followed by the rest', async () => {
    await tell(online());
    await alice.sync({ set_presence: 'offline' });
    await bob.sync({ set_presence: 'offline' });
    await bob.sync({ set_presence: 'offline' });
    await alice.sync({ set_presence: 'offline' });
    const offline = { user_id: dora, presence: 'offline', last_active_ago: 1, currently_active: false };
    await tell(
      { ...offline, allowed_recipients: [`@*:${server.name}`] },
      online({ allowed_recipients: [alice.userId] }),
    );
    expect((await bob.sync({ set_presence: 'offline' })).presence?.events).toEqual([
      { type: 'm.presence', sender: dora, content: { presence: 'offline' } },
    ]);
    const before = alice.since;
    expect((await alice.sync({ set_presence: 'offline' })).presence).toBeUndefined();
    expect(alice.since).toBe(before);
    await tell(online({ presence: 'unavailable', status_msg: 'secret', allowed_recipients: [alice.userId] }));
    const bobs = bob.since;
    expect((await bob.sync({ set_presence: 'offline' })).presence).toBeUndefined();
    expect(bob.since).toBe(bobs);
    expect(await get(bob, dora)).toEqual({ presence: 'offline' });
  });

  it('reaches nobody who shares no room, and 404 stays 404', async () => {
    const carl = await server.register('carl');
    await carl.sync({ set_presence: 'offline' });
    await tell(online({ allowed_recipients: [carl.userId] }));
    expect((await carl.sync({ set_presence: 'offline' })).presence).toBeUndefined();
    expect((await carl.getPresence(dora)).status).toBe(404);
    await tell(online({ user_id: stub.user('nobody'), allowed_recipients: [bob.userId] }));
    expect((await bob.getPresence(stub.user('nobody'))).status).toBe(404);
  });

  it('is over half an hour after the last word, also where we restart meanwhile', async () => {
    await tell(online());
    await pass(2_000);
    await restart();
    bob.url = server.url;
    await server.clock.advance(1_790_000);
    expect(await get(bob, dora)).toMatchObject({ presence: 'online' });
    await server.clock.advance(10_000);
    expect(await get(bob, dora)).toEqual({ presence: 'offline' });
  });

  it('is over with the last shared room, without a word of their server', async () => {
    await tell(online());
    await bob.sync({ set_presence: 'offline' });
    await bob.leave(room.roomId);
    await settle(server);
    expect((await bob.sync({ set_presence: 'offline' })).presence?.events).toEqual([
      { type: 'm.presence', sender: dora, content: { presence: 'offline' } },
    ]);
    await bob.join(room.roomId);
    await settle(server);
    expect((await bob.sync({ set_presence: 'offline' })).presence?.events ?? []).not.toContainEqual(
      expect.objectContaining({ sender: dora }),
    );
    expect(await get(bob, dora)).toEqual({ presence: 'offline' });
    expect(await get(alice, dora)).toMatchObject({ presence: 'online' });
  });
});

describe('a member elsewhere who lets in another', () => {
  const counter = new StatementCounter();
  /** Dora is here for Alice alone; of Eve nothing was ever told. */
  const secret = (state: string) => ({
    user_id: dora,
    presence: state,
    last_active_ago: 5,
    status_msg: `secretly ${state}`,
    allowed_recipients: [alice.userId],
  });

  beforeEach(async () => {
    await tell(secret('online'));
    await pass(61_000);
    counter.start();
  });
  afterEach(() => counter.stop());

  async function look(user: TestUser, path: string) {
    let answer: { status: number; body: unknown } | undefined;
    const statements = await counter.during(async () => {
      answer = await user.call('GET', path);
    });
    return { answer, statements };
  }
  const statusOf = (userId: string) => `/presence/${encodeURIComponent(userId)}/status`;

  it('is as one who was never seen to GET, which asks as much of the database for everybody', async () => {
    const denied = await look(bob, statusOf(dora));
    expect(denied).toMatchObject({ answer: { status: 200, body: { presence: 'offline' } } });
    expect(denied).toEqual(await look(bob, statusOf(eve)));
    const allowed = await look(alice, statusOf(dora));
    expect(allowed).toMatchObject({ answer: { body: { status_msg: 'secretly online' } } });
    const unknown = await look(bob, statusOf(stub.user('nobody')));
    expect(unknown).toMatchObject({ answer: { status: 404 } });
    for (const { statements } of [allowed, unknown]) expect(statements).toEqual(denied.statements);
  });

  it('does not change what /sync answers to the others, nor what it asks of the database', async () => {
    const quiet = { set_presence: 'offline', timeout: '0' };
    for (let round = 0; round < 3; round += 1) await bob.sync(quiet);
    const path = `/sync?${new URLSearchParams({ ...quiet, since: bob.since ?? '' })}`;
    const before = await look(bob, path);
    await tell(secret('unavailable'));
    expect(await look(bob, path)).toEqual(before);
  });
});
