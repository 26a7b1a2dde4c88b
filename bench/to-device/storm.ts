import { pinThisProcess } from '../support/cores.ts';
import { LoadClient, runConcurrently } from '../support/load-client.ts';
import { usageBetween } from '../support/process-usage.ts';
import { RawPoller } from '../support/raw-poll.ts';
import type { Measure } from '../support/report.ts';
import type { BenchPart } from '../support/run.ts';
import { profileOptions, ServerProcess } from '../support/server-process.ts';
import { percentileOf } from '../support/statistics.ts';

const devicesDefault = 100;
const messagesDefault = 10_000;
const senders = 20;
/** About as long as a room key for another device. */
const cipher = 'x'.repeat(800);

/** Messages to devices that all long-poll: how many pass a second, what one costs, how late it is, and that none is lost, doubled or out of order. */
export const stormPart: BenchPart = {
  name: 'storm',
  run: async ({ set }) => {
    pinThisProcess();
    const nodeOptions = set.has('profile') ? profileOptions() : [];
    const server = await ServerProcess.start({ config: { presence: { enabled: false } }, nodeOptions });
    try {
      const count = Number(set.get('messages') ?? messagesDefault);
      return await measure(server, { devices: Number(set.get('devices') ?? devicesDefault), count });
    } finally {
      await server.stop();
    }
  },
};

interface Device {
  readonly userId: string;
  readonly token: string;
  /** Numbers of the messages that came, in order of arrival. */
  readonly got: number[];
}

async function measure(server: ServerProcess, load: { devices: number; count: number }): Promise<Measure[]> {
  const client = new LoadClient(server.clientUrl);
  const devices: Device[] = [];
  await runConcurrently(load.devices, 4, async (n) => {
    devices[n] = { ...(await client.register(`device${n}`)), got: [] };
  });
  const sentAt: number[] = [];
  const delays: number[] = [];
  const pollers: RawPoller[] = [];
  for (const { token, got } of devices) {
    const first = await client.json({ method: 'GET', path: '/_matrix/client/v3/sync?timeout=0', token });
    const onAnswer = (text: string): void => {
      const now = performance.now();
      for (const [, number = ''] of text.matchAll(/"number":(\d+)/g)) {
        got.push(Number(number));
        delays.push(now - (sentAt[Number(number)] ?? Number.NaN));
      }
    };
    pollers.push(new RawPoller({ url: server.clientUrl, token, since: String(first.next_batch), query: '', onAnswer }));
  }
  const polling = Promise.all(pollers.map((poller) => poller.run()));
  const before = server.usage();
  const startedAt = performance.now();
  // Each sender has one message on its way at a time, and sends to each of its devices in turn.
  await runConcurrently(senders, senders, async (sender) => {
    for (let number = sender; number < load.count; number += senders) {
      const to = devices[number % devices.length];
      if (!to) throw new Error('there is no device');
      sentAt[number] = performance.now();
      await client.json({
        method: 'PUT',
        path: `/_matrix/client/v3/sendToDevice/m.room.encrypted/t${number}`,
        token: devices[sender]?.token ?? '',
        body: { messages: { [to.userId]: { '*': { number, ciphertext: cipher } } } },
      });
    }
  });
  const elapsed = (performance.now() - startedAt) / 1_000;
  const used = usageBetween(before, server.usage());
  const endsAt = performance.now() + 30_000;
  while (delays.length < load.count && performance.now() < endsAt) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  for (const poller of pollers) poller.stop();
  await polling;
  await client.stop();
  return [
    { name: 'messages passed', unit: '/s', value: load.count / elapsed, bound: { atLeast: 500 } },
    { name: 'CPU a message', unit: 'ms', value: used.cpuMs / load.count, bound: { atMost: 1.5 } },
    { name: 'p99 to the device', unit: 'ms', value: percentileOf(delays, 0.99), bound: { atMost: 300 } },
    {
      name: 'once and in order',
      unit: 'of 1',
      value: 1 - countWrong(devices, load.count) / load.count,
      bound: { atLeast: 1 },
      note: `${load.count} messages to ${devices.length} devices, ${pollers.reduce((sum, { answers }) => sum + answers, 0)} answers`,
    },
  ];
}

/** Each device must have got its messages once, those of one sender in their order. */
function countWrong(devices: readonly Device[], count: number): number {
  let wrong = 0;
  for (const [index, { got }] of devices.entries()) {
    const expected = Math.floor((count - 1 - index) / devices.length) + 1;
    wrong += Math.abs(new Set(got).size - expected) + (got.length - new Set(got).size);
    const last = new Map<number, number>();
    for (const number of got) {
      if (number < (last.get(number % senders) ?? -1)) wrong += 1;
      last.set(number % senders, number);
    }
  }
  return wrong;
}
