import type { RoomId } from '../../src/matrix/ids.ts';
import { splitStateKey } from '../../src/matrix/pdu.ts';
import type { TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';

/** A room as a path of the client-server API. */
export function path(roomId: string, ...rest: string[]): string {
  return ['/rooms', roomId, ...rest].map((part, index) => (index === 0 ? part : encodeURIComponent(part))).join('/');
}

export interface SeenEvent {
  event_id: string;
  type: string;
  sender: string;
  state_key?: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads whatever the server answered
  content: any;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads whatever the server answered
  unsigned?: any;
}

/** All that the user can read of the room's history, oldest first. */
export async function historyOf(user: TestUser, roomId: string, limit = 100): Promise<SeenEvent[]> {
  const events: SeenEvent[] = [];
  let from: string | undefined;
  do {
    const query = new URLSearchParams({ dir: 'b', limit: String(limit), ...(from === undefined ? {} : { from }) });
    const page = await user.ok('GET', `${path(roomId, 'messages')}?${query}`);
    events.push(...page.chunk);
    from = page.end;
  } while (from !== undefined);
  return events.reverse();
}

/** The texts of the messages in it, oldest first. */
export async function textsOf(user: TestUser, roomId: string): Promise<string[]> {
  const events = await historyOf(user, roomId);
  return events.filter(({ type }) => type === 'm.room.message').map(({ content }) => content.body ?? '(redacted)');
}

/** The texts of the messages in one answer of `/sync`. */
// biome-ignore lint/suspicious/noExplicitAny: the answer of a server
export function newTexts(sync: any, roomId: string): string[] {
  const events: SeenEvent[] = sync.rooms?.join?.[roomId]?.timeline?.events ?? [];
  return events.filter(({ type }) => type === 'm.room.message').map(({ content }) => content.body ?? '(redacted)');
}

/** The content of one state event as the user's server has it; undefined where there is none. */
// biome-ignore lint/suspicious/noExplicitAny: the answer of a server
export async function stateOf(user: TestUser, roomId: string, type: string, stateKey = ''): Promise<any> {
  const answer = await user.call('GET', path(roomId, 'state', type, stateKey));
  return answer.status === 200 ? answer.body : undefined;
}

/** The membership that the user's server gives to anybody in the room. */
export async function membershipOf(user: TestUser, roomId: string, userId: string): Promise<string | undefined> {
  return (await stateOf(user, roomId, 'm.room.member', userId))?.membership;
}

/** What a server holds of a room, in a form that two servers agree on when they are of one mind. */
export async function mindOf(
  server: TestServer,
  roomId: string,
): Promise<{ state: Record<string, string>; extremities: string[]; joined: string[] }> {
  const { storage, roster } = server.running.lantern;
  const id = roomId as RoomId;
  const snapshot = await storage.state.findCurrentSnapshot(id);
  if (snapshot === undefined) throw new Error(`${server.name} does not know ${roomId}`);
  const state: Record<string, string> = {};
  for (const [key, eventId] of await storage.state.getSnapshot(snapshot)) {
    const { type, stateKey } = splitStateKey(key);
    state[`${type} ${stateKey}`] = eventId;
  }
  return {
    state: Object.fromEntries(Object.entries(state).sort(([a], [b]) => (a < b ? -1 : 1))),
    extremities: [...(await storage.rooms.listExtremities(id))].sort(),
    joined: [...roster.serversIn(id)].flatMap((name) => [...roster.usersOfServerIn(id, name)]).sort(),
  };
}
