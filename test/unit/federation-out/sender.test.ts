import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../src/matrix/pdu.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import { settle } from '../../support/manual-clock.ts';
import { away, FakeSource, here, receipt, setUpSender, there, unreachable } from '../../support/sending.ts';

describe('the sender', () => {
  it('sends what is in the log, in order, and remembers that it did', async () => {
    const { storage, network, sender } = setUpSender();
    await sender.start();
    const ids = [storage.addPdu('!a', there), storage.addPdu('!b', there, away), storage.addPdu('!a', there)];
    storage.addEdu(there, receipt(1));
    sender.poke(there);
    sender.poke(away);
    await sender.idle();
    expect(network.pdusReceived(there)).toEqual(ids);
    expect(network.pdusReceived(away)).toEqual([ids[1]]);
    expect(network.edusReceived()).toEqual([receipt(1)]);
    expect(storage.transactions.size).toBe(0);
    expect(storage.edus).toEqual([]);
    sender.poke(there);
    await sender.idle();
    expect(network.attempts).toHaveLength(2);
  });

  it('sends nothing to a destination for which nothing waits', async () => {
    const { network, sender } = setUpSender();
    await sender.start();
    sender.poke(there);
    await sender.idle();
    expect(network.attempts).toEqual([]);
  });

  it('sends nothing before its start, keeps nobody waiting until then, and forgets nothing', async () => {
    const { storage, network, sender } = setUpSender();
    storage.addPdu('!a', there);
    sender.poke(there);
    await sender.idle();
    expect(network.attempts).toEqual([]);
    await sender.start();
    await sender.idle();
    expect(network.pdusReceived()).toHaveLength(1);
  });

  it('never sends to its own server', async () => {
    const { storage, network, sender } = setUpSender();
    await sender.start();
    storage.addPdu('!a', here);
    sender.poke(here);
    await sender.idle();
    expect(network.attempts).toEqual([]);
  });

  it('puts at most 50 events and 100 EDUs into a transaction', async () => {
    const { storage, network, sender } = setUpSender();
    await sender.start();
    const ids = Array.from({ length: 120 }, () => storage.addPdu('!a', there));
    for (let n = 0; n < 230; n += 1) storage.addEdu(there, receipt(n));
    sender.poke(there);
    await sender.idle();
    expect(network.attempts.map(({ pdus, edus }) => [pdus.length, edus.length])).toEqual([
      [50, 100],
      [50, 100],
      [20, 30],
    ]);
    expect(network.pdusReceived()).toEqual(ids);
    expect(network.edusReceived().map(({ content }) => content.n)).toEqual(Array.from({ length: 230 }, (_, n) => n));
  });

  it('has one transaction under way for a destination, and sends what came meanwhile behind it', async () => {
    const { storage, network, sender } = setUpSender();
    await sender.start();
    let release: (answer: { pdus: JsonObject }) => void = () => {};
    network.answer = () => new Promise((resolve) => (release = resolve));
    const first = storage.addPdu('!a', there);
    sender.poke(there);
    await settle();
    const second = storage.addPdu('!a', there);
    sender.poke(there);
    await settle();
    expect(network.attempts.map(({ pdus }) => pdus)).toEqual([[first]]);
    network.answer = () => ({ pdus: {} });
    release({ pdus: {} });
    await sender.idle();
    expect(network.attempts.map(({ pdus }) => pdus)).toEqual([[first], [second]]);
  });

  it('sends to 32 destinations at once, and to the others when these are done', async () => {
    const { storage, network, sender } = setUpSender();
    await sender.start();
    const releases: (() => void)[] = [];
    network.answer = () => new Promise((resolve) => releases.push(() => resolve({ pdus: {} })));
    for (let n = 0; n < 40; n += 1) {
      storage.addPdu('!a', `s${n}.test`);
      sender.poke(`s${n}.test` as ServerName);
    }
    await settle();
    expect(network.attempts).toHaveLength(32);
    releases[0]?.();
    await settle();
    expect(network.attempts).toHaveLength(33);
    network.answer = () => ({ pdus: {} });
    for (const release of releases) release();
    await sender.idle();
    expect(network.received.size).toBe(40);
  });

  it('lets others have their turn while one destination has very much to get', async () => {
    const { storage, network, sender } = setUpSender();
    const release: (() => void)[] = [];
    network.answer = ({ server }) =>
      server === there
        ? new Promise((resolve) => release.push(() => resolve({ pdus: {} })))
        : new Promise<never>(() => {});
    for (let n = 0; n < 1_500; n += 1) storage.addEdu(there, receipt(n));
    await sender.start();
    for (let n = 0; n < 31; n += 1) {
      storage.addPdu('!a', `stuck${n}.test`);
      sender.poke(`stuck${n}.test` as ServerName);
    }
    storage.addPdu('!a', away);
    sender.poke(away);
    await settle();
    for (let turns = 0; turns < 10; turns += 1) {
      expect(network.attempts.filter(({ server }) => server === away)).toEqual([]);
      release[turns]?.();
      await settle();
    }
    expect(network.attempts.filter(({ server }) => server === away)).toHaveLength(1);
  });

  it('takes an event that the other server refused for delivered', async () => {
    const { storage, network, sender } = setUpSender();
    await sender.start();
    network.answer = ({ pdus }) => ({ pdus: { [pdus[0] ?? '']: { error: 'not allowed' } } });
    storage.addPdu('!a', there);
    sender.poke(there);
    await sender.idle();
    sender.poke(there);
    await sender.idle();
    expect(network.attempts).toHaveLength(1);
  });

  it('drops a durable EDU that cannot be signed, and sends its neighbours', async () => {
    const { storage, network, sender } = setUpSender();
    await sender.start();
    storage.addEdu(there, receipt(0.5));
    storage.addEdu(there, receipt(1));
    sender.poke(there);
    await sender.idle();
    expect(network.edusReceived()).toEqual([receipt(1)]);
    expect(storage.edus).toEqual([]);
  });
});

