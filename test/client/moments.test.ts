import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { settle, startPair, type TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { forbidden, inRoom, newUser, notFound, query, refusal } from './rooms-support.ts';

let server: TestServer;
let other: TestServer;
let alice: TestUser;

beforeAll(async () => {
  [server, other] = await startPair();
  alice = await newUser(server, 'alice');
});
afterAll(async () => {
  await server.stop();
  await other.stop();
});

const find = (user: TestUser, roomId: string, ts: number, dir: string) =>
  user.call('GET', `/_matrix/client/v1${inRoom(roomId, 'timestamp_to_event')}${query({ ts: String(ts), dir })}`);

/** A room with two messages, a second apart, and the moments of both. */
async function newRoom(user = alice, body: Record<string, unknown> = { preset: 'public_chat' }) {
  const before = server.clock.now();
  await server.clock.advance(1_000);
  const roomId = await user.createRoom(body);
  const messages: { eventId: string; ts: number }[] = [];
  for (const text of ['a', 'b']) {
    await server.clock.advance(1_000);
    messages.push({ eventId: await user.say(roomId, text), ts: server.clock.now() });
  }
  const [a, b] = messages;
  if (!a || !b) throw new Error('nothing was said');
  return { roomId, before, a, b };
}

describe('the event next to a moment', () => {
  it('is the first one behind it or the last one before it, the moment included', async () => {
    const { roomId, a, b } = await newRoom();
    const asked = async (ts: number, dir: string) => (await find(alice, roomId, ts, dir)).body;
    expect(await asked(a.ts - 1, 'f')).toEqual({ event_id: a.eventId, origin_server_ts: a.ts });
    expect(await asked(a.ts, 'f')).toEqual({ event_id: a.eventId, origin_server_ts: a.ts });
    expect(await asked(a.ts + 1, 'f')).toEqual({ event_id: b.eventId, origin_server_ts: b.ts });
    expect(await asked(b.ts + 1, 'b')).toEqual({ event_id: b.eventId, origin_server_ts: b.ts });
    expect(await asked(b.ts - 1, 'b')).toEqual({ event_id: a.eventId, origin_server_ts: a.ts });
  });

  it('is by the order of the history where several were sent at once', async () => {
    const { roomId, b } = await newRoom();
    const last = await alice.say(roomId, 'at once');
    expect((await find(alice, roomId, b.ts, 'f')).body.event_id).toBe(b.eventId);
    expect((await find(alice, roomId, b.ts, 'b')).body.event_id).toBe(last);
  });

  it('is nothing where there is none on that side', async () => {
    const { roomId, before, b } = await newRoom();
    expect(refusal(await find(alice, roomId, before, 'b'))).toEqual(notFound);
    expect(refusal(await find(alice, roomId, b.ts + 1, 'f'))).toEqual(notFound);
  });

  it('is told only to who may look into the room, and is one that they may see', async () => {
    const { roomId, before, a, b } = await newRoom(alice, {
      preset: 'public_chat',
      initial_state: [{ type: 'm.room.history_visibility', state_key: '', content: { history_visibility: 'joined' } }],
    });
    const bob = await newUser(server, 'bob');
    expect(refusal(await find(bob, roomId, before, 'f'))).toEqual(forbidden);
    await server.clock.advance(1_000);
    await bob.join(roomId);
    // Neither message is there for him: the next are his own join and what made the room.
    const [behind, inFront] = [await find(bob, roomId, a.ts, 'f'), await find(bob, roomId, b.ts, 'b')];
    expect(behind.body.origin_server_ts).toBeGreaterThan(b.ts);
    expect(inFront.body.origin_server_ts).toBeLessThan(a.ts);
  });

  it('refuses a moment and a direction that are none', async () => {
    const { roomId } = await newRoom();
    expect(refusal(await find(alice, roomId, -1, 'f'))).toEqual([400, 'M_INVALID_PARAM']);
    expect(refusal(await find(alice, roomId, 1, 'x'))).toEqual([400, 'M_INVALID_PARAM']);
  });
});

describe('a server that joined later', () => {
  it('asks those who were there, and has what it was told of in its place', async () => {
    const { roomId, a, b } = await newRoom();
    const carol = await newUser(other, 'carol');
    await server.clock.advance(1_000);
    await carol.join(roomId, server.name);
    await settle(server, other);
    expect((await find(carol, roomId, b.ts + 1, 'b')).body).toEqual({ event_id: b.eventId, origin_server_ts: b.ts });
    expect((await find(carol, roomId, a.ts - 1, 'f')).body.event_id).toBe(a.eventId);
    const context = await carol.ok('GET', `${inRoom(roomId, 'context', b.eventId)}?limit=0`);
    const { chunk } = await carol.ok('GET', `${inRoom(roomId, 'messages')}${query({ dir: 'b', from: context.start })}`);
    expect(chunk[0].event_id).toBe(a.eventId);
  });

  it('says what it has where nobody else answers', async () => {
    const { roomId, b } = await newRoom();
    const dave = await newUser(other, 'dave');
    await server.clock.advance(1_000);
    await dave.join(roomId, server.name);
    await settle(server, other);
    const stopped = vi.spyOn(other.running.lantern.roster, 'serversIn').mockReturnValue(new Set([other.name as never]));
    try {
      expect(refusal(await find(dave, roomId, b.ts + 1, 'b'))).toEqual(notFound);
      expect((await find(dave, roomId, b.ts + 1, 'f')).body.origin_server_ts).toBeGreaterThan(b.ts);
    } finally {
      stopped.mockRestore();
    }
  });
});
