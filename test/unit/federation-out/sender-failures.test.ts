import { describe, expect, it } from 'vitest';
import { settle } from '../../support/manual-clock.ts';
import { away, FakeSource, receipt, refusedWith, setUpSender, there, unreachable } from '../../support/sending.ts';

describe('a retry', () => {
  it('repeats id and bytes of the durable content', async () => {
    const { storage, network, clock, sender } = setUpSender();
    await sender.start();
    network.answer = () => {
      throw unreachable();
    };
    storage.addPdu('!a', there);
    storage.addEdu(there, receipt(1));
    sender.poke(there);
    await sender.idle();
    storage.addPdu('!a', there);
    storage.addEdu(there, receipt(2));
    await clock.advance(60_000);
    network.answer = () => ({ pdus: {} });
    await clock.advance(60_000);
    await sender.idle();
    const [first, second, third, fourth] = network.attempts;
    expect(second).toEqual(first);
    expect(third).toEqual(first);
    expect(fourth?.id).not.toBe(first?.id);
    expect([fourth?.pdus, fourth?.edus]).toEqual([['$2'], [receipt(2)]]);
    expect(network.attempts).toHaveLength(4);
  });

  it('leaves out what the first attempt carried beside it, whose marks stand until a later one carries them', async () => {
    const { storage, network, clock, sender } = setUpSender();
    const source = new FakeSource();
    sender.addSource(source);
    await sender.start();
    network.answer = () => {
      throw unreachable();
    };
    storage.addPdu('!a', there);
    source.add(2);
    sender.poke(there);
    await sender.idle();
    expect(source.fates).toEqual(['refused 2']);
    network.answer = () => ({ pdus: {} });
    await clock.advance(60_000);
    await sender.idle();
    expect(network.attempts.map(({ pdus, edus }) => [pdus.length, edus.length])).toEqual([
      [1, 2],
      [1, 0],
      [0, 2],
    ]);
    expect(network.attempts[1]?.id).toBe(network.attempts[0]?.id);
    expect(network.attempts[2]?.id).not.toBe(network.attempts[0]?.id);
    expect(source.fates).toEqual(['refused 2', 'accepted 2']);
  });

  it('is not made of a transaction without durable content: that is built anew under a new id', async () => {
    const { storage, network, clock, sender } = setUpSender();
    const source = new FakeSource();
    sender.addSource(source);
    await sender.start();
    network.answer = () => {
      throw unreachable();
    };
    source.add(1);
    sender.poke(there);
    await sender.idle();
    expect(storage.transactions.size).toBe(0);
    source.add(1);
    network.answer = () => ({ pdus: {} });
    await clock.advance(60_000);
    await sender.idle();
    expect(network.attempts.map(({ edus }) => edus.length)).toEqual([1, 2]);
    expect(new Set(network.attempts.map(({ id }) => id)).size).toBe(2);
    expect(source.fates).toEqual(['refused 1', 'accepted 2']);
  });
});

