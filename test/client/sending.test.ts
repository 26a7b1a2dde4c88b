import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import {
  bodiesOf,
  encode,
  forbidden,
  getState,
  idsOf,
  inRoom,
  messages,
  newUser,
  newUsers,
  notFound,
  refusal,
} from './rooms-support.ts';

let server: TestServer;
let alice: TestUser;
let bob: TestUser;
let stranger: TestUser;
let roomId: string;

beforeAll(async () => {
  server = await TestServer.start();
  [alice, bob, stranger] = await newUsers(server, 'alice', 'bob', 'stranger');
  roomId = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(roomId);
});
afterAll(() => server.stop());

const text = (body: string) => ({ msgtype: 'm.text', body });
const send = (user: TestUser, room: string, transactionId: string, content: unknown, type = 'm.room.message') =>
  user.call('PUT', inRoom(room, 'send', type, transactionId), content);
const getEvent = (user: TestUser, room: string, eventId: string) => user.call('GET', inRoom(room, 'event', eventId));

describe('sending', () => {
  it('answers with the id of an event that says what was sent', async () => {
    const { status, body } = await send(alice, roomId, 'one', { ...text('hello'), 'org.example': { deep: [1, null] } });
    expect([status, Object.keys(body)]).toEqual([200, ['event_id']]);
    const event = await getEvent(bob, roomId, body.event_id);
    expect(event.body).toEqual({
      type: 'm.room.message',
      sender: alice.userId,
      room_id: roomId,
      event_id: body.event_id,
      origin_server_ts: server.clock.now(),
      content: { ...text('hello'), 'org.example': { deep: [1, null] } },
      unsigned: { age: 0, membership: 'join' },
    });
  });

  it('any type works, with and without content, on the old path too', async () => {
    expect((await send(alice, roomId, 'type', {}, 'org.example.type/ü ?')).status).toBe(200);
    expect((await alice.call('PUT', inRoom(roomId, 'send', 'org.example', 'empty'))).status).toBe(200);
    const old = await alice.call(
      'PUT',
      `/_matrix/client/r0${inRoom(roomId, 'send', 'm.room.message', 'old')}`,
      text('o'),
    );
    expect(old.status).toBe(200);
  });

  it('is for members: not for strangers, the invited, those who left, nor into rooms that do not exist', async () => {
    expect(refusal(await send(stranger, roomId, 't', text('x')))).toEqual(forbidden);
    await alice.invite(roomId, stranger.userId);
    expect(refusal(await send(stranger, roomId, 't', text('x')))).toEqual(forbidden);
    await stranger.join(roomId);
    expect((await send(stranger, roomId, 't', text('x'))).status).toBe(200);
    await stranger.leave(roomId);
    expect(refusal(await send(stranger, roomId, 't2', text('x')))).toEqual(forbidden);
    expect(refusal(await send(alice, `!none:${server.name}`, 't', text('x')))).toEqual(forbidden);
  });

  it('obeys the power levels', async () => {
    const room = await alice.createRoom({
      preset: 'public_chat',
      power_level_content_override: { events_default: 10, events: { 'test.open': 0 } },
    });
    await bob.join(room);
    expect(refusal(await send(bob, room, 'a', text('x')))).toEqual(forbidden);
    expect((await send(bob, room, 'b', {}, 'test.open')).status).toBe(200);
    expect((await send(alice, room, 'c', text('x'))).status).toBe(200);
  });

  it('what is too large is refused, and what just fits is not', async () => {
    const large = text('x'.repeat(66_000));
    expect(refusal(await send(alice, roomId, 'large', large))).toEqual([413, 'M_TOO_LARGE']);
    expect((await send(alice, roomId, 'large', text('x'.repeat(60_000)))).status).toBe(200);
    const state = inRoom(roomId, 'state', 'test.large');
    expect(refusal(await alice.call('PUT', state, large))).toEqual([413, 'M_TOO_LARGE']);
    expect(refusal(await alice.call('GET', state))).toEqual(notFound);
  });

  it('what canonical JSON cannot write is refused', async () => {
    for (const body of ['{"n":9007199254740992}', '{"n":-9007199254740992}', '{"n":1.1}', '{"n":"\\ud800"}']) {
      expect([body, ...refusal(await send(alice, roomId, 'bad', body))]).toEqual([body, 400, 'M_BAD_JSON']);
    }
    for (const body of ['{"n":Infinity}', '{"n":-Infinity}', '{"n":NaN}', '{"n":01}']) {
      expect([body, ...refusal(await send(alice, roomId, 'bad', body))]).toEqual([body, 400, 'M_NOT_JSON']);
    }
    expect((await send(alice, roomId, 'bad', '{"n":9007199254740991,"m":-9007199254740991,"e":1e3}')).status).toBe(200);
  });

  it('many at once gives each its own event, in one line', async () => {
    const room = await alice.createRoom();
    const answers = await Promise.all(Array.from({ length: 30 }, (_, n) => send(alice, room, `n${n}`, text(`${n}`))));
    const ids = answers.map(({ body }) => body.event_id);
    expect(new Set(ids).size).toBe(30);
    const { chunk } = await messages(alice, room);
    expect(idsOf(chunk).slice(0, 30).sort()).toEqual([...ids].sort());
  });
});

