import type { RoomId } from '../../../../../src/matrix/ids.ts';
import type { JsonObject, RoomEvent } from '../../../../../src/matrix/pdu.ts';
import { type EventSketch, makeEvent, SketchedRoom } from '../../../../support/room-events.ts';
import {
  alice,
  bob,
  carol,
  everyVersion,
  furnishedRoom,
  judge,
  judgeAuthEvents,
  judgeEvent,
  type Outcome,
  type RuleRow,
} from './rule-table.ts';

/** A create event of Alice's. */
function create(version: string, { content, ...sketch }: Partial<EventSketch> = {}): RoomEvent {
  const room = new SketchedRoom(version, alice);
  const creator = room.version.creatorFrom === 'content' ? { creator: alice } : {};
  const rest = { type: 'm.room.create', stateKey: '', sender: alice, content: { ...creator, ...content } };
  return makeEvent(room.version, { ...rest, ...sketch });
}

function judgeCreate(version: string, sketch: Partial<EventSketch> = {}): Outcome {
  return judgeEvent(new SketchedRoom(version), create(version, sketch));
}

/** The same with a room id, which the format of a version may not let through. */
function judgeCreateIn(version: string, roomId: string): Outcome {
  const event = create(version);
  const named = { ...event, roomId: roomId as RoomId, pdu: { ...event.pdu, room_id: roomId as RoomId } };
  return judgeEvent(new SketchedRoom(version), named);
}

/** A create event of Alice's that says no more than this. */
function judgeBareCreate(version: string, content: JsonObject): Outcome {
  const room = new SketchedRoom(version, alice);
  const sketch = { type: 'm.room.create', stateKey: '', sender: alice, content };
  return judgeEvent(room, makeEvent(room.version, sketch));
}

const room = (version: string) => new SketchedRoom(version, alice);

export const createRows: RuleRow[] = [
  {
    at: `${everyVersion}: 1.1`,
    passes: ['a create event without previous events', (version) => judgeCreate(version)],
    fails: [
      'a create event behind another event',
      (version) => judgeCreate(version, { prev: [room(version).create] }),
      'the create event has previous events',
    ],
  },
  {
    at: '1-11: 1.2',
    passes: ["a create event in a room of its sender's server", (version) => judgeCreateIn(version, '!room:a.test')],
    fails: [
      'a create event in a room of another server',
      (version) => judgeCreateIn(version, '!room:b.test'),
      "the room id is not of the creator's server",
    ],
    elsewhere: { passes: 'the create event has a room_id', fails: 'the create event has a room_id' },
  },
  {
    at: '12: 1.2',
    passes: ['a create event without a room id', (version) => judgeCreate(version)],
    fails: [
      'a create event with a room id',
      (version) => judgeCreateIn(version, '!room:a.test'),
      'the create event has a room_id',
    ],
    elsewhere: { fails: 'allowed' },
  },
  {
    at: `${everyVersion}: 1.3`,
    passes: [
      'a create event with a room version that is known',
      (version) => judgeCreate(version, { content: { room_version: version } }),
    ],
    fails: [
      'a create event with one that is not',
      (version) => judgeCreate(version, { content: { room_version: '99' } }),
      'the room version is not recognised',
    ],
  },
  {
    at: `${everyVersion}: 1.3`,
    passes: ['a create event without a room version', (version) => judgeCreate(version)],
    fails: [
      'a create event whose room version is a number',
      (version) => judgeCreate(version, { content: { room_version: Number(version) } }),
      'the room version is not recognised',
    ],
  },
  {
    at: '1-10: 1.4',
    passes: ['a create event that names its creator', (version) => judgeBareCreate(version, { creator: alice })],
    fails: [
      'a create event that names none',
      (version) => judgeBareCreate(version, {}),
      'the create event names no creator',
    ],
    elsewhere: { fails: 'allowed' },
  },
  {
    at: '12: 1.4',
    passes: [
      'a create event with further creators',
      (version) => judgeCreate(version, { content: { additional_creators: [bob, carol] } }),
    ],
    fails: [
      'a create event with further creators of whom one is no user',
      (version) => judgeCreate(version, { content: { additional_creators: [bob, 'carol'] } }),
      'additional_creators are not user ids',
    ],
    elsewhere: { fails: 'allowed' },
  },
  {
    at: '12: 1.4',
    passes: [
      'a create event with an empty list of further creators',
      (version) => judgeCreate(version, { content: { additional_creators: [] } }),
    ],
    fails: [
      'a create event whose further creators are no list',
      (version) => judgeCreate(version, { content: { additional_creators: { [bob]: 1 } } }),
      'additional_creators are not user ids',
    ],
    elsewhere: { fails: 'allowed' },
  },
  {
    at: '1-10: 1.5; 11: 1.4; 12: 1.5',
    passes: [
      'a create event that says what nobody asks about',
      (version) => judgeCreate(version, { content: { type: true, predecessor: 'x' } }),
    ],
    fails: [
      'the same with a room version that nobody knows',
      (version) => judgeCreate(version, { content: { type: true, predecessor: 'x', room_version: '' } }),
      'the room version is not recognised',
    ],
  },
];

