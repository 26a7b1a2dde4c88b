import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../../src/base/log.ts';
import { DestinationHealth } from '../../../src/federation-out/destination-health.ts';
import { FederationError } from '../../../src/federation-out/requests-contract.ts';
import { createSender } from '../../../src/federation-out/sender.ts';
import type { EventId } from '../../../src/matrix/ids.ts';
import type { Storage } from '../../../src/storage/contract/storage.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { unjitteredRandom } from '../../support/random.ts';
import { RoomBuilder } from '../../support/room-builder.ts';
import { away, here, Network, receipt, there } from '../../support/sending.ts';
import { openTestStorage } from '../../support/storage.ts';

/** The sender on the real storage with the real health: what the others test with fakes holds together. */
describe('the sender on its storage', () => {
  let storage: Storage;
  let clock: ManualClock;
  let network: Network;
  let room: RoomBuilder;
  let listener: (destinations: readonly string[]) => void = () => {};

  beforeEach(async () => {
    clock = new ManualClock();
    storage = await openTestStorage(clock);
    storage.onCommit((changes) => {
      for (const change of changes) if (change.kind === 'outgoing') listener(change.destinations);
    });
    network = new Network();
    room = await RoomBuilder.create(storage, '@alice:here.test');
  });
  afterEach(() => storage.stop());

  async function startSender() {
    const health = new DestinationHealth({ storage, clock, random: unjitteredRandom, log: silentLog });
    await health.start();
    const sender = createSender({
      serverName: here,
      storage,
      requests: {
        sendTransaction: async (server, id, { text }) => {
          try {
            const answer = await network.send(server, id, text);
            health.markReachable(server);
            return answer;
          } catch (err) {
            health.markFailed(server);
            throw err;
          }
        },
      },
      health,
      clock,
      random: unjitteredRandom,
      log: silentLog,
      skipped: { add() {} },
    });
    listener = (destinations) => {
      for (const destination of destinations) sender.poke(destination as typeof there);
    };
    await sender.start();
    return { sender, health };
  }

  async function say(body: string): Promise<EventId> {
    const eventId = await room.say('@alice:here.test', body);
    await storage.commit({
      rows: [{ kind: 'outgoing_pdu', eventId, roomId: room.roomId, destinations: [there, away] }],
    });
    return eventId;
  }

  const bodies = () =>
    network.attempts
      .filter(({ server }) => server === there)
      .map(({ text }) =>
        (JSON.parse(text) as { pdus: { content: { body: string } }[] }).pdus.map((pdu) => pdu.content.body),
      );

  const unreachable = () => {
    throw new FederationError('unreachable', 'connection refused');
  };

  it('sends each event as it is stored, and nothing twice', async () => {
    const { sender } = await startSender();
    const eventId = await say('one');
    await sender.idle();
    await say('two');
    await sender.idle();
    expect(bodies()).toEqual([['one'], ['two']]);
    const [pduText] = await storage.events.listPduTexts([eventId]);
    expect(network.attempts[0]?.text).toContain(pduText);
    expect(await storage.outgoing.listPendingDestinations()).toEqual([]);
  });

  it('brings what was queued for a server that was down, also over our own restart, under the same id', async () => {
    network.answer = unreachable;
    const before = await startSender();
    await say('one');
    await before.sender.idle();
    await say('two');
    await before.sender.stop();
    await before.health.stop();

    network.answer = () => ({ pdus: {} });
    const after = await startSender();
    expect(network.received.size).toBe(0);
    await clock.advance(4_000);
    await after.sender.idle();
    expect(bodies()).toEqual([['one'], ['one'], ['two']]);
    const [first, second] = network.attempts.filter(({ server }) => server === there);
    expect(second).toEqual(first);
    expect(await storage.outgoing.listPendingDestinations()).toEqual([]);
  });

  it('keeps the receipt that replaced one under way', async () => {
    const { sender } = await startSender();
    let release: () => void = () => {};
    network.answer = () => new Promise((resolve) => (release = () => resolve({ pdus: {} })));
    const put = (n: number) =>
      storage.commit({ rows: [{ kind: 'outgoing_edu', destination: there, edu: receipt(n), key: 'k' }] });
    await put(1);
    await clock.advance(0);
    await put(2);
    release();
    network.answer = () => ({ pdus: {} });
    await sender.idle();
    expect(network.edusReceived()).toEqual([receipt(1), receipt(2)]);
    expect(await storage.outgoing.listPendingDestinations()).toEqual([]);
  });

  it('leaves everything to the back-off while a server is down, and sends all when it is heard of', async () => {
    const { sender } = await startSender();
    network.answer = unreachable;
    for (const body of ['one', 'two', 'three']) await say(body);
    await sender.idle();
    expect(network.attempts).toHaveLength(2);
    network.answer = () => ({ pdus: {} });
    sender.serverIsBack(there);
    await sender.idle();
    expect(bodies().slice(1).flat()).toEqual(['one', 'two', 'three']);
    expect(network.pdusReceived(away)).toEqual([]);
  });
});