describe('a transaction id', () => {
  it('used again gives the same event, whatever the content', async () => {
    const first = await send(alice, roomId, 'same', text('first'));
    expect(await send(alice, roomId, 'same', text('first'))).toEqual(first);
    expect(await send(alice, roomId, 'same', text('second'))).toEqual(first);
    expect(bodiesOf((await messages(bob, roomId)).chunk).filter((body) => body === 'first')).toHaveLength(1);
  });

  it('used ten times at once gives one event', async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => send(alice, roomId, 'atonce', text('once'))));
    expect(new Set(answers.map(({ body }) => body.event_id)).size).toBe(1);
    expect(bodiesOf((await messages(bob, roomId)).chunk).filter((body) => body === 'once')).toHaveLength(1);
  });

  it('is another one on another device, in another room, for another type and for another user', async () => {
    const phone = await alice.newDevice();
    const other = await alice.createRoom();
    const answers = await Promise.all([
      send(alice, roomId, 'scope', text('x')),
      send(phone, roomId, 'scope', text('x')),
      send(alice, other, 'scope', text('x')),
      send(alice, roomId, 'scope', {}, 'test.other'),
      send(bob, roomId, 'scope', text('x')),
    ]);
    expect(new Set(answers.map(({ body }) => body.event_id)).size).toBe(5);
  });

  it('is the same one for a device that logged in anew', async () => {
    const first = (await send(alice, roomId, 'relogin', text('x'))).body.event_id;
    const again = await alice.ok('POST', '/login', {
      type: 'm.login.password',
      identifier: { type: 'm.id.user', user: alice.userId },
      password: 'correct horse',
      device_id: alice.deviceId,
    });
    alice.accessToken = again.access_token;
    expect((await send(alice, roomId, 'relogin', text('x'))).body.event_id).toBe(first);
    const event = await getEvent(alice, roomId, first);
    expect(event.body.unsigned.transaction_id).toBe('relogin');
  });

  it('is told to the device that sent it and to no other', async () => {
    const phone = await alice.newDevice();
    const eventId = (await send(alice, roomId, 'echo/ü %', text('x'))).body.event_id;
    for (const [user, expected] of [
      [alice, 'echo/ü %'],
      [phone, undefined],
      [bob, undefined],
    ] as const) {
      expect((await getEvent(user, roomId, eventId)).body.unsigned.transaction_id).toBe(expected);
      const { chunk } = await messages(user, roomId, { limit: '1' });
      expect([chunk[0].event_id, chunk[0].unsigned.transaction_id]).toEqual([eventId, expected]);
      const { rooms } = await user.sync();
      const shown = rooms.join[roomId].timeline.events.at(-1);
      expect([shown.event_id, shown.unsigned.transaction_id]).toEqual([eventId, expected]);
    }
  });

  it('of a send that was refused may be used again', async () => {
    const room = await alice.createRoom({ preset: 'public_chat' });
    expect((await send(bob, room, 'early', text('x'))).status).toBe(403);
    await bob.join(room);
    expect((await send(bob, room, 'early', text('now'))).status).toBe(200);
    expect(bodiesOf((await messages(bob, room)).chunk)).toEqual(['now']);
  });

  it('survives a restart', async () => {
    const own = await TestServer.start();
    const user = await own.register('restart');
    const room = await user.createRoom();
    const first = (await send(user, room, 'kept', text('x'))).body.event_id;
    const again = await own.restart();
    Object.assign(user, { url: again.url });
    expect((await send(user, room, 'kept', text('x'))).body.event_id).toBe(first);
    expect((await getEvent(user, room, first)).body.unsigned.transaction_id).toBe('kept');
    await again.stop();
  });
});

