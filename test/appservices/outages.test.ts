import { afterEach, describe, expect, it, vi } from 'vitest';
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

describe('a service that does not answer', () => {
  it('gets the same transaction again, byte for byte, and then the rest, with pauses that grow', async () => {
    const { stub, host, ghost, roomId } = await bridgedRoom(eventsOnly);
    stub.status = 500;
    await ghost.say(roomId, 'one');
    await host.settle();
    await ghost.say(roomId, 'two');
    await host.settle();
    const [first, ...others] = stub.take();
    expect(others).toEqual([]);
    await pass(host, 400);
    expect(stub.take()).toEqual([]);
    await pass(host, 600);
    const [second] = stub.take();
    expect([second?.id, second?.text]).toEqual([first?.id, first?.text]);
    // The upper half of a pause is random, and so is how far into this one the clock stands.
    await pass(host, 450);
    expect(stub.take()).toEqual([]);
    stub.status = 200;
    await pass(host, 1_600);
    const [third, fourth] = stub.take();
    expect([third?.id, third?.text]).toEqual([first?.id, first?.text]);
    expect(fourth?.id).not.toBe(first?.id);
    expect(fourth?.body.events.map(({ content }: { content: { body: string } }) => content.body)).toEqual(['two']);
  });

  it('is tried at once when it calls, and not more than once a second', async () => {
    const { stub, host, ghost, roomId } = await bridgedRoom(eventsOnly);
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
    await pass(host, 0);
    expect(stub.take()).toHaveLength(1);
    sender.serviceIsBack('bridge');
    sender.serviceIsBack('bridge');
    await pass(host, 400);
    expect(stub.take()).toHaveLength(0);
    stub.status = 200;
    sender.serviceIsBack('bridge');
    await pass(host, 600);
    expect(words(stub)).toEqual(['one']);
  });

  it('holds up no other service', async () => {
    const [slow, quick] = [await service('slow', eventsOnly), await service('quick', eventsOnly)];
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
    const { stub, host, ghost, roomId } = await bridgedRoom(eventsOnly);
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

  it('gets everything, too, after a time in which nothing could be stored for it', async () => {
    const { stub, host, ghost, roomId } = await bridgedRoom(eventsOnly);
    const { storage } = host.running.lantern;
    const commit = storage.commit.bind(storage);
    const failing = vi.spyOn(storage, 'commit').mockImplementation((batch) => {
      const isForService = batch.rows.some(({ kind }) => kind === 'service_transaction');
      return isForService ? Promise.reject(new Error('the disk is full')) : commit(batch);
    });
    await ghost.say(roomId, 'one');
    await host.settle();
    await ghost.say(roomId, 'two');
    await host.settle();
    expect(failing.mock.calls.some(([{ rows }]) => rows.some(({ kind }) => kind === 'service_transaction'))).toBe(true);
    failing.mockRestore();
    await pass(host, backOffMs);
    expect(words(stub)).toEqual(['one', 'two']);
  });

  it('gets later what it would have got then: nothing from before its user came or after they went', async () => {
    const { stub, host, alice, ghost } = await bridge(eventsOnly);
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
