import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { settle, startPair, type TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { historyOf, membershipOf, mindOf, newTexts, path, stateOf, textsOf } from './rooms.ts';

let a: TestServer;
let b: TestServer;
let alice: TestUser;
let bob: TestUser;

beforeAll(async () => {
  [a, b] = await startPair();
  alice = await a.register('alice');
  bob = await b.register('bob');
});

afterAll(async () => {
  await a.stop();
  await b.stop();
});

async function sharedRoom(options: Record<string, unknown> = {}): Promise<string> {
  const room = await alice.createRoom({ preset: 'public_chat', ...options });
  await bob.join(room, a.name);
  await settle(a, b);
  return room;
}

describe('messages', () => {
  it('reach the other server in the order they were sent, both ways, each once', async () => {
    const room = await sharedRoom();
    await bob.sync();
    const sent = Array.from({ length: 12 }, (_, index) => `alice ${index}`);
    for (const text of sent) await alice.say(room, text);
    await settle(a, b);
    const timeline = JSON.stringify({ room: { timeline: { limit: 100 } } });
    expect(newTexts(await bob.sync({ filter: timeline }), room)).toEqual(sent);
    for (let index = 0; index < 5; index++) await bob.say(room, `bob ${index}`);
    await settle(a, b);
    const all = [...sent, ...Array.from({ length: 5 }, (_, index) => `bob ${index}`)];
    expect(await textsOf(alice, room)).toEqual(all);
    expect(await textsOf(bob, room)).toEqual(all);
    expect(await mindOf(b, room)).toEqual(await mindOf(a, room));
  });

  it('that cross each other are all there on both sides, and the room goes on as one', async () => {
    const room = await sharedRoom();
    await Promise.all([
      ...Array.from({ length: 8 }, (_, index) => alice.say(room, `a${index}`)),
      ...Array.from({ length: 8 }, (_, index) => bob.say(room, `b${index}`)),
    ]);
    await settle(a, b);
    const ofAlice = await textsOf(alice, room);
    expect([...ofAlice].sort()).toEqual([...(await textsOf(bob, room))].sort());
    expect(new Set(ofAlice).size).toBe(16);
    await alice.say(room, 'and on');
    await settle(a, b);
    expect((await mindOf(b, room)).extremities).toHaveLength(1);
    expect(await mindOf(b, room)).toEqual(await mindOf(a, room));
  });

  it('wake a long-poll on the other server', async () => {
    const room = await sharedRoom();
    await bob.sync();
    const waiting = bob.sync({ timeout: '30000' });
    await alice.say(room, 'wake up');
    await settle(a, b);
    expect(newTexts(await waiting, room)).toEqual(['wake up']);
  });

  it('that are redacted lose their content on both sides', async () => {
    const room = await sharedRoom();
    const eventId = await bob.say(room, 'a secret');
    await settle(a, b);
    await alice.ok('PUT', path(room, 'redact', eventId, 'r1'), { reason: 'too much' });
    await settle(a, b);
    for (const user of [alice, bob]) {
      const event = (await historyOf(user, room)).find(({ event_id }) => event_id === eventId);
      expect(event?.content).toEqual({});
      expect(event?.unsigned.redacted_because.content.reason).toBe('too much');
    }
  });

  it('of somebody without the power to redact those of others stay as they are', async () => {
    const room = await sharedRoom();
    const eventId = await alice.say(room, 'kept');
    await settle(a, b);
    expect((await bob.call('PUT', path(room, 'redact', eventId, 'r2'), {})).status).toBe(403);
    await settle(a, b);
    expect(await textsOf(alice, room)).toEqual(['kept']);
  });

  it('survive content that looks like something else', async () => {
    const room = await sharedRoom();
    const content = JSON.parse(
      '{"__proto__":{"a":1},"body":"é\\u0000\\ud83d\\ude00","constructor":[],"n":-9007199254740991}',
    );
    const eventId = await alice.send(room, 'org.example.odd', content);
    await settle(a, b);
    const events = await historyOf(bob, room);
    const seen = events.find(({ event_id }) => event_id === eventId);
    expect(JSON.stringify(seen?.content)).toBe(JSON.stringify(content));
  });
});

describe('state', () => {
  it('set on one side holds on the other', async () => {
    const room = await sharedRoom();
    await alice.setState(room, 'm.room.topic', { topic: 'gardens' });
    await alice.setState(room, 'org.example.thing', { x: 1 }, 'a key');
    await settle(a, b);
    expect(await stateOf(bob, room, 'm.room.topic')).toEqual({ topic: 'gardens' });
    expect(await stateOf(bob, room, 'org.example.thing', 'a key')).toEqual({ x: 1 });
    expect(await mindOf(b, room)).toEqual(await mindOf(a, room));
  });

  it('may be set by a guest of the room only as its power levels say, wherever they were changed', async () => {
    const room = await sharedRoom();
    const asBob = () => bob.call('PUT', path(room, 'state', 'm.room.name', ''), { name: 'by bob' });
    expect(await asBob()).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } });
    const levels = await stateOf(alice, room, 'm.room.power_levels');
    await alice.setState(room, 'm.room.power_levels', { ...levels, users: { ...levels.users, [bob.userId]: 50 } });
    await settle(a, b);
    expect((await asBob()).status).toBe(200);
    await settle(a, b);
    expect(await stateOf(alice, room, 'm.room.name')).toEqual({ name: 'by bob' });
    const raised = { ...levels, users: { ...levels.users, [bob.userId]: 100 } };
    expect((await bob.call('PUT', path(room, 'state', 'm.room.power_levels', ''), raised)).status).toBe(403);
    expect(await mindOf(b, room)).toEqual(await mindOf(a, room));
  });

  it('follows a changed profile into the rooms of both servers', async () => {
    const room = await sharedRoom();
    await bob.ok('PUT', `/profile/${encodeURIComponent(bob.userId)}/displayname`, { displayname: 'Bobby' });
    await settle(a, b);
    expect(await stateOf(alice, room, 'm.room.member', bob.userId)).toEqual({
      membership: 'join',
      displayname: 'Bobby',
    });
  });
});