describe('state', () => {
  it('is set and read under its type and key, as content and as an event', async () => {
    const path = inRoom(roomId, 'state', 'test.kind', 'some/key ü');
    const { event_id: eventId } = await alice.ok('PUT', path, { a: 1 });
    expect(await bob.ok('GET', path)).toEqual({ a: 1 });
    expect(await bob.ok('GET', `${path}?format=content`)).toEqual({ a: 1 });
    const event = await bob.ok('GET', `${path}?format=event`);
    expect(event).toMatchObject({
      type: 'test.kind',
      state_key: 'some/key ü',
      event_id: eventId,
      room_id: roomId,
      sender: alice.userId,
      content: { a: 1 },
    });
    expect(refusal(await bob.call('GET', `${path}?format=other`))).toEqual([400, 'M_INVALID_PARAM']);
  });

  it('with the empty key answers with and without the slash at the end', async () => {
    const path = inRoom(roomId, 'state', 'test.empty');
    for (const [put, content] of [
      [path, { n: 1 }],
      [`${path}/`, { n: 2 }],
    ] as const) {
      await alice.ok('PUT', put, content);
      expect(await bob.ok('GET', path)).toEqual(content);
      expect(await bob.ok('GET', `${path}/`)).toEqual(content);
      expect((await bob.ok('GET', `${path}?format=event`)).state_key).toBe('');
    }
  });

  it('that is not there is not found, and other keys do not answer for it', async () => {
    await alice.setState(roomId, 'test.keyed', {}, 'a');
    expect(refusal(await getState(bob, roomId, 'test.keyed'))).toEqual(notFound);
    expect(refusal(await getState(bob, roomId, 'test.keyed', 'b'))).toEqual(notFound);
    expect((await getState(bob, roomId, 'test.keyed', 'a')).body).toEqual({});
  });

  it('is replaced, and the new event says by what', async () => {
    const first = await alice.setState(roomId, 'test.replaced', { n: 1 });
    const second = await alice.setState(roomId, 'test.replaced', { n: 2 });
    const { body } = await getEvent(bob, roomId, second);
    expect(body.unsigned).toMatchObject({
      prev_content: { n: 1 },
      prev_sender: alice.userId,
      replaces_state: first,
    });
    expect((await getEvent(bob, roomId, first)).body.unsigned.prev_content).toBeUndefined();
  });

  it('that says what holds already is answered with the event that holds', async () => {
    const first = await alice.setState(roomId, 'test.again', { n: 1, m: 2 });
    expect(await alice.setState(roomId, 'test.again', { m: 2, n: 1 })).toBe(first);
    expect(await alice.setState(roomId, 'test.again', { n: 1 })).not.toBe(first);
  });

  it('takes power, and keys that are a user’s belong to that user', async () => {
    const path = inRoom(roomId, 'state', 'test.power');
    expect(refusal(await bob.call('PUT', path, {}))).toEqual(forbidden);
    const room = await alice.createRoom({ preset: 'public_chat', power_level_content_override: { state_default: 0 } });
    await bob.join(room);
    expect((await bob.call('PUT', inRoom(room, 'state', 'test.own', bob.userId), {})).status).toBe(200);
    expect(refusal(await bob.call('PUT', inRoom(room, 'state', 'test.own', alice.userId), {}))).toEqual(forbidden);
    expect(refusal(await alice.call('PUT', inRoom(room, 'state', 'test.own', bob.userId), {}))).toEqual(forbidden);
  });

  it('is neither read nor written by strangers', async () => {
    const outsider = await newUser(server, 'outsider');
    for (const path of [inRoom(roomId, 'state'), inRoom(roomId, 'state', 'm.room.create')]) {
      expect(refusal(await outsider.call('GET', path))).toEqual(forbidden);
    }
    expect(refusal(await outsider.call('PUT', inRoom(roomId, 'state', 'test.x'), {}))).toEqual(forbidden);
    expect(refusal(await outsider.call('GET', inRoom(`!none:${server.name}`, 'state')))).toEqual(forbidden);
  });

  it('as a whole holds the current event of every key', async () => {
    const room = await alice.createRoom({ preset: 'public_chat', name: 'First', topic: 'T' });
    await alice.setState(room, 'm.room.name', { name: 'Second' });
    const state = await alice.ok('GET', inRoom(room, 'state'));
    const byType = new Map(state.map((event: { type: string }) => [event.type, event]));
    expect([...byType.keys()].sort()).toEqual([
      'm.room.create',
      'm.room.history_visibility',
      'm.room.join_rules',
      'm.room.member',
      'm.room.name',
      'm.room.power_levels',
      'm.room.topic',
    ]);
    expect(byType.get('m.room.name')).toMatchObject({ content: { name: 'Second' }, room_id: room });
  });

  it('that is a create event is refused', async () => {
    const answer = await alice.call('PUT', inRoom(roomId, 'state', 'm.room.create'), { x: 1 });
    expect(answer.status).toBe(400);
  });

  it('sent through /send stays no state', async () => {
    const answer = await send(alice, roomId, 'notstate', { topic: 'x' }, 'm.room.topic');
    expect(answer.status).toBe(200);
    expect((await getEvent(bob, roomId, answer.body.event_id)).body.state_key).toBeUndefined();
    expect(refusal(await getState(bob, roomId, 'm.room.topic'))).toEqual(notFound);
  });
});

