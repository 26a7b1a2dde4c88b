import { describe, expect, it } from 'vitest';
import { eventIdOf } from '../../src/engine/event/event-id.ts';
import { settle } from '../support/server.ts';
import type { SealedEvent } from '../support/stub-room.ts';
import { newTexts, path } from './rooms.ts';
import { a, alice, guest, mallory, room, stub, useVisit } from './visit.ts';

useVisit();

/** The guest learns what our server sent it. */
async function catchUp(): Promise<void> {
  await settle(a);
  for (const pdu of stub.receivedPdus()) {
    if (pdu.room_id === room && !guest.events.has(eventIdOf(pdu, guest.version))) guest.take(pdu);
  }
}

/** Two events of alice's after E1, then a room name that the guest had put directly after E1. */
async function nameFromLateBranch(): Promise<SealedEvent> {
  await alice.setState(room, 'm.room.power_levels', { users: { [alice.userId]: 100, [mallory]: 50 } });
  await alice.say(room, 'E1');
  await catchUp();
  const name = guest.build({ type: 'm.room.name', sender: mallory, state_key: '', content: { name: 'late' } });
  await alice.sync();
  await alice.say(room, 'E3');
  await alice.say(room, 'E4');
  await stub.send(a, { pdus: [name.pdu] });
  await settle(a);
  return name;
}

const withFilter = (filter: unknown) => `/sync?timeout=0&filter=${encodeURIComponent(JSON.stringify(filter))}`;
// biome-ignore lint/suspicious/noExplicitAny: the answer of a server
const idsOf = (events: any[]): string[] => events.map(({ event_id }) => event_id);

describe('what comes late from an old branch of the graph', () => {
  it('is the newest to a client that goes on from a token, as it arrived', async () => {
    const name = await nameFromLateBranch();
    const { timeline } = (await alice.sync()).rooms.join[room];
    expect(idsOf(timeline.events).at(-1)).toBe(name.eventId);
  });

  it('stands in the state beside the end of the whole room, which goes by the graph', async () => {
    const name = await nameFromLateBranch();
    await alice.send(room, 'please_filter_me', {});
    const filter = { room: { timeline: { not_types: ['please_filter_me'], limit: 1 } } };
    const whole = await alice.ok('GET', withFilter(filter));
    expect(newTexts(whole, room)).toEqual(['E4']);
    expect(whole.rooms.join[room].timeline.limited).toBe(true);
    expect(idsOf(whole.rooms.join[room].state.events)).toContain(name.eventId);
  });

  it('is found on the walk back from there, once; what comes after that is news only', async () => {
    const name = await nameFromLateBranch();
    const later = guest.build({ type: 'm.room.message', sender: mallory, content: { body: 'later' } });
    const whole = await alice.ok('GET', withFilter({ room: { timeline: { limit: 1 } } }));
    await stub.send(a, { pdus: [later.pdu] });
    await settle(a);

    const { prev_batch: from } = whole.rooms.join[room].timeline;
    const walked = await alice.ok('GET', `${path(room, 'messages')}?dir=b&limit=100&from=${from}`);
    expect(idsOf(walked.chunk).filter((eventId) => eventId === name.eventId)).toHaveLength(1);
    expect(walked.chunk.map(({ content }: { content: { body?: string } }) => content.body)).toEqual(
      expect.arrayContaining(['E1', 'E3']),
    );
    expect(idsOf(walked.chunk)).not.toContain(later.eventId);
    const next = await alice.ok('GET', `/sync?timeout=0&since=${whole.next_batch}`);
    expect(idsOf(next.rooms.join[room].timeline.events)).toEqual([later.eventId]);
  });

  it('is not hidden from a walk forward from the same place', async () => {
    await nameFromLateBranch();
    const whole = await alice.ok('GET', withFilter({ room: { timeline: { limit: 1 } } }));
    await alice.say(room, 'E6');
    const { prev_batch: from } = whole.rooms.join[room].timeline;
    const walked = await alice.ok('GET', `${path(room, 'messages')}?dir=f&limit=100&from=${from}`);
    expect(walked.chunk.at(-1).content.body).toBe('E6');
  });
});
