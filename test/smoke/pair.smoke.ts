import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RunningCommand, request } from './process.ts';

interface PairLine {
  servers: { client: string; users: { user_id: string; access_token: string }[] }[];
  room_id: string;
}

let command: RunningCommand;
let pair: PairLine;
const leftovers = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('lantern-pair-'));
let before: string[];

beforeAll(async () => {
  before = leftovers();
  command = new RunningCommand(['npm', 'run', 'pair', '--silent', '--', '--json']);
  const [line] = await command.untilPrinted(/^\{.*\}$/m);
  pair = JSON.parse(line);
});

afterAll(async () => {
  await command.interrupt();
  expect(leftovers()).toEqual(before);
});

function person(index: number) {
  const server = pair.servers[index];
  const user = server?.users[0];
  if (!server || !user) throw new Error('the pair is not complete');
  const call = (method: string, path: string, body?: unknown) =>
    request(method, `${server.client}/_matrix/client/v3${path}`, { token: user.access_token, body });
  return { id: user.user_id, call };
}

const config = (id: string): string => `/user/${encodeURIComponent(id)}/account_data/m.presence_sharing_config`;

describe('npm run pair', () => {
  it('plays the story: bob sees alice, is denied, sees her go offline within two seconds, is allowed, sees her again', async () => {
    const [alice, bob] = [person(0), person(1)];
    let since = '';
    /** Follows bob's sync until alice is as wanted; answers the milliseconds it took. */
    const untilSeen = async (wanted: string): Promise<number> => {
      const started = performance.now();
      for (let round = 0; round < 20; round++) {
        const { body } = await bob.call('GET', `/sync?timeout=3000${since && `&since=${encodeURIComponent(since)}`}`);
        since = body.next_batch;
        const seen = (body.presence?.events ?? []).filter((event: { sender: string }) => event.sender === alice.id);
        if (seen.at(-1)?.content.presence === wanted) return performance.now() - started;
      }
      throw new Error(`bob never saw alice ${wanted}`);
    };

    await bob.call('GET', '/sync?timeout=0').then(({ body }) => {
      since = body.next_batch;
    });
    await alice.call('PUT', `/presence/${encodeURIComponent(alice.id)}/status`, {
      presence: 'online',
      status_msg: 'lit',
    });
    await untilSeen('online');

    expect((await alice.call('PUT', config(alice.id), { denied_users: [bob.id] })).status).toBe(200);
    expect(await untilSeen('offline')).toBeLessThan(2_000);
    const hidden = await bob.call('GET', `/presence/${encodeURIComponent(alice.id)}/status`);
    expect(hidden).toEqual({ status: 200, body: { presence: 'offline' } });

    await alice.call('PUT', config(alice.id), { allowed_users: [pair.room_id], denied_users: ['@*'] });
    await untilSeen('online');
    const shown = await bob.call('GET', `/presence/${encodeURIComponent(alice.id)}/status`);
    expect(shown.body).toMatchObject({ presence: 'online', status_msg: 'lit' });
  });
});