describe('a server that does not answer', () => {
  it('costs one attempt for each end of its back-off, however often it is poked', async () => {
    const { storage, network, clock, sender } = setUpSender();
    await sender.start();
    network.answer = () => {
      throw unreachable();
    };
    for (let n = 0; n < 500; n += 1) {
      storage.addPdu('!a', there);
      sender.poke(there);
      await settle(1);
    }
    await sender.idle();
    expect(network.attempts).toHaveLength(1);
    expect(clock.pendingCount).toBe(1);
    await clock.advance(180_000);
    expect(network.attempts).toHaveLength(4);
  });

  it('holds up no other', async () => {
    const { storage, network, sender } = setUpSender();
    await sender.start();
    network.answer = ({ server }) => {
      if (server === there) throw unreachable();
      return { pdus: {} };
    };
    const eventId = storage.addPdu('!a', there, away);
    sender.poke(there);
    sender.poke(away);
    await sender.idle();
    expect(network.pdusReceived(away)).toEqual([eventId]);
  });

  it('gets everything at once when it is heard of', async () => {
    const { storage, network, sender } = setUpSender();
    await sender.start();
    network.answer = () => {
      throw unreachable();
    };
    const ids = Array.from({ length: 60 }, () => storage.addPdu('!a', there));
    sender.poke(there);
    await sender.idle();
    network.answer = () => ({ pdus: {} });
    sender.serverIsBack(there);
    await sender.idle();
    expect(network.pdusReceived()).toEqual(ids);
  });

  it('gets everything at once when another request reached it', async () => {
    const { storage, network, health, sender } = setUpSender();
    await sender.start();
    health.fail(there);
    storage.addPdu('!a', there);
    sender.poke(there);
    await sender.idle();
    expect(network.attempts).toEqual([]);
    health.markReachable(there);
    await sender.idle();
    expect(network.attempts).toHaveLength(1);
  });

  it('that was failing before our restart waits for the end of its back-off', async () => {
    const { storage, network, clock, health, sender } = setUpSender();
    health.fail(there);
    storage.addPdu('!a', there);
    await sender.start();
    await clock.advance(59_999);
    expect(network.attempts).toEqual([]);
    await clock.advance(1);
    expect(network.attempts).toHaveLength(1);
  });

  it('catches up with the newest event of each room when it is far behind', async () => {
    const { storage, network, sender } = setUpSender();
    const newest = new Map<string, string>();
    for (let n = 0; n < 1_500; n += 1) {
      const roomId = `!r${n % 7 === 0 ? 0 : n % 130}`;
      newest.set(roomId, storage.addPdu(roomId, there));
    }
    await sender.start();
    await sender.idle();
    const received = network.pdusReceived();
    expect(new Set(received)).toEqual(new Set(newest.values()));
    expect(received).toHaveLength(newest.size);
    expect(storage.cursors.get(there)).toBe(1_500);
    const next = storage.addPdu('!r1', there);
    sender.poke(there);
    await sender.idle();
    expect(network.pdusReceived().at(-1)).toBe(next);
  });

  it('gets every event when it is behind by no more than 500', async () => {
    const { storage, network, sender } = setUpSender();
    const ids = Array.from({ length: 500 }, () => storage.addPdu('!a', there));
    await sender.start();
    await sender.idle();
    expect(network.pdusReceived()).toEqual(ids);
  });
});

describe('a server that answers with a refusal', () => {
  it('is tried again after a pause that grows, with the same transaction', async () => {
    const { storage, network, clock, sender } = setUpSender();
    await sender.start();
    network.answer = () => {
      throw refusedWith(403);
    };
    storage.addPdu('!a', there);
    sender.poke(there);
    await sender.idle();
    await clock.advance(1_999);
    expect(network.attempts).toHaveLength(1);
    await clock.advance(2_001);
    expect(network.attempts).toHaveLength(2);
    await clock.advance(3_999);
    expect(network.attempts).toHaveLength(2);
    await clock.advance(4_001);
    expect(network.attempts).toHaveLength(3);
    expect(new Set(network.attempts.map(({ text }) => text)).size).toBe(1);
  });

  it('is not tried sooner because it was heard of, while one in need is', async () => {
    const { storage, network, sender } = setUpSender();
    await sender.start();
    network.answer = ({ server }) => {
      throw refusedWith(server === there ? 403 : 503);
    };
    storage.addPdu('!a', there, away);
    sender.poke(there);
    sender.poke(away);
    await sender.idle();
    sender.serverIsBack(there);
    sender.serverIsBack(away);
    await sender.idle();
    expect(network.attempts.map(({ server }) => server)).toEqual([there, away, away]);
  });

  it('is left alone for as long as it asked', async () => {
    const { storage, network, clock, sender } = setUpSender();
    await sender.start();
    network.answer = () => {
      throw refusedWith(429, { errcode: 'M_LIMIT_EXCEEDED', retry_after_ms: 100_000 });
    };
    storage.addPdu('!a', there);
    sender.poke(there);
    await clock.advance(99_999);
    expect(network.attempts).toHaveLength(1);
    await clock.advance(1);
    expect(network.attempts).toHaveLength(2);
  });
});
