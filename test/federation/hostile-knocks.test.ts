import { describe, expect, it } from 'vitest';
import { getRoomVersion } from '../../src/matrix/room-versions.ts';
import { type SealedEvent, StubRoom, seal } from '../support/stub-room.ts';
import { membershipOf } from './rooms.ts';
import { a, alice, encoded, mallory, member, stub, third, useHostileServers } from './visit.ts';

useHostileServers();

const version = getRoomVersion('11');

async function closedRoom(joinRule = 'knock'): Promise<string> {
  return alice.createRoom({
    room_version: '11',
    initial_state: [{ type: 'm.room.join_rules', content: { join_rule: joinRule } }],
  });
}

const make = (roomId: string, userId: string = mallory, query = '?ver=11') =>
  stub.call(a, 'GET', `v1/make_knock/${encoded(roomId, userId)}`, undefined, { query });

/** A knock as the template has it, but for what is changed. */
async function build(roomId: string, more: Record<string, unknown> = {}, signers = [stub.signer]) {
  const { body } = await make(roomId);
  const event = { ...body.event, origin_server_ts: a.clock.now(), ...more };
  return seal(event, version, { signers });
}

const send = (roomId: string, event: SealedEvent, eventId: string = event.eventId) =>
  stub.call(a, 'PUT', `v1/send_knock/${encoded(roomId, eventId)}`, event.pdu);

describe('a knock that another server brings', () => {
  it('is taken with a template of ours, and answered with what the room says of itself, as PDUs', async () => {
    const roomId = await closedRoom();
    const { body } = await make(roomId);
    expect(body).toMatchObject({
      room_version: '11',
      event: {
        type: 'm.room.member',
        room_id: roomId,
        sender: mallory,
        state_key: mallory,
        content: { membership: 'knock' },
      },
    });
    const answer = await send(roomId, await build(roomId));
    expect(answer.status).toBe(200);
    const types = answer.body.knock_room_state.map(({ type }: { type: string }) => type);
    expect(types.sort()).toEqual(['m.room.create', 'm.room.join_rules']);
    expect(answer.body.knock_room_state[0].signatures).toBeDefined();
    expect(await membershipOf(alice, roomId, mallory)).toBe('knock');
  });

  it('gets no template where it may not knock', async () => {
    const roomId = await closedRoom();
    expect((await make(roomId, third.user('trent'))).status).toBe(403);
    expect((await make(roomId, alice.userId)).status).toBe(403);
    expect(await make(roomId, mallory, '?ver=6&ver=7')).toMatchObject({
      status: 400,
      body: { errcode: 'M_INCOMPATIBLE_ROOM_VERSION', room_version: '11' },
    });
    expect(await make(roomId, mallory, '')).toMatchObject({ status: 400 });
    expect(await make(`!none:${a.name}`)).toMatchObject({ status: 404, body: { errcode: 'M_NOT_FOUND' } });
    expect(await make(await closedRoom('invite'))).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } });
    await alice.setState(roomId, 'm.room.server_acl', { allow: ['*'], deny: [stub.name.replace(/:\d+$/, '')] });
    expect(await make(roomId)).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } });
  });

  it('is refused when it is anything else, and nothing of it stays', async () => {
    const roomId = await closedRoom();
    const good = await build(roomId);
    const bad = { status: 400 };
    for (const content of [{ membership: 'join' }, { membership: 'invite' }, { membership: 'leave' }, {}]) {
      expect(await send(roomId, await build(roomId, { content }))).toMatchObject(bad);
    }
    expect(await send(roomId, await build(roomId, { type: 'm.room.message' }))).toMatchObject(bad);
    expect(await send(roomId, await build(roomId, { state_key: third.user('trent') }))).toMatchObject(bad);
    expect(await send(roomId, good, '$other')).toMatchObject(bad);
    expect(await send(await closedRoom(), good)).toMatchObject(bad);
    const trent = third.user('trent');
    const forged = await build(roomId, { sender: trent, state_key: trent }, [third.signer]);
    expect(await send(roomId, forged)).toMatchObject({ status: 403 });
    expect(await send(roomId, await build(roomId, {}, [third.signer]))).toMatchObject({ status: 403 });
    await alice.setState(roomId, 'm.room.join_rules', { join_rule: 'invite' });
    expect(await send(roomId, good)).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } });
    expect(await membershipOf(alice, roomId, mallory)).toBeUndefined();
  });
});

describe('a knock of ours on a hostile room', () => {
  /** A room of mallory's that takes knocks. */
  function open(): StubRoom {
    const there = StubRoom.create(stub, { creator: mallory, nowMs: () => a.clock.now() });
    there.add({ type: 'm.room.join_rules', sender: mallory, state_key: '', content: { join_rule: 'knock' } });
    return there;
  }
  const knock = (roomId: string) =>
    alice.call('POST', `/knock/${encodeURIComponent(roomId)}?via=${encodeURIComponent(stub.name)}`, {});
  const knocked = async () => Object.keys((await alice.ok('GET', '/sync?timeout=0')).rooms?.knock ?? {});

  /** Serves the room; what it was sent. */
  function serve(there: StubRoom, template: Record<string, unknown> = {}): SealedEvent['pdu'][] {
    const sent: SealedEvent['pdu'][] = [];
    stub.on('make_knock', ({ rest }) => {
      const { pdu } = there.build(member(rest[1] ?? '', 'knock'), { signers: [] });
      const { signatures, hashes, ...event } = pdu;
      return { room_version: '11', event: { ...event, ...template } };
    });
    stub.on('send_knock', ({ body }) => {
      sent.push(body);
      return { knock_room_state: [...there.stateList(), { type: 7 }, 'x'] as never };
    });
    return sent;
  }

  it('is kept with what is state of all that it is told', async () => {
    const there = open();
    serve(there);
    expect((await knock(there.roomId)).status).toBe(200);
    expect(await knocked()).toContain(there.roomId);
  });

  it.each([
    ['another user', { sender: '@trent:else.test', state_key: '@trent:else.test' }],
    ['another membership', { content: { membership: 'join' } }],
    ['another type', { type: 'm.room.power_levels' }],
    ['another room', { room_id: '!other:else.test' }],
  ])('is not signed where the template is for %s', async (_, template) => {
    const there = open();
    const sent = serve(there, template);
    expect((await knock(there.roomId)).status).toBe(502);
    expect(sent).toEqual([]);
    expect(await knocked()).not.toContain(there.roomId);
  });

  it('is ended only by an event that refers to it, of the server that sends it', async () => {
    const there = open();
    const [pdu] = [serve(there)];
    await knock(there.roomId);
    const [sent] = pdu;
    if (!sent) throw new Error('nothing was sent');
    const ours = await a.running.lantern.storage.rooms.findMembership(there.roomId as never, alice.userId as never);
    const kick = (sender: string, refers: boolean) => {
      const built = there.build({ ...member(alice.userId, 'leave'), sender: sender as never }, { signers: [] }).pdu;
      const auth = refers ? [...(built.auth_events as string[]), ours?.eventId as string] : built.auth_events;
      return { ...built, auth_events: auth };
    };
    const push = async (event: Record<string, unknown>, server = stub) => {
      await server.send(a, { pdus: [seal(event as never, version, { signers: [server.signer] }).pdu] });
      return (await knocked()).includes(there.roomId);
    };
    expect(await push(kick(mallory, false))).toBe(true);
    expect(await push(kick(third.user('trent'), true))).toBe(true);
    expect(await push(kick(mallory, true))).toBe(false);
  });
});
