import { beforeAll, describe, expect, it } from 'vitest';
import { canonicalJson } from '../../src/base/json/canonical-json.ts';
import type { JsonObject } from '../../src/matrix/pdu.ts';
import { signingKeyOfSeed } from '../../src/signing/ed25519.ts';
import { buildAuthorization } from '../../src/signing/request-auth.ts';
import { verifySignedJson } from '../../src/signing/sign-json.ts';
import { HostileServer } from '../support/hostile-server.ts';
import { settle } from '../support/server.ts';
import { StubRoom } from '../support/stub-room.ts';
import { historyOf, path, textsOf } from './rooms.ts';
import { a, alice, guest, mallory, restartA, room, stub, third, useHostileServers, visit } from './visit.ts';

useHostileServers();
beforeAll(visit);

const unauthorized = { status: 401, body: { errcode: 'M_UNAUTHORIZED' } };

/** The server is well: it answers, and takes what is right. */
async function expectWell(): Promise<void> {
  const text = `well ${guest.depth}`;
  const { eventId, pdu } = guest.say(mallory, text);
  expect(await stub.send(a, { pdus: [pdu] })).toEqual({ status: 200, body: { pdus: { [eventId]: {} } } });
  await settle(a);
  expect(await textsOf(alice, room)).toContain(text);
}

