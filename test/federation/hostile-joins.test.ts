import { beforeEach, describe, expect, it } from 'vitest';
import type { UserId } from '../../src/matrix/ids.ts';
import type { JsonObject } from '../../src/matrix/pdu.ts';
import { HostileReply } from '../support/hostile-server.ts';
import { settle } from '../support/server.ts';
import { type StubEvent, StubRoom, seal, unknownId } from '../support/stub-room.ts';
import type { Answer } from '../support/user.ts';
import { mindOf, stateOf, textsOf } from './rooms.ts';
import { a, alice, mallory, member, stub, third, useHostileServers } from './visit.ts';

useHostileServers();

const storage = () => a.running.lantern.storage;

describe('joining a room of a hostile server', () => {
  let there: StubRoom;

  beforeEach(() => {
    there = StubRoom.create(stub, { creator: mallory, nowMs: () => a.clock.now() });
    there.serve();
  });

  const join = () => alice.call('POST', `/join/${encodeURIComponent(there.roomId)}?via=${stub.name}`, {});

  async function expectNothing(answer: Answer): Promise<void> {
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.status).not.toBe(500);
    expect(answer.body.errcode).toMatch(/^M_/);
    await settle(a);
    expect((await alice.ok('GET', '/joined_rooms')).joined_rooms).not.toContain(there.roomId);
    expect(await storage().rooms.findMembership(there.roomId, alice.userId as UserId)).toBeUndefined();
    expect(await storage().state.findCurrentSnapshot(there.roomId)).toBeUndefined();
    expect(JSON.stringify(await alice.ok('GET', '/sync?timeout=0'))).not.toContain(there.roomId);
  }

  it('works while it behaves', async () => {
    there.say(mallory, 'before you');
    expect(await join()).toEqual({ status: 200, body: { room_id: there.roomId } });
    const { eventId, pdu } = there.say(mallory, 'welcome');
    expect((await stub.send(a, { pdus: [pdu] })).body.pdus).toEqual({ [eventId]: {} });
    await settle(a);
    expect(await textsOf(alice, there.roomId)).toEqual(['before you', 'welcome']);
    await alice.say(there.roomId, 'thank you');
    await settle(a);
    expect(stub.receivedPdus().at(-1)?.content).toMatchObject({ body: 'thank you' });
  });

  it('works after an attempt that failed', async () => {
    stub.on('send_join', () => ({ state: [], auth_chain: [] }));
    await expectNothing(await join());
    there.serve();
    expect((await join()).status).toBe(200);
    expect(await stateOf(alice, there.roomId, 'm.room.create')).toEqual({ room_version: '11' });
  });

  it.each<[string, JsonObject]>([
    ['of a version that is not known', { room_version: 'org.example.new' }],
    ['without a version', { room_version: undefined }],
    ['with a version that is no text', { room_version: 11 }],
    ['without an event', { event: undefined }],
    ['with an event that is none', { event: [] }],
  ])('ends at a template %s', async (_what, more) => {
    const template = there.build(member(alice.userId, 'join')).pdu;
    stub.on('make_join', () => ({ room_version: '11', event: template, ...more }));
    await expectNothing(await join());
    expect(stub.asked('send_join').filter(({ rest }) => rest[0] === there.roomId)).toEqual([]);
  });

  it.each<[string, () => StubEvent]>([
    ['of another room', () => ({ ...member(alice.userId, 'join'), room_id: `!other:${stub.name}` })],
    ['of another user', () => member(mallory, 'join')],
    ['about another user', () => ({ ...member(alice.userId, 'join'), state_key: mallory })],
    ['of another membership', () => member(alice.userId, 'ban')],
    [
      'of another type',
      () => ({ type: 'm.room.power_levels', sender: alice.userId as UserId, state_key: '', content: { users: {} } }),
    ],
  ])('signs no template %s', async (_what, make) => {
    const { hashes, signatures, ...event } = there.build(make()).pdu;
    stub.on('make_join', () => ({ room_version: '11', event }));
    await expectNothing(await join());
    expect(stub.asked('send_join').filter(({ rest }) => rest.includes(there.roomId))).toEqual([]);
  });

  it('does not let the template set more than what the room needs of our user', async () => {
    const content = { membership: 'join', displayname: 'Fool', 'org.example.extra': 1 };
    stub.on('make_join', () => {
      const { hashes, signatures, ...event } = there.build({ ...member(alice.userId, 'join'), content }).pdu;
      return { room_version: '11', event: { ...event, origin_server_ts: 1 } };
    });
    expect((await join()).status).toBe(200);
    expect(await stateOf(alice, there.roomId, 'm.room.member', alice.userId)).toEqual({ membership: 'join' });
  });

  const answer = () => ({
    event: undefined as JsonObject | undefined,
    state: there.stateList(),
    auth_chain: there.authChainOf(there.state.values()),
    members_omitted: false,
  });
  it.each<[string, (good: ReturnType<typeof answer>) => JsonObject | HostileReply]>([
    ['nothing', () => ({})],
    ['a list', () => new HostileReply(200, '[]')],
    ['no JSON', () => new HostileReply(200, '{"state":[')],
    ['lists that are none', (good) => ({ ...good, state: {}, auth_chain: 'x' })],
    [
      'no create event',
      (good) => ({
        ...good,
        state: good.state.filter(({ type }) => type !== 'm.room.create'),
        auth_chain: good.auth_chain.filter(({ type }) => type !== 'm.room.create'),
      }),
    ],
    [
      'a create event that nobody signed',
      (good) => {
        const strip = (event: JsonObject) => (event.type === 'm.room.create' ? { ...event, signatures: {} } : event);
        return { ...good, state: good.state.map(strip), auth_chain: good.auth_chain.map(strip) };
      },
    ],
    [
      'a state that does not let anybody join',
      (good) => {
        const closed = there.build({
          type: 'm.room.join_rules',
          sender: mallory,
          state_key: '',
          content: { join_rule: 'invite' },
        });
        return { ...good, state: [...good.state.filter(({ type }) => type !== 'm.room.join_rules'), closed.pdu] };
      },
    ],
    [
      'the state of another room',
      () => {
        const other = StubRoom.create(stub, { creator: mallory, nowMs: () => a.clock.now() });
        return { state: other.stateList(), auth_chain: other.authChainOf(other.state.values()) };
      },
    ],
    ['500', () => new HostileReply(500, { errcode: 'M_UNKNOWN', error: 'x' })],
    ['403', () => new HostileReply(403, { errcode: 'M_FORBIDDEN', error: 'you may not' })],
  ])('comes to nothing where the answer to the join is %s', async (_what, make) => {
    stub.on('send_join', () => make(answer()));
    await expectNothing(await join());
  });

  it('comes to nothing in a room that says it is of another version than its server', async () => {
    const other = StubRoom.create(stub, { creator: mallory, nowMs: () => a.clock.now(), version: '10' });
    const template = other.build(member(alice.userId, 'join')).pdu;
    stub.on('make_join', () => ({ room_version: '11', event: template }));
    stub.on('send_join', () => ({ state: other.stateList(), auth_chain: [] }));
    there = other;
    await expectNothing(await join());
  });

  it('leaves out of the state what is not signed, malformed or forbidden, and takes the rest', async () => {
    const topic = there.add({ type: 'm.room.topic', sender: mallory, state_key: '', content: { topic: 'true' } });
    const state = (type: string, more: Partial<StubEvent> = {}) =>
      there.build({ type, sender: mallory, state_key: '', content: { forged: true }, ...more });
    const unsigned = there.build({
      type: 'org.example.unsigned',
      sender: third.user('trent'),
      state_key: '',
      content: { forged: true },
    });
    const forbidden = state('org.example.forbidden', { sender: stub.user('nobody') });
    const orphan = state('org.example.orphan', { auth_events: [unknownId()] });
    stub.on('send_join', () => {
      const good = answer();
      const bad = [unsigned.pdu, forbidden.pdu, orphan.pdu, null, 7, {}, { type: 'x' }] as JsonObject[];
      return { ...good, state: [...bad, ...good.state, ...bad] };
    });
    expect((await join()).status).toBe(200);
    await settle(a);
    expect(await stateOf(alice, there.roomId, 'm.room.topic')).toEqual({ topic: 'true' });
    for (const type of ['unsigned', 'forbidden', 'orphan']) {
      expect(await stateOf(alice, there.roomId, `org.example.${type}`)).toBeUndefined();
    }
    expect((await mindOf(a, there.roomId)).state['m.room.topic ']).toBe(topic.eventId);
  });

  it('takes no other join than our own for granted', async () => {
    // The answer names an event of its own as the join.
    stub.on('send_join', ({ body }) => ({
      ...answer(),
      event: { ...body, content: { membership: 'join', displayname: 'Fool' } },
    }));
    const said = await join();
    expect(said.status).toBe(200);
    expect(await stateOf(alice, there.roomId, 'm.room.member', alice.userId)).toEqual({ membership: 'join' });
  });

  it('does not take a vouching that was not signed', async () => {
    const club = StubRoom.create(stub, { creator: mallory, nowMs: () => a.clock.now() });
    const rule = { join_rule: 'restricted', allow: [{ type: 'm.room_membership', room_id: club.roomId }] };
    there.add({ type: 'm.room.join_rules', sender: mallory, state_key: '', content: rule });
    const vouched = { membership: 'join', join_authorised_via_users_server: mallory };
    stub.on('make_join', () => {
      const { hashes, signatures, ...event } = there.build({ ...member(alice.userId, 'join'), content: vouched }).pdu;
      return { room_version: '11', event };
    });
    stub.on('send_join', ({ body }) => ({ ...answer(), event: body }));
    await expectNothing(await join());
    stub.on('send_join', ({ body }) => ({
      ...answer(),
      event: { ...body, signatures: { ...body.signatures, [stub.name]: { [stub.signer.key.keyId]: 'A'.repeat(86) } } },
    }));
    await expectNothing(await join());
    stub.on('send_join', ({ body }) => {
      const { hashes, signatures, ...event } = body;
      const signed = seal(event, there.version, { signers: [stub.signer] }).pdu.signatures as JsonObject;
      return { ...answer(), event: { ...body, signatures: { ...signatures, ...signed } } };
    });
    expect((await join()).status).toBe(200);
  });

  it('keeps apart what it says of aliases', async () => {
    stub.on('query/directory', () => ({
      room_id: there.roomId,
      servers: [stub.name, 7, 'not a server name!', a.name],
    }));
    const alias = `#door:${stub.name}`;
    expect(await alice.ok('POST', `/join/${encodeURIComponent(alias)}`, {})).toEqual({ room_id: there.roomId });
    for (const bad of [
      {},
      { room_id: 7, servers: [] },
      { room_id: 'x', servers: [stub.name] },
      { room_id: there.roomId },
    ]) {
      stub.on('query/directory', () => bad as JsonObject);
      const asked = await alice.call('GET', `/directory/room/${encodeURIComponent(alias)}`);
      expect(asked.status).not.toBe(500);
      if (asked.status === 200) expect(asked.body.room_id).toBe(there.roomId);
    }
  });

  it('shows no more of a profile than the specification knows', async () => {
    const profile = `/profile/${encodeURIComponent(mallory)}`;
    stub.on('query/profile', () => ({ displayname: 7, avatar_url: ['x'], 'org.example': 'y' }));
    const odd = await alice.call('GET', profile);
    expect(odd.status).not.toBe(500);
    expect(typeof (odd.body.displayname ?? '')).toBe('string');
    expect(typeof (odd.body.avatar_url ?? '')).toBe('string');
    stub.on('query/profile', () => new HostileReply(200, '"text"'));
    expect((await alice.call('GET', profile)).status).toBe(502);
  });
});
