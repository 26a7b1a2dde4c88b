import { afterEach, describe, expect, it } from 'vitest';
import { HostileReply, HostileServer } from '../support/hostile-server.ts';
import { settle, startPair, TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';

const minute = 60_000;
const running: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const server of running.splice(0).reverse()) await server.stop();
});

let transactions = 0;

function tell(from: TestUser, userId: string, deviceId: string, content: unknown): Promise<unknown> {
  transactions += 1;
  return from.ok('PUT', `/sendToDevice/a.type/t${transactions}`, { messages: { [userId]: { [deviceId]: content } } });
}

// biome-ignore lint/suspicious/noExplicitAny: the answer of a server
const textsIn = (sync: any): string[] => (sync.to_device?.events ?? []).map(({ content }: any) => content.text);

async function pair() {
  const [a, b] = await startPair();
  running.push(a, b);
  return { a, b, alice: await a.register('alice'), bob: await b.register('bob') };
}

describe('a message to a device on another server', () => {
  it('arrives, to one device or to all', async () => {
    const { a, b, alice, bob } = await pair();
    const laptop = await bob.newDevice();
    await tell(alice, bob.userId, bob.deviceId, { text: 'one' });
    await tell(alice, bob.userId, '*', { text: 'all' });
    await tell(alice, bob.userId, 'NONE', { text: 'lost' });
    await settle(a, b);
    const { events } = (await bob.sync()).to_device;
    expect(events[0]).toEqual({ type: 'a.type', sender: alice.userId, content: { text: 'one' } });
    expect(events).toHaveLength(2);
    expect(textsIn(await laptop.sync())).toEqual(['all']);
  });

  it('waits while the server is down, also through a restart of the sender, and comes in order and once', async () => {
    const { a, b, alice, bob } = await pair();
    await bob.sync();
    await b.stop({ keepData: true });
    const texts = Array.from({ length: 250 }, (_, n) => `m${n}`);
    for (const text of texts) await tell(alice, bob.userId, bob.deviceId, { text });
    await settle(a);
    const sender = await a.restart();
    running.push(sender);
    const back = await b.restart();
    running.push(back);
    bob.url = back.url;
    await sender.clock.advance(60 * minute);
    await settle(sender, back);
    const got: string[] = [];
    for (let n = 0; n < 4; n += 1) got.push(...textsIn(await bob.sync()));
    expect(got).toEqual(texts);
  });

  it('goes in transactions of at most a hundred, which are repeated as they were', async () => {
    const a = await TestServer.start();
    const other = await HostileServer.start(a.clock.now());
    running.push(a, other);
    const alice = await a.register('alice');
    let takes = false;
    other.on('send', () => (takes ? { pdus: {} } : new HostileReply(500, {})));
    for (let n = 0; n < 230; n += 1) await tell(alice, other.user('bob'), 'PHONE', { n });
    await settle(a);
    takes = true;
    await a.clock.advance(60 * minute);
    await settle(a);
    const sent = other.asked('send').map(({ rest, body }) => ({ id: rest[0], edus: body.edus ?? [] }));
    const first = sent.filter(({ id }) => id === sent[0]?.id);
    expect(first.length).toBeGreaterThan(1);
    expect(new Set(first.map(({ edus }) => JSON.stringify(edus))).size).toBe(1);
    const taken = new Map(sent.map(({ id, edus }) => [id, edus]));
    expect(Math.max(...[...taken.values()].map(({ length }) => length))).toBeLessThanOrEqual(100);
    const contents = [...taken.values()].flat().map(({ content }) => content);
    expect(contents.map(({ messages }) => messages[other.user('bob')].PHONE.n)).toEqual([...Array(230).keys()]);
    expect(new Set(contents.map(({ message_id: id }) => id)).size).toBe(230);
    expect(contents.every(({ message_id: id }) => id.length <= 32)).toBe(true);
  });

  it('is one of several in an EDU, which holds no more than fits', async () => {
    const a = await TestServer.start();
    const other = await HostileServer.start(a.clock.now());
    running.push(a, other);
    const alice = await a.register('alice');
    const devices = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`D${n}`, { text: 'x'.repeat(10_000) }]));
    await alice.ok('PUT', '/sendToDevice/a.type/many', { messages: { [other.user('bob')]: devices } });
    await settle(a);
    const edus = other.asked('send').flatMap(({ body }) => body.edus ?? []);
    expect(edus.length).toBe(4);
    expect(edus.every((edu) => JSON.stringify(edu).length < 65_536)).toBe(true);
    const named = edus.flatMap(({ content }) => Object.keys(content.messages[other.user('bob')]));
    expect(named.sort()).toEqual(Object.keys(devices).sort());
  });
});

describe('a message from another server', () => {
  let server: TestServer;
  let other: HostileServer;
  let alice: TestUser;

  async function start(): Promise<void> {
    server = await TestServer.start();
    other = await HostileServer.start(server.clock.now());
    running.push(server, other);
    alice = await server.register('alice');
  }

  const edu = (more: Record<string, unknown>) => ({
    edu_type: 'm.direct_to_device',
    content: {
      sender: other.user('mallory'),
      type: 'a.type',
      message_id: 'm1',
      messages: { [alice.userId]: { [alice.deviceId]: { text: 'hello' } } },
      ...more,
    },
  });
  const push = async (...edus: unknown[]) => {
    expect((await other.send(server, { edus })).status).toBe(200);
  };

  it('counts once by its id, also in another transaction and after a restart', async () => {
    await start();
    await push(edu({}), edu({}));
    await push(edu({}), edu({ message_id: 'm2' }));
    expect(textsIn(await alice.sync())).toEqual(['hello', 'hello']);
    await alice.sync();
    server = await server.restart();
    running.push(server);
    alice.url = server.url;
    await push(edu({}), edu({ message_id: 'm3', messages: { [alice.userId]: { '*': { text: 'new' } } } }));
    expect(textsIn(await alice.sync())).toEqual(['new']);
  });

  it('is dropped where the sender is not of that server, and where it is none; its neighbours are not', async () => {
    await start();
    await push(
      edu({ sender: alice.userId, message_id: 'b1' }),
      edu({ sender: '@x:elsewhere.test', message_id: 'b2' }),
      edu({ sender: 7, message_id: 'b3' }),
      edu({ type: {}, message_id: 'b4' }),
      edu({ message_id: 5 }),
      edu({ message_id: 'x'.repeat(300) }),
      edu({ messages: [], message_id: 'b5' }),
      edu({ messages: { [alice.userId]: { [alice.deviceId]: 'text' }, nobody: {} }, message_id: 'b6' }),
      edu({ messages: { '@alice:elsewhere.test': { '*': {} } }, message_id: 'b7' }),
      edu({ messages: { [alice.userId]: { '*': { text: 'x'.repeat(70_000) } } }, message_id: 'b8' }),
      edu({ messages: { [alice.userId]: { GONE: {} } }, message_id: 'b9' }),
      edu({ message_id: 'good' }),
    );
    expect(textsIn(await alice.sync())).toEqual(['hello']);
  });

  it('keeps fractions, which nobody hashes', async () => {
    await start();
    const body = { origin: other.name, origin_server_ts: 1, pdus: [], edus: [edu({ type: 'N' })] };
    const text = JSON.stringify(body).replace('"text":"hello"', '"n":[1.5,1e2]');
    expect((await other.call(server, 'PUT', 'v1/send/fractions', undefined, { text })).status).toBe(200);
    expect((await alice.sync()).to_device.events[0].content).toEqual({ n: [1.5, 100] });
  });
});
