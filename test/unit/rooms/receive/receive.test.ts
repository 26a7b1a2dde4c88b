import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { buildEvent } from '../../../../src/engine/event/build.ts';
import { FederationError } from '../../../../src/federation-out/requests-contract.ts';
import type { EventId, RoomId, UserId } from '../../../../src/matrix/ids.ts';
import { authEventIdsOf, type JsonObject, type RoomEvent, stateKeyOf } from '../../../../src/matrix/pdu.ts';
import { getRoomVersion } from '../../../../src/matrix/room-versions.ts';
import type { ServerName } from '../../../../src/matrix/server-name.ts';
import { signJson } from '../../../../src/signing/sign-json.ts';
import { type TestHome, World } from '../world.ts';

let world: World;
let hs1: TestHome;
let hs2: TestHome;
let alice: UserId;
let bob: UserId;
let roomId: RoomId;

beforeEach(async () => {
  world = new World();
  hs1 = await world.add('hs1');
  hs2 = await world.add('hs2');
  alice = await hs1.user('alice');
  bob = await hs2.user('bob');
  roomId = await hs1.rooms.creating.createRoom(alice, { preset: 'public_chat' });
  await hs2.rooms.membership.join({ roomId, userId: bob, servers: ['hs1' as ServerName], content: {} });
  hs1.asked.length = 0;
});
afterEach(() => world.stop());

const say = (home: TestHome, sender: UserId, body: string) =>
  home.rooms.sending.sendEvent({ roomId, sender, type: 'm.room.message', content: { body } });

async function pduOf(home: TestHome, eventId: EventId): Promise<JsonObject> {
  const [text = '{}'] = await home.storage.events.listPduTexts([eventId]);
  return JSON.parse(text) as JsonObject;
}

async function receive(pdus: readonly JsonObject[], origin = 'hs2') {
  const results = await hs1.rooms.receiver.receivePdus({ origin: origin as ServerName, roomId, pdus });
  return results.map(({ verdict }) => verdict.verdict);
}

/** The same, and what is found out behind the answer. */
async function receiveWithHelp(pdus: readonly JsonObject[]) {
  const verdicts = await receive(pdus);
  await hs1.rooms.idle();
  return verdicts;
}

const verdictOf = async (eventId: EventId) => (await hs1.storage.events.find(eventId))?.verdict;

/** An event of bob's server as nobody but a broken or hostile server would make it. */
async function forge(event: {
  type: string;
  content?: JsonObject;
  stateKey?: string;
  prev?: readonly EventId[];
  auth?: readonly EventId[];
  depth?: number;
}): Promise<RoomEvent> {
  const version = getRoomVersion('11');
  const stateIds = await hs1.storage.state.findCurrentSnapshot(roomId);
  const keys = [
    stateKeyOf('m.room.create', ''),
    stateKeyOf('m.room.power_levels', ''),
    stateKeyOf('m.room.member', bob),
  ];
  const auth = stateIds === undefined ? new Map() : await hs1.storage.state.getFromSnapshot(stateIds, keys);
  const prev = event.prev ?? (await hs1.storage.rooms.listExtremities(roomId));
  const built = buildEvent(
    {
      type: event.type,
      sender: bob,
      room_id: roomId,
      content: event.content ?? {},
      depth: event.depth ?? 50,
      origin_server_ts: world.clock.now(),
      prev_events: prev,
      auth_events: event.auth ?? [...auth.values()],
      ...(event.stateKey === undefined ? {} : { state_key: event.stateKey }),
    },
    version,
    (object) => signJson(object, { server: hs2.name, key: hs2.key }),
  );
  if (built.outcome === 'malformed') throw new Error(built.reason);
  return built.event;
}

