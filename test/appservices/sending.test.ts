import { afterEach, describe, expect, it } from 'vitest';
import {
  backOffMs,
  bridge,
  bridgedRoom,
  eventsOnly,
  pass,
  restart,
  server,
  service,
  stopAll,
  words,
} from './bridge.ts';

afterEach(stopAll);

describe('what a service is sent', () => {
  it('is what happens in the rooms of its users, in order, with its own token', async () => {
    const { stub, host, alice, ghost } = await bridge();
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
    const { stub, host, alice, ghost } = await bridge();
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
    const { stub, host, alice, roomId } = await bridgedRoom();
    stub.status = 500;
    await alice.say(roomId, 'first');
    await host.settle();
    stub.take();
    const eventId = await alice.say(roomId, 'regretted');
    await alice.ok('PUT', `/rooms/${encodeURIComponent(roomId)}/redact/${encodeURIComponent(eventId)}/r`, {});
    stub.status = 200;
    await pass(host, backOffMs);
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
    const stub = await service();
    const resumed = await restart(first, [stub]);
    alice.url = resumed.url;
    await alice.say(roomId, 'now');
    await resumed.settle();
    expect(words(stub)).toEqual(['now']);
    expect(silent.transactions).toEqual([]);
  });

  it('is not sent empty, and never more than a hundred events at once', async () => {
    const { stub, host, alice, roomId } = await bridgedRoom(eventsOnly);
    stub.status = 503;
    const sent: string[] = [];
    for (let count = 0; count < 230; count += 1) {
      sent.push(`${count}`);
      await alice.say(roomId, `${count}`);
    }
    await host.settle();
    stub.take();
    stub.status = 200;
    await pass(host, backOffMs);
    const sizes = stub.transactions.map(({ body }) => body.events.length);
    expect(Math.max(...sizes)).toBe(100);
    expect(Math.min(...sizes)).toBeGreaterThan(0);
    expect(words(stub)).toEqual(sent);
  });
});