describe('membership', () => {
  it('ends by leaving, and nothing is sent to that server any more', async () => {
    const room = await sharedRoom();
    await bob.leave(room);
    await settle(a, b);
    expect(await membershipOf(alice, room, bob.userId)).toBe('leave');
    expect((await mindOf(a, room)).joined).toEqual([alice.userId]);
    const before = (await mindOf(b, room)).extremities;
    await alice.say(room, 'among us');
    await settle(a, b);
    expect((await mindOf(b, room)).extremities).toEqual(before);
    expect(await textsOf(bob, room)).not.toContain('among us');
  });

  it.each(['kick', 'ban'])('ends by a %s, of which the other server hears though it is out by it', async (how) => {
    const room = await sharedRoom();
    await bob.sync();
    await alice.ok('POST', path(room, how), { user_id: bob.userId, reason: 'enough' });
    await settle(a, b);
    const left = (await bob.sync()).rooms.leave[room];
    const last = left.timeline.events.at(-1);
    expect(last).toMatchObject({
      type: 'm.room.member',
      sender: alice.userId,
      state_key: bob.userId,
      content: { membership: how === 'ban' ? 'ban' : 'leave', reason: 'enough' },
    });
    expect((await bob.call('PUT', path(room, 'send', 'm.room.message', `x-${how}`), { body: 'no' })).status).toBe(403);
    expect((await mindOf(b, room)).joined).toEqual((await mindOf(a, room)).joined);
  });

  it('of others is moderated across servers by whoever has the power', async () => {
    const room = await sharedRoom();
    const carol = await a.register('carol');
    await carol.join(room);
    const levels = await stateOf(alice, room, 'm.room.power_levels');
    await alice.setState(room, 'm.room.power_levels', { ...levels, users: { ...levels.users, [bob.userId]: 60 } });
    await settle(a, b);
    expect((await bob.call('POST', path(room, 'kick'), { user_id: alice.userId })).status).toBe(403);
    await bob.ok('POST', path(room, 'kick'), { user_id: carol.userId });
    await settle(a, b);
    expect(await membershipOf(alice, room, carol.userId)).toBe('leave');
    expect(Object.keys((await carol.sync()).rooms?.join ?? {})).not.toContain(room);
    expect(await mindOf(b, room)).toEqual(await mindOf(a, room));
  });
});

