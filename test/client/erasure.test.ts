import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { settle, startPair, type TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { encode, inRoom, type Json, messages, newUsers } from './rooms-support.ts';

let here: TestServer;
let there: TestServer;
let alice: TestUser;
let bob: TestUser;
let carol: TestUser;
let dave: TestUser;
/** A public room of bob's in which alice wrote before she was erased. */
let roomId: string;
let eventId: string;

beforeAll(async () => {
  [here, there] = await startPair();
});
afterAll(() => Promise.all([here.stop(), there.stop()]));
beforeEach(async () => {
  [alice, bob, carol] = await newUsers(here, 'alice', 'bob', 'carol');
  [dave] = await newUsers(there, 'dave');
  roomId = await bob.createRoom({ preset: 'public_chat', name: 'of bob' });
  await alice.ok('PUT', `/profile/${alice.userId}/displayname`, { displayname: 'Alice' });
  await alice.join(roomId);
  eventId = await alice.say(roomId, 'secret');
});

async function deactivate(erase: boolean): Promise<void> {
  const identifier = { type: 'm.id.user', user: alice.userId };
  const auth = { type: 'm.login.password', identifier, password: 'correct horse' };
  await alice.ok('POST', '/account/deactivate', { auth, erase });
  await settle(here, there);
}

const contentOf = async (user: TestUser): Promise<Json> =>
  (await user.ok('GET', inRoom(roomId, 'event', eventId))).content;
const whole = { msgtype: 'm.text', body: 'secret' };

describe('events of an erased user', () => {
  it('are redacted for those who join later, wherever they look', async () => {
    await deactivate(true);
    await carol.join(roomId);
    expect(await contentOf(carol)).toEqual({});
    const { chunk } = await messages(carol, roomId);
    expect(chunk.find((event: Json) => event.event_id === eventId).content).toEqual({});
    expect(JSON.stringify(chunk)).not.toMatch(/secret|"Alice"/);
    const context = await carol.ok('GET', inRoom(roomId, 'context', eventId));
    expect(context.event.content).toEqual({});
    expect(JSON.stringify(await carol.sync())).not.toMatch(/secret|"Alice"/);
    expect(JSON.stringify(await carol.ok('GET', inRoom(roomId, 'members')))).not.toContain('"Alice"');
  });

  it('stay whole for those who could see them before', async () => {
    await carol.join(roomId);
    await deactivate(true);
    expect(await contentOf(bob)).toEqual(whole);
    expect(await contentOf(carol)).toEqual(whole);
    await carol.leave(roomId);
    await carol.join(roomId);
    expect(await contentOf(carol)).toEqual(whole);
  });

  it('stay whole for everybody where the user only left', async () => {
    await deactivate(false);
    await carol.join(roomId);
    expect(await contentOf(carol)).toEqual(whole);
  });

  it('that gave the room its name or its rules belong to the room', async () => {
    const own = await alice.createRoom({ preset: 'public_chat', name: 'of alice' });
    await bob.join(own);
    await deactivate(true);
    await carol.join(own);
    expect((await carol.ok('GET', inRoom(own, 'state', 'm.room.name', ''))).name).toBe('of alice');
  });

  it('go redacted to servers that join later', async () => {
    await deactivate(true);
    await dave.join(roomId, here.name);
    await settle(here, there);
    const { chunk } = await messages(dave, roomId);
    const seen = chunk.find((event: Json) => event.event_id === eventId);
    expect([seen?.sender, seen?.content]).toEqual([alice.userId, {}]);
    expect(JSON.stringify(await dave.ok('GET', inRoom(roomId, 'state')))).not.toContain('"Alice"');
  });

  it('and of nobody else', async () => {
    const said = await bob.say(roomId, 'of bob');
    await deactivate(true);
    await carol.join(roomId);
    expect((await carol.ok('GET', `/rooms/${encode(roomId)}/event/${encode(said)}`)).content.body).toBe('of bob');
  });
});
