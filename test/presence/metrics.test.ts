import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { settle, TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';

/** What an administrator sees of presence, and who can look. */

let a: TestServer;
let b: TestServer;
let alice: TestUser;
let bob: TestUser;
let carol: TestUser;
let count = 0;

beforeAll(async () => {
  a = await TestServer.start({ config: { metrics: { enabled: true, port: 0 } } });
  b = await TestServer.start({ clock: a.clock });
});

beforeEach(async () => {
  count += 1;
  alice = await a.register(`alice${count}`);
  carol = await a.register(`carol${count}`);
  bob = await b.register(`bob${count}`);
  const room = await alice.createRoom({ preset: 'public_chat' });
  await carol.join(room);
  await bob.join(room, a.name);
  await carol.sync({ set_presence: 'offline' });
  await settle(a, b);
});

afterAll(async () => {
  await a.stop();
  await b.stop();
});

async function scrape(): Promise<Map<string, number>> {
  const response = await fetch(a.running.metricsUrl ?? '');
  expect(response.status).toBe(200);
  const lines = (await response.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

/** By how much each metric grew. */
async function growth(happen: () => Promise<unknown>): Promise<(name: string) => number> {
  const before = await scrape();
  await happen();
  await settle(a, b);
  const after = await scrape();
  return (name) => {
    const value = after.get(`lantern_presence_${name}`);
    expect([name, value]).toEqual([name, expect.any(Number)]);
    return (value ?? 0) - (before.get(`lantern_presence_${name}`) ?? 0);
  };
}

async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 500) {
    await a.clock.advance(Math.min(left, 500));
    await settle(a, b);
  }
}

describe('the metrics of presence', () => {
  it('count an update, who got it, how long it took, and what other servers took of it', async () => {
    const grew = await growth(async () => {
      await alice.setPresence('online', 'hello');
      await pass(2_000);
    });
    expect(grew('updates_total')).toBe(1);
    expect(grew('update_recipients_count')).toBe(1);
    expect(grew('update_recipients_sum')).toBe(1);
    expect(grew('suppressed_by_policy_total')).toBe(0);
    expect(grew('wake_seconds_count')).toBe(1);
    expect(grew('federation_sent_total')).toBe(1);
    expect(grew('users{state="online"}')).toBe(1);
    expect(grew('federation_queue')).toBe(0);
  });

  it('count who was not given one, because of a config', async () => {
    await alice.setAccountData('m.presence_sharing_config', { denied_users: [carol.userId] });
    await settle(a, b);
    const grew = await growth(() => alice.setPresence('online', 'secret'));
    expect(grew('suppressed_by_policy_total')).toBe(1);
    expect(grew('update_recipients_sum')).toBe(0);
  });

  it('count what took the place of what was not sent yet, and what waits', async () => {
    const grew = await growth(async () => {
      await alice.setPresence('online', 'one');
      await settle(a, b);
      await alice.setPresence('online', 'two');
      await settle(a, b);
      await alice.setPresence('online', 'three');
    });
    expect(grew('coalesced_total{to="federation"}')).toBeGreaterThan(0);
    expect(grew('federation_queue')).toBe(1);
    await pass(2_000);
    expect((await scrape()).get('lantern_presence_federation_queue')).toBe(0);
  });

  it('count narrowings that wait for a server', async () => {
    await alice.setPresence('online');
    await pass(2_000);
    const waiting = await growth(() =>
      alice.setAccountData('m.presence_sharing_config', { denied_users: [bob.userId] }),
    );
    expect(waiting('narrowings_waiting')).toBe(1);
    await pass(2_000);
    expect((await scrape()).get('lantern_presence_narrowings_waiting')).toBe(0);
  });

  it('count what comes from other servers, and what of it was refused', async () => {
    const grew = await growth(async () => {
      await bob.setPresence('online');
      await pass(2_000);
    });
    expect(grew('federation_received_total{outcome="accepted"}')).toBe(1);
    expect(grew('remote_users')).toBe(1);
    const { presence } = a.running.lantern;
    const push = [{ user_id: alice.userId, presence: 'online' }];
    const refused = await growth(() => presence.receive(b.name as never, [{ push }]));
    expect(refused('federation_received_total{outcome="dropped"}')).toBe(1);
    expect(refused('federation_received_total{outcome="accepted"}')).toBe(0);
  });

  it('name no user, no room and no server', async () => {
    await alice.setPresence('online', 'a very private status');
    await pass(2_000);
    const text = await (await fetch(a.running.metricsUrl ?? '')).text();
    for (const word of [`alice${count}`, 'private', b.name, '!']) expect(text.includes(word)).toBe(false);
  });
});

describe('the listener', () => {
  it('answers for /metrics only, and only to GET and HEAD', async () => {
    const base = (a.running.metricsUrl ?? '').replace('/metrics', '');
    expect((await fetch(`${base}/`)).status).toBe(404);
    expect((await fetch(`${base}/_matrix/client/versions`)).status).toBe(404);
    expect((await fetch(`${base}/metrics`, { method: 'POST' })).status).toBe(405);
    expect((await fetch(`${base}/metrics`, { method: 'HEAD' })).status).toBe(200);
  });

  it('is not there unless it is asked for, and never on the listener of clients', async () => {
    expect(b.running.metricsUrl).toBeUndefined();
    expect((await fetch(`${a.url}/metrics`)).status).toBe(404);
  });
});
