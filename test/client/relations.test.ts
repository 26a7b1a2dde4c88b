import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import {
  forbidden,
  idsOf,
  inRoom,
  type Json,
  messages,
  newUser,
  newUsers,
  notFound,
  query,
  refusal,
} from './rooms-support.ts';

let server: TestServer;
let alice: TestUser;
let bob: TestUser;
let roomId: string;

beforeAll(async () => {
  server = await TestServer.start();
  [alice, bob] = await newUsers(server, 'alice', 'bob');
  roomId = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(roomId);
});
afterAll(() => server.stop());

const v1 = (room: string, ...parts: string[]) => `/_matrix/client/v1${inRoom(room, ...parts)}`;
const relate = (user: TestUser, to: string, relType: string, content: Json = {}, room = roomId) =>
  user.send(room, 'm.room.message', {
    msgtype: 'm.text',
    body: relType,
    ...content,
    'm.relates_to': { rel_type: relType, event_id: to, ...content['m.relates_to'] },
  });
const edit = (user: TestUser, to: string, body: string, room = roomId) =>
  relate(user, to, 'm.replace', { body: `* ${body}`, 'm.new_content': { msgtype: 'm.text', body } }, room);
const react = (user: TestUser, to: string, key: string) =>
  user.send(roomId, 'm.reaction', { 'm.relates_to': { rel_type: 'm.annotation', event_id: to, key } });
const redact = (user: TestUser, eventId: string, room = roomId) =>
  user.ok('PUT', inRoom(room, 'redact', eventId, `r${eventId}`), {});
const relations = (user: TestUser, eventId: string, parameters: Record<string, string> = {}, ...types: string[]) =>
  user.ok('GET', `${v1(roomId, 'relations', eventId, ...types)}${query(parameters)}`);
const getEvent = (user: TestUser, eventId: string, room = roomId) => user.ok('GET', inRoom(room, 'event', eventId));
const bundle = async (user: TestUser, eventId: string, room = roomId): Promise<Json> =>
  (await getEvent(user, eventId, room)).unsigned['m.relations'];

describe('/relations', () => {
  it('lists what relates to an event, by type of relation and of event', async () => {
    const root = await alice.say(roomId, 'root');
    const reply = await relate(bob, root, 'm.thread');
    const replaced = await edit(alice, root, 'better');
    const dummy = await alice.send(roomId, 'm.dummy', { 'm.relates_to': { rel_type: 'm.thread', event_id: root } });
    expect(idsOf((await relations(bob, root)).chunk)).toEqual([dummy, replaced, reply]);
    expect(idsOf((await relations(bob, root, {}, 'm.thread')).chunk)).toEqual([dummy, reply]);
    expect(idsOf((await relations(bob, root, {}, 'm.thread', 'm.room.message')).chunk)).toEqual([reply]);
    expect((await relations(bob, root, {}, 'm.reference')).chunk).toEqual([]);
  });

  it('goes in pages, both ways, and from a token of /sync', async () => {
    const root = await alice.say(roomId, 'root');
    const before: string[] = [];
    for (let n = 0; n < 3; n += 1) before.push(await relate(alice, root, 'm.thread'));
    await bob.sync();
    const after: string[] = [];
    for (let n = 0; n < 3; n += 1) after.push(await relate(alice, root, 'm.thread'));
    const all = [...before, ...after];
    for (const [dir, expected] of [
      ['b', all.toReversed()],
      ['f', all],
    ] as const) {
      const first = await relations(bob, root, { dir, limit: '4' });
      expect(idsOf(first.chunk)).toEqual(expected.slice(0, 4));
      const second = await relations(bob, root, { dir, limit: '4', from: first.next_batch });
      expect(idsOf(second.chunk)).toEqual(expected.slice(4));
      expect(second.prev_batch).toBe(first.next_batch);
      expect(second.next_batch).toBeUndefined();
    }
    const since = await relations(bob, root, { dir: 'f', from: bob.since ?? '' });
    expect(idsOf(since.chunk)).toEqual(after);
    expect(refusal(await bob.call('GET', `${v1(roomId, 'relations', root)}?from=nonsense`))).toEqual([
      400,
      'M_INVALID_PARAM',
    ]);
  });

  it('lists relations of relations where it is asked to', async () => {
    const root = await alice.say(roomId, 'root');
    const reply = await relate(alice, root, 'm.thread');
    const edited = await edit(alice, reply, 'better');
    const body = await relations(alice, root, { recurse: 'true' });
    expect(idsOf(body.chunk)).toEqual([edited, reply]);
    expect(body.recursion_depth).toBe(3);
    expect((await relations(alice, root)).recursion_depth).toBeUndefined();
  });

  it('says nothing to who may not see the event, nor of events that they may not see', async () => {
    const secret = await alice.createRoom({
      preset: 'public_chat',
      initial_state: [{ type: 'm.room.history_visibility', state_key: '', content: { history_visibility: 'joined' } }],
    });
    const hidden = await alice.say(secret, 'hidden');
    const carol = await newUser(server, 'carol');
    expect(refusal(await carol.call('GET', v1(secret, 'relations', hidden)))).toEqual(forbidden);
    await carol.join(secret);
    expect(refusal(await carol.call('GET', v1(secret, 'relations', hidden)))).toEqual(notFound);
    expect(refusal(await alice.call('GET', v1(roomId, 'relations', hidden)))).toEqual(notFound);
    const seen = await alice.say(secret, 'seen');
    const reply = await relate(alice, seen, 'm.thread', {}, secret);
    await carol.leave(secret);
    await relate(alice, seen, 'm.thread', {}, secret);
    const body = await carol.ok('GET', v1(secret, 'relations', seen));
    expect(idsOf(body.chunk)).toEqual([reply]);
    // The thread went on behind carol's back, so of it as a whole she is told nothing.
    expect(await bundle(carol, seen, secret)).toBeUndefined();
    expect((await bundle(alice, seen, secret))['m.thread'].count).toBe(2);
  });

  it('leaves out whom the viewer ignores', async () => {
    const dave = await newUser(server, 'dave');
    await dave.join(roomId);
    const root = await alice.say(roomId, 'root');
    const fromAlice = await relate(alice, root, 'm.thread');
    await relate(bob, root, 'm.thread');
    await dave.setAccountData('m.ignored_user_list', { ignored_users: { [bob.userId]: {} } });
    expect(idsOf((await relations(dave, root)).chunk)).toEqual([fromAlice]);
    expect((await bundle(dave, root))['m.thread']).toMatchObject({ count: 1, latest_event: { event_id: fromAlice } });
    expect((await bundle(alice, root))['m.thread'].count).toBe(2);
  });
});

