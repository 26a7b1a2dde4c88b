import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { canonicalJson } from '../../../src/base/json/canonical-json.ts';
import { parseExactJson } from '../../../src/base/json/exact-json.ts';
import { createOutgoingHttp, type OutgoingHttp } from '../../../src/base/network/outgoing-http.ts';
import type { ResolvedServer } from '../../../src/federation-out/discovery.ts';
import { createFederationRequests, createKeyFetch } from '../../../src/federation-out/requests.ts';
import type { FederationRequests, TakeEvents } from '../../../src/federation-out/requests-contract.ts';
import type { EventId, RoomAlias, RoomId, UserId } from '../../../src/matrix/ids.ts';
import type { JsonObject } from '../../../src/matrix/pdu.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import { signingKeyOfSeed } from '../../../src/signing/ed25519.ts';
import { parseAuthorization, verifyRequest } from '../../../src/signing/request-auth.ts';

const us = 'us.example' as ServerName;
const hs = 'hs.example:1' as ServerName;
const key = signingKeyOfSeed(Buffer.alloc(32, 1), 'a');
const roomId = '!r/oom:hs.example:1' as RoomId;
const userId = '@bob:us.example' as UserId;
const eventId = '$ev/ent+1' as EventId;

interface Received {
  method: string;
  uri: string;
  host: string | undefined;
  body: string;
}

/** How the other server answers, and what it was asked. */
let answer: (request: IncomingMessage, response: ServerResponse) => void;
let received: Received[];
let marks: string[];
let mayTry: boolean;
let targets: ResolvedServer['targets'];
let http: OutgoingHttp;
let requests: FederationRequests;
let stopServer: () => Promise<void>;

function json(status: number, value: unknown): void {
  answer = (_request, response) =>
    response.writeHead(status).end(typeof value === 'string' ? value : JSON.stringify(value));
}

/** Every request is signed by us for them, over exactly what came. */
async function checkSignature(request: IncomingMessage, body: string): Promise<void> {
  const auth = parseAuthorization(request.headers.authorization);
  const parsed = parseExactJson(body);
  const content = parsed.outcome === 'parsed' ? parsed.value : undefined;
  const signed = { method: request.method ?? '', uri: request.url ?? '', origin: us, destination: hs, content };
  expect(auth?.destination).toBe(hs);
  expect(auth && (await verifyRequest(signed, auth, key.publicKey))).toBe(true);
  expect(body === '' ? '' : canonicalJson(content)).toBe(body);
}

