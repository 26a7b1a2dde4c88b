import { cpSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { poll } from '../client/rooms-support.ts';
import { TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';

/** What a viewer can find out with tokens, wherever they have them from, about somebody who denies them. A whole server, over HTTP. */

const type = 'm.presence_sharing_config';

let server: TestServer;
let alice: TestUser;
let bob: TestUser;
let carol: TestUser;
let room: string;

async function prepare(config: Record<string, unknown> = {}): Promise<void> {
  server = await TestServer.start({ config });
  alice = await server.register('alice');
  bob = await server.register('bob');
  carol = await server.register('carol');
  room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room);
  await carol.join(room);
  await alice.setAccountData(type, { denied_users: [bob.userId] });
  await alice.setPresence('online', 'secret');
  await server.settle();
  // A token of the very moment of a denial may be answered with a bare offline once more.
  await server.clock.advance(1_000);
}

beforeEach(() => prepare());

afterEach(async () => {
  await server.stop();
});

const quiet = { set_presence: 'offline' };

// biome-ignore lint/suspicious/noExplicitAny: as the server answered
function ofAlice(body: any): any[] {
  return (body.presence?.events ?? []).filter(({ sender }: { sender: string }) => sender === alice.userId);
}

async function actOfAlice(round: number): Promise<void> {
  await alice.setPresence(round % 2 === 0 ? 'unavailable' : 'online', `secret ${round}`);
  await alice.setAccountData(type, { denied_users: [bob.userId, `@x${round}:example.org`] });
  await alice.sync({ set_presence: round % 2 === 0 ? 'online' : 'unavailable' });
  await server.clock.advance(61_000);
  await server.settle();
}

describe('the token of whom she denies', () => {
  it('stays the same, byte for byte, whatever she does', async () => {
    await bob.sync(quiet);
    const { since } = bob;
    for (let round = 0; round < 3; round += 1) {
      await actOfAlice(round);
      expect((await bob.sync(quiet)).presence).toBeUndefined();
      expect(bob.since).toBe(since);
    }
  });

  it('differs from that of a quiet hour in nothing but what is told: her changes leave no gap in it', async () => {
    await bob.sync(quiet);
    await bob.sync(quiet);
    const [, position] = /^s1_(\d+)_/.exec(bob.since ?? '') ?? [];
    for (let round = 0; round < 3; round += 1) {
      await alice.setPresence(round % 2 === 0 ? 'unavailable' : 'online', `secret ${round}`);
      await server.clock.advance(61_000);
    }
    await carol.setPresence('online', 'hello');
    await server.settle();
    expect((await bob.sync(quiet)).presence.events).toHaveLength(1);
    const [, later] = /^s1_(\d+)_/.exec(bob.since ?? '') ?? [];
    expect(later).toBe(position);
  });

  it('does not end a long poll: her changes wake nobody whom she denies', async () => {
    await bob.sync(quiet);
    let isOver = false;
    const poll = bob.sync({ ...quiet, timeout: '30000' }).then((body) => {
      isOver = true;
      return body;
    });
    for (let round = 0; round < 10; round += 1) {
      await alice.setPresence(round % 2 === 0 ? 'unavailable' : 'online', `secret ${round}`);
      await server.clock.advance(1_000);
      expect(isOver).toBe(false);
    }
    await server.clock.advance(30_000);
    expect((await poll).presence).toBeUndefined();
  });
});

describe('an answer that waits for the end of its window', () => {
  it('shows nothing that she said meanwhile to whom she denied before it ended', async () => {
    await server.stop();
    await prepare({ sync: { window_ms: 50 } });
    await carol.sync(quiet);
    await alice.setPresence('online', 'opens the window');
    expect(ofAlice(await carol.sync(quiet))).toMatchObject([{ content: { status_msg: 'opens the window' } }]);
    let isOver = false;
    const { answer } = await poll(server, carol, quiet);
    void answer.then(() => {
      isOver = true;
    });
    await alice.setPresence('unavailable', 'held back');
    await server.settle();
    await alice.setAccountData(type, { denied_users: [bob.userId, carol.userId] });
    await server.settle();
    expect(isOver).toBe(false);
    await server.clock.advance(1_000);
    expect(ofAlice(await answer)).toEqual([
      { type: 'm.presence', sender: alice.userId, content: { presence: 'offline' } },
    ]);
  });
});

describe('a token that is not theirs', () => {
  const presencePart = (token: string) => token.slice(token.lastIndexOf('_') + 1);

  it.each([
    [
      'of a viewer whom she allows',
      (own: string, other: string) => own.replace(presencePart(own), presencePart(other)),
    ],
    ['of that viewer, whole', (_: string, other: string) => other],
    ['from the beginning of the process', (own: string) => own.replace(/n\d+$/, 'n0')],
    ['from the middle', (own: string) => own.replace(/n(\d+)$/, (_, number) => `n${Number(number) >> 1}`)],
    ['from the future', (own: string) => own.replace(/n\d+$/, 'n8999999999999999')],
    ['with a number too large', (own: string) => own.replace(/n\d+$/, 'n9999999999999999')],
    ['of another process', (own: string) => own.replace(/e\d+n/, 'e1n')],
    ['of a process before time', (own: string) => own.replace(presencePart(own), 'p0e0n0')],
    ['without a presence part', (own: string) => own.replace(presencePart(own), '')],
    ['that is nonsense', (own: string) => own.replace(presencePart(own), "p'--")],
  ])('%s shows no more than a bare offline', async (_, forge) => {
    await carol.sync(quiet);
    await bob.sync(quiet);
    await actOfAlice(1);
    await carol.sync(quiet);
    expect(ofAlice(await carol.sync({ ...quiet, full_state: 'true' }))).toEqual([]);
    const own = bob.since ?? '';
    for (let round = 0; round < 3; round += 1) {
      bob.since = forge(own, carol.since ?? '');
      const seen = ofAlice(await bob.sync(quiet));
      for (const event of seen) expect(event.content).toEqual({ presence: 'offline' });
      expect(seen.length).toBeLessThanOrEqual(1);
      await actOfAlice(round);
      expect(ofAlice(await bob.sync(quiet))).toEqual([]);
    }
  });

  it('from before a restart shows a bare offline, once', async () => {
    await bob.sync(quiet);
    server = await server.restart();
    for (const user of [alice, bob, carol]) user.url = server.url;
    expect(ofAlice(await bob.sync(quiet))).toEqual([
      { type: 'm.presence', sender: alice.userId, content: { presence: 'offline' } },
    ]);
    await actOfAlice(2);
    expect(ofAlice(await bob.sync(quiet))).toEqual([]);
  });
});

describe('a filter', () => {
  it('that lets only her in lets in no more than the policy', async () => {
    const filter = JSON.stringify({ presence: { senders: [alice.userId] } });
    expect(ofAlice(await bob.sync({ ...quiet, filter }))).toEqual([]);
    await actOfAlice(1);
    expect(ofAlice(await bob.sync({ ...quiet, filter }))).toEqual([]);
    expect(ofAlice(await carol.sync({ ...quiet, filter }))).toHaveLength(1);
  });
});

describe('a crash', () => {
  /** The files as they are at this moment, under a server that knows nothing of the one that ended so. */
  async function crash(): Promise<void> {
    const folder = mkdtempSync(join(tmpdir(), 'lantern-test-'));
    cpSync(server.folder, folder, { recursive: true });
    const { clock, name } = server;
    await server.stop();
    server = await TestServer.start({ resume: { clock, name, folder } as TestServer });
    for (const user of [alice, bob, carol]) user.url = server.url;
  }

  it('keeps a denial that was answered just before', async () => {
    await carol.sync(quiet);
    await alice.setAccountData(type, { denied_users: [bob.userId, carol.userId] });
    await crash();
    expect((await carol.getPresence(alice.userId)).body).toEqual({ presence: 'offline' });
    expect(ofAlice(await carol.sync(quiet))).toEqual([
      { type: 'm.presence', sender: alice.userId, content: { presence: 'offline' } },
    ]);
  });

  it('leaves nobody online for ever, also who only came online by a sync a moment ago', async () => {
    await carol.sync();
    await server.clock.advance(2_000);
    await server.settle();
    expect((await bob.getPresence(carol.userId)).body).toMatchObject({ presence: 'online' });
    await crash();
    expect((await bob.getPresence(carol.userId)).body).toMatchObject({ presence: 'online' });
    await server.clock.advance(46_000);
    await server.settle();
    expect((await bob.getPresence(carol.userId)).body).toMatchObject({ presence: 'offline' });
    expect((await carol.getPresence(alice.userId)).body).toMatchObject({ presence: 'offline', status_msg: 'secret' });
  });
});
