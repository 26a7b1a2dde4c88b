import { afterEach, describe, expect, it } from 'vitest';
import { settle, TestServer } from '../support/server.ts';
import { StubService } from '../support/stub-service.ts';

/** Longer than any back-off. */
const backOffMs = 3_700_000;
const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function service(id = 'bridge', changes: Record<string, unknown> = {}): Promise<StubService> {
  const stub = await StubService.start(id, changes);
  stops.push(() => stub.stop());
  return stub;
}

async function server(services: StubService[], config: Record<string, unknown> = {}): Promise<TestServer> {
  const files = services.map(({ file }) => file);
  const started = await TestServer.start({ config: { app_service_config_files: files, ...config } });
  stops.push(() => started.stop());
  return started;
}

async function restart(before: TestServer): Promise<TestServer> {
  const after = await before.restart();
  stops.push(() => after.stop());
  await after.settle();
  return after;
}

/** Bodies of the messages among what came. */
const words = (stub: StubService): string[] =>
  stub
    .takeAll('events')
    .filter(({ type }) => type === 'm.room.message')
    .map(({ content }) => content.body);

describe('what a service is sent', () => {
  it('is what happens in the rooms of its users, in order, with its own token', async () => {
    const stub = await service();
    const host = await server([stub]);
    const [alice, ghost] = [await host.register('alice'), await host.register('bridge_ghost')];
    const roomId = await alice.createRoom({ preset: 'public_chat', name: 'Lobby' });
    await alice.say(roomId, 'before the bridge');
    await host.settle();
    expect(stub.take()).toEqual([]);
    await ghost.join(roomId);
    const eventId = await alice.say(roomId, 'hello');
    await host.settle();
    const taken = stub.take();
    const events = taken.flatMap(({ body }) => body.events);
    expect(events.map(({ type }) => type)).toEqual(['m.room.member', 'm.room.message']);
    expect(events[1]).toMatchObject({
      event_id: eventId,
      room_id: roomId,
      sender: alice.userId,
      content: { body: 'hello' },
      unsigned: { age: 0 },
    });
    expect(taken[0]?.authorization).toBe('Bearer hs-bridge');
    expect(new Set(taken.map(({ id }) => id)).size).toBe(taken.length);
    await ghost.leave(roomId);
    await alice.say(roomId, 'after the bridge');
    await host.settle();
    expect(stub.takeAll('events').map(({ type }) => type)).toEqual(['m.room.member']);
  });

  it('is the invite of one of its users, and what a user of its own does in a room that nobody of it is in', async () => {
    const stub = await service();
    const host = await server([stub]);
    const [alice, ghost] = [await host.register('alice'), await host.register('bridge_ghost')];
    const roomId = await alice.createRoom();
    await alice.invite(roomId, alice.userId.replace('alice', 'nobody')).catch(() => {});
    await host.settle();
    expect(stub.take()).toEqual([]);
    await alice.invite(roomId, ghost.userId);
    await host.settle();
    expect(stub.takeAll('events')).toMatchObject([{ type: 'm.room.member', state_key: ghost.userId, room_id: roomId }]);
  });

  it('is all of a room in its namespaces of rooms and aliases, and nothing of others', async () => {
    const byAlias = await service('alias', { namespaces: { aliases: [{ exclusive: false, regex: '#_irc_.*' }] } });
    const byRoom = await service('rooms', { namespaces: { rooms: [{ exclusive: false, regex: '!.*' }] } });
    const host = await server([byAlias, byRoom]);
    const alice = await host.register('alice');
    const roomId = await alice.createRoom();
    const other = await alice.createRoom();
    await host.settle();
    expect(byAlias.take()).toEqual([]);
    expect(byRoom.takeAll('events').length).toBeGreaterThan(6);
    const alias = `/directory/room/${encodeURIComponent(`#_irc_one:${host.name}`)}`;
    await alice.ok('PUT', alias, { room_id: roomId });
    await alice.say(roomId, 'here');
    await alice.say(other, 'there');
    await host.settle();
    expect(words(byAlias)).toEqual(['here']);
    expect(words(byRoom)).toEqual(['here', 'there']);
    await alice.ok('DELETE', alias);
    await alice.say(roomId, 'no more');
    await host.settle();
    expect(words(byAlias)).toEqual([]);
  });

  it('is a redacted event without its content when it comes late', async () => {
    const stub = await service();
    const host = await server([stub]);
    const [alice, ghost] = [await host.register('alice'), await host.register('bridge_ghost')];
    const roomId = await ghost.createRoom({ preset: 'public_chat' });
    await alice.join(roomId);
    await host.settle();
    stub.status = 500;
    await alice.say(roomId, 'first');
    await host.settle();
    stub.take();
    const eventId = await alice.say(roomId, 'regretted');
    await alice.ok('PUT', `/rooms/${encodeURIComponent(roomId)}/redact/${encodeURIComponent(eventId)}/r`, {});
    stub.status = 200;
    await host.clock.advance(backOffMs);
    await host.settle();
    const regretted = stub.takeAll('events').find(({ event_id }) => event_id === eventId);
    expect(regretted.content).toEqual({});
    expect(regretted.unsigned.redacted_because.type).toBe('m.room.redaction');
  });

  it('is nothing where its url is null, and begins with the present when it is new', async () => {
    const silent = await service('silent', { url: null });
    const first = await server([silent]);
    const [alice, ghost] = [await first.register('alice'), await first.register('bridge_ghost')];
    const roomId = await ghost.createRoom({ preset: 'public_chat' });
    await alice.join(roomId);
    await alice.say(roomId, 'long ago');
    await first.settle();
    await first.stop({ keepData: true });
    const stub = await service();
    const resumed = await TestServer.start({ config: { app_service_config_files: [stub.file] }, resume: first });
    stops.push(() => resumed.stop());
    await resumed.settle();
    alice.url = resumed.url;
    await alice.say(roomId, 'now');
    await resumed.settle();
    expect(words(stub)).toEqual(['now']);
    expect(silent.transactions).toEqual([]);
  });

  it('is not sent empty, and never more than a hundred events at once', async () => {
    const stub = await service('bridge', { receive_ephemeral: false });
    const host = await server([stub]);
    const [alice, ghost] = [await host.register('alice'), await host.register('bridge_ghost')];
    const roomId = await ghost.createRoom({ preset: 'public_chat' });
    await alice.join(roomId);
    await host.settle();
    stub.take();
    stub.status = 503;
    const sent: string[] = [];
    for (let count = 0; count < 230; count += 1) {
      sent.push(`${count}`);
      await alice.say(roomId, `${count}`);
    }
    await host.settle();
    stub.take();
    stub.status = 200;
    await host.clock.advance(backOffMs);
    await host.settle();
    const sizes = stub.transactions.map(({ body }) => body.events.length);
    expect(Math.max(...sizes)).toBe(100);
    expect(Math.min(...sizes)).toBeGreaterThan(0);
    expect(words(stub)).toEqual(sent);
  });
});

