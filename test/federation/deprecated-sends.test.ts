import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { redactJson } from '../../src/engine/event/redact.ts';
import type { JsonObject } from '../../src/matrix/pdu.ts';
import { getRoomVersion } from '../../src/matrix/room-versions.ts';
import { signJson } from '../../src/signing/sign-json.ts';
import { HostileReply, HostileServer } from '../support/hostile-server.ts';
import { settle, TestServer } from '../support/server.ts';
import { type SealedEvent, StubRoom, seal } from '../support/stub-room.ts';
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

describe('the first version of invite', () => {
  const mallory = () => stub.user('mallory');

  function inviteFrom(version: string, state: (there: StubRoom) => JsonObject[]) {
    const there = StubRoom.create(stub, { creator: mallory(), nowMs: () => a.clock.now(), version });
    const content = { membership: 'invite' };
    const invite = there.build({ type: 'm.room.member', sender: mallory(), state_key: alice.userId, content });
    const unsigned = { invite_room_state: state(there) };
    const path = `v1/invite/${encodeURIComponent(there.roomId)}/${encodeURIComponent(invite.eventId)}`;
    return { there, invite, answer: stub.call(a, 'PUT', path, { ...invite.pdu, unsigned }) };
  }

  it.each(['1', '2'])('is of a room of version 1 or 2, such as %s, and answered with a list', async (version) => {
    const { there, invite, answer } = inviteFrom(version, (room) => room.stateList());
    const { status, body } = await answer;
    expect([status, body[0], Object.keys(body[1])]).toEqual([200, 200, ['event']]);
    expect(body[1].event).toMatchObject({ event_id: invite.eventId, hashes: invite.pdu.hashes as JsonObject });
    expect(Object.keys(body[1].event.signatures).sort()).toEqual([a.name, stub.name].sort());
    const shown = (await alice.ok('GET', '/sync?timeout=0')).rooms.invite[there.roomId].invite_state.events;
    expect(shown.map(({ type }: JsonObject) => type)).toEqual(
      expect.arrayContaining(['m.room.create', 'm.room.member']),
    );
  });

  it('may say nothing about the room', async () => {
    const { there, answer } = inviteFrom('1', () => []);
    expect((await answer).status).toBe(200);
    expect((await alice.ok('GET', '/sync?timeout=0')).rooms.invite).toHaveProperty([there.roomId]);
  });

  it('is refused for a room of any other version', async () => {
    const { there, answer } = inviteFrom('11', (room) => room.stateList());
    expect(await answer).toMatchObject({ status: 400, body: { errcode: 'M_INCOMPATIBLE_ROOM_VERSION' } });
    // Without a word about the version it is of version 1, and this event is none of that.
    expect(await inviteFrom('11', () => []).answer).toMatchObject({ status: 400, body: { errcode: 'M_BAD_JSON' } });
    expect((await alice.ok('GET', '/sync?timeout=0')).rooms.invite).not.toHaveProperty([there.roomId]);
  });

  it.each<[string, number, string[]]>([
    ['1', 200, ['v2', 'v1']],
    ['2', 200, ['v2', 'v1']],
    ['3', 404, ['v2']],
    ['11', 404, ['v2']],
  ])('is what an older server is asked in a room of version %s: %i', async (version, status, asked) => {
    const own = await alice.createRoom({ preset: 'private_chat', room_version: version, name: 'theirs' });
    stub.requests.length = 0;
    stub.on('invite', ({ version: endpoint, body }) => {
      if (endpoint === 'v2') return new HostileReply(404, { errcode: 'M_UNRECOGNIZED', error: 'what is that?' });
      const { unsigned, ...event } = body;
      const { signatures } = signJson(redactJson(event, getRoomVersion(version)), stub.signer);
      return new HostileReply(200, JSON.stringify([200, { event: { ...event, signatures } }]));
    });
    const invited = await alice.call('POST', `/rooms/${encodeURIComponent(own)}/invite`, { user_id: mallory() });
    expect(invited.status === 200).toBe(status === 200);
    expect(stub.asked('invite').map((request) => request.version)).toEqual(asked);
    expect(await membershipOf(alice, own, mallory())).toBe(status === 200 ? 'invite' : undefined);
    if (status !== 200) return;
    const names = stub.asked('invite')[1]?.body.unsigned.invite_room_state.map(({ type }: JsonObject) => type);
    expect(names).toEqual(expect.arrayContaining(['m.room.create', 'm.room.name']));
  });
});
