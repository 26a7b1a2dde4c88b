import { beforeEach, describe, expect, it } from 'vitest';
import { settle } from '../support/server.ts';
import { type SealedEvent, StubRoom, seal, unknownId } from '../support/stub-room.ts';
import { membershipOf, mindOf, path } from './rooms.ts';
import { a, alice, encoded, mallory, member, stub, third, useHostileServers } from './visit.ts';

useHostileServers();

describe('a hostile server at the door of our rooms', () => {
  let room: string;
  beforeEach(async () => {
    room = await alice.createRoom({ preset: 'public_chat' });
  });

  const makeJoin = (roomId: string, userId: string, query = '?ver=11') =>
    stub.call(a, 'GET', `v1/make_join/${encoded(roomId, userId)}`, undefined, { query });
  const send = (what: string, roomId: string, event: SealedEvent, eventId: string = event.eventId) =>
    stub.call(a, 'PUT', `v2/${what}/${encoded(roomId, eventId)}`, event.pdu);

  it('gets no template for a user of another server, a room that is not ours, or a version it does not know', async () => {
    expect(await makeJoin(room, third.user('trent'))).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } });
    expect(await makeJoin(room, alice.userId)).toMatchObject({ status: 403 });
    expect(await makeJoin(`!none:${a.name}`, mallory)).toMatchObject({ status: 404, body: { errcode: 'M_NOT_FOUND' } });
    const incompatible = { status: 400, body: { errcode: 'M_INCOMPATIBLE_ROOM_VERSION', room_version: '11' } };
    expect(await makeJoin(room, mallory, '?ver=10&ver=9')).toMatchObject(incompatible);
    expect(await makeJoin(room, mallory, '')).toMatchObject(incompatible);
    expect((await makeJoin('not-a-room', mallory)).status).toBe(400);
    expect((await makeJoin(room, 'mallory')).status).toBe(400);
    const closed = await alice.createRoom({ preset: 'private_chat' });
    expect(await makeJoin(closed, mallory)).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } });
  });

  it('gets no template for who is banned', async () => {
    await alice.ok('POST', path(room, 'ban'), { user_id: mallory });
    expect(await makeJoin(room, mallory)).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } });
  });

  it('brings nobody in but by a good join', async () => {
    const guest = await StubRoom.join(stub, a, room, mallory);
    const joiner = stub.user('joiner');
    const before = await mindOf(a, room);
    const good = guest.build(member(joiner, 'join'));
    const bad = { status: 400 };
    const no = { status: 403, body: { errcode: 'M_FORBIDDEN' } };
    expect(await send('send_join', room, good, '$another')).toMatchObject(bad);
    expect(await send('send_join', `!none:${a.name}`, good)).toMatchObject({ status: 404 });
    expect(await send('send_join', room, guest.build(member(joiner, 'leave')))).toMatchObject(bad);
    expect(await send('send_join', room, guest.build(member(joiner, 'invite')))).toMatchObject(bad);
    expect(await send('send_join', room, guest.build({ ...member(joiner, 'join'), state_key: mallory }))).toMatchObject(
      bad,
    );
    expect(
      await send('send_join', room, guest.build({ ...member(joiner, 'join'), type: 'm.room.name' })),
    ).toMatchObject(bad);
    expect(
      await send('send_join', room, guest.build({ ...member(joiner, 'join'), room_id: `!x:${a.name}` })),
    ).toMatchObject(bad);
    expect(await send('send_join', room, { eventId: good.eventId, pdu: { a: 1 } })).toMatchObject(bad);
    expect(await send('send_join', room, guest.build(member(third.user('trent'), 'join')))).toMatchObject(no);
    expect(await send('send_join', room, guest.build(member(joiner, 'join'), { signers: [] }))).toMatchObject(no);
    expect(
      await send('send_join', room, guest.build(member(joiner, 'join'), { signers: [third.signer] })),
    ).toMatchObject(no);
    const lost = guest.build({ ...member(joiner, 'join'), prev_events: [unknownId()] });
    expect((await send('send_join', room, lost)).status).toBeGreaterThanOrEqual(400);
    const noPermission = guest.build({ ...member(joiner, 'join'), auth_events: [] });
    expect(await send('send_join', room, noPermission)).toMatchObject(no);
    expect(await mindOf(a, room)).toEqual(before);
    expect((await send('send_join', room, good)).status).toBe(200);
    expect(await membershipOf(alice, room, joiner)).toBe('join');
    // The same again does no harm.
    expect((await send('send_join', room, good)).status).toBe(200);
  });

  it('cannot join by an old state in which it was not banned yet', async () => {
    const guest = await StubRoom.join(stub, a, room, mallory);
    const joiner = stub.user('banned');
    const old = guest.build(member(joiner, 'join'));
    await alice.ok('POST', path(room, 'ban'), { user_id: joiner });
    expect(await send('send_join', room, old)).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } });
    expect(await membershipOf(alice, room, joiner)).toBe('ban');
    expect((await mindOf(a, room)).joined).not.toContain(joiner);
  });

  it('gets nobody into a restricted room by naming one of ours who would vouch', async () => {
    const club = await alice.createRoom({ preset: 'public_chat' });
    const content = { join_rule: 'restricted', allow: [{ type: 'm.room_membership', room_id: club }] };
    const initialState = [{ type: 'm.room.join_rules', state_key: '', content }];
    const closed = await alice.createRoom({ preset: 'private_chat', initial_state: initialState });
    await StubRoom.join(stub, a, club, mallory);
    const guest = await StubRoom.join(stub, a, closed, mallory);
    const joiner = stub.user('outsider');
    const vouched = guest.build(member(joiner, 'join', { join_authorised_via_users_server: alice.userId }));
    expect(await send('send_join', closed, vouched)).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } });
    expect(await membershipOf(alice, closed, joiner)).toBeUndefined();
    await StubRoom.join(stub, a, club, joiner);
    expect((await send('send_join', closed, vouched)).status).toBe(200);
    expect(await membershipOf(alice, closed, joiner)).toBe('join');
  });

  it('takes nobody out but its own, by a good leave', async () => {
    const guest = await StubRoom.join(stub, a, room, mallory);
    const before = await mindOf(a, room);
    const make = await stub.call(a, 'GET', `v1/make_leave/${encoded(room, alice.userId)}`);
    expect(make).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } });
    const stranger = await stub.call(a, 'GET', `v1/make_leave/${encoded(room, stub.user('stranger'))}`);
    expect(stranger).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } });
    expect((await send('send_leave', room, guest.build(member(alice.userId, 'leave')))).status).toBe(403);
    expect((await send('send_leave', room, guest.build(member(mallory, 'join')))).status).toBe(400);
    expect(
      (await send('send_leave', room, guest.build({ ...member(mallory, 'leave'), state_key: alice.userId }))).status,
    ).toBe(400);
    expect((await send('send_leave', room, guest.build(member(mallory, 'leave'), { signers: [] }))).status).toBe(403);
    expect(await mindOf(a, room)).toEqual(before);
    const template = await stub.call(a, 'GET', `v1/make_leave/${encoded(room, mallory)}`);
    const leave = seal(template.body.event, guest.version, { signers: [stub.signer] });
    expect(await send('send_leave', room, leave)).toEqual({ status: 200, body: {} });
    expect(await membershipOf(alice, room, mallory)).toBe('leave');
  });

  it('reads nothing of a room that it is not in', async () => {
    const [end = ''] = (await mindOf(a, room)).extremities;
    const event = encodeURIComponent(end);
    const id = encodeURIComponent(room);
    const ask = (what: string, query = '') => stub.call(a, 'GET', `v1/${what}`, undefined, { query });
    const all = async (eventId: string) => {
      const about = encodeURIComponent(eventId);
      const answers = await Promise.all([
        ask(`event/${about}`),
        ask(`state/${id}`, `?event_id=${about}`),
        ask(`state_ids/${id}`, `?event_id=${about}`),
        ask(`event_auth/${id}/${about}`),
        stub.call(a, 'POST', `v1/get_missing_events/${id}`, { earliest_events: [], latest_events: [eventId] }),
        ask(`backfill/${id}`, `?v=${about}&limit=10`),
      ]);
      return answers.map(({ status }) => status);
    };
    expect(await all(end)).toEqual([403, 403, 403, 403, 403, 403]);
    await StubRoom.join(stub, a, room, mallory);
    expect(await all(end)).toEqual([200, 200, 200, 200, 200, 200]);
    const other = encodeURIComponent(await alice.createRoom({ preset: 'private_chat' }));
    const across = await ask(
      `state/${id}`,
      `?event_id=${encodeURIComponent((await mindOf(a, decodeURIComponent(other))).extremities[0] ?? '')}`,
    );
    expect(across.status).toBe(404);
    expect((await ask(`state/${encodeURIComponent(`!none:${a.name}`)}`, `?event_id=${event}`)).status).toBe(404);
    expect((await ask(`event/${encodeURIComponent('$none')}`)).status).toBe(404);
    expect((await ask(`state/${id}`)).status).toBe(400);
    expect((await ask(`backfill/${id}`, `?v=${event}`)).status).toBe(400);
    expect((await ask(`backfill/${id}`, `?v=${event}&limit=-1`)).status).toBe(400);
    expect((await stub.call(a, 'POST', `v1/get_missing_events/${id}`, { latest_events: 'x' })).status).toBe(400);
    await alice.ok('POST', path(room, 'kick'), { user_id: mallory });
    // What was here while it was in, it may ask about as it could then, to judge the kick; it leafs through history no more.
    expect(await all(end)).toEqual([200, 200, 200, 200, 200, 403]);
    expect(await all(await alice.say(room, 'among us'))).toEqual([403, 403, 403, 403, 403, 403]);
  });

  it('is kept out of everything by the access control list of the room', async () => {
    const guest = await StubRoom.join(stub, a, room, mallory);
    const [end = ''] = (await mindOf(a, room)).extremities;
    await alice.setState(room, 'm.room.server_acl', { allow: ['*'], deny: ['127.*'] });
    await settle(a);
    const before = await mindOf(a, room);
    const id = encodeURIComponent(room);
    const event = encodeURIComponent(end);
    const ask = (what: string, query = '') => stub.call(a, 'GET', `v1/${what}`, undefined, { query });
    const carla = await a.register('carla');
    const invite = guest.build({ ...member(carla.userId, 'invite'), sender: mallory });
    const answers = await Promise.all([
      makeJoin(room, stub.user('next')),
      ask(`make_leave/${encoded(room, mallory)}`),
      send('send_join', room, guest.build(member(stub.user('next'), 'join'))),
      send('send_leave', room, guest.build(member(mallory, 'leave'))),
      stub.call(a, 'PUT', `v2/invite/${encoded(room, invite.eventId)}`, { event: invite.pdu, room_version: '11' }),
      ask(`state/${id}`, `?event_id=${event}`),
      ask(`state_ids/${id}`, `?event_id=${event}`),
      ask(`backfill/${id}`, `?v=${event}&limit=10`),
      ask(`event_auth/${id}/${event}`),
      stub.call(a, 'POST', `v1/get_missing_events/${id}`, { earliest_events: [], latest_events: [end] }),
    ]);
    const no = { status: 403, body: { errcode: 'M_FORBIDDEN' } };
    for (const answer of answers) expect(answer).toMatchObject(no);
    const said = guest.build({ type: 'm.room.message', sender: mallory, content: { body: 'let me in' } });
    const answer = await stub.send(a, { pdus: [said.pdu] });
    expect(answer.body.pdus[said.eventId]?.error).toEqual(expect.any(String));
    expect(await mindOf(a, room)).toEqual(before);
  });
});
