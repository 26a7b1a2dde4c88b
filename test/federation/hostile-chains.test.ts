import { describe, expect, it } from 'vitest';
import { HostileReply } from '../support/hostile-server.ts';
import { settle } from '../support/server.ts';
import type { SealedEvent } from '../support/stub-room.ts';
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

const idOf = (type: string, stateKey = ''): string =>
  [...guest.state.values()].find(({ pdu }) => pdu.type === type && pdu.state_key === stateKey)?.eventId ?? '';

/** The guest learns what our server sent it. */
async function catchUp(): Promise<void> {
  await settle(a);
  for (const pdu of stub.receivedPdus()) if (pdu.room_id === room) guest.take(pdu);
}

describe('an event that rests on one that was rejected', () => {
  const accomplice = () => stub.user('accomplice');

  /** A rejected takeover, then a join that cites it and was never sent, then what the accomplice says by that join. */
  function chain(): { coup: SealedEvent; join: SealedEvent; said: SealedEvent } {
    const levels = { users: { [mallory]: 100 } };
    const coup = guest.build({ type: 'm.room.power_levels', sender: mallory, state_key: '', content: levels });
    const join = guest.build({
      type: 'm.room.member',
      sender: accomplice(),
      state_key: accomplice(),
      content: { membership: 'join' },
      auth_events: [idOf('m.room.create'), idOf('m.room.join_rules'), coup.eventId],
    });
    const said = guest.build(
      message('by a bad chain', {
        sender: accomplice(),
        auth_events: [idOf('m.room.create'), idOf('m.room.power_levels'), join.eventId],
      }),
    );
    return { coup, join, said };
  }

  it.each(['tells', 'does not tell'])(
    'at second hand is not taken, where the server %s what lies between',
    async (how) => {
      const { coup, join, said } = chain();
      const gone = new HostileReply(404, { errcode: 'M_NOT_FOUND', error: 'not here' });
      stub.on('event_auth', () =>
        how === 'tells' ? { auth_chain: [coup.pdu, join.pdu, ...guest.stateList()] } : gone,
      );
      stub.on('event', ({ rest: [eventId = ''] }) => {
        const event = [coup, join].find((sealed) => sealed.eventId === eventId);
        return how === 'tells' && event ? { origin: stub.name, origin_server_ts: 1, pdus: [event.pdu] } : gone;
      });
      const { state, joined } = await mindOf(a, room);
      const [first, second] = await sendAmongGood(coup, said);
      expect(first?.error).toEqual(expect.any(String));
      // What cannot be judged at once waits for what is missing; where nobody brings that, for as long as anything may wait.
      expect(second).toEqual({});
      expect((await find(said.eventId))?.verdict).toBe(how === 'tells' ? 'rejected' : undefined);
      for (const { eventId } of [coup, join, said]) {
        expect((await find(eventId))?.verdict ?? 'rejected').toBe('rejected');
        await expectUnseen(eventId);
      }
      expect(await mindOf(a, room)).toMatchObject({ state, joined });
      expect(await membershipOf(alice, room, accomplice())).toBeUndefined();
    },
  );

  it('stays out when the same is sent again, and what is honest goes on', async () => {
    const { coup, join, said } = chain();
    for (let time = 0; time < 2; time++) await stub.send(a, { pdus: [coup.pdu, join.pdu, said.pdu] });
    await settle(a);
    for (const { eventId } of [coup, join, said]) await expectUnseen(eventId);
    const good = guest.say(mallory, 'and now something true');
    expect((await stub.send(a, { pdus: [good.pdu] })).body.pdus).toEqual({ [good.eventId]: {} });
    await settle(a);
    expect(await textsOf(alice, room)).toEqual(['and now something true']);
  });
});

describe('a state event that came too late', () => {
  const setLevels = async (users: Record<string, number>) => {
    const before = await stateOf(alice, room, 'm.room.power_levels');
    await alice.setState(room, 'm.room.power_levels', { ...before, users: { [alice.userId]: 100, ...users } });
    await catchUp();
  };

  /** By Mallory at 50, from before the moment when she was put down to 0. */
  async function lateTopic(): Promise<SealedEvent> {
    await setLevels({ [mallory]: 50 });
    const topic = guest.build({ type: 'm.room.topic', sender: mallory, state_key: '', content: { topic: 'late' } });
    await setLevels({ [mallory]: 0 });
    expect((await stub.send(a, { pdus: [topic.pdu] })).body.pdus[topic.eventId]).toEqual({});
    await settle(a);
    expect((await find(topic.eventId))?.verdict).toBe('soft_failed');
    return topic;
  }

  /** Trent, of a third server, says something that cites it beside the end of the room. */
  async function cite(eventId: string): Promise<void> {
    const trent = await StubRoom.join(third, a, room, third.user('trent'));
    const honest = trent.build({
      type: 'm.room.message',
      sender: third.user('trent'),
      content: { body: 'I saw both' },
      prev_events: [eventId, ...trent.latest],
      depth: trent.depth + 1,
    });
    expect((await third.send(a, { pdus: [honest.pdu] })).body.pdus).toEqual({ [honest.eventId]: {} });
    await settle(a);
    expect(await textsOf(alice, room)).toContain('I saw both');
  }

  it('is not the state, and is shown to nobody', async () => {
    const topic = await lateTopic();
    expect(await stateOf(alice, room, 'm.room.topic')).toBeUndefined();
    await expectUnseen(topic.eventId);
    await alice.say(room, 'on');
    expect((await mindOf(a, room)).extremities).not.toContain(topic.eventId);
  });

  it('is not the state either when others cite it, while the rules forbid it', async () => {
    const topic = await lateTopic();
    await cite(topic.eventId);
    expect(await stateOf(alice, room, 'm.room.topic')).toBeUndefined();
  });

  it('is the state, though not part of the timeline, when others cite it and the rules allow it again', async () => {
    const topic = await lateTopic();
    await setLevels({ [mallory]: 50 });
    expect(await stateOf(alice, room, 'm.room.topic')).toBeUndefined();
    await cite(topic.eventId);
    expect(await stateOf(alice, room, 'm.room.topic')).toEqual({ topic: 'late' });
    const { chunk } = await alice.ok('GET', `${path(room, 'messages')}?dir=b&limit=100`);
    expect(chunk.map(({ event_id }: { event_id: string }) => event_id)).not.toContain(topic.eventId);
    // What rests on it in the state goes on from there.
    await alice.setState(room, 'm.room.topic', { topic: 'newer' });
    expect(await stateOf(alice, room, 'm.room.topic')).toEqual({ topic: 'newer' });
  });
});
