import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Push, TestGateway } from '../support/push-gateway.ts';
import { TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { encode, inRoom, newUser } from './rooms-support.ts';

let server: TestServer;
let gateway: TestGateway;
let alice: TestUser;
let bob: TestUser;
let roomId: string;

beforeAll(async () => {
  server = await TestServer.start({ config: { presence: { enabled: false } } });
  gateway = await TestGateway.start();
});
afterAll(async () => {
  await server.stop();
  await gateway.stop();
});

const setPusher = (user: TestUser, more: object = {}, data: object = {}) =>
  user.ok('POST', '/pushers/set', {
    kind: 'http',
    app_id: 'org.example.app',
    pushkey: `key of ${user.userId}`,
    app_display_name: 'App',
    device_display_name: 'Phone',
    lang: 'en',
    data: { url: gateway.url, own: 1, ...data },
    ...more,
  });
const pushersOf = async (user: TestUser): Promise<Push[]> => (await user.ok('GET', '/pushers')).pushers;
/** What the gateway was told when nothing is left to do. */
const told = async (): Promise<Push[]> => {
  await server.settle();
  return gateway.take();
};
const eventIds = (pushes: Push[]): (string | undefined)[] => pushes.map(({ event_id: eventId }) => eventId);

beforeEach(async () => {
  [alice, bob] = [await newUser(server, 'alice'), await newUser(server, 'bob')];
  roomId = await alice.createRoom({ preset: 'public_chat', name: 'The room' });
  await bob.join(roomId);
  await setPusher(bob);
  await server.settle();
  gateway.take();
});
afterEach(() => {
  gateway.status = 200;
  gateway.rejected = [];
});

describe('a push gateway', () => {
  it('is told of an event, of what is unread, and for which device', async () => {
    await alice.ok('PUT', `/profile/${encode(alice.userId)}/displayname`, { displayname: 'Alice' });
    await server.settle();
    const eventId = await alice.say(roomId, 'hello');
    const [push, ...others] = await told();
    expect(others).toEqual([]);
    expect(push).toEqual({
      event_id: eventId,
      room_id: roomId,
      type: 'm.room.message',
      sender: alice.userId,
      sender_display_name: 'Alice',
      room_name: 'The room',
      content: { msgtype: 'm.text', body: 'hello' },
      prio: 'high',
      counts: { unread: 1 },
      devices: [
        {
          app_id: 'org.example.app',
          pushkey: `key of ${bob.userId}`,
          pushkey_ts: Math.floor(server.clock.now() / 1000),
          data: { own: 1 },
          tweaks: { sound: 'default' },
        },
      ],
    });
  });

  it('is told no more than the id where the client wants that', async () => {
    await setPusher(bob, {}, { format: 'event_id_only' });
    const eventId = await alice.say(roomId, 'hello');
    const [push] = await told();
    expect(Object.keys(push).sort()).toEqual(['counts', 'devices', 'event_id', 'prio', 'room_id']);
    expect([push.event_id, push.devices[0].tweaks]).toEqual([eventId, undefined]);
  });

  it('is not told of what notifies nobody, nor of what the user said or muted', async () => {
    await setPusher(alice);
    await bob.say(roomId, 'mine');
    const news = (await told()).filter(({ event_id: eventId }) => eventId !== undefined);
    expect(news.map(({ sender, devices }) => [sender, devices[0].pushkey])).toEqual([
      [bob.userId, `key of ${alice.userId}`],
    ]);
    await alice.setState(roomId, 'm.room.topic', { topic: 'Topic' });
    await bob.ok('PUT', `/pushrules/global/room/${encode(roomId)}`, { actions: [] });
    await alice.say(roomId, 'muted');
    expect(eventIds(await told()).filter(Boolean)).toEqual([]);
  });

  it('is told when less is unread', async () => {
    const eventId = await alice.say(roomId, 'one');
    await told();
    await bob.ok('POST', inRoom(roomId, 'receipt', 'm.read.private', eventId), {});
    const [badge, ...others] = await told();
    expect(others).toEqual([]);
    expect([badge.counts, badge.event_id, badge.devices.length]).toEqual([{ unread: 0 }, undefined, 1]);
    await bob.say(roomId, 'nothing less');
    expect(await told()).toEqual([]);
  });

  it('is told of an invite, which is about the user', async () => {
    const other = await alice.createRoom({ invite: [bob.userId] });
    const [push] = await told();
    expect([push.room_id, push.user_is_target, push.content.membership]).toEqual([other, true, 'invite']);
  });

  it('ends a pusher by rejecting its key', async () => {
    await setPusher(bob, { pushkey: 'good' });
    gateway.rejected = [`key of ${bob.userId}`];
    await alice.say(roomId, 'one');
    expect(await told()).toHaveLength(2);
    expect((await pushersOf(bob)).map(({ pushkey }) => pushkey)).toEqual(['good']);
    await alice.say(roomId, 'two');
    expect((await told()).map(({ devices }) => devices[0].pushkey)).toEqual(['good']);
  });

  it('that failed is told again, later and later, of what is still unread', async () => {
    gateway.status = 502;
    const first = await alice.say(roomId, 'one');
    expect(eventIds(await told())).toEqual([first]);
    await server.clock.advance(1_000);
    expect(eventIds(await told())).toEqual([first]);
    const second = await alice.say(roomId, 'two');
    expect(await told()).toEqual([]);
    await bob.ok('POST', inRoom(roomId, 'receipt', 'm.read', first), {});
    gateway.status = 200;
    await server.clock.advance(2_000);
    expect(eventIds(await told()).filter(Boolean)).toEqual([second]);
    await server.clock.advance(3_600_000);
    expect(await told()).toEqual([]);
  });

  it('that failed is told after a restart', async () => {
    gateway.status = 500;
    const eventId = await alice.say(roomId, 'one');
    await told();
    gateway.status = 200;
    server = await server.restart();
    for (const user of [alice, bob]) user.url = server.url;
    expect(eventIds(await told())).toEqual([eventId]);
    server = await server.restart();
    for (const user of [alice, bob]) user.url = server.url;
    expect(await told()).toEqual([]);
  });

  it('that failed for a day is not told of it any more, but of what comes', async () => {
    gateway.status = 500;
    await alice.say(roomId, 'old');
    await told();
    for (let hour = 0; hour < 30; hour += 1) {
      await server.clock.advance(3_600_000);
      await server.settle();
    }
    gateway.status = 200;
    gateway.take();
    await server.clock.advance(3_600_000);
    await told();
    const fresh = await alice.say(roomId, 'fresh');
    expect(eventIds(await told())).toEqual([fresh]);
  });

  it('hears nothing after the logout of the device', async () => {
    await bob.ok('POST', '/logout', {});
    await alice.say(roomId, 'one');
    expect(await told()).toEqual([]);
  });

  it('at a private address is never called, unless the configuration allows it', async () => {
    const guarded = await TestServer.start({ config: { federation: { allow_private_addresses: false } } });
    const [carol, dave] = [await guarded.register('carol'), await guarded.register('dave')];
    const closed = await carol.createRoom({ preset: 'public_chat' });
    await dave.join(closed);
    await setPusher(dave);
    await carol.say(closed, 'one');
    await guarded.settle();
    expect(gateway.take()).toEqual([]);
    await guarded.stop();
  });
});

describe('the list of notifications', () => {
  const listOf = async (query = '') => bob.ok('GET', `/notifications?${query}`);

  it('has what the user was notified of, newest first, page by page', async () => {
    const ids: string[] = [];
    for (const text of ['one', 'two', 'three']) ids.push(await alice.say(roomId, text));
    await bob.ok('POST', inRoom(roomId, 'receipt', 'm.read', ids[0] ?? ''), {});
    const first = await listOf('limit=2');
    expect(first.notifications.map(({ event }: Push) => event.event_id)).toEqual([ids[2], ids[1]]);
    expect(first.notifications[0]).toEqual({
      actions: ['notify', { set_tweak: 'sound', value: 'default' }],
      read: false,
      room_id: roomId,
      ts: server.clock.now(),
      event: expect.objectContaining({ type: 'm.room.message', content: { msgtype: 'm.text', body: 'three' } }),
    });
    const second = await listOf(`limit=2&from=${encode(first.next_token)}`);
    expect(second.notifications.map(({ event, read }: Push) => [event.event_id, read])).toEqual([[ids[0], true]]);
    expect(second.next_token).toBeUndefined();
  });

  it('has only highlights where only these are asked for, and nothing that was redacted', async () => {
    await alice.say(roomId, 'one');
    const mentions = { msgtype: 'm.text', body: 'bob', 'm.mentions': { user_ids: [bob.userId] } };
    const kept = await alice.send(roomId, 'm.room.message', mentions);
    const taken = await alice.send(roomId, 'm.room.message', mentions);
    await alice.ok('PUT', inRoom(roomId, 'redact', taken, 'r'), {});
    const { notifications } = await listOf('only=highlight');
    expect(notifications.map(({ event }: Push) => event.event_id)).toEqual([kept]);
    expect((await listOf()).notifications).toHaveLength(2);
  });

  it('refuses a token that is none', async () => {
    const { status, body } = await bob.call('GET', '/notifications?from=x');
    expect([status, body.errcode]).toEqual([400, 'M_INVALID_PARAM']);
  });
});
