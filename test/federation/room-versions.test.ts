import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EventId } from '../../src/matrix/ids.ts';
import { roomVersionsToTry } from '../support/property-runs.ts';
import { settle, startPair, type TestServer } from '../support/server.ts';
import type { TestUser } from '../support/user.ts';
import { historyOf, membershipOf, mindOf, path, type SeenEvent, stateOf, textsOf } from './rooms.ts';

let a: TestServer;
let b: TestServer;
let alice: TestUser;
let bob: TestUser;
let bill: TestUser;

beforeAll(async () => {
  [a, b] = await startPair();
  alice = await a.register('alice');
  bob = await b.register('bob');
  bill = await b.register('bill');
});

afterAll(async () => {
  await a.stop();
  await b.stop();
});

/** What an event's id looks like in a room version, for a server of that name. */
function idPattern(version: string, server: string): RegExp {
  if (Number(version) <= 2) return new RegExp(`^\\$[A-Za-z0-9_-]{43}:${server.replaceAll('.', '\\.')}$`);
  return version === '3' ? /^\$[A-Za-z0-9+/]{43}$/ : /^\$[A-Za-z0-9_-]{43}$/;
}

async function restartB(): Promise<void> {
  b = await b.restart();
  for (const user of [bob, bill]) user.url = b.url;
}

async function agree(room: string): Promise<void> {
  await settle(a, b);
  expect(await mindOf(b, room)).toEqual(await mindOf(a, room));
}

/** The events as the server keeps and sends them. */
function pduTexts(server: TestServer, events: readonly SeenEvent[]): Promise<string[]> {
  return server.running.lantern.storage.events.listPduTexts(events.map(({ event_id }) => event_id as EventId));
}

describe.each(roomVersionsToTry)('two servers in a room of version %s', (version) => {
  it('hold the same room through joins, messages, redactions, a kick and a restart', async () => {
    const room = await alice.createRoom({ preset: 'public_chat', room_version: version, name: 'first' });
    expect((await stateOf(alice, room, 'm.room.create')).room_version).toBe(version);
    const before = await alice.say(room, 'before');
    expect(before).toMatch(idPattern(version, a.name));
    await bob.join(room, a.name);
    await agree(room);

    const fromBob = await bob.say(room, 'from bob');
    expect(fromBob).toMatch(idPattern(version, b.name));
    await settle(a, b);
    const fromAlice = await alice.say(room, 'from alice');
    await agree(room);
    for (const user of [alice, bob]) {
      expect(await textsOf(user, room)).toEqual(['before', 'from bob', 'from alice']);
      for (const eventId of [before, fromBob, fromAlice]) {
        expect((await user.ok('GET', path(room, 'event', eventId))).event_id).toBe(eventId);
      }
    }

    // Their own, and by power; nobody else's.
    await bob.ok('PUT', path(room, 'redact', fromBob, 'r1'), { reason: 'mine' });
    await settle(a, b);
    await alice.ok('PUT', path(room, 'redact', before, 'r2'), {});
    expect((await bob.call('PUT', path(room, 'redact', fromAlice, 'r3'), {})).status).toBe(403);
    await agree(room);
    for (const user of [alice, bob])
      expect(await textsOf(user, room)).toEqual(['(redacted)', '(redacted)', 'from alice']);
    const redacted = await alice.ok('GET', path(room, 'event', fromBob));
    expect(redacted.unsigned.redacted_because).toMatchObject({ sender: bob.userId, redacts: fromBob });
    expect(redacted.unsigned.redacted_because.content).toEqual({ reason: 'mine', redacts: fromBob });

    await alice.ok('POST', path(room, 'kick'), { user_id: bob.userId, reason: 'enough' });
    await settle(a, b);
    expect(await membershipOf(alice, room, bob.userId)).toBe('leave');
    expect((await bob.call('PUT', path(room, 'send', 'm.room.message', 'x'), { body: 'x' })).status).toBe(403);
    await restartB();
    await alice.setState(room, 'm.room.name', { name: 'second' });
    await alice.say(room, 'unheard');

    await bob.join(room, a.name);
    await agree(room);
    await bob.say(room, 'back');
    await agree(room);
    const [ofAlice, ofBob] = [await historyOf(alice, room), await historyOf(bob, room)];
    expect(ofBob.map(({ event_id }) => event_id)).toEqual(ofAlice.map(({ event_id }) => event_id));
    expect(ofBob.map(({ content }) => content)).toEqual(ofAlice.map(({ content }) => content));
    expect(await pduTexts(b, ofBob)).toEqual(await pduTexts(a, ofAlice));
  });

  it('take invites, and give them back', async () => {
    const room = await alice.createRoom({ preset: 'private_chat', room_version: version });
    await alice.invite(room, bob.userId);
    await alice.invite(room, bill.userId);
    await settle(a, b);
    await bob.join(room);
    await bill.leave(room);
    await agree(room);
    expect(await membershipOf(alice, room, bob.userId)).toBe('join');
    expect(await membershipOf(bob, room, bill.userId)).toBe('leave');
    await bob.invite(room, bill.userId);
    await bill.join(room);
    await agree(room);
    await bob.leave(room);
    await bill.leave(room);
    await settle(a, b);
    expect((await mindOf(a, room)).joined).toEqual([alice.userId]);
  });

  it('come to the same state when both changed it unheard', async () => {
    const room = await alice.createRoom({
      preset: 'public_chat',
      room_version: version,
      power_level_content_override: { events: { 'm.room.topic': 0, 'm.room.name': 0 } },
    });
    await bob.join(room, a.name);
    await settle(a, b);
    await Promise.all([
      alice.setState(room, 'm.room.topic', { topic: 'of alice' }),
      bob.setState(room, 'm.room.topic', { topic: 'of bob' }),
      bob.setState(room, 'm.room.name', { name: 'of bob' }),
    ]);
    await settle(a, b);
    await alice.say(room, 'together again');
    await agree(room);
  });
});
