import { afterEach, describe, expect, it } from 'vitest';
import { settle, startPair, TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { historyOf, membershipOf, mindOf, newTexts, path, stateOf, textsOf } from './rooms.ts';

/** Longer than any server is left alone after its first failures. */
const minute = 60_000;
const running: TestServer[] = [];

async function pair(): Promise<{ a: TestServer; b: TestServer; alice: TestUser; bob: TestUser }> {
  const [a, b] = await startPair();
  running.push(a, b);
  return { a, b, alice: await a.register('alice'), bob: await b.register('bob') };
}

/** Starts the server again; its users go on with it. */
async function again(server: TestServer, ...users: TestUser[]): Promise<TestServer> {
  const back = await server.restart();
  running.push(back);
  for (const user of users) user.url = back.url;
  return back;
}

/** The server of the one asks that of the other something, and is known to be back. No time passes, so no request runs out. */
async function hear(one: TestUser, other: TestUser): Promise<void> {
  await one.call('GET', `/profile/${encodeURIComponent(other.userId)}`);
}

afterEach(async () => {
  for (const server of running.splice(0).reverse()) await server.stop();
});

describe('a server that was down', () => {
  it('gets what it missed when it is tried again, in order, each once', async () => {
    const { a, b, alice, bob } = await pair();
    const room = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(room, a.name);
    await settle(a, b);
    await bob.sync();
    await b.stop({ keepData: true });
    // More than one transaction holds.
    const said = Array.from({ length: 52 }, (_, index) => `missed ${index}`);
    for (const text of said) await alice.say(room, text);
    await alice.setState(room, 'm.room.topic', { topic: 'while you were away' });
    await settle(a);
    const back = await again(b, bob);
    await a.clock.advance(minute);
    await settle(a, back);
    expect(await textsOf(bob, room)).toEqual(said);
    expect(await mindOf(back, room)).toEqual(await mindOf(a, room));
    const timeline = JSON.stringify({ room: { timeline: { limit: 1000 } } });
    expect(newTexts(await bob.sync({ filter: timeline }), room)).toEqual(said);
  });

  it('gets what it missed at once when it is heard of before that', async () => {
    const { a, b, alice, bob } = await pair();
    const room = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(room, a.name);
    await settle(a, b);
    await bob.sync();
    await b.stop({ keepData: true });
    await alice.say(room, 'missed');
    await settle(a);
    const back = await again(b, bob);
    await settle(a, back);
    expect(newTexts(await bob.sync(), room)).toEqual([]);
    await bob.say(room, 'I am back');
    await settle(a, back);
    expect((await textsOf(bob, room)).sort()).toEqual(['I am back', 'missed']);
    expect((await textsOf(alice, room)).sort()).toEqual(['I am back', 'missed']);
  });

  it('gets what it missed also when ours was restarted in between', async () => {
    const { a, b, alice, bob } = await pair();
    const room = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(room, a.name);
    await settle(a, b);
    await b.stop({ keepData: true });
    await alice.say(room, 'one');
    await alice.say(room, 'two');
    await settle(a);
    const ours = await again(a, alice);
    await alice.say(room, 'three');
    await settle(ours);
    const back = await again(b, bob);
    await ours.clock.advance(minute);
    await settle(ours, back);
    expect(await textsOf(bob, room)).toEqual(['one', 'two', 'three']);
    expect(await mindOf(back, room)).toEqual(await mindOf(ours, room));
  });

  it('loses nothing that it sent itself before it went down', async () => {
    const { a, b, alice, bob } = await pair();
    const room = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(room, a.name);
    await settle(a, b);
    await a.stop({ keepData: true });
    await bob.say(room, 'into the void');
    await settle(b);
    const [other, back] = [await again(b, bob), await again(a, alice)];
    await a.clock.advance(minute);
    await settle(other, back);
    expect(await textsOf(alice, room)).toEqual(['into the void']);
  });

  it('catches up in many rooms, the busy and the quiet ones', async () => {
    const { a, b, alice, bob } = await pair();
    const rooms: string[] = [];
    for (let index = 0; index < 5; index++) {
      const room = await alice.createRoom({ preset: 'public_chat' });
      await bob.join(room, a.name);
      rooms.push(room);
    }
    await settle(a, b);
    await b.stop({ keepData: true });
    // More than is sent event by event: of each room the newest goes out, and the other server asks for the rest.
    const [busy = '', ...quiet] = rooms;
    for (let index = 0; index < 502; index++) await alice.say(busy, `busy ${index}`);
    for (const room of quiet) for (let index = 0; index < 3; index++) await alice.say(room, `quiet ${index}`);
    await alice.setState(busy, 'm.room.topic', { topic: 'busy' });
    await settle(a);
    const back = await again(b, bob);
    await a.clock.advance(minute);
    await settle(a, back);
    for (const room of quiet) expect(await mindOf(back, room)).toEqual(await mindOf(a, room));
    expect((await mindOf(back, busy)).state).toEqual((await mindOf(a, busy)).state);
    for (const room of quiet) expect(await textsOf(bob, room)).toEqual(['quiet 0', 'quiet 1', 'quiet 2']);
    expect(await stateOf(bob, busy, 'm.room.topic')).toEqual({ topic: 'busy' });
    expect(await textsOf(bob, busy)).toEqual(Array.from({ length: 502 }, (_, index) => `busy ${index}`));
    await bob.say(busy, 'here again');
    await settle(a, back);
    expect(await mindOf(back, busy)).toEqual(await mindOf(a, busy));
  }, 60_000);

  it('hears of a kick, a ban and an invite that happened meanwhile', async () => {
    const { a, b, alice, bob } = await pair();
    const [kicked, banned] = [
      await alice.createRoom({ preset: 'public_chat' }),
      await alice.createRoom({ preset: 'public_chat' }),
    ];
    for (const room of [kicked, banned]) await bob.join(room, a.name);
    await settle(a, b);
    await b.stop({ keepData: true });
    await alice.ok('POST', path(kicked, 'kick'), { user_id: bob.userId });
    await alice.ok('POST', path(banned, 'ban'), { user_id: bob.userId });
    await alice.say(kicked, 'not for bob');
    const uninvited = await alice.createRoom({ preset: 'private_chat' });
    expect((await alice.call('POST', path(uninvited, 'invite'), { user_id: bob.userId })).status).toBe(502);
    expect(await membershipOf(alice, uninvited, bob.userId)).toBeUndefined();
    const back = await again(b, bob);
    await a.clock.advance(minute);
    await settle(a, back);
    expect((await bob.ok('GET', '/joined_rooms')).joined_rooms).toEqual([]);
    expect(await textsOf(bob, kicked)).toEqual([]);
  });

  it('hears that somebody left also before what that builds on, whose server is away now', async () => {
    const { a, b, alice, bob } = await pair();
    const c = await TestServer.start({ clock: a.clock });
    running.push(c);
    const carol = await c.register('carol');
    const room = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(room, a.name);
    await settle(a, b);
    await carol.join(room, a.name);
    await settle(a, b, c);
    await b.stop({ keepData: true });
    await alice.say(room, 'only carol heard this');
    await settle(a, c);
    await a.stop({ keepData: true });
    await carol.ok('POST', path(room, 'leave'), {});
    const back = await again(b, bob);
    await hear(bob, carol);
    await settle(back, c);
    expect(await membershipOf(bob, room, carol.userId)).toBe('leave');
    expect(await textsOf(bob, room)).toEqual(['only carol heard this']);
  });

  it.each(['kick', 'ban'])('hears of a %s also before what it builds on, whose server is away now', async (what) => {
    const { a, b, alice, bob } = await pair();
    const c = await TestServer.start({ clock: a.clock });
    running.push(c);
    const carol = await c.register('carol');
    const room = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(room, a.name);
    await settle(a, b);
    await carol.join(room, a.name);
    await settle(a, b, c);
    await c.stop({ keepData: true });
    await bob.say(room, 'only bob can tell carol');
    await settle(a, b);
    await alice.ok('POST', path(room, what), { user_id: carol.userId });
    await settle(a, b);
    await b.stop({ keepData: true });
    const back = await again(c, carol);
    await hear(carol, alice);
    await settle(a, back);
    expect((await carol.ok('GET', '/joined_rooms')).joined_rooms).toEqual([]);
    expect((await mindOf(back, room)).state).toEqual((await mindOf(a, room)).state);
    expect(await textsOf(carol, room)).toEqual(['only bob can tell carol']);
  });
});

describe('a room that two servers carried on apart', () => {
  /**
   * All but the ends of the graph: an event that one server could only soft-fail, because it knew already what took the sender's
   * power, is an end on the server that took it in before it knew.
   */
  async function agreedOf(server: TestServer, room: string): Promise<unknown> {
    const { state, joined } = await mindOf(server, room);
    return { state, joined };
  }

  /** A room with both, of which each side goes on while the other is down. */
  async function fork(
    options: Record<string, unknown>,
    between: (facts: { room: string; alice: TestUser; bob: TestUser; a: TestServer; b: TestServer }) => Promise<void>,
    ofAlice: (alice: TestUser, room: string, bob: TestUser) => Promise<void>,
    ofBob: (bob: TestUser, room: string, alice: TestUser) => Promise<void>,
    guests: TestUser[] = [],
  ) {
    const { a, b, alice, bob } = await pair();
    const room = await alice.createRoom({ preset: 'public_chat', ...options });
    await bob.join(room, a.name);
    await settle(a, b);
    await between({ room, alice, bob, a, b });
    await settle(a, b);
    await b.stop({ keepData: true });
    await ofAlice(alice, room, bob);
    await settle(a);
    await a.stop({ keepData: true });
    const backB = await again(b, bob, ...guests);
    await ofBob(bob, room, alice);
    await settle(backB);
    const backA = await again(a, alice);
    await a.clock.advance(minute);
    await settle(backA, backB);
    return { room, a: backA, b: backB, alice, bob };
  }

  async function raise(alice: TestUser, room: string, powers: Record<string, number>): Promise<void> {
    const levels = await stateOf(alice, room, 'm.room.power_levels');
    await alice.setState(room, 'm.room.power_levels', { ...levels, users: { ...levels.users, ...powers } });
  }

  it('is one again with the messages of both', async () => {
    const { room, a, b, alice, bob } = await fork(
      {},
      async () => undefined,
      async (user, id) => {
        for (const text of ['a1', 'a2', 'a3']) await user.say(id, text);
      },
      async (user, id) => {
        for (const text of ['b1', 'b2', 'b3']) await user.say(id, text);
      },
    );
    expect(await mindOf(a, room)).toEqual(await mindOf(b, room));
    expect((await mindOf(a, room)).extremities).toHaveLength(2);
    const expected = ['a1', 'a2', 'a3', 'b1', 'b2', 'b3'];
    for (const user of [alice, bob]) expect((await textsOf(user, room)).sort()).toEqual(expected);
    await bob.say(room, 'together');
    await settle(a, b);
    expect(await mindOf(a, room)).toEqual(await mindOf(b, room));
    expect((await mindOf(a, room)).extremities).toHaveLength(1);
  });

  it.each(['10', '12'])('agrees on the state where both changed it, room version %s', async (version) => {
    const { room, a, b, alice, bob } = await fork(
      { room_version: version },
      async (facts) => raise(facts.alice, facts.room, { [facts.bob.userId]: 50 }),
      async (user, id) => {
        await user.setState(id, 'm.room.topic', { topic: 'by alice' });
        await user.setState(id, 'm.room.name', { name: 'by alice' });
      },
      async (user, id) => {
        await user.setState(id, 'm.room.topic', { topic: 'by bob' });
        await user.setState(id, 'org.example.bob', { only: 'bob' });
      },
    );
    expect(await mindOf(a, room)).toEqual(await mindOf(b, room));
    const topics = [await stateOf(alice, room, 'm.room.topic'), await stateOf(bob, room, 'm.room.topic')];
    expect(topics[0]).toEqual(topics[1]);
    expect(await stateOf(bob, room, 'm.room.name')).toEqual({ name: 'by alice' });
    expect(await stateOf(alice, room, 'org.example.bob')).toEqual({ only: 'bob' });
  });

  it.each(['11', '12'])('gives a power fight to the stronger, room version %s', async (version) => {
    const { room, a, b, alice, bob } = await fork(
      { room_version: version, power_level_content_override: { events: { 'm.room.power_levels': 50 } } },
      async (facts) => raise(facts.alice, facts.room, { [facts.bob.userId]: 50 }),
      async (user, id, other) => {
        await raise(user, id, { [other.userId]: 0 });
        await user.ok('POST', path(id, 'ban'), { user_id: other.userId });
      },
      async (user, id) => {
        await user.setState(id, 'm.room.topic', { topic: 'mine' });
        await user.say(id, 'I still may');
        // A change that somebody of 50 may make, but not against somebody above.
        const levels = await stateOf(user, id, 'm.room.power_levels');
        await user.setState(id, 'm.room.power_levels', {
          ...levels,
          events: { ...levels.events, 'org.example.x': 10 },
        });
      },
    );
    expect(await agreedOf(a, room)).toEqual(await agreedOf(b, room));
    expect(await membershipOf(alice, room, bob.userId)).toBe('ban');
    expect(await stateOf(alice, room, 'm.room.topic')).toBeUndefined();
    expect((await bob.call('PUT', path(room, 'send', 'm.room.message', 'z'), { body: 'x' })).status).toBe(403);
    expect((await stateOf(alice, room, 'm.room.power_levels')).users[bob.userId]).toBe(0);
    expect((await mindOf(a, room)).joined).toEqual([alice.userId]);
  });

  it('shows in /sync what became of the state, also where no event of this side says it', async () => {
    const { room, a, b, alice, bob } = await fork(
      {},
      async (facts) => {
        await raise(facts.alice, facts.room, { [facts.bob.userId]: 50 });
        await settle(facts.a, facts.b);
        await facts.bob.sync();
      },
      async (user, id, other) => raise(user, id, { [other.userId]: 0 }),
      async (user, id) => {
        await user.setState(id, 'm.room.topic', { topic: 'mine' });
        await user.sync();
      },
    );
    expect(await agreedOf(a, room)).toEqual(await agreedOf(b, room));
    expect(await stateOf(bob, room, 'm.room.topic')).toBeUndefined();
    const { state, timeline } = (await bob.sync()).rooms.join[room];
    const levels = [...state.events, ...timeline.events].findLast(({ type }) => type === 'm.room.power_levels');
    expect(levels.content.users[bob.userId]).toBe(0);
    // The fight is over: whoever still has the power speaks, and both are at one again.
    await alice.say(room, 'peace');
    await settle(a, b);
    await bob.say(room, 'peace');
    await settle(a, b);
    expect(await mindOf(a, room)).toEqual(await mindOf(b, room));
    expect((await mindOf(a, room)).extremities).toHaveLength(1);
  });

  it('lets the joins of both sides stand', async () => {
    const ofA: TestUser[] = [];
    const ofB: TestUser[] = [];
    const { room, a, b, alice, bob } = await fork(
      {},
      async (facts) => {
        ofA.push(await facts.a.register('anna'));
        ofB.push(await facts.b.register('ben'));
      },
      async (_, id) => ofA[0]?.join(id),
      async (_, id) => ofB[0]?.join(id),
      ofB,
    );
    expect(await mindOf(a, room)).toEqual(await mindOf(b, room));
    const joined = [alice, bob, ...ofA, ...ofB].map(({ userId }) => userId).sort();
    expect((await mindOf(a, room)).joined).toEqual(joined);
    expect((await historyOf(alice, room)).length).toBe((await historyOf(bob, room)).length);
  });
});