describe('an event from another server', () => {
  it('is taken once, however often it comes', async () => {
    const eventId = await say(hs2, bob, 'hi');
    const pdu = await pduOf(hs2, eventId);
    expect(await receive([pdu, pdu])).toEqual(['accepted', 'accepted']);
    const position = hs1.storage.position();
    expect(await receive([pdu])).toEqual(['accepted']);
    expect(hs1.storage.position()).toBe(position);
  });

  it('is dropped when it is no event, is of another room, or is not signed, and spoils nobody', async () => {
    const good = await pduOf(hs2, await say(hs2, bob, 'good'));
    const unsigned = { ...(await pduOf(hs2, await say(hs2, bob, 'bad'))), signatures: {} };
    const elsewhere = { ...good, room_id: '!other:hs1' };
    expect(await receive([{ type: 3 }, unsigned, elsewhere, good])).toEqual([
      'dropped',
      'dropped',
      'dropped',
      'accepted',
    ]);
  });

  it('counts in its redacted form only, when its content is not what was hashed', async () => {
    const eventId = await say(hs2, bob, 'true');
    const pdu = { ...(await pduOf(hs2, eventId)), content: { body: 'forged' } };
    expect(await receive([pdu])).toEqual(['accepted']);
    expect((await hs1.storage.events.find(eventId))?.event.pdu.content).toEqual({});
  });

  it('is dropped when we are not in its room', async () => {
    const pdu = await pduOf(hs2, await say(hs2, bob, 'hi'));
    await hs1.rooms.membership.leave({ roomId, userId: alice, reason: undefined });
    expect(await receive([pdu])).toEqual(['dropped']);
  });

  it('is dropped when the access control list keeps its server out', async () => {
    const pdu = await pduOf(hs2, await say(hs2, bob, 'hi'));
    await hs1.rooms.sending.sendEvent({
      roomId,
      sender: alice,
      type: 'm.room.server_acl',
      stateKey: '',
      content: { allow: ['*'], deny: ['hs2'] },
    });
    expect(await receive([pdu])).toEqual(['dropped']);
  });
});

describe('the rules', () => {
  it('reject what the sender may not do, keep it, and reject what builds its rights on it', async () => {
    const before = await hs1.storage.rooms.listExtremities(roomId);
    const grab = await forge({ type: 'm.room.power_levels', stateKey: '', content: { users: { [bob]: 100 } } });
    expect(await receive([{ ...grab.pdu }])).toEqual(['rejected']);
    expect(await verdictOf(grab.eventId)).toBe('rejected');
    expect(await hs1.storage.rooms.listExtremities(roomId)).toEqual(before);
    const join = await hs1.storage.state.findCurrent(roomId, 'm.room.member', bob);
    const create = await hs1.storage.state.findCurrent(roomId, 'm.room.create', '');
    const heir = await forge({
      type: 'm.room.message',
      auth: [create, join].flatMap((stored) => (stored ? [stored.event.eventId] : [])).concat(grab.eventId),
    });
    expect(await receive([{ ...heir.pdu }])).toEqual(['rejected']);
  });

  it('still judge what stands behind a rejected event by itself', async () => {
    const grab = await forge({ type: 'm.room.power_levels', stateKey: '', content: { users: { [bob]: 100 } } });
    const message = await forge({ type: 'm.room.message', prev: [grab.eventId], depth: 51 });
    expect(await receive([{ ...grab.pdu }, { ...message.pdu }])).toEqual(['rejected', 'accepted']);
    const powers = await hs1.storage.state.findCurrent(roomId, 'm.room.power_levels', '');
    expect(powers?.event.eventId).not.toBe(grab.eventId);
  });

  it('soft-fail what was right where it stands but not any more, and show it to nobody', async () => {
    const fork = await hs1.storage.rooms.listExtremities(roomId);
    await hs1.rooms.membership.ban({ roomId, sender: alice, target: bob, reason: undefined });
    const before = await hs1.storage.rooms.listExtremities(roomId);
    const late = await forge({
      type: 'm.room.message',
      prev: fork,
      depth: 20,
      auth: (await pduOf(hs2, await say(hs2, bob, 'x'))).auth_events as EventId[],
    });
    expect(await receive([{ ...late.pdu }])).toEqual(['soft_failed']);
    expect(await hs1.storage.rooms.listExtremities(roomId)).toEqual(before);
    const viewer = { userId: alice, deviceId: null };
    await expect(hs1.rooms.history.getEvent(viewer, roomId, late.eventId)).rejects.toMatchObject({ status: 404 });
  });

  it('know one create event for a room', async () => {
    const second = await forge({ type: 'm.room.create', stateKey: '', content: {}, prev: [], auth: [] });
    expect(await receive([{ ...second.pdu }])).toEqual(['dropped']);
  });
});