describe('volatile EDUs', () => {
  it('fill what durable ones leave free, and the rest follows', async () => {
    const { storage, network, sender } = setUpSender();
    const source = new FakeSource();
    sender.addSource(source);
    await sender.start();
    for (let n = 0; n < 90; n += 1) storage.addEdu(there, receipt(n));
    source.add(30);
    sender.poke(there);
    await sender.idle();
    expect(network.attempts.map(({ edus }) => edus.length)).toEqual([100, 20]);
    expect(source.fates).toEqual(['accepted 10', 'accepted 20']);
  });

  it('of several sources take turns in being first', async () => {
    const { network, sender } = setUpSender();
    const presence = new FakeSource('m.presence');
    const typing = new FakeSource('m.typing');
    sender.addSource(presence);
    sender.addSource(typing);
    await sender.start();
    presence.add(150);
    typing.add(1);
    sender.poke(there);
    await sender.idle();
    expect(network.attempts.map(({ edus }) => edus[0]?.edu_type)).toEqual(['m.presence', 'm.typing']);
    expect(typing.pending).toEqual([]);
  });

  it('of a source that throws or gives too much are left out, and nobody else suffers', async () => {
    const { storage, network, sender } = setUpSender();
    const greedy = new FakeSource('m.greedy');
    greedy.take = async () => ({
      edus: Array.from({ length: 101 }, () => ({ edu_type: 'm.greedy', content: {} })),
      more: false,
      accepted: () => greedy.fates.push('accepted'),
      refused: () => greedy.fates.push('refused'),
    });
    const broken = new FakeSource('m.broken');
    broken.take = () => Promise.reject(new Error('a bug'));
    const sound = new FakeSource('m.sound');
    for (const source of [greedy, broken, sound]) sender.addSource(source);
    await sender.start();
    for (const source of [greedy, broken, sound]) source.add(1);
    storage.addPdu('!a', there);
    sender.poke(there);
    await sender.idle();
    expect(network.edusReceived().map(({ edu_type }) => edu_type)).toEqual(['m.sound']);
    expect(greedy.fates).not.toContain('accepted');
    expect(network.pdusReceived()).toHaveLength(1);
  });

  it('is flushed when all is sent that waited for the destination', async () => {
    const { storage, network, sender } = setUpSender();
    await sender.start();
    await sender.flush(there);
    for (let n = 0; n < 120; n += 1) storage.addPdu('!a', there);
    sender.poke(there);
    await sender.flush(there);
    expect(network.pdusReceived(there)).toHaveLength(120);
  });

  it('is flushed by an attempt that failed, which ends no rest but its own', async () => {
    const { storage, network, sender } = setUpSender();
    await sender.start();
    network.answer = () => {
      throw unreachable();
    };
    storage.addPdu('!a', there);
    sender.poke(there);
    await sender.flush(there);
    expect(network.attempts).toHaveLength(1);
    // It rests now, and flushing tries once more all the same.
    await sender.idle();
    expect(network.attempts).toHaveLength(1);
    await sender.flush(there);
    expect(network.attempts).toHaveLength(2);
    network.answer = () => ({ pdus: {} });
    await sender.flush(there);
    expect(network.pdusReceived(there)).toHaveLength(1);
  });

  it('keeps nobody waiting for a flush before its start or after its stop', async () => {
    const { storage, network, clock, sender } = setUpSender();
    storage.addPdu('!a', there);
    sender.poke(there);
    await sender.flush(there);
    await sender.start();
    network.answer = () => new Promise(() => undefined);
    sender.poke(there);
    const flushed = sender.flush(there);
    await settle();
    const stopped = sender.stop();
    await clock.advance(10_000);
    await Promise.all([flushed, stopped]);
    await sender.flush(there);
    expect(network.attempts).toHaveLength(1);
  });
});
