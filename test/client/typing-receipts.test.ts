import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../src/base/log.ts';
import { systemRandom } from '../../src/base/random.ts';
import { createHttpApp } from '../../src/http/app.ts';
import { receiptRoutes } from '../../src/http/client/rooms/receipts.ts';
import { typingRoutes } from '../../src/http/client/rooms/typing.ts';
import { listen } from '../../src/http/listen.ts';
import { unauthorized } from '../../src/matrix/errors.ts';
import type { DeviceId, UserId } from '../../src/matrix/ids.ts';
import { ManualClock } from '../support/manual-clock.ts';

const alice = '@alice:here.test' as UserId;
const calls: unknown[][] = [];
let activities = 0;
let url = '';
let stop = async (): Promise<void> => {};

beforeAll(async () => {
  const noting =
    (name: string) =>
    async (...args: unknown[]): Promise<void> => {
      calls.push([name, ...args]);
    };
  const app = createHttpApp({
    routes: [
      ...typingRoutes({ typing: { set: (...args) => void calls.push(['typing', ...args]) } }),
      ...receiptRoutes({ receipts: { set: noting('receipt') }, readMarkers: { set: noting('markers') } }),
    ],
    listener: 'client',
    authenticate: async () => ({ userId: alice, deviceId: 'PHONE' as DeviceId }),
    verifyServer: async () => {
      throw unauthorized('no servers here');
    },
    onActivity: () => {
      activities += 1;
    },
    clock: new ManualClock(),
    random: systemRandom,
    log: silentLog,
  });
  const listening = await listen({ address: '127.0.0.1', port: 0, listener: app.listener });
  url = listening.url;
  stop = () => listening.stop();
});
afterAll(() => stop());
beforeEach(() => {
  calls.length = 0;
  activities = 0;
});

async function call(method: string, path: string, body?: unknown) {
  const response = await fetch(`${url}/_matrix/client/v3${path}`, {
    method,
    headers: { authorization: 'Bearer secret' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const { errcode, ...rest } = (await response.json()) as { errcode?: string };
  return { status: response.status, errcode, body: rest };
}

const room = `/rooms/${encodeURIComponent('!den:here.test')}`;
const typingPath = `${room}/typing/${encodeURIComponent(alice)}`;
const receiptPath = (type: string, eventId = '$event') => `${room}/receipt/${type}/${encodeURIComponent(eventId)}`;
const ok = { status: 200, errcode: undefined, body: {} };

describe('PUT typing', () => {
  it('takes the start with its time, and the end without', async () => {
    expect(await call('PUT', typingPath, { typing: true, timeout: 30_000 })).toEqual(ok);
    expect(await call('PUT', typingPath, { typing: false })).toEqual(ok);
    expect(calls).toEqual([
      ['typing', alice, { roomId: '!den:here.test', typing: true, timeoutMs: 30_000 }],
      ['typing', alice, { roomId: '!den:here.test', typing: false, timeoutMs: undefined }],
    ]);
    expect(activities).toBe(2);
  });

  it('is refused for somebody else', async () => {
    const path = `${room}/typing/${encodeURIComponent('@bob:here.test')}`;
    expect(await call('PUT', path, { typing: true })).toMatchObject({ status: 403, errcode: 'M_FORBIDDEN' });
    expect(calls).toEqual([]);
  });

  it('is refused without saying whether, and with values of other types', async () => {
    expect(await call('PUT', typingPath, {})).toMatchObject({ status: 400, errcode: 'M_MISSING_PARAM' });
    for (const body of [{ typing: 'yes' }, { typing: true, timeout: '30' }, { typing: true, timeout: 1.5 }]) {
      expect(await call('PUT', typingPath, body)).toMatchObject({ status: 400, errcode: 'M_BAD_JSON' });
    }
    expect(calls).toEqual([]);
  });
});

describe('POST receipt', () => {
  it('takes public and private receipts, with and without a thread, and with no body', async () => {
    expect(await call('POST', receiptPath('m.read'))).toEqual(ok);
    expect(await call('POST', receiptPath('m.read.private'), { thread_id: 'main' })).toEqual(ok);
    const place = { roomId: '!den:here.test', eventId: '$event' };
    expect(calls).toEqual([
      ['receipt', alice, { ...place, receiptType: 'm.read', threadId: undefined }],
      ['receipt', alice, { ...place, receiptType: 'm.read.private', threadId: 'main' }],
    ]);
    expect(activities).toBe(2);
  });

  it('hands a thread of any type on, to be judged with the event', async () => {
    await call('POST', receiptPath('m.read'), { thread_id: 7 });
    expect(calls).toMatchObject([['receipt', alice, { threadId: 7 }]]);
  });

  it('sets the read marker for m.fully_read, which knows no threads', async () => {
    expect(await call('POST', receiptPath('m.fully_read'), {})).toEqual(ok);
    expect(calls).toEqual([['markers', alice, { roomId: '!den:here.test', fullyRead: '$event' }]]);
    const threaded = await call('POST', receiptPath('m.fully_read'), { thread_id: 'main' });
    expect(threaded).toMatchObject({ status: 400, errcode: 'M_INVALID_PARAM' });
    expect(calls).toHaveLength(1);
  });

  it('is refused for other types, and for what is no event', async () => {
    const invalid = { status: 400, errcode: 'M_INVALID_PARAM' };
    expect(await call('POST', receiptPath('m.seen'), {})).toMatchObject(invalid);
    expect(await call('POST', receiptPath('m.read', 'event'), {})).toMatchObject(invalid);
    expect(calls).toEqual([]);
  });
});

describe('POST read_markers', () => {
  it('takes all three, or some of them', async () => {
    const all = { 'm.fully_read': '$one', 'm.read': '$two', 'm.read.private': '$three' };
    expect(await call('POST', `${room}/read_markers`, all)).toEqual(ok);
    expect(await call('POST', `${room}/read_markers`, { 'm.read': '$two', 'm.fully_read': null })).toEqual(ok);
    expect(calls).toEqual([
      ['markers', alice, { roomId: '!den:here.test', fullyRead: '$one', read: '$two', readPrivate: '$three' }],
      ['markers', alice, { roomId: '!den:here.test', fullyRead: undefined, read: '$two', readPrivate: undefined }],
    ]);
    expect(activities).toBe(2);
  });

  it('is refused for what is no event', async () => {
    const answer = await call('POST', `${room}/read_markers`, { 'm.read': 7 });
    expect(answer).toMatchObject({ status: 400, errcode: 'M_BAD_JSON' });
    expect(calls).toEqual([]);
  });
});
