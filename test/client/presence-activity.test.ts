import { afterAll, beforeAll, expect, it } from 'vitest';
import { TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { inRoom, newUsers } from './rooms-support.ts';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());

async function presenceOf(user: TestUser): Promise<string> {
  return (await user.ok('GET', `/presence/${encodeURIComponent(user.userId)}/status`)).presence;
}

it('creating, joining and leaving rooms is no activity, so a PUT of online is still told after it', async () => {
  const [alice, bob] = await newUsers(server, 'alice', 'bob');
  const room = await alice.createRoom({ preset: 'private_chat', invite: [bob.userId] });
  await bob.join(room);
  expect([await presenceOf(alice), await presenceOf(bob)]).toEqual(['offline', 'offline']);
  const since = await alice.ok('GET', '/sync?timeout=0&set_presence=offline');
  await bob.ok('PUT', `/presence/${encodeURIComponent(bob.userId)}/status`, { presence: 'online' });
  const { presence } = await alice.ok('GET', `/sync?timeout=0&set_presence=offline&since=${since.next_batch}`);
  expect(presence.events).toEqual([
    { type: 'm.presence', sender: bob.userId, content: expect.objectContaining({ presence: 'online' }) },
  ]);
});

it('sending a message is activity', async () => {
  const [alice] = await newUsers(server, 'alice');
  const room = await alice.createRoom({});
  await alice.ok('PUT', inRoom(room, 'send', 'm.room.message', 'txn'), { msgtype: 'm.text', body: 'here' });
  expect(await presenceOf(alice)).toBe('online');
});
