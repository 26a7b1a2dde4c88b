import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EventId, RoomId, UserId } from '../../../../src/matrix/ids.ts';
import type { JsonObject } from '../../../../src/matrix/pdu.ts';
import type { ServerName } from '../../../../src/matrix/server-name.ts';
import { answered, type TestHome, World } from '../world.ts';

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
  roomId = await hs1.rooms.creating.createRoom(alice, { preset: 'public_chat', name: 'Ours' });
});
afterEach(() => world.stop());

interface SendJoinAnswer {
  state: JsonObject[];
  authChain: JsonObject[];
  event: JsonObject | undefined;
}

const join = () => hs2.rooms.membership.join({ roomId, userId: bob, servers: ['hs1' as ServerName], content: {} });

/** The other server answers as it should, and then this happens to the answer. */
function tamper(
  change: (answer: SendJoinAnswer, server: ServerName) => SendJoinAnswer | Promise<SendJoinAnswer>,
): void {
  const honest = hs2.requests.sendJoin;
  hs2.requests.sendJoin = async (server, eventRoom, eventId, event, take) => {
    const lists = { state: [] as JsonObject[], auth_chain: [] as JsonObject[] };
    const given = await honest(server, eventRoom, eventId, event, async (list, events) => {
      lists[list].push(...events.map(({ json }) => json));
    });
    const answer = await change({ state: lists.state, authChain: lists.auth_chain, event: given.event }, server);
    await take(
      'state',
      answer.state.map((json) => answered(JSON.stringify(json))),
    );
    await take(
      'auth_chain',
      answer.authChain.map((json) => answered(JSON.stringify(json))),
    );
    return { event: answer.event };
  };
}

const without = (events: JsonObject[], type: string) => events.filter((event) => event.type !== type);
const stateName = async () => (await hs2.storage.state.findCurrent(roomId, 'm.room.name', ''))?.event.pdu.content;

async function expectNoRoom(): Promise<void> {
  expect(hs2.roster.isJoined(roomId, bob)).toBe(false);
  expect(await hs2.storage.state.findCurrentSnapshot(roomId)).toBeUndefined();
  expect(await hs2.storage.rooms.findMembership(roomId, bob)).toBeUndefined();
}

describe('the answer to a join', () => {
  it('may hold events that nobody signed, which are left out', async () => {
    tamper((answer) => ({
      ...answer,
      state: answer.state.map((event) => (event.type === 'm.room.name' ? { ...event, signatures: {} } : event)),
    }));
    await join();
    expect(hs2.roster.isJoined(roomId, bob)).toBe(true);
    expect(await stateName()).toBeUndefined();
  });

  it('may hold things that are no events, or of other rooms, which are left out', async () => {
    tamper((answer) => ({ ...answer, state: [...answer.state, { type: 1 }, { room_id: '!x:hs1' }], authChain: [{}] }));
    await join();
    expect(await stateName()).toEqual({ name: 'Ours' });
  });

  it('counts only as far as its hashes go', async () => {
    tamper((answer) => ({
      ...answer,
      state: answer.state.map((event) =>
        event.type === 'm.room.name' ? { ...event, content: { name: 'Theirs' } } : event,
      ),
    }));
    await join();
    expect(await stateName()).toEqual({});
  });

  it.each([
    ['has no create event', 'm.room.create'],
    ['does not let the user in', 'm.room.join_rules'],
  ])('is refused when it %s, and leaves no room behind', async (_, type) => {
    tamper((answer) => ({ ...answer, state: without(answer.state, type), authChain: without(answer.authChain, type) }));
    await expect(join()).rejects.toMatchObject({ status: 502 });
    await expectNoRoom();
  });

  it('leads to the next server when it is refused', async () => {
    const hs3 = await world.add('hs3');
    const carol = await hs3.user('carol');
    await hs3.rooms.membership.join({ roomId, userId: carol, servers: ['hs1' as ServerName], content: {} });
    tamper((answer, server) => (server === 'hs1' ? { ...answer, state: [] } : answer));
    await world.deliver();
    const servers = ['hs1', 'hs3'] as ServerName[];
    await hs2.rooms.membership.join({ roomId, userId: bob, servers, content: {} });
    expect(hs2.roster.isJoined(roomId, bob)).toBe(true);
  });
});

