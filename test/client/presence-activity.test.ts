import { afterAll, beforeAll, expect, it } from 'vitest';
import { TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { newUsers } from './rooms-support.ts';

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

it.each([
  ['sending a message', 'PUT', 'send/m.room.message/txn', { msgtype: 'm.text', body: 'here' }],
  ['writing state', 'PUT', 'state/m.room.topic/', { topic: 'here' }],
  ['a redaction', 'PUT', 'redact/$event/txn', {}],
  ['a receipt', 'POST', 'receipt/m.read/$event', {}],
  ['a read marker', 'POST', 'read_markers', { 'm.fully_read': '$event' }],
  ['typing', 'PUT', 'typing/@me', { typing: true, timeout: 1_000 }],
])('%s is activity', async (_, method, path, body) => {
  const [alice] = await newUsers(server, 'alice');
  const room = await alice.createRoom({});
  const sent = await alice.ok('GET', `/rooms/${encodeURIComponent(room)}/messages?dir=b&limit=1`);
  const event: string = sent.chunk[0].event_id;
  const filled = JSON.stringify(body).replace('$event', event);
  const where = path.replace('$event', encodeURIComponent(event)).replace('@me', encodeURIComponent(alice.userId));
  expect(await presenceOf(alice)).toBe('offline');
  await alice.ok(method, `/rooms/${encodeURIComponent(room)}/${where}`, JSON.parse(filled));
  expect(await presenceOf(alice)).toBe('online');
});

it.each(['joined_rooms', 'account/whoami', 'sync?timeout=0&set_presence=offline'])(
  'reading %s is none',
  async (path) => {
    const [alice] = await newUsers(server, 'alice');
    await alice.ok('GET', `/${path}`);
    expect(await presenceOf(alice)).toBe('offline');
  },
);