beforeEach(async () => {
  received = [];
  marks = [];
  mayTry = true;
  json(200, {});
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => {
      body += chunk;
    });
    request.on('end', async () => {
      received.push({ method: request.method ?? '', uri: request.url ?? '', host: request.headers.host, body });
      if (request.url?.startsWith('/_matrix/federation/')) await checkSignature(request, body);
      answer(request, response);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  targets = [{ host: '127.0.0.1', port }];
  const dns = { listAddresses: async () => [], listServices: async () => [] };
  const real = createOutgoingHttp({ clock: systemClock, dns, allowPrivateAddresses: true });
  // Plain HTTP on the way out; everything else is real.
  http = {
    request: (request) =>
      real.request({ ...request, target: { scheme: 'http', host: request.target.host, port: request.target.port } }),
    stop: () => real.stop(),
  };
  requests = createFederationRequests({
    signer: { server: us, key },
    discovery: { resolve: async () => ({ hostHeader: 'delegated.example', certificateName: 'x.example', targets }) },
    http,
    health: {
      mayTry: () => mayTry,
      markReachable: () => void marks.push('reachable'),
      markFailed: () => {
        marks.push('failed');
        return { failingSinceMs: 0, retryAtMs: 0, failures: 1 };
      },
    },
    clock: systemClock,
  });
  stopServer = async () => {
    await real.stop();
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
});

afterEach(() => stopServer());

const ignore: TakeEvents = async () => undefined;

/** What a request gives while its answer arrives, and at its end. */
async function gather<T>(request: (take: TakeEvents) => Promise<T>) {
  const lists = { state: [] as JsonObject[], auth_chain: [] as JsonObject[] };
  const result = await request(async (list, events) => {
    lists[list].push(...events.map(({ json }) => json));
  });
  return { state: lists.state, authChain: lists.auth_chain, ...(result === undefined ? {} : { result }) };
}

const room = '!r%2Foom%3Ahs.example%3A1';
const event = '%24ev%2Fent%2B1';

describe('a request to another server', () => {
  it.each<[string, () => Promise<unknown>, unknown, string, unknown]>([
    [
      'makeJoin',
      () => requests.makeJoin(hs, roomId, userId, ['10', '11']),
      { room_version: '11', event: { type: 'm.room.member' } },
      `GET /v1/make_join/${room}/%40bob%3Aus.example?ver=10&ver=11`,
      { roomVersion: '11', event: { type: 'm.room.member' } },
    ],
    [
      'sendJoin',
      () => gather((take) => requests.sendJoin(hs, roomId, eventId, { a: 1 }, take)),
      { state: [{ s: 1 }], auth_chain: [{ c: 1 }], event: { e: 1 } },
      `PUT /v2/send_join/${room}/${event}`,
      { state: [{ s: 1 }], authChain: [{ c: 1 }], result: { event: { e: 1 } } },
    ],
    [
      'makeLeave',
      () => requests.makeLeave(hs, roomId, userId),
      { event: {} },
      `GET /v1/make_leave/${room}/%40bob%3Aus.example`,
      { roomVersion: undefined, event: {} },
    ],
    [
      'sendLeave',
      () => requests.sendLeave(hs, roomId, eventId, { a: 1 }),
      {},
      `PUT /v2/send_leave/${room}/${event}`,
      undefined,
    ],
    [
      'invite',
      () => requests.invite(hs, roomId, eventId, { room_version: '11', event: { a: 1 }, invite_room_state: [] }),
      { event: { a: 1, signatures: {} } },
      `PUT /v2/invite/${room}/${event}`,
      { a: 1, signatures: {} },
    ],
    [
      'getEvent',
      () => requests.getEvent(hs, eventId),
      { origin: hs, pdus: [{ a: 1 }] },
      `GET /v1/event/${event}`,
      { json: { a: 1 }, text: '{"a":1}' },
    ],
    [
      'getState',
      () => gather((take) => requests.getState(hs, roomId, eventId, take)),
      { pdus: [{ a: 1 }, 'junk'], auth_chain: [] },
      `GET /v1/state/${room}?event_id=${event}`,
      { state: [{ a: 1 }], authChain: [] },
    ],
    [
      'getStateIds',
      () => requests.getStateIds(hs, roomId, eventId),
      { pdu_ids: ['$a', 5, 'junk'], auth_chain_ids: ['$b'] },
      `GET /v1/state_ids/${room}?event_id=${event}`,
      { pduIds: ['$a'], authChainIds: ['$b'] },
    ],
    [
      'getEventAuth',
      () => gather((take) => requests.getEventAuth(hs, roomId, eventId, take)),
      { auth_chain: [{ a: 1 }] },
      `GET /v1/event_auth/${room}/${event}`,
      { state: [], authChain: [{ a: 1 }] },
    ],
    [
      'backfill',
      () => requests.backfill(hs, roomId, [eventId, '$b' as EventId], 20),
      { pdus: [{ a: 1 }] },
      `GET /v1/backfill/${room}?v=${event}&v=%24b&limit=20`,
      [{ a: 1 }],
    ],
    [
      'getMissingEvents',
      () =>
        requests.getMissingEvents(hs, roomId, {
          earliest_events: [],
          latest_events: [eventId],
          limit: 5,
          min_depth: 0,
        }),
      { events: [{ a: 1 }] },
      `POST /v1/get_missing_events/${room}`,
      [{ a: 1 }],
    ],
    [
      'queryProfile',
      () => requests.queryProfile(hs, userId, 'displayname'),
      { displayname: 'Bob' },
      'GET /v1/query/profile?user_id=%40bob%3Aus.example&field=displayname',
      { displayname: 'Bob' },
    ],
    [
      'queryDirectory',
      () => requests.queryDirectory(hs, '#a&b:hs.example:1' as RoomAlias),
      { room_id: roomId, servers: [hs, 'no server'] },
      'GET /v1/query/directory?room_alias=%23a%26b%3Ahs.example%3A1',
      { roomId, servers: [hs] },
    ],
    [
      'sendTransaction',
      () => requests.sendTransaction(hs, 't1', { text: '{"pdus": [], "edus": [{"ü": 1}], "a": 1}' }),
      { pdus: { $a: { error: 'no' } } },
      'PUT /v1/send/t1',
      { pdus: { $a: { error: 'no' } } },
    ],
  ])('%s goes signed to its path and reads the answer', async (_name, call, body, line, expected) => {
    json(200, body);
    expect(await call()).toEqual(expected);
    const [first] = received;
    expect(`${first?.method} ${first?.uri}`).toBe(line.replace(' ', ' /_matrix/federation'));
    expect(first?.host).toBe('delegated.example');
    expect(marks).toEqual(['reachable']);
  });

  it('takes a room without a version in make_join for one of version 1', async () => {
    json(200, { event: {} });
    expect((await requests.makeJoin(hs, roomId, userId, ['11'])).roomVersion).toBe('1');
  });

  it('hands on a refusal with its status and body', async () => {
    json(403, { errcode: 'M_FORBIDDEN', error: 'go away' });
    await expect(requests.makeJoin(hs, roomId, userId, ['11'])).rejects.toMatchObject({
      outcome: 'refused',
      status: 403,
      body: { errcode: 'M_FORBIDDEN' },
      message: 'hs.example:1 answered 403 M_FORBIDDEN: go away',
    });
    expect(marks).toEqual(['reachable']);
  });

  it.each([301, 400, 404, 429, 500])(
    'is refused, but by a server that is there, with a %i that is no JSON',
    async (status) => {
      json(status, '<html>');
      await expect(requests.getEvent(hs, eventId)).rejects.toMatchObject({
        outcome: 'refused',
        status,
        body: undefined,
      });
      expect(marks).toEqual(['reachable']);
    },
  );

  it.each([502, 503, 504])('counts a %i as a server that is down', async (status) => {
    json(status, '<html>');
    await expect(requests.getEvent(hs, eventId)).rejects.toMatchObject({ outcome: 'refused', status });
    expect(marks).toEqual(['failed']);
  });

  it.each([
    [504, 'M_NOT_YET_UPLOADED'],
    [502, 'M_TOO_LARGE'],
  ])('counts a %i that says %s as the word of a server that is there', async (status, errcode) => {
    json(status, { errcode, error: 'x' });
    await expect(requests.getEvent(hs, eventId)).rejects.toMatchObject({ outcome: 'refused', status });
    expect(marks).toEqual(['reachable']);
  });

  it.each<[string, unknown]>([
    ['no JSON', '<html>'],
    ['a list', []],
    ['an object without the list', {}],
    ['an object in place of the list', { pdus: {} }],
    ['an empty list', { pdus: [] }],
    ['a list without an event', { pdus: [5, null, []] }],
  ])('is badly answered by %s', async (_what, body) => {
    json(200, body);
    await expect(requests.getEvent(hs, eventId)).rejects.toMatchObject({ outcome: 'bad_answer' });
  });

  it.each<[string, () => Promise<unknown>, unknown]>([
    ['make_join without an event', () => requests.makeJoin(hs, roomId, userId, []), { room_version: '11' }],
    [
      'make_join with a version that is a number',
      () => requests.makeJoin(hs, roomId, userId, []),
      { room_version: 11, event: {} },
    ],
    ['send_join without a chain', () => requests.sendJoin(hs, roomId, eventId, {}, ignore), { state: [] }],
    [
      'send_join with an event that is none',
      () => requests.sendJoin(hs, roomId, eventId, {}, ignore),
      { state: [], auth_chain: [], event: 5 },
    ],
    [
      'an invite that nobody signed',
      () => requests.invite(hs, roomId, eventId, { room_version: '11', event: {}, invite_room_state: [] }),
      { event: {} },
    ],
    [
      'an alias for no room',
      () => requests.queryDirectory(hs, '#a:hs.example:1' as RoomAlias),
      { room_id: 'x', servers: [] },
    ],
  ])('is badly answered by %s', async (_what, call, body) => {
    json(200, body);
    await expect(call()).rejects.toMatchObject({ outcome: 'bad_answer' });
  });

  it('gives the events with their numbers as they were written, and leaves out what is no object', async () => {
    json(200, '{"pdus":[{"a":1},{"a":1.0},7.5,{"a":9007199254740993}],"auth_chain":[]}');
    const { state } = await gather((take) => requests.getState(hs, roomId, eventId, take));
    expect(state.map((pdu) => canonicalJson(pdu))).toEqual(['{"a":1}', '{"a":1.0}', '{"a":9007199254740993}']);
  });

  it('hands a large answer on while it arrives, and waits for whoever takes it', async () => {
    let goOn: () => void = () => undefined;
    answer = (_request, response) => {
      response.writeHead(200).write('{"state":[{"n":1},');
      goOn = () => response.end('{"n":2}],"auth_chain":[{"n":3}]}');
    };
    const taken: unknown[] = [];
    await requests.sendJoin(hs, roomId, eventId, {}, async (list, events) => {
      taken.push([list, ...events.map(({ json, text }) => [json, text])]);
      goOn();
      await new Promise((resolve) => setImmediate(resolve));
    });
    expect(taken).toEqual([
      ['state', [{ n: 1 }, '{"n":1}']],
      ['state', [{ n: 2 }, '{"n":2}']],
      ['auth_chain', [{ n: 3 }, '{"n":3}']],
    ]);
  });

  it('passes over an event in a large answer that is longer than any may be', async () => {
    const long = { content: 'x'.repeat(600 * 1_024) };
    json(200, { state: [{ n: 1 }, long, { n: 2 }], auth_chain: [] });
    const { state } = await gather((take) => requests.sendJoin(hs, roomId, eventId, {}, take));
    expect(state).toEqual([{ n: 1 }, { n: 2 }]);
  });

  it('ends with what whoever takes its answer throws, and its server is well', async () => {
    json(200, { state: [{}], auth_chain: [] });
    const failure = new Error('the disk is full');
    const take: TakeEvents = () => Promise.reject(failure);
    await expect(requests.sendJoin(hs, roomId, eventId, {}, take)).rejects.toBe(failure);
    expect(marks).toEqual(['reachable']);
  });

  it.each([
    '{"state":[{}',
    '[{"state":[]}]',
    '{"state":[],"state":[],"auth_chain":[]}',
    '{"state":[],"auth_chain":{}}',
  ])('is badly answered by %s in place of a state', async (text) => {
    json(200, text);
    await expect(requests.sendJoin(hs, roomId, eventId, {}, ignore)).rejects.toMatchObject({ outcome: 'bad_answer' });
  });

  it('is made in its first version where the server does not know the second', async () => {
    answer = (request, response) => {
      if (request.url?.includes('/v2/')) response.writeHead(404).end('{"errcode":"M_UNRECOGNIZED","error":"no"}');
      else if (request.url?.includes('/send_join/')) response.end('[200,{"state":[{"s":1}],"auth_chain":[]}]');
      else response.end('[200,{}]');
    };
    expect(await gather((take) => requests.sendJoin(hs, roomId, eventId, { a: 1 }, take))).toMatchObject({
      state: [{ s: 1 }],
    });
    await requests.sendLeave(hs, roomId, eventId, { a: 1 });
    const paths = received.map(({ uri }) => uri.split('/').slice(3, 5).join('/'));
    expect(paths).toEqual(['v2/send_join', 'v1/send_join', 'v2/send_leave', 'v1/send_leave']);
  });

  it.each([
    [404, { errcode: 'M_NOT_FOUND' }],
    [403, {}],
    [500, {}],
  ])('is not made in its first version after %i %j', async (status, body) => {
    json(status, body);
    await expect(requests.sendJoin(hs, roomId, eventId, {}, ignore)).rejects.toMatchObject({ status });
    await expect(requests.sendLeave(hs, roomId, eventId, {})).rejects.toMatchObject({ status });
    expect(received).toHaveLength(2);
  });

  it('sends and signs the numbers of old events as they were written', async () => {
    json(200, '{"pdus":{}}');
    const text = '{"edus":[],"origin":"a","pdus":[{"depth":9007199254740993,"x":1.0}]}';
    await requests.sendTransaction(hs, 't1', { text });
    expect(received.at(-1)?.body).toBe(text);
  });

  it('is cut off when the answer is too large, which is no sign of a server that is down', async () => {
    answer = (_request, response) => {
      response.writeHead(200);
      const more = () => {
        while (response.write('x'.repeat(65_536)));
        response.once('drain', more);
      };
      more();
    };
    await expect(requests.queryProfile(hs, userId)).rejects.toMatchObject({ outcome: 'bad_answer' });
    expect(marks).toEqual(['reachable']);
  });

  it('is not made while the server is left alone, unless somebody waits for it', async () => {
    mayTry = false;
    await expect(requests.queryProfile(hs, userId)).rejects.toMatchObject({ outcome: 'unreachable' });
    await expect(requests.getEvent(hs, eventId)).rejects.toMatchObject({ outcome: 'unreachable' });
    expect(received).toEqual([]);
    json(200, { room_version: '11', event: {} });
    await requests.makeJoin(hs, roomId, userId, ['11']);
    await requests.sendTransaction(hs, 't1', { text: '{}' });
    expect(received).toHaveLength(2);
  });

  it('tries the next target when nobody listens at the first', async () => {
    targets = [{ host: '127.0.0.1', port: 1 }, ...targets];
    json(200, { displayname: 'Bob' });
    expect(await requests.queryProfile(hs, userId)).toEqual({ displayname: 'Bob' });
    targets = [{ host: '127.0.0.1', port: 1 }];
    await expect(requests.queryProfile(hs, userId)).rejects.toMatchObject({ outcome: 'unreachable' });
    expect(marks).toEqual(['reachable', 'failed']);
  });

  it('is not sent a second time when the connection broke after it was sent', async () => {
    targets = [...targets, ...targets];
    answer = (request) => request.socket.destroy();
    await expect(requests.queryProfile(hs, userId)).rejects.toMatchObject({ outcome: 'unreachable' });
    expect(received).toHaveLength(1);
    expect(marks).toEqual(['failed']);
  });

  it('to ourselves is a bug', async () => {
    await expect(requests.queryProfile(us, userId)).rejects.toThrow(/itself/);
    expect(received).toEqual([]);
  });

  it('with content that cannot be signed is not sent', async () => {
    await expect(requests.sendJoin(hs, roomId, eventId, { a: 1.5 }, ignore)).rejects.toMatchObject({
      outcome: 'refused',
    });
    expect(received).toEqual([]);
  });
});

describe('a transaction', () => {
  it.each<[number, unknown]>([
    [400, {}],
    [401, {}],
    [500, {}],
    [200, '<html>a captive portal</html>'],
  ])('that was answered %i %j was not delivered', async (status, body) => {
    json(status, body);
    await expect(requests.sendTransaction(hs, 't1', { text: '{}' })).rejects.toThrow();
    expect(marks).toEqual(['failed']);
  });

  it('is delivered by a 200 without a list of results too', async () => {
    expect(await requests.sendTransaction(hs, 't1', { text: '{}' })).toEqual({ pdus: {} });
  });

  it('goes out as canonical JSON', async () => {
    await requests.sendTransaction(hs, 't1', { text: '{"b": 1, "a": [ ]}' });
    expect(received[0]?.body).toBe('{"a":[],"b":1}');
  });
});

describe("another server's keys", () => {
  it('are asked for without a signature of ours', async () => {
    json(200, { server_name: hs });
    const discovery = {
      resolve: async () => ({ hostHeader: 'delegated.example', certificateName: 'x.example', targets }),
    };
    const fetchKeys = createKeyFetch({ discovery, http });
    expect(await fetchKeys(hs)).toEqual({ server_name: hs });
    expect(received).toMatchObject([{ method: 'GET', uri: '/_matrix/key/v2/server', host: 'delegated.example' }]);
    json(404, {});
    await expect(fetchKeys(hs)).rejects.toThrow('404');
    json(200, '[]');
    await expect(fetchKeys(hs)).rejects.toThrow('no JSON object');
  });
});
