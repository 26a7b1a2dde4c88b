import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestServer } from '../support/server.ts';
import { type Answer, TestUser } from '../support/user.ts';
import { encode, type Json, newUser, newUsers, refusal } from './rooms-support.ts';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());

let transactions = 0;

function send(
  from: TestUser,
  messages: unknown,
  { type = 'a.type', txn = `t${++transactions}` } = {},
): Promise<Answer> {
  return from.call('PUT', `/sendToDevice/${encode(type)}/${txn}`, { messages });
}

async function tell(from: TestUser, to: TestUser, ...texts: string[]): Promise<void> {
  for (const text of texts) {
    const { status } = await send(from, { [to.userId]: { [to.deviceId]: { text } } });
    expect(status).toBe(200);
  }
}

const textsIn = (sync: Json): string[] => (sync.to_device?.events ?? []).map(({ content }: Json) => content.text);

describe('a message to a device', () => {
  it('is told to that device and no other, with its sender and type', async () => {
    const [alice, bob] = await newUsers(server, 'alice', 'bob');
    const laptop = await bob.newDevice();
    await send(
      alice,
      { [bob.userId]: { [bob.deviceId]: { text: 'hello', list: [1.5, { é: null }] } } },
      { type: 'm.x' },
    );
    expect((await bob.sync()).to_device).toEqual({
      events: [{ type: 'm.x', sender: alice.userId, content: { text: 'hello', list: [1.5, { é: null }] } }],
    });
    for (const other of [laptop, alice]) expect((await other.sync()).to_device).toBeUndefined();
  });

  it('to `*` is told to all devices of the user, and to each of several users', async () => {
    const [alice, bob, carol] = await newUsers(server, 'alice', 'bob', 'carol');
    const laptop = await bob.newDevice();
    await send(alice, {
      [bob.userId]: { '*': { text: 'all' }, [laptop.deviceId]: { text: 'one' } },
      [carol.userId]: { '*': { text: 'carol' } },
    });
    expect(textsIn(await bob.sync())).toEqual(['all']);
    expect(textsIn(await laptop.sync())).toEqual(['one', 'all']);
    expect(textsIn(await carol.sync())).toEqual(['carol']);
  });

  it('is sent once for a transaction of a device, and again for another', async () => {
    const [alice, bob] = await newUsers(server, 'alice', 'bob');
    const other = await alice.newDevice();
    const message = { [bob.userId]: { '*': { text: 'x' } } };
    for (const [from, type] of [
      [alice, 'a'],
      [alice, 'a'],
      [alice, 'b'],
      [other, 'a'],
    ] as const) {
      expect((await send(from, message, { type, txn: 'same' })).body).toEqual({});
    }
    expect(textsIn(await bob.sync())).toHaveLength(3);
  });

  it('is told again until its token comes back, and then never', async () => {
    const [alice, bob] = await newUsers(server, 'alice', 'bob');
    await bob.sync();
    const before = bob.since;
    await tell(alice, bob, 'one');
    const first = await bob.sync();
    bob.since = before;
    const second = await bob.sync();
    expect([textsIn(first), textsIn(second)]).toEqual([['one'], ['one']]);
    await tell(alice, bob, 'two');
    expect(textsIn(await bob.sync())).toEqual(['two']);
    expect(textsIn(await bob.sync())).toEqual([]);
    bob.since = undefined;
    expect(textsIn(await bob.sync())).toEqual([]);
  });

  it('waits through a restart, and an initial sync tells it too', async () => {
    const own = await TestServer.start();
    const [alice, bob] = await newUsers(own, 'alice', 'bob');
    await tell(alice, bob, 'one', 'two');
    const back = await own.restart();
    bob.url = back.url;
    expect(textsIn(await bob.sync())).toEqual(['one', 'two']);
    expect(textsIn(await bob.sync())).toEqual([]);
    await back.stop();
  });

  it('ends a long-poll of its device', async () => {
    const [alice, bob] = await newUsers(server, 'alice', 'bob');
    await bob.sync();
    const waiting = bob.sync({ timeout: '30000' });
    await tell(alice, bob, 'wake up');
    expect(textsIn(await waiting)).toEqual(['wake up']);
  });

  it('is one of at most a hundred in an answer; the rest comes at once with the next, in order', async () => {
    const [alice, bob] = await newUsers(server, 'alice', 'bob');
    await bob.sync();
    const texts = Array.from({ length: 230 }, (_, n) => `m${n}`);
    await tell(alice, bob, ...texts);
    const answers: string[][] = [];
    for (let n = 0; n < 3; n += 1) answers.push(textsIn(await bob.sync({ timeout: '30000' })));
    expect(answers.map(({ length }) => length)).toEqual([100, 100, 30]);
    expect(answers.flat()).toEqual(texts);
    expect(textsIn(await bob.sync())).toEqual([]);
  });

  it('does not hold up what else there is to tell while more of them wait', async () => {
    const [alice, bob] = await newUsers(server, 'alice', 'bob');
    const roomId = await bob.createRoom();
    await bob.sync();
    await tell(alice, bob, ...Array.from({ length: 101 }, (_, n) => `m${n}`));
    await bob.say(roomId, 'x');
    const first = await bob.sync();
    expect(first.rooms.join[roomId].timeline.events).toHaveLength(1);
    const second = await bob.sync();
    expect([textsIn(second), second.rooms]).toEqual([['m100'], undefined]);
  });

  it('for a device that is logged out is gone, and one for a device that there is not is lost', async () => {
    const [alice, bob] = await newUsers(server, 'alice', 'bob');
    const laptop = await bob.newDevice();
    await tell(alice, laptop, 'one');
    await laptop.ok('POST', '/logout', {});
    const nobody = `@nobody:${server.name}`;
    const lost = { [bob.userId]: { NONE: {}, [laptop.deviceId]: {} }, [nobody]: { '*': {} } };
    expect((await send(alice, lost)).body).toEqual({});
    const again = new TestUser(server.url);
    const login = { type: 'm.login.password', identifier: { type: 'm.id.user', user: bob.userId } };
    const { access_token: token } = await again.ok('POST', '/login', {
      ...login,
      password: 'correct horse',
      device_id: laptop.deviceId,
    });
    again.accessToken = token;
    expect(textsIn(await again.sync())).toEqual([]);
  });

  it.each([
    ['no messages', undefined],
    ['a list', []],
    ['no user id', { bob: { '*': {} } }],
    ['no devices', { '@bob:x': 'all' }],
    ['no content', { '@bob:x': { '*': 'text' } }],
    ['no device id', { '@bob:x': { '': {} } }],
    ['what no server could sign', { '@bob:x': { '*': { number: 1.5 } } }],
  ])('is refused where the request has %s', async (_, messages) => {
    const alice = await newUser(server, 'alice');
    const { status, body } = await send(alice, messages);
    expect(status).toBe(400);
    expect(['M_BAD_JSON', 'M_INVALID_PARAM', 'M_MISSING_PARAM']).toContain(body.errcode);
  });

  it('is refused where it is too long, and then nobody gets any of it', async () => {
    const [alice, bob, carol] = await newUsers(server, 'alice', 'bob', 'carol');
    const messages = { [carol.userId]: { '*': {} }, [bob.userId]: { '*': { text: 'x'.repeat(65 * 1024) } } };
    expect(refusal(await send(alice, messages))).toEqual([413, 'M_TOO_LARGE']);
    expect((await carol.sync()).to_device).toBeUndefined();
  });
});