describe('a service that does not answer', () => {
  it('gets the same transaction again, byte for byte, and then the rest, with pauses that grow', async () => {
    const stub = await service('bridge', { receive_ephemeral: false });
    const host = await server([stub]);
    const ghost = await host.register('bridge_ghost');
    const roomId = await ghost.createRoom();
    await host.settle();
    stub.take();
    stub.status = 500;
    await ghost.say(roomId, 'one');
    await host.settle();
    await ghost.say(roomId, 'two');
    await host.settle();
    const [first, ...others] = stub.take();
    expect(others).toEqual([]);
    await host.clock.advance(400);
    await host.settle();
    expect(stub.take()).toEqual([]);
    await host.clock.advance(600);
    await host.settle();
    const [second] = stub.take();
    expect([second?.id, second?.text]).toEqual([first?.id, first?.text]);
    // The upper half of a pause is random, and so is how far into this one the clock stands.
    await host.clock.advance(450);
    await host.settle();
    expect(stub.take()).toEqual([]);
    stub.status = 200;
    await host.clock.advance(1_600);
    await host.settle();
    const [third, fourth] = stub.take();
    expect([third?.id, third?.text]).toEqual([first?.id, first?.text]);
    expect(fourth?.id).not.toBe(first?.id);
    expect(fourth?.body.events.map(({ content }: { content: { body: string } }) => content.body)).toEqual(['two']);
  });

  it('is tried at once when it calls, and not more than once a second', async () => {
    const stub = await service('bridge', { receive_ephemeral: false });
    const host = await server([stub]);
    const ghost = await host.register('bridge_ghost');
    const roomId = await ghost.createRoom();
    await host.settle();
    stub.status = 500;
    await ghost.say(roomId, 'one');
    for (let hour = 0; hour < 6; hour += 1) {
      await host.settle();
      await host.clock.advance(backOffMs);
    }
    await host.settle();
    stub.take();
    const sender = host.running.lantern.serviceSender;
    await host.clock.advance(5_000);
    sender.serviceIsBack('bridge');
    await host.clock.advance(0);
    await host.settle();
    expect(stub.take()).toHaveLength(1);
    sender.serviceIsBack('bridge');
    sender.serviceIsBack('bridge');
    await host.clock.advance(400);
    await host.settle();
    expect(stub.take()).toHaveLength(0);
    stub.status = 200;
    sender.serviceIsBack('bridge');
    await host.clock.advance(600);
    await host.settle();
    expect(words(stub)).toEqual(['one']);
  });

  it('holds up no other service', async () => {
    const [slow, quick] = [
      await service('slow', { receive_ephemeral: false }),
      await service('quick', { receive_ephemeral: false }),
    ];
    const host = await server([slow, quick]);
    let release = (): void => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const [one, two] = [await host.register('slow_ghost'), await host.register('quick_ghost')];
    const roomId = await one.createRoom({ preset: 'public_chat' });
    await two.join(roomId);
    await host.settle();
    slow.take();
    quick.take();
    slow.beforeAnswer = () => released;
    await two.say(roomId, 'one');
    await expect.poll(() => [slow.transactions.length, quick.transactions.length]).toEqual([1, 1]);
    await two.say(roomId, 'two');
    await expect.poll(() => quick.transactions.length).toBe(2);
    expect(slow.transactions).toHaveLength(1);
    release();
    await host.settle();
    expect(words(slow)).toEqual(['one', 'two']);
  });

  it('loses and repeats nothing when the server ends between storing and answer', async () => {
    const stub = await service('bridge', { receive_ephemeral: false });
    const host = await server([stub]);
    const ghost = await host.register('bridge_ghost');
    const roomId = await ghost.createRoom();
    await host.settle();
    stub.take();
    stub.status = 500;
    await ghost.say(roomId, 'one');
    await host.settle();
    await ghost.say(roomId, 'two');
    const [first] = stub.take();
    stub.status = 200;
    const next = await restart(host);
    const [again, rest, ...more] = stub.take();
    expect([again?.id, again?.text]).toEqual([first?.id, first?.text]);
    expect(rest?.body.events).toHaveLength(1);
    expect(more).toEqual([]);
    ghost.url = next.url;
    await ghost.say(roomId, 'three');
    await next.settle();
    expect(words(stub)).toEqual(['three']);
  });

  it('gets later what it would have got then: nothing from before its user came or after they went', async () => {
    const stub = await service('bridge', { receive_ephemeral: false });
    const host = await server([stub]);
    const [alice, ghost] = [await host.register('alice'), await host.register('bridge_ghost')];
    const own = await ghost.createRoom();
    const roomId = await alice.createRoom({ preset: 'public_chat' });
    await host.settle();
    stub.take();
    stub.status = 500;
    await ghost.say(own, 'fails');
    await host.settle();
    await alice.say(roomId, 'not yet');
    await ghost.join(roomId);
    await alice.say(roomId, 'in between');
    await ghost.leave(roomId);
    await alice.say(roomId, 'too late');
    await host.settle();
    stub.take();
    stub.status = 200;
    const next = await restart(host);
    expect(words(stub)).toEqual(['fails', 'in between']);
    await next.settle();
  });
});