describe('a gap', () => {
  it('is filled by what the sender gives, in order', async () => {
    const ids: EventId[] = [];
    for (let count = 0; count < 5; count++) ids.push(await say(hs2, bob, `m${count}`));
    const last = ids.at(-1) as EventId;
    expect(await receiveWithHelp([await pduOf(hs2, last)])).toEqual(['waiting']);
    expect(await verdictOf(last)).toBe('accepted');
    expect(hs1.asked).toEqual(['getMissingEvents hs2']);
    const shown = await hs1.storage.events.listTimeline(roomId, 0, hs1.storage.position(), 5);
    expect(shown.map((event) => event.eventId)).toEqual(ids);
  });

  it('that is wide is bridged by the state behind it', async () => {
    for (let count = 0; count < 40; count++) await say(hs2, bob, `m${count}`);
    await hs1.rooms.sending.sendEvent({
      roomId,
      sender: alice,
      type: 'm.room.name',
      stateKey: '',
      content: { name: 'a' },
    });
    const last = await say(hs2, bob, 'last');
    expect(await receiveWithHelp([await pduOf(hs2, last)])).toEqual(['waiting']);
    expect(await verdictOf(last)).toBe('accepted');
    expect(hs1.asked).toContain('getStateIds hs2');
    const extremities = await hs1.storage.rooms.listExtremities(roomId);
    expect(extremities).toContain(last);
    expect(extremities).toHaveLength(2);
    expect((await hs1.storage.state.findCurrent(roomId, 'm.room.name', ''))?.event.pdu.content).toEqual({ name: 'a' });
  });

  it('that nobody fills keeps a pushed event out, until what it follows has come', async () => {
    const first = await say(hs2, bob, 'first');
    const second = await say(hs2, bob, 'second');
    hs1.unreachable.add('hs2');
    expect(await receiveWithHelp([await pduOf(hs2, second)])).toEqual(['waiting']);
    expect(await verdictOf(second)).toBeUndefined();
    expect(await receive([await pduOf(hs2, first)])).toEqual(['accepted']);
    expect(await receive([await pduOf(hs2, second)])).toEqual(['accepted']);
  });

  it('that nobody fills, while what was missing is sent, leaves the event a moment for its sender', async () => {
    const first = await pduOf(hs2, await say(hs2, bob, 'first'));
    const second = await say(hs2, bob, 'second');
    hs1.requests.getMissingEvents = async () => {
      await receive([first]);
      throw new FederationError('refused', 'hs2 answered 404', 404);
    };
    expect(await receiveWithHelp([await pduOf(hs2, second)])).toEqual(['waiting']);
    expect(await verdictOf(second)).toBeUndefined();
    await world.clock.advance(2_000);
    await hs1.rooms.idle();
    expect(await verdictOf(second)).toBe('accepted');
  });

  it('within one transaction is none, whatever the order', async () => {
    const first = await pduOf(hs2, await say(hs2, bob, 'first'));
    const second = await pduOf(hs2, await say(hs2, bob, 'second'));
    expect(await receive([second, first])).toEqual(['accepted', 'accepted']);
    expect(hs1.asked).toEqual([]);
  });

  it('of auth events is filled too', async () => {
    const rename = await hs2.rooms.sending.sendEvent({
      roomId,
      sender: bob,
      type: 'm.room.member',
      stateKey: bob,
      content: { membership: 'join', displayname: 'B' },
    });
    const powers = await hs1.storage.state.findCurrent(roomId, 'm.room.power_levels', '');
    const create = await hs1.storage.state.findCurrent(roomId, 'm.room.create', '');
    const auth = [create, powers].flatMap((stored) => (stored ? [stored.event.eventId] : [])).concat(rename);
    const message = await forge({ type: 'm.room.message', auth });
    expect(await receiveWithHelp([{ ...message.pdu }])).toEqual(['waiting']);
    expect(await verdictOf(message.eventId)).toBe('accepted');
    expect(hs1.asked).toEqual(['getEvent hs2']);
  });
});

