import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/matrix/pdu.ts';
import { HostileReply } from '../support/hostile-server.ts';
import { settle } from '../support/server.ts';
import { type SealedEvent, StubRoom, unknownId } from '../support/stub-room.ts';
import { mindOf, newTexts, stateOf, textsOf } from './rooms.ts';
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

describe('an event whose past is missing', () => {
  const unserve = (...what: string[]) => {
    for (const name of what) stub.on(name, () => new HostileReply(404, { errcode: 'M_NOT_FOUND', error: 'no' }));
  };

  it('waits for what the sender gives when asked, which comes in order', async () => {
    await alice.sync();
    const events = Array.from({ length: 6 }, (_, index) => guest.say(mallory, `gap ${index}`));
    const last = events.at(-1) as SealedEvent;
    const answer = await stub.send(a, { pdus: [last.pdu] });
    expect(answer.body.pdus).toEqual({ [last.eventId]: {} });
    await settle(a);
    const texts = events.map((_, index) => `gap ${index}`);
    expect(await textsOf(alice, room)).toEqual(texts);
    expect(newTexts(await alice.sync(), room)).toEqual(texts);
    expect(stub.asked('get_missing_events').at(-1)?.body).toMatchObject({ latest_events: [last.eventId] });
    expect((await mindOf(a, room)).extremities).toEqual([last.eventId]);
  });

  it('is taken with the state that the sender tells where the gap is wider than it gives', async () => {
    const events = Array.from({ length: 40 }, (_, index) => guest.say(mallory, `wide ${index}`));
    const last = events.at(-1) as SealedEvent;
    const whole = stub;
    whole.on('get_missing_events', () => ({ events: events.slice(30, 39).map(({ pdu }) => pdu) }));
    const answer = await stub.send(a, { pdus: [last.pdu] });
    expect(answer.body.pdus).toEqual({ [last.eventId]: {} });
    await settle(a);
    expect(await textsOf(alice, room)).toEqual(events.map((_, index) => `wide ${index}`));
  });

  it('limits the timeline while the gap is there, whether or not something of ours stands before it', async () => {
    const talk = async (anything: boolean) => {
      await alice.sync();
      if (anything) await alice.say(room, 'before the gap');
      const events = Array.from({ length: 5 }, (_, index) => guest.say(mallory, `gap ${index}`));
      stub.on('get_missing_events', () => ({ events: events.slice(3, 4).map(({ pdu }) => pdu) }));
      await stub.send(a, { pdus: events.slice(-1).map(({ pdu }) => pdu) });
      await settle(a);
      const answer = await alice.sync();
      return [newTexts(answer, room), answer.rooms.join[room].timeline.limited];
    };
    expect(await talk(true)).toEqual([['gap 3', 'gap 4'], true]);
    expect(await talk(false)).toEqual([['gap 3', 'gap 4'], true]);
    await alice.say(room, 'and no gap');
    const { timeline } = (await alice.sync()).rooms.join[room];
    expect([timeline.events.length, timeline.limited]).toEqual([1, false]);
  });

  it('that nobody gives is not taken, and costs nothing else', async () => {
    unserve('get_missing_events', 'state_ids', 'state', 'event', 'event_auth', 'backfill');
    const lost = guest.build(message('lost', { prev_events: [unknownId()], depth: 90 }));
    const before = await mindOf(a, room);
    const answer = await stub.send(a, { pdus: [lost.pdu] });
    expect(answer.body.pdus).toHaveProperty([lost.eventId]);
    await settle(a);
    expect(await mindOf(a, room)).toEqual(before);
    expect(await find(lost.eventId)).toBeUndefined();
    const good = guest.say(mallory, 'still here');
    expect((await stub.send(a, { pdus: [good.pdu] })).body.pdus[good.eventId]).toEqual({});
    expect(await textsOf(alice, room)).toEqual(['still here']);
  });

  it('with auth events that nobody has is not taken', async () => {
    unserve('event', 'event_auth');
    const lost = guest.build(message('no permission', { auth_events: [unknownId()] }));
    await sendAmongGood(lost);
    expect(await find(lost.eventId)).toBeUndefined();
    await expectUnseen(lost.eventId);
  });

  it.each<[string, () => JsonObject | string]>([
    ['no object', () => '[]'],
    ['no JSON', () => '{"events":'],
    ['events that are none', () => ({ events: [null, 1, {}, { type: 'x' }] })],
    ['no list', () => ({ events: 'none' })],
    ['events of another room', () => ({ events: strangers() })],
    [
      'a thousand events',
      () => ({ events: Array.from({ length: 1000 }, (_, index) => guest.build(message(`flood ${index}`)).pdu) }),
    ],
    ['the event itself', () => ({ events: [lastLost?.pdu] })],
  ])('costs only itself where the sender answers with %s', async (_what, answer) => {
    unserve('state_ids', 'state', 'event', 'event_auth', 'backfill');
    const lost = guest.build(message('lost', { prev_events: [unknownId()], depth: 90 }));
    lastLost = lost;
    stub.on('get_missing_events', () => {
      const body = answer();
      return typeof body === 'string' ? new HostileReply(200, body) : body;
    });
    const said = await stub.send(a, { pdus: [lost.pdu] });
    expect(said.status).toBe(200);
    expect(await find(lost.eventId)).toBeUndefined();
    await settle(a);
    expect((await textsOf(alice, room)).filter((text) => !text.startsWith('flood'))).toEqual([]);
    const { storage } = a.running.lantern;
    for (const pdu of strangers()) expect(await storage.rooms.find(pdu.room_id as never)).toBeUndefined();
    await alice.say(room, 'well');
  });

  let lastLost: SealedEvent | undefined;
  let foreign: StubRoom | undefined;
  function strangers(): JsonObject[] {
    foreign ??= StubRoom.create(third, { creator: third.user('trent'), nowMs: () => a.clock.now() });
    return [...foreign.events.values()].map(({ pdu }) => pdu);
  }

  it('cannot smuggle a state in: told state is judged by its own permissions', async () => {
    // The hostile server lets us pull an event at the edge of a gap and tells a state in which mallory rules.
    const coup = guest.build({
      type: 'm.room.power_levels',
      sender: mallory,
      state_key: '',
      content: { users: { [mallory]: 100 } },
    });
    const edge = guest.build(message('edge', { prev_events: [unknownId()], depth: 50 }));
    const last = guest.build(message('pushed', { prev_events: [edge.eventId], depth: 51 }));
    stub.on('get_missing_events', () => ({ events: [edge.pdu] }));
    const told = [...guest.state.values()].filter(({ pdu }) => pdu.type !== 'm.room.power_levels');
    const ids = told.map(({ eventId }) => eventId);
    stub.on('state_ids', () => ({ pdu_ids: [...ids, coup.eventId], auth_chain_ids: [] }));
    stub.on('event', ({ rest: [eventId] }) => {
      const known: Record<string, JsonObject> = { [coup.eventId]: coup.pdu, [edge.eventId]: edge.pdu };
      const pdu = known[eventId ?? ''];
      return pdu ? { pdus: [pdu] } : new HostileReply(404, { errcode: 'M_NOT_FOUND' });
    });
    await stub.send(a, { pdus: [last.pdu] });
    await settle(a);
    expect((await stateOf(alice, room, 'm.room.power_levels')).users).not.toHaveProperty([mallory]);
    const verdict = (await find(coup.eventId))?.verdict;
    expect([undefined, 'rejected']).toContain(verdict);
    await alice.setState(room, 'm.room.topic', { topic: 'still mine' });
  });
});