describe('ephemeral data', () => {
  it('are typing and receipts of its rooms; private receipts are those of its own users', async () => {
    const [stub, deaf] = [await service(), await service('deaf', { receive_ephemeral: false })];
    const host = await server([stub, deaf]);
    const [alice, ghost] = [await host.register('alice'), await host.register('bridge_ghost')];
    const other = await host.register('deaf_ghost');
    const roomId = await ghost.createRoom({ preset: 'public_chat' });
    for (const one of [alice, other]) await one.join(roomId);
    const eventId = await alice.say(roomId, 'read me');
    await host.settle();
    await host.clock.advance(2_000);
    await host.settle();
    stub.take();
    const room = `/rooms/${encodeURIComponent(roomId)}`;
    await alice.ok('PUT', `${room}/typing/${encodeURIComponent(alice.userId)}`, { typing: true });
    await host.settle();
    expect(stub.takeAll('ephemeral').filter(({ type }) => type === 'm.typing')).toEqual([
      { type: 'm.typing', room_id: roomId, content: { user_ids: [alice.userId] } },
    ]);
    for (const who of [alice, ghost]) await who.ok('POST', `${room}/receipt/m.read.private/${eventId}`, {});
    await ghost.ok('POST', `${room}/receipt/m.read/${eventId}`, {});
    await host.settle();
    const receipts = stub.takeAll('ephemeral').filter(({ type }) => type === 'm.receipt');
    expect(receipts.every(({ room_id }) => room_id === roomId)).toBe(true);
    const told = receipts.flatMap(({ content }) =>
      Object.entries(content[eventId]).map(([type, users]) => [type, Object.keys(Object(users))]),
    );
    expect(told).toEqual([
      ['m.read.private', [ghost.userId]],
      ['m.read', [ghost.userId]],
    ]);
    expect(deaf.takeAll('ephemeral')).toEqual([]);
  });

  it('of presence follows the policy: shared, then denied, with one offline, and nothing afterwards', async () => {
    const stub = await service();
    const host = await server([stub]);
    const [alice, bob, ghost] = [
      await host.register('alice'),
      await host.register('bob'),
      await host.register('bridge_ghost'),
    ];
    const roomId = await ghost.createRoom({ preset: 'public_chat' });
    await alice.join(roomId);
    const presence = async () => {
      await host.settle();
      await host.clock.advance(1_100);
      await host.settle();
      return stub
        .takeAll('ephemeral')
        .filter(({ type, sender }) => type === 'm.presence' && sender !== ghost.userId)
        .map(({ sender, content }) => [sender, content.presence, content.status_msg]);
    };
    await presence();
    await alice.setPresence('online', 'here');
    await bob.setPresence('online', 'unseen');
    expect(await presence()).toEqual([[alice.userId, 'online', 'here']]);
    await alice.setAccountData('m.presence_sharing_config', { denied_users: ['@bridge_*'] });
    expect(await presence()).toEqual([[alice.userId, 'offline', undefined]]);
    await alice.setPresence('unavailable', 'secret');
    expect(await presence()).toEqual([]);
    await alice.setAccountData('m.presence_sharing_config', {});
    expect(await presence()).toEqual([[alice.userId, 'unavailable', 'secret']]);
  });

  it('of presence is nothing where the server has none', async () => {
    const stub = await service();
    const host = await server([stub], { presence: { enabled: false } });
    const [alice, ghost] = [await host.register('alice'), await host.register('bridge_ghost')];
    const roomId = await ghost.createRoom({ preset: 'public_chat' });
    await alice.join(roomId);
    await alice.setPresence('online', 'here');
    await host.settle();
    await host.clock.advance(1_100);
    await host.settle();
    expect(stub.takeAll('ephemeral').filter(({ type }) => type === 'm.presence')).toEqual([]);
  });

  it('of devices are messages to its users, once each, also over a restart, and gone from the inbox when taken', async () => {
    const stub = await service('bridge', { namespaces: { users: [{ exclusive: true, regex: '@bridge_.*' }] } });
    const host = await server([stub], { presence: { enabled: false } });
    const [alice, ghost] = [await host.register('alice'), await stub.register(host, 'bridge_ghost')];
    let number = 0;
    const send = (to: string, device: string, body: string) =>
      alice.ok('PUT', `/sendToDevice/m.test/m${++number}`, { messages: { [to]: { [device]: { body } } } });
    await send(alice.userId, alice.deviceId, 'not theirs');
    await send(ghost.userId, ghost.deviceId, 'one');
    await host.settle();
    expect(stub.takeAll('to_device')).toEqual([
      {
        type: 'm.test',
        sender: alice.userId,
        content: { body: 'one' },
        to_user_id: ghost.userId,
        to_device_id: ghost.deviceId,
      },
    ]);
    expect((await ghost.sync()).to_device?.events ?? []).toEqual([]);
    stub.status = 500;
    await send(ghost.userId, '*', 'two');
    await host.settle();
    const [failed] = stub.take();
    await send(ghost.userId, '*', 'three');
    stub.status = 200;
    const next = await restart(host);
    const [again, ...rest] = stub.take();
    expect(again?.text).toBe(failed?.text);
    expect(rest.flatMap(({ body }) => body.to_device ?? []).map(({ content }) => content.body)).toEqual(['three']);
    await settle(next);
    expect(stub.takeAll('to_device')).toEqual([]);
    ghost.url = next.url;
    ghost.since = undefined;
    expect((await ghost.sync()).to_device?.events ?? []).toEqual([]);
  });

  it('of devices are no messages to people whom a namespace only shares: nobody takes these from them', async () => {
    const stub = await service('everybody', { namespaces: { users: [{ exclusive: false, regex: '@.*' }] } });
    const host = await server([stub]);
    const [alice, bob] = [await host.register('alice'), await host.register('bob')];
    const messages = { [bob.userId]: { [bob.deviceId]: { key: 'secret' } } };
    await alice.ok('PUT', '/sendToDevice/m.test/one', { messages });
    await host.settle();
    expect(stub.takeAll('to_device')).toEqual([]);
    expect((await bob.sync()).to_device.events).toMatchObject([{ type: 'm.test', content: { key: 'secret' } }]);
  });
});
