import { describe, expect, it } from 'vitest';
import { FederationError } from '../../../src/federation-out/requests-contract.ts';
import { settle } from '../../support/manual-clock.ts';
import {
  away,
  FakeSource,
  receipt,
  refusedWith,
  type Sent,
  setUpSender,
  there,
  unreachable,
} from '../../support/sending.ts';

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

describe('a server that refuses what is in a transaction', () => {
  const refuseAll = (status: number | undefined, bad: (sent: Sent) => boolean) => (sent: Sent) => {
    if (bad(sent))
      throw status === undefined ? new FederationError('refused', 'cannot be signed') : refusedWith(status);
    return { pdus: {} };
  };

  it.each([400, 413, 422, undefined])(
    'with %s gets all but the event it does not take, which is counted, and then everything behind it',
    async (status) => {
      const { storage, network, clock, sender, skipped } = setUpSender();
      const ids = Array.from({ length: 20 }, () => storage.addPdu('!a', there));
      const [bad = ''] = ids.slice(7);
      network.answer = refuseAll(status, ({ pdus }) => pdus.includes(bad));
      await sender.start();
      await sender.idle();
      expect(network.pdusReceived()).toEqual([]);
      for (let round = 0; round < 5; round += 1) {
        await clock.advance(60_000);
        await sender.idle();
      }
      expect(network.pdusReceived()).toEqual(ids.filter((id) => id !== bad));
      expect(skipped.count).toBe(1);
      const more = Array.from({ length: 20 }, () => storage.addPdu('!a', there));
      sender.poke(there);
      await sender.idle();
      expect(network.attempts.at(-1)?.pdus).toEqual(more);
    },
  );

  it('gets all but the EDU it does not take', async () => {
    const { storage, network, clock, sender, skipped } = setUpSender();
    for (let n = 0; n < 10; n += 1) storage.addEdu(there, receipt(n));
    const id = storage.addPdu('!a', there);
    network.answer = refuseAll(400, ({ edus }) => edus.some(({ content }) => content.n === 4));
    await sender.start();
    for (let round = 0; round < 5; round += 1) {
      await sender.idle();
      await clock.advance(60_000);
    }
    expect(network.pdusReceived()).toEqual([id]);
    expect(network.edusReceived().map(({ content }) => content.n)).toEqual([0, 1, 2, 3, 5, 6, 7, 8, 9]);
    expect(skipped.count).toBe(1);
  });

  it('and refuses everything loses one thing with each attempt, which come ever less often', async () => {
    const { storage, network, clock, sender, skipped } = setUpSender();
    for (let n = 0; n < 30; n += 1) storage.addPdu('!a', there);
    network.answer = refuseAll(400, () => true);
    await sender.start();
    await clock.advance(3_600_000);
    await sender.idle();
    expect(skipped.count).toBeGreaterThan(5);
    expect(skipped.count).toBeLessThan(12);
    expect(network.attempts).toHaveLength(skipped.count + 1);
  });

  it.each([401, 403, 404, 429, 500])(
    'but not with %i: that is about us, or about now, so all waits',
    async (status) => {
      const { storage, network, clock, sender, skipped } = setUpSender();
      const ids = Array.from({ length: 3 }, () => storage.addPdu('!a', there));
      network.answer = refuseAll(status, () => true);
      await sender.start();
      await clock.advance(3_600_000);
      await sender.idle();
      expect(skipped.count).toBe(0);
      expect(new Set(network.attempts.map(({ text }) => text)).size).toBe(1);
      network.answer = () => ({ pdus: {} });
      await clock.advance(7_200_000);
      await sender.idle();
      expect(network.pdusReceived()).toEqual(ids);
    },
  );

  it('goes on where it was after a restart of ours', async () => {
    const { storage, network, clock, sender } = setUpSender();
    const ids = Array.from({ length: 6 }, () => storage.addPdu('!a', there));
    const [bad = ''] = ids.slice(2);
    network.answer = refuseAll(400, ({ pdus }) => pdus.includes(bad));
    await sender.start();
    await sender.idle();
    await clock.advance(10_000);
    await sender.stop();
    const again = setUpSender(storage, network, clock);
    await again.sender.start();
    for (let round = 0; round < 5; round += 1) {
      await again.sender.idle();
      await clock.advance(60_000);
    }
    expect(network.pdusReceived()).toEqual(ids.filter((id) => id !== bad));
  });
});