describe('the template of a join', () => {
  it.each([
    ['another user', { sender: '@eve:hs2', state_key: '@eve:hs2' }],
    ['another room', { room_id: '!other:hs1' }],
    ['another kind of event', { type: 'm.room.message' }],
    ['another membership', { content: { membership: 'ban' } }],
  ])('for %s is never signed', async (_, change) => {
    const honest = hs2.requests.makeJoin;
    hs2.requests.makeJoin = async (...call) => {
      const answer = await honest(...call);
      return { ...answer, event: { ...answer.event, ...change } };
    };
    await expect(join()).rejects.toMatchObject({ status: 502 });
    expect(hs2.asked).not.toContain('sendJoin hs1');
    await expectNoRoom();
  });

  it('of a version that is not known here is not taken', async () => {
    hs2.requests.makeJoin = async () => ({ roomVersion: 'x', event: {} });
    await expect(join()).rejects.toMatchObject({ status: 502 });
  });
});

describe('a join right behind a departure', () => {
  const templates = () => hs2.asked.filter((call) => call === 'makeJoin hs1').length;
  const memberEvent = async (home: TestHome) =>
    (await home.storage.state.findCurrent(roomId, 'm.room.member', bob))?.event;

  /** bob was in the room and left, of which hs1 has not heard. */
  async function leaveUnheard() {
    await join();
    await world.deliver();
    await hs2.rooms.membership.leave({ roomId, userId: bob, reason: undefined });
    hs2.asked.length = 0;
    return memberEvent(hs2);
  }

  it('waits for a server that still has the user in the room', async () => {
    const departure = await leaveUnheard();
    const joined = join();
    await world.clock.advance(0);
    expect(templates()).toBe(1);
    expect(hs2.asked).not.toContain('sendJoin hs1');
    await world.deliver();
    await world.clock.advance(100);
    await joined;
    expect(templates()).toBe(2);
    const now = await memberEvent(hs1);
    expect(now?.pdu.content.membership).toBe('join');
    expect(now?.pdu.auth_events).toContain(departure?.eventId);
    expect((await memberEvent(hs2))?.eventId).toBe(now?.eventId);
  });

  it('takes what there is when the server does not come to know', async () => {
    const departure = await leaveUnheard();
    const joined = join();
    await world.clock.advance(2_000);
    await joined;
    expect(templates()).toBe(4);
    expect((await memberEvent(hs2))?.pdu).toMatchObject({ content: { membership: 'join' } });
    expect((await memberEvent(hs2))?.pdu.auth_events).not.toContain(departure?.eventId);
  });

  it('waits for nothing where the server knows, nor where it knows of more than this one', async () => {
    await leaveUnheard();
    await world.deliver();
    await join();
    expect(templates()).toBe(1);
    await hs2.rooms.membership.leave({ roomId, userId: bob, reason: undefined });
    await world.deliver();
    const moderation = { roomId, sender: alice, target: bob, reason: undefined };
    await hs1.rooms.membership.ban(moderation);
    await hs1.rooms.membership.unban(moderation);
    await join();
    expect(templates()).toBe(2);
  });
});

describe('what arrives while the room is being joined', () => {
  it('waits for the join and is not lost', async () => {
    tamper(async (answer) => {
      const eventId = await hs1.rooms.sending.sendEvent({
        roomId,
        sender: alice,
        type: 'm.room.message',
        content: { body: 'welcome' },
      });
      welcome = eventId;
      const [text = '{}'] = await hs1.storage.events.listPduTexts([eventId]);
      // Nobody waits for our join but what is pushed.
      const [pushed] = await hs2.rooms.receiver.receivePdus({ origin: hs1.name, roomId, pdus: [JSON.parse(text)] });
      expect(pushed).toMatchObject({ eventId, verdict: { verdict: 'waiting' } });
      return answer;
    });
    let welcome: EventId | undefined;
    await join();
    await hs2.rooms.idle();
    expect(await hs2.storage.events.find(welcome as EventId)).toMatchObject({ verdict: 'accepted' });
    expect(await hs2.storage.waitingEvents.list(0, 10)).toEqual([]);
  });

  it('is gone when the join comes to nothing', async () => {
    tamper(async (answer) => {
      const eventId = await hs1.rooms.sending.sendEvent({ roomId, sender: alice, type: 'm.room.message', content: {} });
      const [text = '{}'] = await hs1.storage.events.listPduTexts([eventId]);
      await hs2.rooms.receiver.receivePdus({ origin: hs1.name, roomId, pdus: [JSON.parse(text)] });
      return { ...answer, state: [], authChain: [] };
    });
    await expect(join()).rejects.toMatchObject({ status: 502 });
    await hs2.rooms.idle();
    expect(await hs2.storage.waitingEvents.list(0, 10)).toEqual([]);
  });
});

