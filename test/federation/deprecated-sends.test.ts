import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/matrix/pdu.ts';
import { getRoomVersion } from '../../src/matrix/room-versions.ts';
import { HostileServer } from '../support/hostile-server.ts';
import { settle, TestServer } from '../support/server.ts';
import { type SealedEvent, seal } from '../support/stub-room.ts';
import type { TestUser } from '../support/user.ts';
import { membershipOf } from './rooms.ts';

let a: TestServer;
let alice: TestUser;
let stub: HostileServer;
let room: string;

beforeAll(async () => {
  a = await TestServer.start();
  alice = await a.register('alice');
  stub = await HostileServer.start(a.clock.now());
  room = await alice.createRoom({ preset: 'public_chat' });
});

afterAll(async () => {
  await stub.stop();
  await a.stop();
});

async function template(what: 'make_join' | 'make_leave', more: JsonObject = {}): Promise<SealedEvent> {
  const path = `v1/${what}/${encodeURIComponent(room)}/${encodeURIComponent(stub.user('carol'))}`;
  const { body } = await stub.call(a, 'GET', path, undefined, { query: '?ver=11' });
  return seal({ ...body.event, ...more }, getRoomVersion('11'), { signers: [stub.signer] });
}

function send(what: 'send_join' | 'send_leave', { eventId, pdu }: SealedEvent) {
  return stub.call(a, 'PUT', `v1/${what}/${encodeURIComponent(room)}/${encodeURIComponent(eventId)}`, pdu);
}

describe('the first version of send_join and send_leave', () => {
  it('takes a member in and lets them go, and answers with a list', async () => {
    const joined = await send('send_join', await template('make_join'));
    expect(joined).toMatchObject({
      status: 200,
      body: [200, { state: expect.any(Array), auth_chain: expect.any(Array) }],
    });
    expect(await membershipOf(alice, room, stub.user('carol'))).toBe('join');
    const left = await send('send_leave', await template('make_leave'));
    expect(left).toEqual({ status: 200, body: [200, {}] });
    await settle(a);
    expect(await membershipOf(alice, room, stub.user('carol'))).toBe('leave');
  });

  it.each([
    ['send_join', { type: 'm.room.message' }],
    ['send_join', { content: { membership: 'leave' } }],
    ['send_leave', { content: { membership: 'join' } }],
  ] as const)('refuses in %s what is no such event: %j', async (what, more) => {
    expect((await send(what, await template('make_join', more))).status).toBe(400);
  });
});
