import { afterAll, beforeAll, beforeEach, expect } from 'vitest';
import type { EventId, UserId } from '../../src/matrix/ids.ts';
import type { JsonObject } from '../../src/matrix/pdu.ts';
import { HostileServer } from '../support/hostile-server.ts';
import { settle, TestServer } from '../support/server.ts';
import { type SealedEvent, type StubEvent, StubRoom } from '../support/stub-room.ts';
import type { TestUser } from '../support/user.ts';
import { historyOf, mindOf, path, textsOf } from './rooms.ts';

/** Ours, with alice. */
export let a: TestServer;
export let alice: TestUser;
/** Hostile, with mallory. */
export let stub: HostileServer;
/** Somebody else. */
export let third: HostileServer;
export let mallory: UserId;
/** A room of alice's, in which mallory of the hostile server is. */
export let room: string;
export let guest: StubRoom;

/** For a whole file: a server of ours, and two that the tests play. */
export function useHostileServers(): void {
  beforeAll(async () => {
    a = await TestServer.start();
    alice = await a.register('alice');
    stub = await HostileServer.start(a.clock.now());
    third = await HostileServer.start(a.clock.now());
    mallory = stub.user('mallory');
  });

  afterAll(async () => {
    await stub.stop();
    await third.stop();
    await a.stop();
  });
}

/** As `useHostileServers`, and in a new room of alice's for each test mallory as a guest. */
export function useVisit(): void {
  useHostileServers();
  beforeEach(visit);
}

/** A new room of alice's, in which mallory is. */
export async function visit(): Promise<void> {
  room = await alice.createRoom({ preset: 'public_chat' });
  guest = await StubRoom.join(stub, a, room, mallory);
  await settle(a);
  guest.serve();
}

export const encoded = (...parts: string[]) => parts.map(encodeURIComponent).join('/');

/** A membership as a user gives it to themselves. */
export const member = (userId: string, membership: string, more: JsonObject = {}): StubEvent => ({
  type: 'm.room.member',
  sender: userId as UserId,
  state_key: userId,
  content: { membership, ...more },
});

/** Ends the server and starts it on the same data. */
export async function restartA(): Promise<void> {
  a = await a.restart();
  alice.url = a.url;
}

export const message = (body: string, more: Partial<Parameters<StubRoom['build']>[0]> = {}) => ({
  type: 'm.room.message',
  sender: mallory,
  content: { msgtype: 'm.text', body },
  ...more,
});

/** Sends them in one transaction, between two good ones; what was said of each, and that the good ones came through. */
export async function sendAmongGood(...events: SealedEvent[]): Promise<({ error?: string } | undefined)[]> {
  const [first, last] = [guest.say(mallory, 'good 1'), guest.say(mallory, 'good 2')];
  const pdus = [first.pdu, ...events.map(({ pdu }) => pdu), last.pdu];
  const answer = await stub.send(a, { pdus });
  expect(answer.status).toBe(200);
  expect(answer.body.pdus[first.eventId]).toEqual({});
  expect(answer.body.pdus[last.eventId]).toEqual({});
  await settle(a);
  expect(await textsOf(alice, room)).toEqual(expect.arrayContaining(['good 1', 'good 2']));
  return events.map(({ eventId }) => answer.body.pdus[eventId]);
}

export const find = (eventId: string) => a.running.lantern.storage.events.find(eventId as EventId);

export async function expectUnseen(eventId: string): Promise<void> {
  expect((await historyOf(alice, room)).map(({ event_id }) => event_id)).not.toContain(eventId);
  expect((await alice.call('GET', path(room, 'event', eventId))).status).toBe(404);
  expect((await alice.call('GET', path(room, 'context', eventId))).status).toBe(404);
  expect(JSON.stringify(await alice.ok('GET', '/sync?timeout=0'))).not.toContain(eventId);
  expect((await mindOf(a, room)).extremities).not.toContain(eventId);
}
