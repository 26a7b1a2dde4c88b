import { afterAll, describe, expect, it } from 'vitest';
import { TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { inRoom, newUser } from './rooms-support.ts';

const readersCount = 200;
const messagesCount = 500;
/** So many are sent within one window of the answers. */
const messagesPerWindow = 50;
/** Room for more than one window's messages: a gap would be another rule. */
const filter = JSON.stringify({ room: { timeline: { limit: 100 } }, presence: { types: [] } });

const server = await TestServer.start({ config: { sync: { window_ms: 50, window_busy_ms: 100 } } });
afterAll(() => server.stop());

/** Polls as a raw client does, each answer's token in the next request, until `last` has come. What it was shown, in order. */
async function readUntil(user: TestUser, roomId: string, last: string): Promise<string[]> {
  const shown: string[] = [];
  while (shown.at(-1) !== last) {
    const answer = await user.sync({ timeout: '300000', filter });
    const timeline = answer.rooms?.join?.[roomId]?.timeline;
    expect(timeline?.limited).not.toBe(true);
    for (const event of timeline?.events ?? []) {
      if (event.type === 'm.room.message') shown.push(event.content.body);
    }
  }
  return shown;
}

describe('200 users who long-poll while 500 messages are sent', () => {
  it('see each message once, all in the same order', async () => {
    const sender = await newUser(server, 'sender');
    const roomId = await sender.createRoom({ preset: 'public_chat' });
    const readers = await Promise.all(Array.from({ length: readersCount }, () => newUser(server, 'reader')));
    await Promise.all(readers.map((reader) => reader.join(roomId)));
    await Promise.all(readers.map((reader) => reader.sync({ filter })));

    const sent = Array.from({ length: messagesCount }, (_, n) => `message ${n}`);
    const reading = Promise.all(readers.map((reader) => readUntil(reader, roomId, `message ${messagesCount - 1}`)));
    for (const [n, body] of sent.entries()) {
      await sender.ok('PUT', inRoom(roomId, 'send', 'm.room.message', `many${n}`), { msgtype: 'm.text', body });
      if (n % messagesPerWindow === messagesPerWindow - 1) await server.clock.advance(100);
    }
    let done = false;
    void reading.finally(() => {
      done = true;
    });
    while (!done) await server.clock.advance(100);
    for (const shown of await reading) expect(shown).toEqual(sent);
  }, 120_000);
});