describe('power levels', () => {
  it('may be lowered for everybody by whoever stands as high as the default', async () => {
    const room = await alice.createRoom({
      power_level_content_override: { users_default: 100, users: { [alice.userId]: 100 }, events: {} },
    });
    const next = { users_default: 40, users: { [alice.userId]: 100 }, events: {}, notifications: {} };
    await alice.setState(room, 'm.room.power_levels', next);
    expect((await getState(alice, room, 'm.room.power_levels')).body).toEqual(next);
  });

  it('that give the sender’s power away are final', async () => {
    const room = await alice.createRoom();
    await alice.setState(room, 'm.room.power_levels', {});
    const path = inRoom(room, 'state', 'm.room.power_levels');
    expect(refusal(await alice.call('PUT', path, { users: {} }))).toEqual(forbidden);
    expect((await alice.ok('GET', path)).users).toBeUndefined();
  });

  it('above the sender’s own cannot be given', async () => {
    const room = await alice.createRoom();
    const path = inRoom(room, 'state', 'm.room.power_levels');
    const users = { [alice.userId]: 100, [bob.userId]: 101 };
    expect(refusal(await alice.call('PUT', path, { users }))).toEqual(forbidden);
    users[bob.userId] = 100;
    expect((await alice.call('PUT', path, { users })).status).toBe(200);
    expect(refusal(await alice.call('PUT', path, { users: { [alice.userId]: 100, [bob.userId]: 0 } }))).toEqual(
      forbidden,
    );
  });

  it.each([
    { users: { 'not a user': 1 } },
    { users: { '@a:b': '50' } },
    { users: { '@a:b': 1.5 } },
    { users: [] },
    { events: 'x' },
    { ban: true },
    { users: { '@a:b': 9007199254740992 } },
    { notifications: { room: '50' } },
  ])('that are none are refused: %j', async (content) => {
    const answer = await alice.call('PUT', inRoom(roomId, 'state', 'm.room.power_levels'), content);
    expect(refusal(answer)).toEqual([400, 'M_BAD_JSON']);
  });
});