describe('what is not kept', () => {
  // biome-ignore lint/suspicious/noExplicitAny: the answer of a server
  const ephemeral = (sync: any, room: string, type: string) =>
    sync.rooms?.join?.[room]?.ephemeral?.events?.find((event: { type: string }) => event.type === type)?.content;

  it('typing shows on the other server, and its end too', async () => {
    const room = await sharedRoom();
    await bob.sync();
    const typing = path(room, 'typing', alice.userId);
    await alice.ok('PUT', typing, { typing: true, timeout: 20_000 });
    await settle(a, b);
    expect(ephemeral(await bob.sync(), room, 'm.typing')).toEqual({ user_ids: [alice.userId] });
    await alice.ok('PUT', typing, { typing: false });
    await settle(a, b);
    expect(ephemeral(await bob.sync(), room, 'm.typing')).toEqual({ user_ids: [] });
  });

  it('receipts show on the other server, private ones do not', async () => {
    const room = await sharedRoom();
    const first = await bob.say(room, 'read this');
    const second = await bob.say(room, 'and this');
    await settle(a, b);
    await bob.sync();
    await alice.ok('POST', path(room, 'receipt', 'm.read', first), {});
    await alice.ok('POST', path(room, 'receipt', 'm.read.private', second), {});
    await settle(a, b);
    const receipts = ephemeral(await bob.sync(), room, 'm.receipt');
    expect(receipts).toEqual({ [first]: { 'm.read': { [alice.userId]: { ts: expect.any(Number) } } } });
  });
});

describe('queries', () => {
  it('give the profile of a user of the other server, whole and by field', async () => {
    const dora = await a.register('dora');
    const profile = `/profile/${encodeURIComponent(dora.userId)}`;
    await dora.ok('PUT', `${profile}/displayname`, { displayname: 'Dora' });
    await dora.ok('PUT', `${profile}/avatar_url`, { avatar_url: 'mxc://a/b' });
    expect(await bob.ok('GET', profile)).toEqual({ displayname: 'Dora', avatar_url: 'mxc://a/b' });
    expect(await bob.ok('GET', `${profile}/displayname`)).toEqual({ displayname: 'Dora' });
    const nobody = await bob.call('GET', `/profile/${encodeURIComponent(`@nobody:${a.name}`)}`);
    expect(nobody).toMatchObject({ status: 404, body: { errcode: 'M_NOT_FOUND' } });
  });

  it('find the room of an alias of the other server, with the servers in it', async () => {
    const room = await sharedRoom({ room_alias_name: 'pond' });
    const answer = await bob.ok('GET', `/directory/room/${encodeURIComponent(`#pond:${a.name}`)}`);
    expect(answer.room_id).toBe(room);
    expect([...answer.servers].sort()).toEqual([a.name, b.name].sort());
    const missing = await bob.call('GET', `/directory/room/${encodeURIComponent(`#none:${a.name}`)}`);
    expect(missing).toMatchObject({ status: 404, body: { errcode: 'M_NOT_FOUND' } });
  });
});

describe('an access control list', () => {
  it('takes effect for a server that it denies, and only by its address rules where it says so', async () => {
    const room = await sharedRoom();
    await alice.say(room, 'open');
    await settle(a, b);
    // The servers of these tests are named by an address.
    await alice.setState(room, 'm.room.server_acl', { allow: ['*'], allow_ip_literals: false });
    await settle(a, b);
    const eventId = await bob.say(room, 'kept out');
    await settle(a, b);
    expect(await textsOf(alice, room)).toEqual(['open']);
    expect((await alice.call('GET', path(room, 'event', eventId))).status).toBe(404);
    await bob.leave(room);
    await settle(a, b);
    expect(await membershipOf(alice, room, bob.userId)).toBe('join');
    const again = await bob.call('POST', `/join/${encodeURIComponent(room)}?via=${encodeURIComponent(a.name)}`, {});
    expect(again).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } });
  });
});
