import { afterEach, describe, expect, it } from 'vitest';
import { settle } from '../support/server.ts';
import { bridgedRoom, eventsOnly, pass, restart, server, service, stopAll } from './bridge.ts';

afterEach(stopAll);

describe('ephemeral data', () => {
  it('are typing and receipts of its rooms; private receipts are those of its own users', async () => {
    const [stub, deaf] = [await service(), await service('deaf', eventsOnly)];
    const host = await server([stub, deaf]);
    const [alice, ghost] = [await host.register('alice'), await host.register('bridge_ghost')];
    const other = await host.register('deaf_ghost');
    const roomId = await ghost.createRoom({ preset: 'public_chat' });
    for (const one of [alice, other]) await one.join(roomId);
    const eventId = await alice.say(roomId, 'read me');
    await host.settle();
    await pass(host, 2_000);
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

  it('are typing and receipts of users of other servers too', async () => {
    const stub = await service();
    const host = await server([stub]);
    const far = await server([], {}, host);
    const [ghost, bob] = [await host.register('bridge_ghost'), await far.register('bob')];
    const roomId = await ghost.createRoom({ preset: 'public_chat' });
    await bob.join(roomId, host.name);
    const eventId = await ghost.say(roomId, 'read me');
    await settle(host, far);
    stub.take();
    const room = `/rooms/${encodeURIComponent(roomId)}`;
    await bob.ok('PUT', `${room}/typing/${encodeURIComponent(bob.userId)}`, { typing: true, timeout: 30_000 });
    await bob.ok('POST', `${room}/receipt/m.read/${eventId}`, {});
    await settle(host, far);
    await pass(host, 1_100);
    const told = stub.takeAll('ephemeral').filter(({ room_id }) => room_id === roomId);
    expect(told).toContainEqual({ type: 'm.typing', room_id: roomId, content: { user_ids: [bob.userId] } });
    const receipt = told.find(({ type }) => type === 'm.receipt');
    expect(Object.keys(receipt.content[eventId]['m.read'])).toEqual([bob.userId]);
  });

  it('stand under the name of the proposal where the service says that it knows no other', async () => {
    const older = await service('older', { receive_ephemeral: undefined, 'de.sorunome.msc2409.push_ephemeral': true });
    const host = await server([older]);
    const ghost = await host.register('older_ghost');
    const roomId = await ghost.createRoom();
    const eventId = await ghost.say(roomId, 'read me');
    await settle(host);
    older.take();
    const room = `/rooms/${encodeURIComponent(roomId)}`;
    await ghost.ok('POST', `${room}/receipt/m.read/${eventId}`, {});
    await ghost.ok('PUT', `${room}/typing/${encodeURIComponent(ghost.userId)}`, { typing: true });
    await pass(host, 1_100);
    const bodies = older.take().map(({ body }) => body);
    expect(bodies.every(({ ephemeral }) => ephemeral === undefined)).toBe(true);
    const told = bodies.flatMap((body) => body['de.sorunome.msc2409.ephemeral'] ?? []);
    expect(told.map(({ type }) => type).sort()).toEqual(['m.receipt', 'm.typing']);
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
      await pass(host, 1_100);
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
    const { stub, host, alice } = await bridgedRoom({}, { presence: { enabled: false } });
    await alice.setPresence('online', 'here');
    await host.settle();
    await pass(host, 1_100);
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