describe('a request of another server', () => {
  const get = (how = {}) => {
    const profile = `?user_id=${encodeURIComponent(alice.userId)}`;
    return stub.call(a, 'GET', 'v1/query/profile', undefined, { query: profile, ...how });
  };

  it('is answered when it is signed rightly, also by a server that names no destination', async () => {
    expect((await get()).status).toBe(200);
    expect((await get({ destination: null })).status).toBe(200);
  });

  it('is refused with no signature or one that is none', async () => {
    expect(await get({ authorization: null })).toMatchObject(unauthorized);
    expect(await get({ authorization: 'Bearer abc' })).toMatchObject(unauthorized);
    expect(await get({ authorization: 'X-Matrix ' })).toMatchObject(unauthorized);
    const torn = `X-Matrix origin="${stub.name}",destination="${a.name}",key="ed25519:hostile",sig="`;
    for (const rest of ['', '"', 'AAAA"', `${'A'.repeat(86)}"`, `${'A'.repeat(5000)}"`]) {
      expect(await get({ authorization: torn + rest })).toMatchObject(unauthorized);
    }
  });

  it('is refused when it is meant for another server', async () => {
    expect(await get({ destination: stub.name })).toMatchObject(unauthorized);
    expect(await get({ destination: 'elsewhere.example' })).toMatchObject(unauthorized);
  });

  it('is refused when another server signed it than the one that it says', async () => {
    // The key of the one under the name of the other, by header and by key.
    expect(await get({ origin: third.name })).toMatchObject(unauthorized);
    expect(await get({ signer: { server: third.name, key: stub.signer.key } })).toMatchObject(unauthorized);
    const unpublished = signingKeyOfSeed(new Uint8Array(32).fill(9), 'unpublished');
    expect(await get({ signer: { server: stub.name, key: unpublished } })).toMatchObject(unauthorized);
    const samename = signingKeyOfSeed(new Uint8Array(32).fill(9), 'hostile');
    expect(await get({ signer: { server: stub.name, key: samename } })).toMatchObject(unauthorized);
  });

  it('is refused when it claims to be ours', async () => {
    expect(await get({ origin: a.name })).toMatchObject(unauthorized);
  });

  it('is refused when its path, its query or its body is another than was signed', async () => {
    const other = await stub.call(a, 'PUT', 'v1/send/signed-other', { pdus: [] }, { signedContent: { pdus: [1] } });
    expect(other).toMatchObject(unauthorized);
    const without = await stub.call(a, 'PUT', 'v1/send/signed-none', undefined, { signedContent: { pdus: [] } });
    expect(without).toMatchObject(unauthorized);
    const uri = `/_matrix/federation/v1/query/profile?user_id=${encodeURIComponent(alice.userId)}`;
    const authorization = authorizationFor(uri);
    expect((await stub.raw(a, 'GET', uri, { headers: { authorization } })).status).toBe(200);
    expect(await stub.raw(a, 'GET', `${uri}&field=displayname`, { headers: { authorization } })).toMatchObject(
      unauthorized,
    );
    expect(
      await stub.raw(a, 'PUT', '/_matrix/federation/v1/send/x', { text: '{}', headers: { authorization } }),
    ).toMatchObject(unauthorized);
    function authorizationFor(target: string): string {
      const request = {
        method: 'GET',
        uri: target,
        origin: stub.name,
        destination: a.name as never,
        content: undefined,
      };
      return buildAuthorization(request, stub.signer);
    }
  });

  it('is answered when one of several headers is good', async () => {
    const uri = '/_matrix/federation/v1/query/directory?room_alias=%23none%3Aexample.org';
    const request = { method: 'GET', uri, origin: stub.name, destination: a.name as never, content: undefined };
    const header = buildAuthorization(request, stub.signer);
    const bad = header.replace(/sig="..../, 'sig="AAAA');
    const headers = { authorization: [bad, header] as never };
    expect(await stub.raw(a, 'GET', uri, { headers })).toMatchObject({ status: 404, body: { errcode: 'M_NOT_FOUND' } });
  });

  it('of a server that cannot be asked for its keys is refused', async () => {
    const gone = await HostileServer.start(a.clock.now());
    await gone.stop();
    const profile = `?user_id=${encodeURIComponent(alice.userId)}`;
    expect(await gone.call(a, 'GET', 'v1/query/profile', undefined, { query: profile })).toMatchObject(unauthorized);
  });

  it('of a server whose published keys are not signed by themselves, or are of another name, is refused', async () => {
    for (const publish of [
      (server: HostileServer) => ({ ...keysOf(server), signatures: {} }),
      (server: HostileServer) => ({ ...keysOf(server), server_name: stub.name }),
      (server: HostileServer) => ({ ...keysOf(server), valid_until_ts: 1 }),
      () => ({ verify_keys: 'none' }),
    ]) {
      const odd = await HostileServer.start(a.clock.now());
      odd.on('keys', () => publish(odd));
      const profile = `?user_id=${encodeURIComponent(alice.userId)}`;
      const answer = await odd.call(a, 'GET', 'v1/query/profile', undefined, { query: profile });
      expect(answer).toMatchObject(unauthorized);
      await odd.stop();
    }
    function keysOf(server: HostileServer): JsonObject {
      const { key } = server.signer;
      return {
        server_name: server.name,
        verify_keys: { [key.keyId]: { key: key.publicKey } },
        old_verify_keys: {},
        valid_until_ts: a.clock.now() + 86_400_000,
        signatures: { [server.name]: { [key.keyId]: 'AAAA' } },
      };
    }
  });

  it('for a path that there is not is M_UNRECOGNIZED, as is a method', async () => {
    const unknown = await stub.call(a, 'GET', 'v1/nothing');
    expect(unknown).toMatchObject({ status: 404, body: { errcode: 'M_UNRECOGNIZED' } });
    const method = await stub.call(a, 'POST', 'v1/send/1', {});
    expect(method).toMatchObject({ status: 405, body: { errcode: 'M_UNRECOGNIZED' } });
  });
});

describe('our published keys', () => {
  it.each(['/_matrix/key/v2/server', '/_matrix/key/v2/server/ed25519:whatever'])(
    'are canonical JSON that our key signed, at %s',
    async (uri) => {
      const { status, text, body } = await stub.raw(a, 'GET', uri);
      expect(status).toBe(200);
      expect(text).toBe(canonicalJson(body));
      expect(body.server_name).toBe(a.name);
      const [[keyId = '', { key = '' } = {}] = []] = Object.entries<{ key?: string }>(body.verify_keys);
      expect(Object.keys(body.signatures)).toEqual([a.name]);
      expect(Object.keys(body.signatures[a.name])).toEqual([keyId]);
      expect(verifySignedJson(body, a.name as never, keyId, key)).toBe(true);
      expect(body.valid_until_ts).toBeGreaterThan(a.clock.now());
      expect(body.old_verify_keys).toEqual({});
    },
  );

  it('are not on the client listener, nor the client API on the federation listener', async () => {
    expect((await alice.call('GET', '/_matrix/key/v2/server')).status).toBe(404);
    expect((await stub.raw(a, 'GET', '/_matrix/client/versions')).status).toBe(404);
  });
});

describe('version and queries', () => {
  it('tell the name and version of the server to anybody', async () => {
    const { status, body } = await stub.raw(a, 'GET', '/_matrix/federation/v1/version');
    expect([status, body.server.name]).toEqual([200, 'Lantern']);
    expect(body.server.version).toMatch(/^\d+\.\d+\.\d+$/);
  });

  it('refuse what is malformed with 400, and what there is not with 404', async () => {
    const ask = (what: string, query: string) => stub.call(a, 'GET', `v1/${what}`, undefined, { query });
    expect((await ask('query/profile', '')).status).toBe(400);
    expect((await ask('query/profile', '?user_id=alice')).status).toBe(400);
    expect(
      (await ask('query/profile', `?user_id=${encodeURIComponent(alice.userId)}&field=${'x'.repeat(300)}`)).status,
    ).toBe(400);
    const foreign = await ask('query/profile', `?user_id=${encodeURIComponent(mallory)}`);
    expect(foreign).toMatchObject({ status: 404, body: { errcode: 'M_NOT_FOUND' } });
    expect((await ask('query/directory', '?room_alias=none')).status).toBe(400);
    expect((await ask('query/directory', `?room_alias=${encodeURIComponent(`#none:${a.name}`)}`)).status).toBe(404);
  });

  it('list the devices of a user without their names, and none of nobody', async () => {
    const devices = await stub.call(a, 'GET', `v1/user/devices/${encodeURIComponent(alice.userId)}`);
    const expected = { user_id: alice.userId, stream_id: 1, devices: [{ device_id: alice.deviceId }] };
    expect(devices).toEqual({ status: 200, body: expected });
    const nobody = await stub.call(a, 'GET', `v1/user/devices/${encodeURIComponent(`@nobody:${a.name}`)}`);
    expect(nobody).toMatchObject({ status: 404, body: { errcode: 'M_NOT_FOUND' } });
  });
});

describe('a transaction', () => {
  it('that comes again gets the same answer, and nothing happens twice', async () => {
    const { eventId, pdu } = guest.say(mallory, 'only once');
    const first = await stub.send(a, { pdus: [pdu], id: 'again' });
    expect(first).toEqual({ status: 200, body: { pdus: { [eventId]: {} } } });
    // What stands in it now does not count.
    const other = guest.build({ type: 'm.room.message', sender: mallory, content: { body: 'instead' } });
    expect(await stub.send(a, { pdus: [other.pdu], id: 'again' })).toEqual(first);
    await settle(a);
    const texts = await textsOf(alice, room);
    expect(texts.filter((text) => text === 'only once')).toHaveLength(1);
    expect(texts).not.toContain('instead');
    await restartA();
    expect(await stub.send(a, { pdus: [other.pdu], id: 'again' })).toEqual(first);
    expect(await textsOf(alice, room)).not.toContain('instead');
  });

  it('of the same id from another server is another one', async () => {
    const there = await StubRoom.join(third, a, room, third.user('trent'));
    const { eventId, pdu } = there.say(third.user('trent'), 'mine');
    expect(await third.send(a, { pdus: [pdu], id: 'again' })).toEqual({
      status: 200,
      body: { pdus: { [eventId]: {} } },
    });
    guest.take(await join(third.user('trent')));
    guest.take(pdu);
    async function join(userId: string): Promise<JsonObject> {
      const events = await historyOf(alice, room);
      const found = events.find(({ state_key }) => state_key === userId);
      const stored = await a.running.lantern.storage.events.find((found?.event_id ?? '') as never);
      return stored?.event.pdu as JsonObject;
    }
  });

  it('with the same event as another one before takes it once', async () => {
    const { eventId, pdu } = guest.say(mallory, 'twice sent');
    const answer = { status: 200, body: { pdus: { [eventId]: {} } } };
    expect(await stub.send(a, { pdus: [pdu] })).toEqual(answer);
    expect(await stub.send(a, { pdus: [pdu, pdu] })).toEqual(answer);
    await settle(a);
    expect((await textsOf(alice, room)).filter((text) => text === 'twice sent')).toHaveLength(1);
  });

  it.each([
    ['51 PDUs', { pdus: Array.from({ length: 51 }, () => ({})) }],
    ['101 EDUs', { edus: Array.from({ length: 101 }, () => ({ edu_type: 'x', content: {} })) }],
    ['PDUs that are no list', { pdus: { a: 1 } as never }],
    ['EDUs that are no list', { edus: 'many' as never }],
  ])('with %s is refused whole', async (_what, load) => {
    const answer = await stub.send(a, load);
    expect(answer).toMatchObject({ status: 400 });
    expect(answer.body.errcode).toMatch(/^M_/);
    await expectWell();
  });

  it.each([
    ['is no JSON', '{"pdus":[', 'M_NOT_JSON'],
    ['is no object', '[]', 'M_BAD_JSON'],
    ['is nested too deep', `{"pdus":[],"x":${'['.repeat(400)}${']'.repeat(400)}}`, 'M_BAD_JSON'],
    ['holds lone surrogates', '{"pdus":[{"content":{"body":"\\ud800"}}]}', 'M_BAD_JSON'],
  ])('whose body %s is refused', async (_what, text, errcode) => {
    const answer = await stub.call(a, 'PUT', 'v1/send/bad-body', undefined, { text, signedContent: {} });
    expect(answer).toMatchObject({ status: 400, body: { errcode } });
    await expectWell();
  });

  it('that is larger than any may be is refused', async () => {
    const text = `{"pdus":[],"x":"${'x'.repeat(12 * 1024 * 1024)}"}`;
    const answer = await stub
      .call(a, 'PUT', 'v1/send/huge', undefined, { text, signedContent: {} })
      .catch(() => undefined);
    if (answer) expect(answer).toMatchObject({ status: 413, body: { errcode: 'M_TOO_LARGE' } });
    await expectWell();
  });

  it('without PDUs and EDUs is taken', async () => {
    expect(await stub.call(a, 'PUT', 'v1/send/nothing', {})).toEqual({ status: 200, body: { pdus: {} } });
  });
});

describe('EDUs', () => {
  const typing = (userId: string, roomId = room) => ({
    edu_type: 'm.typing',
    content: { room_id: roomId, user_id: userId, typing: true },
  });
  const receipt = (userId: string, eventId: string, roomId = room) => ({
    edu_type: 'm.receipt',
    content: { [roomId]: { 'm.read': { [userId]: { event_ids: [eventId], data: { ts: 1 } } } } },
  });
  async function ephemeral(): Promise<{ typing: string[]; readers: string[] }> {
    await settle(a);
    const { ephemeral: events } = (await freshSync()).rooms.join[room];
    // biome-ignore lint/suspicious/noExplicitAny: the answer of a server
    const find = (type: string) => events.events.find((event: any) => event.type === type)?.content;
    // biome-ignore lint/suspicious/noExplicitAny: the answer of a server
    const receipts = Object.values<any>(find('m.receipt') ?? {});
    return {
      typing: find('m.typing')?.user_ids ?? [],
      readers: receipts.flatMap((types) => Object.keys(types['m.read'] ?? {})),
    };
  }
  const freshSync = () => alice.ok('GET', '/sync?timeout=0');

  it('count for users of the server that sends them, and for no others', async () => {
    const { eventId, pdu } = guest.say(mallory, 'read me');
    const foreign = [alice.userId, third.user('trent'), '@x:elsewhere.example'];
    const edus = foreign.flatMap((userId) => [typing(userId), receipt(userId, eventId)]);
    await stub.send(a, { pdus: [pdu], edus: [...edus, typing(mallory), receipt(mallory, eventId)] });
    expect(await ephemeral()).toEqual({ typing: [mallory], readers: [mallory] });
  });

  it('about users who are not in the room, or about rooms that are unknown, do nothing', async () => {
    await a.clock.advance(120_000);
    const [eventId = ''] = guest.latest;
    const ghost = stub.user('ghost');
    const unknown = `!unknown:${a.name}`;
    const edus = [typing(ghost), receipt(ghost, eventId), typing(mallory, unknown), receipt(mallory, eventId, unknown)];
    expect(await stub.send(a, { edus })).toEqual({ status: 200, body: { pdus: {} } });
    const { typing: typists, readers } = await ephemeral();
    expect([typists, readers]).toEqual([[], [mallory]]);
  });

  it('that are malformed cost themselves, not the good ones between them', async () => {
    await a.clock.advance(120_000);
    const malformed: unknown[] = [
      null,
      7,
      'x',
      [],
      {},
      { edu_type: 'm.typing' },
      { edu_type: 'm.typing', content: null },
      { edu_type: 'm.typing', content: { room_id: room, user_id: 7, typing: true } },
      { edu_type: 'm.typing', content: { room_id: room, user_id: mallory } },
      { edu_type: 'm.typing', content: { room_id: [room], user_id: mallory, typing: 'yes' } },
      { edu_type: 'm.receipt', content: { [room]: 7 } },
      { edu_type: 'm.receipt', content: { [room]: { 'm.read': [] } } },
      { edu_type: 'm.receipt', content: { [room]: { 'm.read': { [mallory]: { event_ids: 'x' } } } } },
      { edu_type: 'm.presence', content: {} },
      { edu_type: 'm.presence', content: { push: 'x' } },
      { edu_type: 'm.presence', content: { push: [null, 1, {}, { user_id: alice.userId, presence: 'online' }] } },
      { edu_type: 'm.device_list_update', content: {} },
      { edu_type: 'm.direct_to_device', content: {} },
      { edu_type: 'org.example.unknown', content: { a: 1 } },
      { edu_type: '__proto__', content: { a: 1 } },
      { content: { a: 1 } },
    ];
    const edus = malformed.flatMap((edu, index) => (index === 10 ? [edu, typing(mallory)] : [edu]));
    expect(await stub.send(a, { edus })).toEqual({ status: 200, body: { pdus: {} } });
    expect((await ephemeral()).typing).toEqual([mallory]);
    await expectWell();
  });

  it('with numbers out of range or loosely written do no harm', async () => {
    await a.clock.advance(120_000);
    const [eventId = ''] = guest.latest;
    const good = JSON.stringify(typing(mallory));
    const text = `{"edus":[{"edu_type":"m.receipt","content":{"${room}":{"m.read":{"${mallory}":{"event_ids":["${eventId}"],"data":{"ts":1.0}}}}}},${good}]}`;
    const answer = await stub.call(a, 'PUT', 'v1/send/loose-edus', undefined, { text });
    expect(answer).toEqual({ status: 200, body: { pdus: {} } });
    expect((await ephemeral()).typing).toEqual([mallory]);
  });

  it('do not come from a server that the room keeps out', async () => {
    const closed = await alice.createRoom({ preset: 'public_chat' });
    const there = await StubRoom.join(stub, a, closed, mallory);
    const { eventId, pdu } = there.say(mallory, 'x');
    await stub.send(a, { pdus: [pdu] });
    await alice.setState(closed, 'm.room.server_acl', { allow: ['*'], deny: ['127.0.0.1'] });
    await stub.send(a, { edus: [typing(mallory, closed), receipt(mallory, eventId, closed)] });
    await settle(a);
    const joined = (await freshSync()).rooms.join[closed];
    expect(joined.ephemeral.events).toEqual([]);
    const refused = await stub.call(a, 'GET', `v1/backfill/${encodeURIComponent(closed)}`, undefined, {
      query: `?v=${encodeURIComponent(eventId)}&limit=5`,
    });
    expect(refused).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } });
    expect((await alice.call('GET', path(closed, 'joined_members'))).status).toBe(200);
  });
});