describe('what is told beside an event', () => {
  it('is the newest edit, whole, and not its content in place of the original', async () => {
    const original = await alice.say(roomId, 'original');
    expect(await bundle(bob, original)).toBeUndefined();
    await edit(alice, original, 'first');
    await server.clock.advance(1);
    const last = await edit(alice, original, 'last');
    await edit(bob, original, 'not mine');
    const event = await getEvent(bob, original);
    expect(event.content.body).toBe('original');
    expect(event.unsigned['m.relations']['m.replace']).toMatchObject({
      event_id: last,
      room_id: roomId,
      content: { 'm.new_content': { body: 'last' } },
    });
    await redact(alice, last);
    expect((await bundle(bob, original))['m.replace'].content['m.new_content'].body).toBe('first');
  });

  it('is a thread with its newest event, which has its own edit beside it', async () => {
    const root = await alice.say(roomId, 'root');
    const reply = await relate(bob, root, 'm.thread');
    const edited = await edit(bob, reply, 'better');
    const thread = (await bundle(alice, root))['m.thread'];
    expect(thread).toMatchObject({ count: 1, current_user_participated: true, latest_event: { event_id: reply } });
    expect(thread.latest_event.unsigned['m.relations']['m.replace'].event_id).toBe(edited);
    const carol = await newUser(server, 'carol');
    await carol.join(roomId);
    expect((await bundle(carol, root))['m.thread'].current_user_participated).toBe(false);
  });

  it('is the list of references, and nothing of reactions', async () => {
    const root = await alice.say(roomId, 'root');
    await react(bob, root, '+');
    expect(await bundle(alice, root)).toBeUndefined();
    const [one, two] = [await relate(bob, root, 'm.reference'), await relate(bob, root, 'm.reference')];
    expect(await bundle(alice, root)).toEqual({ 'm.reference': { chunk: [{ event_id: one }, { event_id: two }] } });
  });

  it('stands in /messages, /context, /relations and a limited /sync, not in one that tells all', async () => {
    const room = await alice.createRoom({ preset: 'public_chat' });
    await alice.sync();
    const root = await alice.say(room, 'root');
    await edit(alice, root, 'better', room);
    const find = (events: readonly Json[]): Json => events.find((event) => event.event_id === root)?.unsigned;
    expect(find((await messages(alice, room)).chunk)['m.relations']).toHaveProperty(['m.replace']);
    const context = await alice.ok('GET', inRoom(room, 'context', root));
    expect(context.event.unsigned['m.relations']).toHaveProperty(['m.replace']);
    const told = (await alice.sync()).rooms.join[room].timeline;
    expect(told.limited).toBe(false);
    expect(find(told.events)['m.relations']).toBeUndefined();
    const filter = JSON.stringify({ room: { timeline: { limit: 2 } } });
    const fresh = await alice.ok('GET', `/sync${query({ filter })}`);
    const { timeline } = fresh.rooms.join[room];
    expect(timeline.limited).toBe(true);
    const { 'm.relations': told2 } = find(timeline.events);
    expect(told2['m.replace'].room_id).toBeUndefined();
  });
});

