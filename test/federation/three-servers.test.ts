import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EventId } from '../../src/matrix/ids.ts';
import { HostileServer } from '../support/hostile-server.ts';
import { settle, startPair, TestServer } from '../support/server.ts';
import { StubRoom } from '../support/stub-room.ts';
import type { TestUser } from '../support/user.ts';
import { historyOf, membershipOf, mindOf, path, textsOf } from './rooms.ts';

let a: TestServer;
let b: TestServer;
let c: TestServer;
let alice: TestUser;
let bob: TestUser;
let carol: TestUser;

beforeAll(async () => {
  [a, b] = await startPair();
  c = await TestServer.start({ clock: a.clock });
  alice = await a.register('alice');
  bob = await b.register('bob');
  carol = await c.register('carol');
});

afterAll(async () => {
  for (const server of [a, b, c]) await server.stop();
});

describe('three servers in a room', () => {
  it.each(['11', '12'])('hear each other, whoever let whom in, room version %s', async (version) => {
    const room = await alice.createRoom({ preset: 'public_chat', room_version: version });
    await bob.join(room, a.name);
    await settle(a, b, c);
    await carol.join(room, b.name);
    await settle(a, b, c);
    expect(await membershipOf(alice, room, carol.userId)).toBe('join');
    for (const [user, text] of [
      [carol, 'c'],
      [alice, 'a'],
      [bob, 'b'],
    ] as const) {
      await user.say(room, text);
      await settle(a, b, c);
    }
    for (const user of [alice, bob, carol]) expect(await textsOf(user, room)).toEqual(['c', 'a', 'b']);
    expect(await mindOf(b, room)).toEqual(await mindOf(a, room));
    expect(await mindOf(c, room)).toEqual(await mindOf(a, room));
  });

  it('go on without the one that made it, and let it in again', async () => {
    const room = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(room, a.name);
    await carol.join(room, a.name);
    await settle(a, b, c);
    await alice.leave(room);
    await settle(a, b, c);
    await bob.say(room, 'without alice');
    await settle(a, b, c);
    expect(await textsOf(carol, room)).toEqual(['without alice']);
    await alice.join(room, c.name);
    await settle(a, b, c);
    await alice.say(room, 'back');
    await settle(a, b, c);
    for (const user of [alice, bob, carol]) expect(await textsOf(user, room)).toEqual(['without alice', 'back']);
    expect(await mindOf(b, room)).toEqual(await mindOf(a, room));
  });

  it('come together when all speak at once', async () => {
    const room = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(room, a.name);
    await carol.join(room, b.name);
    await settle(a, b, c);
    const users = [alice, bob, carol];
    await Promise.all(users.flatMap((user, who) => [0, 1, 2, 3].map((index) => user.say(room, `${who}${index}`))));
    await settle(a, b, c);
    const texts = (await textsOf(alice, room)).sort();
    expect(texts).toHaveLength(12);
    for (const user of users) expect((await textsOf(user, room)).sort()).toEqual(texts);
    await alice.say(room, 'all');
    await settle(a, b, c);
    for (const server of [b, c]) expect(await mindOf(server, room)).toEqual(await mindOf(a, room));
    expect((await mindOf(a, room)).extremities).toHaveLength(1);
  });

  it('tell each other who was banned by whom', async () => {
    const room = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(room, a.name);
    await carol.join(room, b.name);
    await settle(a, b, c);
    await alice.ok('POST', path(room, 'ban'), { user_id: carol.userId });
    await settle(a, b, c);
    for (const user of [alice, bob, carol]) expect(await membershipOf(user, room, carol.userId)).toBe('ban');
    const back = await carol.call('POST', `/join/${encodeURIComponent(room)}?via=${b.name}`, {});
    expect(back).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } });
  });
});

describe('a server that tells one what it hides from another', () => {
  async function withHostile(): Promise<{ room: string; stub: HostileServer; guest: StubRoom; mallory: string }> {
    const stub = await HostileServer.start(a.clock.now());
    const room = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(room, a.name);
    await settle(a, b);
    const guest = await StubRoom.join(stub, a, room, stub.user('mallory'));
    await settle(a, b);
    return { room, stub, guest, mallory: stub.user('mallory') };
  }

  it('cannot part them by an event that the rules forbid', async () => {
    const { room, stub, guest } = await withHostile();
    const mallory = stub.user('mallory');
    const content = { users: { [mallory]: 100 } };
    const coup = guest.build({ type: 'm.room.power_levels', sender: mallory, state_key: '', content });
    const after = guest.build({
      type: 'm.room.message',
      sender: mallory,
      content: { body: 'only to a' },
      prev_events: [coup.eventId],
      depth: guest.depth + 2,
    });
    await stub.send(a, { pdus: [coup.pdu, after.pdu] });
    await settle(a, b);
    expect(await textsOf(alice, room)).toEqual(['only to a']);
    expect((await a.running.lantern.storage.events.find(coup.eventId as EventId))?.verdict).toBe('rejected');
    await stub.stop();
    await alice.say(room, 'do you hear me?');
    await settle(a, b);
    expect(await textsOf(bob, room)).toEqual(['only to a', 'do you hear me?']);
    expect(await mindOf(b, room)).toEqual(await mindOf(a, room));
    expect((await historyOf(bob, room)).map(({ event_id }) => event_id)).not.toContain(coup.eventId);
  });

  it('cannot part them by an event that came too late for one', async () => {
    const { room, stub, guest } = await withHostile();
    const mallory = stub.user('mallory');
    const late = guest.build({ type: 'm.room.message', sender: mallory, content: { body: 'early or late' } });
    await alice.ok('POST', path(room, 'ban'), { user_id: mallory });
    await settle(a, b);
    await stub.send(a, { pdus: [late.pdu] });
    await settle(a, b);
    await stub.stop();
    await alice.say(room, 'next');
    await settle(a, b);
    expect(await textsOf(bob, room)).toEqual(['next']);
    expect(await mindOf(b, room)).toEqual(await mindOf(a, room));
  });

  it('cannot part them by an event that only one of them was given', async () => {
    const { room, stub, guest } = await withHostile();
    const said = guest.say(stub.user('mallory'), 'psst');
    await stub.send(a, { pdus: [said.pdu] });
    await stub.stop();
    await alice.say(room, 'who was that?');
    await settle(a, b);
    expect(await textsOf(bob, room)).toEqual(['psst', 'who was that?']);
    expect(await mindOf(b, room)).toEqual(await mindOf(a, room));
  });
});
