import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { settle, startPair, type TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { historyOf, membershipOf, mindOf, newTexts, path, stateOf, textsOf } from './rooms.ts';

let a: TestServer;
let b: TestServer;
let alice: TestUser;
let bob: TestUser;
let bill: TestUser;

beforeAll(async () => {
  [a, b] = await startPair();
  alice = await a.register('alice');
  bob = await b.register('bob');
  bill = await b.register('bill');
});

afterAll(async () => {
  await a.stop();
  await b.stop();
});

function join(user: TestUser, roomIdOrAlias: string, via?: string, body: unknown = {}) {
  const query = via === undefined ? '' : `?via=${encodeURIComponent(via)}`;
  return user.call('POST', `/join/${encodeURIComponent(roomIdOrAlias)}${query}`, body);
}

describe('joining through another server', () => {
  it.each(['10', '11', '12'])(
    'works by room id and via in room version %s, and both hold the same room',
    async (version) => {
      const room = await alice.createRoom({ preset: 'public_chat', room_version: version, name: `version ${version}` });
      await alice.say(room, 'before');
      expect(await join(bob, room, a.name)).toEqual({ status: 200, body: { room_id: room } });
      await settle(a, b);
      expect(await mindOf(b, room)).toEqual(await mindOf(a, room));
      expect((await mindOf(a, room)).joined).toEqual([alice.userId, bob.userId].sort());
      expect(await stateOf(bob, room, 'm.room.name')).toEqual({ name: `version ${version}` });
      expect((await stateOf(bob, room, 'm.room.create')).room_version).toBe(version);
      await bob.say(room, 'from bob');
      await settle(a, b);
      await alice.say(room, 'from alice');
      await settle(a, b);
      expect(await textsOf(alice, room)).toEqual(['before', 'from bob', 'from alice']);
      expect(await textsOf(bob, room)).toEqual(['before', 'from bob', 'from alice']);
      await bob.leave(room);
      await settle(a, b);
      expect(await membershipOf(alice, room, bob.userId)).toBe('leave');
    },
  );

  it('works by an alias of the other server, which the join follows', async () => {
    const room = await alice.createRoom({ preset: 'public_chat', room_alias_name: 'garden' });
    expect(await join(bob, `#garden:${a.name}`)).toEqual({ status: 200, body: { room_id: room } });
    await settle(a, b);
    expect(await membershipOf(alice, room, bob.userId)).toBe('join');
  });

  it('is not found by an alias that leads nowhere', async () => {
    expect(await join(bob, `#nowhere:${a.name}`)).toMatchObject({ status: 404, body: { errcode: 'M_NOT_FOUND' } });
  });

  it('is not found where no server is named that is in the room', async () => {
    const unknown = await join(bob, `!nothing:${a.name}`, a.name);
    expect(unknown).toMatchObject({ status: 404, body: { errcode: 'M_NOT_FOUND' } });
    const nobody = await join(bob, `!nothing:${b.name}`);
    expect(nobody).toMatchObject({ status: 404, body: { errcode: 'M_NOT_FOUND' } });
  });

  it('takes the reason and the profile of who joins along', async () => {
    await bill.ok('PUT', `/profile/${encodeURIComponent(bill.userId)}/displayname`, { displayname: 'Bill' });
    const room = await alice.createRoom({ preset: 'public_chat' });
    expect((await join(bill, room, a.name, { reason: 'curious' })).status).toBe(200);
    await settle(a, b);
    expect(await stateOf(alice, room, 'm.room.member', bill.userId)).toEqual({
      membership: 'join',
      displayname: 'Bill',
      reason: 'curious',
    });
  });

  it('is refused by a room that one must be invited to, and leaves no trace', async () => {
    const room = await alice.createRoom({ preset: 'private_chat' });
    expect(await join(bob, room, a.name)).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } });
    await settle(a, b);
    expect(await membershipOf(alice, room, bob.userId)).toBeUndefined();
    expect((await bob.ok('GET', '/joined_rooms')).joined_rooms).not.toContain(room);
    expect(await b.running.lantern.storage.rooms.find(room as never)).toBeUndefined();
  });

  it('tries the servers that are named in turn', async () => {
    const room = await alice.createRoom({ preset: 'public_chat' });
    const dead = '127.0.0.1:1';
    const query = `?via=${encodeURIComponent(dead)}&via=${encodeURIComponent(a.name)}`;
    expect(await bob.ok('POST', `/join/${encodeURIComponent(room)}${query}`, {})).toEqual({ room_id: room });
    const alone = await alice.createRoom({ preset: 'public_chat' });
    expect((await join(bob, alone, dead)).status).toBe(502);
  });

  it('of the second user of a server takes the way of the room itself and reaches the others', async () => {
    const room = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(room, a.name);
    await bill.join(room);
    await settle(a, b);
    expect(await membershipOf(alice, room, bill.userId)).toBe('join');
    expect(await mindOf(b, room)).toEqual(await mindOf(a, room));
  });

  it('by two users of one server at the same time brings both in', async () => {
    const room = await alice.createRoom({ preset: 'public_chat' });
    const answers = await Promise.all([join(bob, room, a.name), join(bill, room, a.name)]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    await settle(a, b);
    expect((await mindOf(a, room)).joined).toEqual([alice.userId, bill.userId, bob.userId].sort());
    expect(await mindOf(b, room)).toEqual(await mindOf(a, room));
  });

  it('is open again after leaving, and what was said meanwhile is there to be read', async () => {
    const room = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(room, a.name);
    await alice.say(room, 'one');
    await settle(a, b);
    await bob.leave(room);
    await settle(a, b);
    await alice.say(room, 'two');
    await alice.setState(room, 'm.room.topic', { topic: 'changed' });
    await bob.join(room, a.name);
    await alice.say(room, 'three');
    await settle(a, b);
    expect(await mindOf(b, room)).toEqual(await mindOf(a, room));
    expect(await stateOf(bob, room, 'm.room.topic')).toEqual({ topic: 'changed' });
    expect(await textsOf(bob, room)).toEqual(['one', 'two', 'three']);
  });

  it('at once after leaving stands behind the departure, wherever the room hears of either', async () => {
    const room = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(room, a.name);
    for (let round = 0; round < 5; round++) {
      await bob.leave(room);
      await bob.join(room, a.name);
    }
    await settle(a, b);
    expect((await mindOf(a, room)).joined).toEqual([alice.userId, bob.userId].sort());
    expect(await mindOf(b, room)).toEqual(await mindOf(a, room));
    expect((await mindOf(a, room)).extremities).toHaveLength(1);
  });

  it('again after leaving is a fresh join in /sync, with the state of now', async () => {
    const room = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(room, a.name);
    await bob.sync();
    await bob.leave(room);
    await settle(a, b);
    expect(Object.keys((await bob.sync()).rooms.leave)).toContain(room);
    await alice.setState(room, 'm.room.name', { name: 'new' });
    await bob.join(room, a.name);
    await alice.say(room, 'hello again');
    await settle(a, b);
    const sync = await bob.sync();
    const joined = sync.rooms.join[room];
    expect(newTexts(sync, room)).toEqual(['hello again']);
    const events = [...joined.state.events, ...joined.timeline.events];
    expect(events.find(({ type }: { type: string }) => type === 'm.room.name')?.content).toEqual({ name: 'new' });
  });

  it('is asked for by a member event too, when nobody of the server is in the room any more', async () => {
    const room = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(room, a.name);
    await bob.leave(room);
    await settle(a, b);
    await alice.say(room, 'meanwhile');
    const content = { membership: 'join', displayname: 'Robert' };
    const eventId = await bob.setState(room, 'm.room.member', content, bob.userId);
    await settle(a, b);
    expect(await stateOf(alice, room, 'm.room.member', bob.userId)).toEqual(content);
    expect((await mindOf(a, room)).state[`m.room.member ${bob.userId}`]).toBe(eventId);
    expect((await mindOf(a, room)).extremities).toHaveLength(1);
    expect(await mindOf(b, room)).toEqual(await mindOf(a, room));
  });

  it('by a member event is refused where the room does not let the user in', async () => {
    const room = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(room, a.name);
    await bob.leave(room);
    await settle(a, b);
    await alice.setState(room, 'm.room.join_rules', { join_rule: 'invite' });
    const asked = await bob.call('PUT', path(room, 'state', 'm.room.member', bob.userId), { membership: 'join' });
    expect(asked).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } });
    expect(await membershipOf(alice, room, bob.userId)).toBe('leave');
    expect((await bob.ok('GET', '/joined_rooms')).joined_rooms).not.toContain(room);
  });

  it('is refused to whoever was banned, until the ban is lifted', async () => {
    const room = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(room, a.name);
    await alice.ok('POST', path(room, 'ban'), { user_id: bob.userId, reason: 'rude' });
    await settle(a, b);
    expect(await join(bob, room, a.name)).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } });
    await alice.ok('POST', path(room, 'unban'), { user_id: bob.userId });
    await settle(a, b);
    expect((await join(bob, room, a.name)).status).toBe(200);
  });
});

