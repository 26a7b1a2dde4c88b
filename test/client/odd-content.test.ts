import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestServer } from '../support/server.ts';
import { TestUser } from '../support/user.ts';
import { encode, getState, inRoom, type Json, messages, newUser, newUsers } from './rooms-support.ts';

/** What is odd but allowed must come back as it was sent, by every way it can come. */
let server: TestServer;
let alice: TestUser;
let bob: TestUser;
let roomId: string;

beforeAll(async () => {
  server = await TestServer.start({ config: { presence: { enabled: false } } });
  [alice, bob] = await newUsers(server, 'alice', 'bob');
  roomId = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(roomId);
});
afterAll(() => server.stop());

const nested = (depth: number): string => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;

/** JSON texts, for what no object literal can say. */
const contents: [string, string][] = [
  ['a key named __proto__', '{"__proto__":{"polluted":true},"constructor":1,"toString":null,"hasOwnProperty":[]}'],
  ['control characters', '{"body":"a\\u0000b\\u0001\\u001f\\u007f\\u2028\\u2029\\ufeff"}'],
  ['a key of control characters', '{"\\u0000":"\\u0000"}'],
  ['characters beyond the basic plane', '{"🤨老虎":"𝒳🏳️‍🌈e\\u0301","\\ud83e\\udd28":1}'],
  ['the largest and smallest integers', '{"max":9007199254740991,"min":-9007199254740991,"zero":0}'],
  ['keys that look like numbers', '{"10":1,"9":2,"-1":3,"1e3":4,"":5}'],
  ['nesting of 90 levels', nested(90)],
  ['quotes and slashes', '{"body":"\\"\\\\/</script>\\u003c"}'],
  ['text that looks like JSON', '{"body":"},\\"unsigned\\":{\\"age\\":1},\\"x\\":{"}'],
  ['fields of an event', '{"event_id":"$x","sender":"@x:y","unsigned":{"a":1},"room_id":"!x:y","redacts":7}'],
  ['every kind of value', '{"a":[null,true,false,0,"",[],{}],"b":{}}'],
];

describe.each(contents)('content with %s', (_, text) => {
  const expected = JSON.parse(text);

  it('is sent and read as an event and as state', async () => {
    const { event_id: eventId } = await alice.ok('PUT', inRoom(roomId, 'send', 'test.odd', `t${text.length}`), text);
    expect((await bob.ok('GET', inRoom(roomId, 'event', eventId))).content).toEqual(expected);
    expect((await messages(bob, roomId, { limit: '1' })).chunk[0].content).toEqual(expected);
    const { events } = (await bob.sync()).rooms.join[roomId].timeline;
    expect(events.at(-1)).toMatchObject({ event_id: eventId, sender: alice.userId, type: 'test.odd' });
    expect(events.at(-1).content).toEqual(expected);
    const stateKey = text.slice(0, 100);
    await alice.ok('PUT', inRoom(roomId, 'state', 'test.odd', stateKey), text);
    expect((await getState(bob, roomId, 'test.odd', stateKey)).body).toEqual(expected);
    expect((await getState(bob, roomId, 'test.odd', stateKey.slice(1))).status).toBe(404);
  });

  it('is kept as account data, global and per room', async () => {
    for (const path of ['', `/rooms/${encode(roomId)}`]) {
      const whole = `/user/${encode(alice.userId)}${path}/account_data/test.odd`;
      await alice.ok('PUT', whole, text);
      expect(await alice.ok('GET', whole)).toEqual(expected);
    }
    const body = await alice.sync();
    const find = (events: Json[]): Json => events.find(({ type }) => type === 'test.odd').content;
    expect(find(body.account_data.events)).toEqual(expected);
    expect(find(body.rooms.join[roomId].account_data.events)).toEqual(expected);
  });
});

it('of two equal keys the last one counts, and minus zero is zero', async () => {
  const { event_id: eventId } = await alice.ok(
    'PUT',
    inRoom(roomId, 'send', 'test.odd', 'dup'),
    '{"a":1,"a":2,"z":-0}',
  );
  const response = await fetch(`${server.url}/_matrix/client/v3${inRoom(roomId, 'event', eventId)}`, {
    headers: { authorization: `Bearer ${alice.accessToken}` },
  });
  expect(await response.text()).toContain('"content":{"a":2,"z":0}');
});

it('nothing of it changes the server’s own objects', () => {
  expect(({} as Record<string, unknown>).polluted).toBeUndefined();
});

