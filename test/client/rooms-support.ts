import { vi } from 'vitest';
import type { TestServer } from '../support/server.ts';
import type { Answer, TestUser } from '../support/user.ts';

// biome-ignore lint/suspicious/noExplicitAny: a test reads whatever the server answered
export type Json = any;

let users = 0;

/** Somebody new, so that tests which share a server do not see each other. */
export function newUser(server: TestServer, name = 'user'): Promise<TestUser> {
  users += 1;
  return server.register(`${name}${users}`);
}

export async function newUsers<const Names extends readonly string[]>(
  server: TestServer,
  ...names: Names
): Promise<{ -readonly [index in keyof Names]: TestUser }> {
  const made = await Promise.all(names.map((name) => newUser(server, name)));
  return made as { -readonly [index in keyof Names]: TestUser };
}

/** A path below a room, its parts encoded. */
export function inRoom(roomId: string, ...parts: readonly string[]): string {
  return ['/rooms', ...[roomId, ...parts].map(encode)].join('/');
}

export const encode = encodeURIComponent;

/** What a refusal says: its status and code. */
export function refusal({ status, body }: Answer): [number, string] {
  return [status, body?.errcode];
}

export const forbidden = [403, 'M_FORBIDDEN'];
export const notFound = [404, 'M_NOT_FOUND'];

export function getState(user: TestUser, roomId: string, type: string, stateKey = ''): Promise<Answer> {
  return user.call('GET', inRoom(roomId, 'state', type, stateKey));
}

export async function membershipOf(user: TestUser, roomId: string, userId: string): Promise<string> {
  return (await getState(user, roomId, 'm.room.member', userId)).body.membership;
}

export function query(parameters: Record<string, string | undefined>): string {
  const given = Object.entries(parameters).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return `?${new URLSearchParams(given)}`;
}

/** `GET /messages`: the body. */
export function messages(user: TestUser, roomId: string, parameters: Record<string, string> = {}): Promise<Json> {
  return user.ok('GET', `${inRoom(roomId, 'messages')}${query({ dir: 'b', limit: '100', ...parameters })}`);
}

export function bodiesOf(events: readonly Json[]): string[] {
  return events.filter((event) => event.type === 'm.room.message').map((event) => event.content.body);
}

export function idsOf(events: readonly Json[]): string[] {
  return events.map((event) => event.event_id);
}

/** `type|state key` of each state event. */
export function keysOf(events: readonly Json[]): string[] {
  return events.map((event) => `${event.type}|${event.state_key}`);
}

/** `user|membership` of each member event. */
export function membersOf(events: readonly Json[]): string[] {
  return events
    .filter((event) => event.type === 'm.room.member')
    .map((event) => `${event.state_key}|${event.content.membership}`)
    .sort();
}

/** Resolves when `count` calls of `/sync` by this user have begun since, so that what follows happens while they wait. */
export async function whileSyncing(server: TestServer, user: TestUser, begin: () => void, count = 1): Promise<void> {
  const spy = vi.spyOn(server.running.lantern.roster, 'connect');
  const begun = (): number => spy.mock.calls.filter(([userId]) => userId === user.userId).length;
  const expected = begun() + count;
  begin();
  while (begun() < expected) await nextTurn();
}

export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A `/sync` that waits: what it will answer, once it has begun. */
export async function poll(
  server: TestServer,
  user: TestUser,
  parameters: Record<string, string> = {},
): Promise<{ answer: Promise<Json> }> {
  let answer: Promise<Json> | undefined;
  await whileSyncing(server, user, () => {
    answer = user.sync({ timeout: '30000', ...parameters });
  });
  if (answer === undefined) throw new Error('not begun');
  return { answer };
}