describe('a redaction', () => {
  it('that comes before its target is carried out when that comes', async () => {
    const target = await say(hs2, bob, 'secret');
    const redaction = await forge({ type: 'm.room.redaction', content: { redacts: target } });
    expect(await receive([{ ...redaction.pdu }])).toEqual(['accepted']);
    expect(await receive([await pduOf(hs2, target)])).toEqual(['accepted']);
    const stored = await hs1.storage.events.find(target);
    expect(stored).toMatchObject({ redactedBy: redaction.eventId, event: { pdu: { content: {} } } });
  });

  it('of somebody who may not is kept, and changes nothing', async () => {
    const target = await say(hs1, alice, 'mine');
    const redaction = await forge({ type: 'm.room.redaction', content: { redacts: target } });
    expect(await receive([{ ...redaction.pdu }])).toEqual(['accepted']);
    expect((await hs1.storage.events.find(target))?.event.pdu.content).toEqual({ body: 'mine' });
  });
});

describe('a join of another server', () => {
  it('is refused when it is something else, somebody else, or forbidden', async () => {
    const send = (event: RoomEvent) =>
      hs1.rooms.server.sendJoin(hs2.name, {
        roomId,
        eventId: event.eventId,
        event: event.pdu,
      });
    await expect(send(await forge({ type: 'm.room.message' }))).rejects.toMatchObject({ status: 400 });
    await expect(
      send(await forge({ type: 'm.room.member', stateKey: bob, content: { membership: 'leave' } })),
    ).rejects.toMatchObject({ status: 400 });
    await expect(
      send(await forge({ type: 'm.room.member', stateKey: '@carol:hs2', content: { membership: 'join' } })),
    ).rejects.toMatchObject({ status: 400 });
    await hs1.rooms.membership.ban({ roomId, sender: alice, target: bob, reason: undefined });
    const rules = await hs1.storage.state.findCurrent(roomId, 'm.room.join_rules', '');
    const banned = await forge({ type: 'm.room.member', stateKey: bob, content: { membership: 'join' } });
    const withRules = await forge({
      type: 'm.room.member',
      stateKey: bob,
      content: { membership: 'join' },
      auth: [...authEventIdsOf(banned.pdu), ...(rules ? [rules.event.eventId] : [])],
    });
    await expect(send(withRules)).rejects.toMatchObject({ status: 403 });
    await expect(hs1.rooms.server.makeJoin(hs2.name, { roomId, userId: bob, versions: ['11'] })).rejects.toMatchObject({
      status: 403,
    });
  });

  it('is not begun for a version that the other does not know, or for a user of another server', async () => {
    await expect(
      hs1.rooms.server.makeJoin(hs2.name, { roomId, userId: '@eve:hs2' as UserId, versions: ['1'] }),
    ).rejects.toMatchObject({ errcode: 'M_INCOMPATIBLE_ROOM_VERSION', fields: { room_version: '11' } });
    await expect(
      hs1.rooms.server.makeJoin(hs2.name, { roomId, userId: '@eve:hs3' as UserId, versions: ['11'] }),
    ).rejects.toMatchObject({ errcode: 'M_FORBIDDEN' });
  });
});