describe('names with odd characters', () => {
  const odd = 'a\0b 🤨 "x" \u202e</b>';

  it('are kept in profiles, member events and devices', async () => {
    const user = await newUser(server, 'odd');
    const room = await user.createRoom();
    await user.ok('PUT', `/profile/${encode(user.userId)}/displayname`, { displayname: odd });
    await user.ok('PUT', `/devices/${encode(user.deviceId)}`, { display_name: odd });
    await server.settle();
    expect((await user.ok('GET', `/profile/${encode(user.userId)}`)).displayname).toBe(odd);
    expect((await user.ok('GET', `/devices/${encode(user.deviceId)}`)).display_name).toBe(odd);
    expect((await getState(user, room, 'm.room.member', user.userId)).body.displayname).toBe(odd);
    expect((await user.ok('GET', inRoom(room, 'joined_members'))).joined[user.userId].display_name).toBe(odd);
  });

  it('are kept in rooms, tags, reasons and types', async () => {
    const room = await alice.createRoom({ name: odd, topic: odd, invite: [bob.userId] });
    expect((await getState(alice, room, 'm.room.name')).body.name).toBe(odd);
    const tags = `/user/${encode(alice.userId)}/rooms/${encode(room)}/tags`;
    await alice.ok('PUT', `${tags}/${encode('u.🤨/ %')}`, {});
    expect((await alice.ok('GET', tags)).tags).toEqual({ 'u.🤨/ %': {} });
    await bob.ok('POST', inRoom(room, 'leave'), { reason: odd });
    expect((await getState(alice, room, 'm.room.member', bob.userId)).body.reason).toBe(odd);
    const { event_id: eventId } = await alice.ok('PUT', inRoom(room, 'send', 'test 🤨/"', 'odd'), {});
    expect((await alice.ok('GET', inRoom(room, 'event', eventId))).type).toBe('test 🤨/"');
  });

  it('of at most 255 bytes are types and state keys', async () => {
    const just = 'é'.repeat(127);
    expect((await alice.call('PUT', inRoom(roomId, 'state', just, just), {})).status).toBe(200);
    for (const parts of [
      [`${just}é`, 'key'],
      ['test.type', `${just}é`],
      ['x'.repeat(256), 'key'],
    ]) {
      const { status, body } = await alice.call('PUT', inRoom(roomId, 'state', ...parts), {});
      expect([400, 413]).toContain(status);
      expect(body.errcode).toMatch(/^M_/);
    }
  });
});

describe('a restart', () => {
  /** An answer without what belongs to the moment. */
  const ofTheMoment: ReadonlySet<string> = new Set(['next_batch', 'prev_batch', 'age']);
  const timeless = (body: Json): Json =>
    JSON.parse(JSON.stringify(body, (key, value) => (ofTheMoment.has(key) ? undefined : value)));

  it('changes nothing of what anybody sees', async () => {
    let own = await TestServer.start({ config: { presence: { enabled: false } } });
    const [ann, ben, cleo] = await newUsers(own, 'ann', 'ben', 'cleo');
    const room = await ann.createRoom({ preset: 'public_chat', name: 'Room', room_alias_name: 'room' });
    await ben.join(room);
    const eventId = await ben.say(room, 'read me');
    await ann.invite(room, cleo.userId);
    await ann.ok('POST', inRoom(room, 'receipt', 'm.read', eventId), {});
    await ann.ok('POST', inRoom(room, 'read_markers'), { 'm.fully_read': eventId });
    await ann.setAccountData('test.data', { a: 1 });
    await ann.ok('PUT', `/user/${encode(ann.userId)}/rooms/${encode(room)}/tags/u.tag`, {});
    const left = await ben.createRoom({ preset: 'public_chat' });
    await ann.join(left);
    await ann.leave(left);
    const regretted = await ann.say(room, 'regretted');
    await ann.ok('PUT', inRoom(room, 'redact', regretted, 't'), {});
    const { filter_id: filter } = await ann.ok('POST', `/user/${encode(ann.userId)}/filter`, {
      room: { include_leave: true, timeline: { limit: 50 } },
    });
    await own.settle();
    const look = async (users: readonly TestUser[]): Promise<Json[]> => {
      const seen: Json[] = [];
      for (const user of users) {
        const fresh = Object.assign(new TestUser(own.url), { accessToken: user.accessToken, userId: user.userId });
        seen.push(timeless(await fresh.sync(user === ann ? { filter } : {})));
        seen.push((await fresh.ok('GET', '/joined_rooms')).joined_rooms.sort());
        seen.push(timeless((await fresh.call('GET', inRoom(room, 'members'))).body));
        seen.push(timeless((await fresh.call('GET', `${inRoom(room, 'messages')}?dir=b&limit=50`)).body));
        seen.push((await fresh.call('GET', `/directory/room/${encode(`#room:${own.name}`)}`)).body);
      }
      return seen;
    };
    const before = await look([ann, ben, cleo]);
    own = await own.restart();
    expect(await look([ann, ben, cleo])).toEqual(before);
    for (const user of [ann, ben, cleo]) Object.assign(user, { url: own.url });
    await cleo.join(room);
    await cleo.say(room, 'hello again');
    expect((await ann.sync()).rooms.join[room].timeline.events.at(-1).content.body).toBe('hello again');
    await own.stop();
  });
});
