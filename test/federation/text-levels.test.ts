import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { UserId } from '../../src/matrix/ids.ts';
import { HostileServer } from '../support/hostile-server.ts';
import { settle, TestServer } from '../support/server.ts';
import { StubRoom } from '../support/stub-room.ts';
import type { TestUser } from '../support/user.ts';
import { membershipOf, path, stateOf } from './rooms.ts';

let a: TestServer;
let alice: TestUser;
let stub: HostileServer;
let mallory: UserId;

beforeAll(async () => {
  a = await TestServer.start();
  alice = await a.register('alice');
  stub = await HostileServer.start(a.clock.now());
  mallory = stub.user('mallory');
});

afterAll(async () => {
  await stub.stop();
  await a.stop();
});

/** A room of another server in which Alice is, with levels that are texts as soon as its rules take them. */
async function roomWithTexts(version: string): Promise<{ there: StubRoom; answer: unknown }> {
  const there = StubRoom.create(stub, { creator: mallory, nowMs: () => a.clock.now(), version });
  there.serve();
  await alice.join(there.roomId, stub.name);
  const users = { [mallory]: ' +100', [alice.userId]: '0050' };
  const content = { users, users_default: '0', state_default: '50', ban: '60', kick: '50', events: { x: '51' } };
  const { eventId, pdu } = there.build({ type: 'm.room.power_levels', sender: mallory, state_key: '', content });
  const { body } = await stub.send(a, { pdus: [pdu] });
  await settle(a);
  return { there, answer: body.pdus[eventId] };
}

describe.each(['6', '9'])('levels that are texts, in a room of version %s', (version) => {
  it('count, and a client may change one of them and leave the others as they are', async () => {
    const { there, answer } = await roomWithTexts(version);
    expect(answer).toEqual({});
    const put = async (type: string, content: object) =>
      (await alice.call('PUT', path(there.roomId, 'state', type, ''), content)).status;
    expect(await put('m.room.topic', { topic: 'at 50' })).toBe(200);
    expect(await put('x', {})).toBe(403);
    const levels = await stateOf(alice, there.roomId, 'm.room.power_levels');
    expect(levels.users[mallory]).toBe(' +100');
    expect(await put('m.room.power_levels', { ...levels, ban: 50 })).toBe(403);
    expect(await put('m.room.power_levels', { ...levels, kick: '40' })).toBe(400);
    expect(await put('m.room.power_levels', { ...levels, kick: 40 })).toBe(200);
    expect(await stateOf(alice, there.roomId, 'm.room.power_levels')).toEqual({ ...levels, kick: 40 });
    const kick = await alice.call('POST', path(there.roomId, 'kick'), { user_id: mallory });
    expect(kick.status).toBe(403);
    expect(await membershipOf(alice, there.roomId, mallory)).toBe('join');
  });
});

describe.each(['10', '11'])('levels that are texts, in a room of version %s', (version) => {
  it('are refused, and those from before hold', async () => {
    const { there, answer } = await roomWithTexts(version);
    expect(answer).toEqual({ error: expect.any(String) });
    expect(await stateOf(alice, there.roomId, 'm.room.power_levels')).toEqual({ users: { [mallory]: 100 } });
  });
});
