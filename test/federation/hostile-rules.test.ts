import { describe, expect, it } from 'vitest';
import { settle } from '../support/server.ts';
import { StubRoom } from '../support/stub-room.ts';
import { membershipOf, mindOf, path, stateOf, textsOf } from './rooms.ts';
import {
  a,
  alice,
  expectUnseen,
  find,
  guest,
  mallory,
  message,
  room,
  sendAmongGood,
  stub,
  third,
  useVisit,
} from './visit.ts';

useVisit();

describe('an event that the rules forbid', () => {
  const takeOver = () => ({
    type: 'm.room.power_levels',
    sender: mallory,
    state_key: '',
    content: { users: { [mallory]: 100 } },
  });

  it('is rejected: never shown, never part of the state', async () => {
    const before = await stateOf(alice, room, 'm.room.power_levels');
    const coup = guest.build(takeOver());
    const [result] = await sendAmongGood(coup);
    expect(result?.error).toEqual(expect.any(String));
    expect((await find(coup.eventId))?.verdict).toBe('rejected');
    await expectUnseen(coup.eventId);
    expect(await stateOf(alice, room, 'm.room.power_levels')).toEqual(before);
  });

  it('takes with it what names it as its permission', async () => {
    const coup = guest.build(takeOver());
    const [create = '', member = ''] = ['m.room.create', 'm.room.member'].map(
      (type) =>
        [...guest.state.values()].find(({ pdu }) => pdu.type === type && ['', mallory].includes(pdu.state_key ?? ''))
          ?.eventId,
    );
    const after = guest.build({
      type: 'm.room.name',
      sender: mallory,
      state_key: '',
      content: { name: 'mine' },
      prev_events: [coup.eventId],
      auth_events: [create, coup.eventId, member],
      depth: guest.depth + 2,
    });
    const results = await sendAmongGood(coup, after);
    expect(results.map((result) => typeof result?.error)).toEqual(['string', 'string']);
    expect((await find(after.eventId))?.verdict).toBe('rejected');
    await expectUnseen(after.eventId);
    expect(await stateOf(alice, room, 'm.room.name')).toBeUndefined();
  });

  it('does not spoil an honest event that merely comes after it', async () => {
    const coup = guest.build(takeOver());
    const honest = guest.build(message('after the coup', { prev_events: [coup.eventId], depth: guest.depth + 2 }));
    const [, result] = await sendAmongGood(coup, honest);
    expect(result).toEqual({});
    expect(await textsOf(alice, room)).toContain('after the coup');
    expect((await stateOf(alice, room, 'm.room.power_levels')).users).not.toHaveProperty([mallory]);
  });

  it.each<[string, () => Parameters<StubRoom['build']>[0]]>([
    ['a message of somebody who never joined', () => message('no', { sender: stub.user('stranger') })],
    ['a ban without the power', () => member(alice.userId, 'ban')],
    ['a kick without the power', () => member(alice.userId, 'leave')],
    ['a join in the name of another', () => member(stub.user('other'), 'join')],
    [
      'a second create event',
      () => ({
        type: 'm.room.create',
        sender: mallory,
        state_key: '',
        content: { room_version: '11' },
        prev_events: [],
        auth_events: [],
        depth: 1,
      }),
    ],
    [
      'state without the power',
      () => ({ type: 'm.room.topic', sender: mallory, state_key: '', content: { topic: 'x' } }),
    ],
    [
      'state under the name of another',
      () => ({ type: 'org.example.own', sender: mallory, state_key: alice.userId, content: {} }),
    ],
    [
      'a member event without a membership',
      () => ({ type: 'm.room.member', sender: mallory, state_key: mallory, content: {} }),
    ],
  ])('%s, changes nothing', async (_what, make) => {
    const { state, joined } = await mindOf(a, room);
    const bad = guest.build(make());
    const [result] = await sendAmongGood(bad);
    expect(result?.error).toEqual(expect.any(String));
    await expectUnseen(bad.eventId);
    expect(await mindOf(a, room)).toMatchObject({ state, joined });
  });

  it('a redaction of what others said, changes nothing of it', async () => {
    const said = await alice.say(room, 'stays');
    await settle(a);
    guest.take(stub.receivedPdus().at(-1) ?? {});
    const redaction = guest.build({ type: 'm.room.redaction', sender: mallory, content: { redacts: said } });
    await sendAmongGood(redaction);
    expect(await textsOf(alice, room)).toContain('stays');
  });

  it('a redaction of an event of another room, changes nothing there', async () => {
    const other = await alice.createRoom({ preset: 'public_chat' });
    await StubRoom.join(stub, a, other, mallory);
    guest.serve();
    const said = await alice.say(other, 'far away');
    await settle(a);
    await sendAmongGood(guest.build({ type: 'm.room.redaction', sender: mallory, content: { redacts: said } }));
    expect(await textsOf(alice, other)).toEqual(['far away']);
  });

  function member(userId: string, membership: string): Parameters<StubRoom['build']>[0] {
    return { type: 'm.room.member', sender: mallory, state_key: userId, content: { membership } };
  }
});

describe('an event that comes too late to be allowed', () => {
  it('is not shown, but what honestly builds on it is, and the room goes on', async () => {
    const before = { prev_events: [...guest.latest], depth: guest.depth + 1 };
    await alice.ok('POST', path(room, 'ban'), { user_id: mallory });
    await settle(a);
    // Built on the state from before the ban, which the hostile server claims not to know.
    const late = guest.build(message('too late', before));
    const answer = await stub.send(a, { pdus: [late.pdu] });
    expect(answer.body.pdus[late.eventId]).toEqual({});
    await settle(a);
    expect((await find(late.eventId))?.verdict).toBe('soft_failed');
    await expectUnseen(late.eventId);
    await alice.say(room, 'on we go');
    const trent = await StubRoom.join(third, a, room, third.user('trent'));
    const honest = trent.build({
      type: 'm.room.message',
      sender: third.user('trent'),
      content: { body: 'I saw both' },
      prev_events: [late.eventId, ...trent.latest],
      depth: trent.depth + 1,
    });
    expect((await third.send(a, { pdus: [honest.pdu] })).body.pdus[honest.eventId]).toEqual({});
    await settle(a);
    expect(await textsOf(alice, room)).toEqual(['on we go', 'I saw both']);
    expect((await mindOf(a, room)).extremities).toEqual([honest.eventId]);
    expect(await membershipOf(alice, room, mallory)).toBe('ban');
    await alice.say(room, 'and on');
    expect(await textsOf(alice, room)).toEqual(['on we go', 'I saw both', 'and on']);
  });

  it('does not bring back by its state what was taken away', async () => {
    await alice.setState(room, 'm.room.power_levels', {
      ...(await stateOf(alice, room, 'm.room.power_levels')),
      users: { [alice.userId]: 100, [mallory]: 50 },
    });
    await settle(a);
    guest.take(stub.receivedPdus().at(-1) ?? {});
    const topic = (text: string) => ({
      type: 'm.room.topic',
      sender: mallory,
      state_key: '',
      content: { topic: text },
      prev_events: [...guest.latest],
      depth: guest.depth + 1,
    });
    const late = guest.build(topic('mine'));
    await alice.setState(room, 'm.room.power_levels', {
      ...(await stateOf(alice, room, 'm.room.power_levels')),
      users: { [alice.userId]: 100 },
    });
    await settle(a);
    await stub.send(a, { pdus: [late.pdu] });
    await settle(a);
    expect((await find(late.eventId))?.verdict).toBe('soft_failed');
    expect(await stateOf(alice, room, 'm.room.topic')).toBeUndefined();
  });
});
