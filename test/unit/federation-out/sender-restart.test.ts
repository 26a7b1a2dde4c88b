import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../src/matrix/pdu.ts';
import { settle } from '../../support/manual-clock.ts';
import { OutgoingLog } from '../../support/outgoing-log.ts';
import { Network, receipt, setUpSender, there, unreachable } from '../../support/sending.ts';

describe('a restart', () => {
  it('takes up what was waiting, ten destinations at a time', async () => {
    const { storage, network, clock, sender } = setUpSender();
    for (let n = 0; n < 35; n += 1) storage.addPdu('!a', `s${n}.test`);
    await sender.start();
    await settle();
    expect(network.attempts).toHaveLength(10);
    await clock.advance(100);
    expect(network.attempts).toHaveLength(20);
    await clock.advance(200);
    await sender.idle();
    expect(network.received.size).toBe(35);
  });

  // Where the process ends: each commit of the sender before and after it is applied, and each answer before and after
  // it arrives.
  const moments = [
    'before storing',
    'after storing',
    'before receiving',
    'after receiving',
    'before delivered',
  ] as const;
  for (const moment of moments) {
    for (const occurrence of [1, 2, 3]) {
      it(`${moment} number ${occurrence} loses nothing and repeats nothing`, async () => {
        const storage = new OutgoingLog();
        const network = new Network();
        const ids = Array.from({ length: 130 }, () => storage.addPdu('!a', there));
        for (let n = 0; n < 250; n += 1) storage.addEdu(there, receipt(n));
        let count = 0;
        const crashAt = (here: (typeof moments)[number]) => {
          if (here === moment) count += 1;
          if (here === moment && count === occurrence) throw new Error('the process has ended');
        };
        storage.beforeCommit = (row) => {
          if (row.kind === 'outgoing_transaction') crashAt('before storing');
          if (row.kind === 'outgoing_delivered') crashAt('before delivered');
        };
        const send = network.send.bind(network);
        network.send = async (server, id, text) => {
          crashAt('after storing');
          crashAt('before receiving');
          const answer = await send(server, id, text);
          crashAt('after receiving');
          return answer;
        };
        const first = setUpSender(storage, network);
        await first.sender.start();
        await first.sender.idle();
        expect(count).toBe(occurrence);
        await first.sender.stop();

        const second = setUpSender(storage, network);
        await second.sender.start();
        await second.sender.idle();
        expect(network.pdusReceived()).toEqual(ids);
        expect(network.edusReceived().map(({ content }) => content.n)).toEqual(
          Array.from({ length: 250 }, (_, n) => n),
        );
        for (const { id, text } of network.attempts) expect(text).toBe(network.received.get(id)?.text);
      });
    }
  }

  it('in the middle of a catch-up goes on with the rooms that are left', async () => {
    const { storage, network, sender } = setUpSender();
    const newest = new Map<string, string>();
    for (let n = 0; n < 2_000; n += 1) newest.set(`!r${n % 170}`, storage.addPdu(`!r${n % 170}`, there));
    network.answer = () => {
      if (network.attempts.length === 3) throw unreachable();
      return { pdus: {} };
    };
    await sender.start();
    await sender.idle();
    expect(network.received.size).toBe(2);
    await sender.stop();
    const second = setUpSender(storage, network);
    await second.sender.start();
    await second.sender.idle();
    expect(new Set(network.pdusReceived())).toEqual(new Set(newest.values()));
    expect(network.pdusReceived()).toHaveLength(newest.size);
  });
});

describe('the stop', () => {
  it('waits for the answer under way and begins nothing else', async () => {
    const { storage, network, clock, sender } = setUpSender();
    await sender.start();
    let release: (answer: { pdus: JsonObject }) => void = () => {};
    network.answer = () => new Promise((resolve) => (release = resolve));
    for (let n = 0; n < 60; n += 1) storage.addPdu('!a', there);
    sender.poke(there);
    await settle();
    const stopped = sender.stop();
    release({ pdus: {} });
    await stopped;
    expect(storage.transactions.size).toBe(0);
    expect(network.attempts).toHaveLength(1);
    expect(clock.pendingCount).toBe(0);
  });

  it('does not wait for ever: what is not answered is repeated after the next start', async () => {
    const { storage, network, clock, sender } = setUpSender();
    await sender.start();
    let release: (answer: { pdus: JsonObject }) => void = () => {};
    network.answer = () => new Promise((resolve) => (release = resolve));
    storage.addPdu('!a', there);
    sender.poke(there);
    await settle();
    const stopped = sender.stop();
    await clock.advance(5_000);
    await stopped;
    release({ pdus: {} });
    await settle();
    expect(storage.transactions.size).toBe(1);
    network.answer = () => ({ pdus: {} });
    const second = setUpSender(storage, network);
    await second.sender.start();
    await second.sender.idle();
    expect(network.attempts[1]).toEqual(network.attempts[0]);
    expect(network.received.size).toBe(1);
  });

  it('ends back-offs without a further attempt', async () => {
    const { storage, network, clock, sender } = setUpSender();
    await sender.start();
    network.answer = () => {
      throw unreachable();
    };
    storage.addPdu('!a', there);
    sender.poke(there);
    await sender.idle();
    await sender.stop();
    await clock.advance(600_000);
    sender.serverIsBack(there);
    await settle();
    expect(network.attempts).toHaveLength(1);
    expect(clock.pendingCount).toBe(0);
  });
});