/** Alice says something; her room's auth events for it, with those that a case adds. */
function judgeMessage(
  version: string,
  change: (events: RoomEvent[], room: SketchedRoom) => RoomEvent[],
  rejected?: (room: SketchedRoom) => RoomEvent[],
): Outcome {
  const furnished = furnishedRoom(version);
  const places: [string, string][] = [
    ['m.room.power_levels', ''],
    ['m.room.member', alice],
  ];
  if (furnished.version.createIsAuthEvent) places.push(['m.room.create', '']);
  const events = places.flatMap(([type, stateKey]) => furnished.find(type, stateKey) ?? []);
  const event = furnished.event({ type: 'm.room.message', sender: alice });
  return judgeAuthEvents(furnished, event, change(events, furnished), rejected?.(furnished));
}

export const authEventRows: RuleRow[] = [
  {
    at: '12: 2',
    passes: [
      'an event of the room that the create event makes',
      (version) => judge(furnishedRoom(version), { type: 'x', sender: alice }),
    ],
    fails: [
      'an event of a room that it does not make',
      (version) => judge(furnishedRoom(version), { type: 'x', sender: alice, roomId: `!${'a'.repeat(43)}` }),
      'the room id is not that of the create event',
    ],
    elsewhere: { fails: 'allowed' },
  },
  {
    at: '1-11: 2.1; 12: 3.1',
    passes: ['each auth event for a place of its own', (version) => judgeMessage(version, (events) => events)],
    fails: [
      'two auth events for one place',
      (version) => judgeMessage(version, (events, other) => [...events, levelsOf(other)]),
      'two auth events are m.room.power_levels',
    ],
  },
  {
    at: '1-11: 2.2; 12: 3.2',
    passes: ['fewer auth events than there could be', (version) => judgeMessage(version, withoutLevels)],
    fails: [
      'an auth event that the selection does not have',
      (version) => judgeMessage(version, (events, { find }) => [...events, ...present(find('m.room.join_rules', ''))]),
      'an auth event, m.room.join_rules, is not needed',
    ],
  },
  {
    at: '12: 3.2',
    passes: ['auth events without the create event', (version) => judgeMessage(version, (events) => events)],
    fails: [
      'auth events with the create event',
      (version) => judgeMessage(version, (events, { create }) => [...new Set([...events, create])]),
      'an auth event, m.room.create, is not needed',
    ],
    elsewhere: { fails: 'allowed' },
  },
  {
    at: '1-11: 2.3; 12: 3.3',
    passes: ['auth events that were accepted', (version) => judgeMessage(version, (events) => events)],
    fails: [
      'auth events of which one was rejected',
      (version) =>
        judgeMessage(
          version,
          (events) => events,
          ({ find }) => present(find('m.room.member', alice)),
        ),
      'an auth event, m.room.member, was rejected',
    ],
  },
  {
    at: '1-11: 2.4',
    passes: [
      'auth events with the create event',
      (version) => judgeMessage(version, (events, { create }) => [...new Set([...events, create])]),
    ],
    fails: [
      'auth events without it',
      (version) => judgeMessage(version, (events, { create }) => events.filter((event) => event !== create)),
      'the auth events lack the create event',
    ],
    elsewhere: { passes: 'an auth event, m.room.create, is not needed', fails: 'allowed' },
  },
  {
    at: '1-11: 2.5; 12: 3.4',
    passes: ['auth events of the room', (version) => judgeMessage(version, (events) => events)],
    fails: [
      'auth events of which one is of another room',
      (version) => judgeMessage(version, (events, other) => [...withoutLevels(events), levelsOf(other, elsewhere)]),
      'an auth event, m.room.power_levels, is of another room',
    ],
  },
  {
    at: '1-11: 3; 12: 4',
    passes: [
      "an event of the creator's server in a room that does not federate",
      (version) => judge(furnishedRoom(version, {}, { 'm.federate': false }), { type: 'x', sender: alice }),
    ],
    fails: [
      "an event of another server's user there",
      (version) => judge(furnishedRoom(version, {}, { 'm.federate': false }), { type: 'x', sender: bob }),
      'the room does not federate',
    ],
  },
];

const elsewhere = `!${'b'.repeat(43)}`;

function levelsOf(room: SketchedRoom, roomId: string = room.create.roomId): RoomEvent {
  return room.event({ type: 'm.room.power_levels', stateKey: '', sender: alice, ts: 5, roomId });
}

function withoutLevels(events: RoomEvent[]): RoomEvent[] {
  return events.filter(({ pdu }) => pdu.type !== 'm.room.power_levels');
}

function present(event: RoomEvent | undefined): RoomEvent[] {
  return event ? [event] : [];
}