describe('a redaction', () => {
  const redact = (user: TestUser, eventId: string, transactionId: string, body: unknown = {}, room = roomId) =>
    user.call('PUT', inRoom(room, 'redact', eventId, transactionId), body);

  it('takes the content and leaves the event, which says by whom and why', async () => {
    const eventId = await alice.say(roomId, 'regretted');
    const { body } = await redact(alice, eventId, 'r1', { reason: 'typo' });
    for (const user of [alice, bob]) {
      const event = (await getEvent(user, roomId, eventId)).body;
      expect([event.content, event.type, event.sender]).toEqual([{}, 'm.room.message', alice.userId]);
      expect(event.unsigned.redacted_because).toMatchObject({
        event_id: body.event_id,
        type: 'm.room.redaction',
        sender: alice.userId,
        content: { reason: 'typo' },
      });
      const { chunk } = await messages(user, roomId, { limit: '2' });
      expect(idsOf(chunk)).toEqual([body.event_id, eventId]);
      expect(chunk[1].content).toEqual({});
    }
    const redaction = (await getEvent(bob, roomId, body.event_id)).body;
    expect([redaction.redacts, redaction.content]).toEqual([eventId, { reason: 'typo', redacts: eventId }]);
  });

  it('names its target in the event and in the content, in every room version', async () => {
    for (const version of ['10', '11', '12']) {
      const room = await alice.createRoom({ room_version: version });
      const eventId = await alice.say(room, 'x');
      const redactionId = (await redact(alice, eventId, 't', {}, room)).body.event_id;
      const { body } = await getEvent(alice, room, redactionId);
      expect([version, body.redacts]).toEqual([version, eventId]);
      expect((await getEvent(alice, room, eventId)).body.content).toEqual({});
      const { rooms } = await alice.sync();
      const shown = rooms.join[room].timeline.events.at(-1);
      expect([shown.event_id, shown.redacts]).toEqual([redactionId, eventId]);
    }
  });

  it('with the same transaction id is one event; for another target another', async () => {
    const [first, second] = [await alice.say(roomId, '1'), await alice.say(roomId, '2')];
    const one = await redact(alice, first, 'same');
    expect(await redact(alice, first, 'same')).toEqual(one);
    expect((await redact(alice, second, 'same')).body.event_id).not.toBe(one.body.event_id);
  });

  it('of one’s own event needs no power; of another’s it does', async () => {
    const bobs = await bob.say(roomId, 'mine');
    const alices = await alice.say(roomId, 'hers');
    expect((await redact(bob, bobs, 'own')).status).toBe(200);
    expect(refusal(await redact(bob, alices, 'hers'))).toEqual(forbidden);
    expect((await getEvent(bob, roomId, alices)).body.content).toEqual(text('hers'));
    const again = await bob.say(roomId, 'moderated');
    expect((await redact(alice, again, 'mod')).status).toBe(200);
    expect((await getEvent(bob, roomId, again)).body.content).toEqual({});
  });

  it('of state keeps what the room needs and takes the rest', async () => {
    const room = await alice.createRoom({ preset: 'public_chat', name: 'Name' });
    const nameId = (await alice.ok('GET', `${inRoom(room, 'state', 'm.room.name')}?format=event`)).event_id;
    await redact(alice, nameId, 'name', {}, room);
    expect((await getState(alice, room, 'm.room.name')).body).toEqual({});
    await alice.setState(room, 'm.room.join_rules', { join_rule: 'public', extra: 1 });
    const rulesId = (await alice.ok('GET', `${inRoom(room, 'state', 'm.room.join_rules')}?format=event`)).event_id;
    await redact(alice, rulesId, 'rules', {}, room);
    expect((await getState(alice, room, 'm.room.join_rules')).body).toEqual({ join_rule: 'public' });
  });

  it('a second time changes nothing of the first', async () => {
    const eventId = await alice.say(roomId, 'x');
    await redact(alice, eventId, 'first', { reason: 'one' });
    await redact(alice, eventId, 'second', { reason: 'two' });
    const { unsigned } = (await getEvent(bob, roomId, eventId)).body;
    expect(unsigned.redacted_because.content.reason).toBe('one');
  });

  it('of what a room cannot be without is refused', async () => {
    for (const version of ['10', '12']) {
      const room = await alice.createRoom({ room_version: version });
      await alice.setState(room, 'm.room.server_acl', { allow: ['*'] });
      for (const type of ['m.room.create', 'm.room.server_acl']) {
        const event = await alice.ok('GET', `${inRoom(room, 'state', type)}?format=event`);
        expect([type, ...refusal(await redact(alice, event.event_id, type, {}, room))]).toEqual([type, ...forbidden]);
      }
    }
  });

  it('of a member event takes the name from the room, the lists of members included', async () => {
    const room = await alice.createRoom({ preset: 'public_chat' });
    await bob.ok('POST', inRoom(room, 'join'), { displayname: 'Rude', avatar_url: 'mxc://a.test/rude' });
    const path = inRoom(room, 'state', 'm.room.member', bob.userId);
    const { event_id: eventId } = await alice.ok('GET', `${path}?format=event`);
    await redact(alice, eventId, 'member', {}, room);
    expect(await alice.ok('GET', path)).toEqual({ membership: 'join' });
    const { joined } = await alice.ok('GET', inRoom(room, 'joined_members'));
    expect(joined[bob.userId]).toEqual({ display_name: null, avatar_url: null });
    expect((await bob.ok('GET', '/joined_rooms')).joined_rooms).toContain(room);
  });

  it('is for members', async () => {
    const eventId = await alice.say(roomId, 'x');
    const outsider = await newUser(server, 'outsider');
    expect(refusal(await redact(outsider, eventId, 't'))).toEqual(forbidden);
    expect(refusal(await redact(alice, 'no event', 't'))).toEqual([400, 'M_INVALID_PARAM']);
    expect(refusal(await redact(alice, eventId, 't', { reason: 7 }))).toEqual([400, 'M_BAD_JSON']);
  });

  it('of an event in another room changes nothing there', async () => {
    const room = await alice.createRoom();
    const eventId = await alice.say(roomId, 'elsewhere');
    await redact(alice, eventId, 'cross', {}, room);
    expect((await getEvent(alice, roomId, eventId)).body.content).toEqual(text('elsewhere'));
  });

  it('sent as an event of its own is one too', async () => {
    const eventId = await alice.say(roomId, 'x');
    await alice.send(roomId, 'm.room.redaction', { redacts: eventId });
    expect((await getEvent(bob, roomId, eventId)).body.content).toEqual({});
  });
});

it('a path with encoded slashes and a plain one name the same room', async () => {
  const plain = `/rooms/${roomId}/send/m.room.message/plain`;
  const encoded = `/rooms/${encode(roomId)}/send/m.room.message/plain`;
  const first = await alice.call('PUT', plain, text('x'));
  expect(await alice.call('PUT', encoded, text('x'))).toEqual(first);
});