describe('a restricted room', () => {
  async function restrictedTo(room: string, version = '11', rule = 'restricted'): Promise<string> {
    const allow = [{ type: 'm.room_membership', room_id: room }];
    const content = { join_rule: rule, allow };
    return alice.createRoom({
      preset: 'private_chat',
      room_version: version,
      initial_state: [{ type: 'm.room.join_rules', state_key: '', content }],
    });
  }

  it.each([
    ['8', 'restricted'],
    ['9', 'restricted'],
    ['10', 'restricted'],
    ['11', 'restricted'],
    ['12', 'restricted'],
    ['10', 'knock_restricted'],
    ['12', 'knock_restricted'],
  ])(
    'of version %s (%s) lets the members of the other room in, vouched for by its own server',
    async (version, rule) => {
      const club = await alice.createRoom({ preset: 'public_chat' });
      const room = await restrictedTo(club, version, rule);
      expect(await join(bob, room, a.name)).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } });
      await bob.join(club, a.name);
      await settle(a, b);
      expect((await join(bob, room, a.name)).status).toBe(200);
      await settle(a, b);
      expect(await stateOf(alice, room, 'm.room.member', bob.userId)).toMatchObject({
        membership: 'join',
        join_authorised_via_users_server: alice.userId,
      });
      expect(await mindOf(b, room)).toEqual(await mindOf(a, room));
      // Nobody of the joined server may vouch, so it has to ask again for its next user.
      await bill.join(club);
      await settle(a, b);
      expect((await join(bill, room)).status).toBe(200);
      await settle(a, b);
      expect(await membershipOf(alice, room, bill.userId)).toBe('join');
      expect(await mindOf(b, room)).toEqual(await mindOf(a, room));
    },
  );

  it('shows who came in through another server everything, to both sides', async () => {
    const club = await alice.createRoom({ preset: 'public_chat' });
    const room = await restrictedTo(club);
    await alice.say(room, 'before');
    await bob.join(club, a.name);
    await settle(a, b);
    await bob.join(room, a.name);
    await settle(a, b);
    const [ofBob, ofAlice] = [await historyOf(bob, room), await historyOf(alice, room)];
    expect(ofBob.map(({ event_id }) => event_id)).toEqual(ofAlice.map(({ event_id }) => event_id));
  });
});
