import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TakenTransaction } from '../support/app-service.ts';
import { StubService } from '../support/stub-service.ts';
import type { TestUser } from '../support/user.ts';
import { Chance } from './chance.ts';
import { ServerProcess } from './server-process.ts';
import { type Accepted, idsOf, insist, messagesIn, readBack } from './talking.ts';
import { pause, until } from './until.ts';

const kills = 6;
const turnsPerRound = 8;

const chance = new Chance();
let service: StubService;
let server: ServerProcess;
/** Nobody of the service, each with a room that a user of the service is in. */
let speakers: { readonly user: TestUser; readonly room: string; readonly accepted: Accepted }[];
let ghost: TestUser;
/** What was sent to the ghost's device and accepted, in the order of acceptance. */
const messages: string[] = [];

beforeAll(async () => {
  service = await StubService.start('bridge', { namespaces: { users: [{ exclusive: true, regex: '@bridge_.*' }] } });
  const config = { app_service_config_files: [service.file], presence: { enabled: false } };
  server = await ServerProcess.start({ config });
  ghost = await service.register(server, 'bridge_ghost');
  speakers = [];
  for (const name of ['anna', 'bert']) {
    const user = await server.register(name);
    const room = await user.createRoom({ preset: 'public_chat' });
    await ghost.join(room);
    speakers.push({ user, room, accepted: new Map() });
  }
});

afterAll(async () => {
  await server.remove();
  await service.stop();
});

/** Takes its time, and now and then refuses what it has read. */
async function beModerate(): Promise<void> {
  await pause(chance.below(30));
  service.status = chance.below(10) === 0 ? 500 : 200;
}

async function insistOnMessage(user: TestUser, text: string): Promise<void> {
  const body = { messages: { [ghost.userId]: { [ghost.deviceId]: { body: text } } } };
  await until(`${user.userId} sends ${text}`, async () => {
    const { status } = await user.call('PUT', `/sendToDevice/m.test/${text}`, body);
    return status === 200;
  });
  messages.push(text);
}

/** All speak; in the middle of it the server is killed and started again. */
async function talkThrough(round: number): Promise<void> {
  const countOf = (): number => speakers.reduce((sum, { accepted }) => sum + accepted.size, 0);
  const moment = countOf() + 1 + chance.below(speakers.length * turnsPerRound - 4);
  const talks = speakers.map(async ({ user, room, accepted }, index) => {
    for (let turn = 0; turn < turnsPerRound; turn += 1) {
      await insist(user, room, `${round}-${index}-${turn}`, accepted);
      if (index === 0) await insistOnMessage(user, `device-${round}-${turn}`);
    }
  });
  await until('enough was said', () => countOf() >= moment);
  // Somewhere between two steps of whatever is under way then: storing a transaction, sending it, hearing the answer.
  await pause(chance.below(40));
  await server.kill();
  await server.startAgain();
  await Promise.all(talks);
}

/** Each transaction once, as it came first. */
function firstOfEach(transactions: readonly TakenTransaction[]): TakenTransaction[] {
  return transactions.filter(({ id }, index) => index === 0 || transactions[index - 1]?.id !== id);
}

const eventsOf = (transactions: readonly TakenTransaction[]) => transactions.flatMap(({ body }) => body.events ?? []);

describe(`a server that is killed while it tells an application service (SURVIVAL_SEED=${chance.seed})`, () => {
  it(`${kills} times tells it everything once and in order, and repeats a transaction unchanged or not at all`, async () => {
    service.beforeAnswer = beModerate;
    for (let round = 0; round < kills; round += 1) await talkThrough(round);
    service.beforeAnswer = () => {
      service.status = 200;
    };
    const isTold = (texts: string[], wanted: Iterable<string>): boolean => {
      const told = new Set(texts);
      return [...wanted].every((text) => told.has(text));
    };
    await until('the service is told all', () => {
      const taken = service.transactions;
      const said = eventsOf(taken).map(({ content }) => content.body);
      const sent = taken.flatMap(({ body }) => body.to_device ?? []).map(({ content }) => content.body);
      return speakers.every(({ accepted }) => isTold(said, accepted.keys())) && isTold(sent, messages);
    });

    for (const { user, room, accepted } of speakers) {
      const said = messagesIn(await readBack(user, room));
      expect(said.map(({ content, event_id }) => [content.body, event_id])).toEqual([...accepted]);
    }
    await server.stop();
    const attempts = service.take();
    const transactions = firstOfEach(attempts);
    // None is repeated behind another one.
    expect(new Set(transactions.map(({ id }) => id)).size).toBe(transactions.length);
    const textOf = new Map(transactions.map(({ id, text }) => [id, text]));
    for (const { id, text } of attempts) expect(text).toBe(textOf.get(id));
    // The kills met what they are here for.
    expect(attempts.length).toBeGreaterThan(transactions.length);

    const events = eventsOf(transactions);
    expect(new Set(idsOf(events)).size).toBe(events.length);
    for (const { room, accepted } of speakers) {
      const told = messagesIn(events.filter(({ room_id }) => room_id === room));
      expect(idsOf(told)).toEqual([...accepted.values()]);
    }
    const sent = transactions.flatMap(({ body }) => body.to_device ?? []).map(({ content }) => content.body);
    expect(sent).toEqual(messages);

    expect(server.errors()).toEqual([]);
  });
});
