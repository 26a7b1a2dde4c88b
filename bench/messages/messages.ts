import { pinThisProcess } from '../support/cores.ts';
import { LoadClient, runConcurrently } from '../support/load-client.ts';
import { usageBetween } from '../support/process-usage.ts';
import { RawPoller } from '../support/raw-poll.ts';
import type { Measure } from '../support/report.ts';
import type { BenchPart } from '../support/run.ts';
import { profileOptions, ServerProcess } from '../support/server-process.ts';
import { percentileOf } from '../support/statistics.ts';

const senders = 20;
/** Readers who want all, not the newest ten of each answer. */
const query = `&filter=${encodeURIComponent(JSON.stringify({ room: { timeline: { limit: 100 } } }))}`;
const warmUpSeconds = 5;
const seconds = 15;

interface Load {
  readonly readers: number;
  /** Messages offered a second, by all senders together. */
  readonly perSecond: number;
  readonly cpuMsMax: number;
}

/** Messages to one room in which many long-poll: how many pass, what one costs, how late the last reader has it. */
export function messagesPart(load: Load): BenchPart {
  return {
    name: `messages while ${load.readers} poll`,
    run: async ({ set }) => {
      pinThisProcess();
      const nodeOptions = set.has('profile') ? profileOptions() : [];
      const server = await ServerProcess.start({ config: { presence: { enabled: false } }, nodeOptions });
      try {
        return await measure(server, load);
      } finally {
        await server.stop();
      }
    },
  };
}

async function measure(server: ServerProcess, load: Load): Promise<Measure[]> {
  const client = new LoadClient(server.clientUrl);
  const room = await fillRoom(client, load.readers);
  const room_ = encodeURIComponent(room.roomId);
  const sentAt = new Map<string, number>();
  const delays: number[] = [];
  let seen = 0;
  let counting = false;
  const onAnswer = (text: string): void => {
    const now = performance.now();
    for (const [, body = ''] of text.matchAll(/"body":"(m\d+)"/g)) {
      const at = sentAt.get(body);
      if (at === undefined || !counting) continue;
      seen += 1;
      delays.push(now - at);
    }
  };
  const pollers: RawPoller[] = [];
  for (const { token } of room.readers) {
    const first = await client.json({ method: 'GET', path: '/_matrix/client/v3/sync?timeout=0', token });
    pollers.push(new RawPoller({ url: server.clientUrl, token, since: String(first.next_batch), query, onAnswer }));
  }
  const polling = Promise.all(pollers.map((poller) => poller.run()));

  let sent = 0;
  let answered = 0;
  const send = async (): Promise<void> => {
    const body = `m${sent}`;
    const token = room.senders[sent % senders]?.token ?? '';
    sent += 1;
    sentAt.set(body, performance.now());
    await client.json({
      method: 'PUT',
      path: `/_matrix/client/v3/rooms/${room_}/send/m.room.message/${body}`,
      token,
      body: { msgtype: 'm.text', body },
    });
    answered += 1;
  };
  const offer = async (forSeconds: number): Promise<void> => {
    const pending = new Set<Promise<void>>();
    const startedAt = performance.now();
    for (let n = 0; n < forSeconds * load.perSecond; n += 1) {
      const dueIn = startedAt + (n * 1_000) / load.perSecond - performance.now();
      if (dueIn > 1) await new Promise((resolve) => setTimeout(resolve, dueIn));
      const one = send().finally(() => pending.delete(one));
      pending.add(one);
      // A sender has one message on its way at a time.
      if (pending.size >= senders) await Promise.race(pending);
    }
    await Promise.all(pending);
  };
  await offer(warmUpSeconds);
  counting = true;
  const [before, answeredBefore, answersBefore] = [server.usage(), answered, total(pollers)];
  const startedAt = performance.now();
  await offer(seconds);
  const elapsed = (performance.now() - startedAt) / 1_000;
  const passed = answered - answeredBefore;
  const used = usageBetween(before, server.usage());
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  for (const poller of pollers) poller.stop();
  await polling;
  await client.stop();
  const name = `${load.readers} readers`;
  return [
    {
      name: `${name}: messages passed`,
      unit: '/s',
      value: passed / elapsed,
      bound: { atLeast: load.perSecond * 0.98 },
    },
    { name: `${name}: CPU a message`, unit: 'ms', value: used.cpuMs / passed, bound: { atMost: load.cpuMsMax } },
    { name: `${name}: p99 to the reader`, unit: 'ms', value: percentileOf(delays, 0.99), bound: { atMost: 300 } },
    {
      name: `${name}: seen`,
      unit: 'of 1',
      value: seen / (passed * load.readers),
      bound: { atLeast: 0.99 },
      note: `${((total(pollers) - answersBefore) / elapsed).toFixed(0)} answers a second, ${((used.cpuMs / seen) * 1_000).toFixed(0)} µs of CPU for each message seen`,
    },
  ];
}

function total(pollers: readonly RawPoller[]): number {
  return pollers.reduce((sum, { answers }) => sum + answers, 0);
}

async function fillRoom(client: LoadClient, readers: number) {
  const users: { userId: string; token: string }[] = [];
  await runConcurrently(readers + senders, 4, async (n) => {
    users[n] = await client.register(`user${n}`);
  });
  const [owner] = users;
  const created = await client.json({
    method: 'POST',
    path: '/_matrix/client/v3/createRoom',
    token: owner?.token ?? '',
    body: { preset: 'public_chat' },
  });
  const roomId = String(created.room_id);
  await runConcurrently(users.length, 8, async (n) => {
    await client.json({
      method: 'POST',
      path: `/_matrix/client/v3/join/${encodeURIComponent(roomId)}`,
      token: users[n]?.token ?? '',
      body: {},
    });
  });
  return { roomId, senders: users.slice(0, senders), readers: users.slice(senders) };
}