describe('/threads', () => {
  it('lists threads by their newest events, in pages, and those in which one takes part', async () => {
    const room = await alice.createRoom({ preset: 'public_chat' });
    await bob.join(room);
    const [one, two] = [await alice.say(room, 'one'), await bob.say(room, 'two')];
    await alice.say(room, 'no thread');
    await relate(alice, one, 'm.thread', {}, room);
    await relate(bob, two, 'm.thread', {}, room);
    const threads = (user: TestUser, parameters: Record<string, string> = {}) =>
      user.ok('GET', `${v1(room, 'threads')}${query(parameters)}`);
    expect(idsOf((await threads(alice)).chunk)).toEqual([two, one]);
    expect(idsOf((await threads(alice, { include: 'participated' })).chunk)).toEqual([one]);
    const last = await relate(bob, one, 'm.thread', {}, room);
    const page = await threads(alice, { limit: '1' });
    expect(idsOf(page.chunk)).toEqual([one]);
    expect(page.chunk[0].unsigned['m.relations']['m.thread']).toMatchObject({
      count: 2,
      latest_event: { event_id: last },
    });
    const rest = await threads(alice, { limit: '5', from: page.next_batch });
    expect(idsOf(rest.chunk)).toEqual([two]);
    expect(rest.next_batch).toBeUndefined();
    expect(refusal(await alice.call('GET', `${v1(room, 'threads')}?from=x`))).toEqual([400, 'M_INVALID_PARAM']);
    expect(refusal(await alice.call('GET', `${v1(room, 'threads')}?include=x`))).toEqual([400, 'M_INVALID_PARAM']);
    const carol = await newUser(server, 'carol');
    await carol.setAccountData('m.ignored_user_list', { ignored_users: { [bob.userId]: {} } });
    expect(refusal(await carol.call('GET', v1(room, 'threads')))).toEqual(forbidden);
    await carol.join(room);
    const ofBob = (await threads(carol)).chunk.find((event: Json) => event.event_id === two);
    expect(ofBob.content).toEqual({});
  });
});

describe('sending', () => {
  it('refuses a second annotation with the same key, and takes it after the first was redacted', async () => {
    const root = await alice.say(roomId, 'root');
    const put = (user: TestUser, key: string, transaction: string) =>
      user.call('PUT', inRoom(roomId, 'send', 'm.reaction', transaction), {
        'm.relates_to': { rel_type: 'm.annotation', event_id: root, key },
      });
    const first = await put(alice, '+', 'a1');
    expect(first.status).toBe(200);
    expect(refusal(await put(alice, '+', 'a2'))).toEqual([400, 'M_DUPLICATE_ANNOTATION']);
    // The same request again is no second one.
    expect((await put(alice, '+', 'a1')).body).toEqual(first.body);
    expect((await put(alice, '-', 'a3')).status).toBe(200);
    expect((await put(bob, '+', 'a4')).status).toBe(200);
    await redact(alice, first.body.event_id);
    expect((await put(alice, '+', 'a5')).status).toBe(200);
  });

  it('refuses a thread on an event that relates to another one', async () => {
    const root = await alice.say(roomId, 'root');
    const reply = await relate(alice, root, 'm.thread');
    const answer = await alice.call('PUT', inRoom(roomId, 'send', 'm.room.message', 'nested'), {
      msgtype: 'm.text',
      body: 'nested',
      'm.relates_to': { rel_type: 'm.thread', event_id: reply },
    });
    expect(refusal(answer)).toEqual([400, 'M_UNKNOWN']);
  });
});

describe('a filter by type of relation (MSC3874)', () => {
  it('keeps those of the types, or all but them', async () => {
    const room = await alice.createRoom({ preset: 'public_chat' });
    const root = await alice.say(room, 'root');
    const reply = await relate(alice, root, 'm.thread', {}, room);
    const reference = await relate(alice, root, 'm.reference', {}, room);
    const filtered = async (filter: Json) =>
      idsOf((await messages(alice, room, { filter: JSON.stringify({ types: ['m.room.message'], ...filter }) })).chunk);
    expect(await filtered({ 'org.matrix.msc3874.rel_types': ['m.thread'] })).toEqual([reply]);
    expect(await filtered({ 'org.matrix.msc3874.not_rel_types': ['m.thread'] })).toEqual([reference, root]);
  });
});