describe('a room with many members', () => {
  const members = 498;
  const ids = async (home: TestHome) => (await home.storage.state.listCurrentIds(roomId)).sort();
  beforeEach(async () => {
    const invite = Array.from({ length: members }, (_, count) => `@user${count}:hs1` as UserId);
    roomId = await hs1.rooms.creating.createRoom(alice, { preset: 'public_chat', invite });
  });

  it('is taken in whole, in small commits', async () => {
    const { commit } = hs2.storage;
    let largest = 0;
    hs2.storage.commit = (batch) => {
      largest = Math.max(largest, batch.rows.length);
      return commit.call(hs2.storage, batch);
    };
    await join();
    expect(await hs2.storage.rooms.countMembers(roomId, 'invite')).toBe(members);
    expect(await ids(hs2)).toEqual(await ids(hs1));
    const snapshot = await hs2.storage.state.findCurrentSnapshot(roomId);
    expect((await hs2.storage.state.getSnapshot(snapshot ?? (0 as never))).size).toBe((await ids(hs1)).length);
    expect(largest).toBeLessThanOrEqual(200);
  });

  it('is taken in whole, in whatever order its events come', async () => {
    tamper((answer) => ({
      ...answer,
      state: answer.state.toReversed(),
      authChain: [...answer.authChain.toReversed(), ...answer.authChain],
    }));
    await join();
    expect(await ids(hs2)).toEqual(await ids(hs1));
  });

  it('counts for nobody where the end of the process cuts the join off, and can be joined afterwards', async () => {
    const { commit } = hs2.storage;
    let left = 8;
    hs2.storage.commit = (batch) => {
      left -= 1;
      return left > 0 ? commit.call(hs2.storage, batch) : Promise.reject(new Error('the end'));
    };
    await expect(join()).rejects.toThrow('the end');
    hs2.storage.commit = commit;
    await expectNoRoom();
    expect(await hs2.storage.state.listCurrentIds(roomId)).toEqual([]);
    hs2.rooms.start();
    await hs2.rooms.idle();
    expect(await hs2.storage.imports.list()).toEqual([]);
    await join();
    expect(await ids(hs2)).toEqual(await ids(hs1));
    await hs2.rooms.idle();
    expect(await hs2.storage.imports.list()).toEqual([]);
  });

  it('has nobody left over from an earlier stay, and is cleared up behind it', async () => {
    await join();
    await hs2.rooms.membership.leave({ roomId, userId: bob, reason: undefined });
    await world.deliver();
    for (const count of [0, 1]) {
      const target = `@user${count}:hs1` as UserId;
      await hs1.rooms.membership.ban({ roomId, sender: alice, target, reason: undefined });
    }
    tamper((answer) => {
      const isGone = (event: JsonObject) => event.state_key === '@user2:hs1';
      return { ...answer, state: answer.state.filter((event) => !isGone(event)) };
    });
    await join();
    expect(await hs2.storage.rooms.countMembers(roomId, 'ban')).toBe(2);
    expect(await hs2.storage.rooms.countMembers(roomId, 'invite')).toBe(members - 3);
    expect(await hs2.storage.rooms.findMembership(roomId, '@user2:hs1' as UserId)).toMatchObject({
      membership: 'leave',
    });
    expect(await ids(hs2)).toHaveLength((await ids(hs1)).length - 1);
    await hs2.rooms.idle();
    expect(await hs2.storage.imports.list()).toEqual([]);
  });
});
