import { describe, expect, it } from 'vitest';
import type { EventId, RoomId } from '../../../../src/matrix/ids.ts';
import type { JsonObject, RoomEvent } from '../../../../src/matrix/pdu.ts';
import { supportedRoomVersions } from '../../../../src/matrix/room-versions.ts';
import { makeEvent, SketchedRoom } from '../../../support/room-events.ts';
import { readVectors } from '../../../support/vectors.ts';
import { judgeEvent } from './rules/rule-table.ts';

/** An event that another implementation's tests judge. `note`: which implementation judges otherwise, and why we do so. */
interface Judged {
  readonly what: string;
  readonly type: string;
  readonly sender: string;
  readonly state_key?: string;
  readonly content?: JsonObject;
  readonly redacts?: string;
  /** Stand-ins for the create event and for some other one. */
  readonly prev?: readonly ('create' | 'other')[];
  readonly allowed: boolean;
  readonly note?: string;
}

/** A room that they judge it in, as facts: who is in it, its join rule, its power levels, its promises of invites. */
interface JudgedRoom {
  readonly source: string;
  /** Those for which the facts say the same: `1-9`. */
  readonly versions: string;
  readonly creator: string;
  readonly create?: JsonObject;
  readonly members?: Readonly<Record<string, string>>;
  readonly join_rule?: string;
  readonly levels?: JsonObject;
  readonly promises?: Readonly<Record<string, JsonObject>>;
  readonly events: readonly Judged[];
}

interface JudgedCreate {
  readonly source: string;
  readonly versions: string;
  readonly what: string;
  readonly sender: string;
  readonly room_id?: string;
  readonly state_key?: string;
  readonly content: JsonObject;
  readonly prev?: boolean;
  readonly allowed: boolean;
}

const { rooms, creates } = readVectors<{ rooms: JudgedRoom[]; creates: JudgedCreate[] }>('event-auth.json');

function isIn(version: string, range: string): boolean {
  const [first = '', last = first] = range.split('-');
  return Number(version) >= Number(first) && Number(version) <= Number(last);
}

function build(version: string, facts: JudgedRoom): SketchedRoom {
  const room = new SketchedRoom(version, facts.creator, facts.create ?? {});
  const { creator } = facts;
  for (const [user, membership] of Object.entries(facts.members ?? {})) room.member(user, membership, user);
  if (facts.join_rule) room.set('m.room.join_rules', '', creator, { join_rule: facts.join_rule });
  if (facts.levels) room.set('m.room.power_levels', '', creator, facts.levels);
  for (const [token, content] of Object.entries(facts.promises ?? {})) {
    room.set('m.room.third_party_invite', token, creator, content);
  }
  return room;
}

function eventOf(room: SketchedRoom, judged: Judged): RoomEvent {
  const { type, sender, state_key: stateKey, content = {}, redacts, prev = [] } = judged;
  const other = room.event({ type: 'other', sender });
  const event = room.event({
    type,
    sender,
    content,
    prev: prev.map((name) => (name === 'create' ? room.create : other)),
    ...(stateKey === undefined ? {} : { stateKey }),
  });
  return redacts === undefined ? event : { ...event, pdu: { ...event.pdu, redacts: redacts as EventId } };
}

describe.each(rooms.map((facts) => [`${facts.source}, room versions ${facts.versions}`, facts] as const))(
  '%s',
  (_, facts) => {
    const versions = supportedRoomVersions.filter((version) => isIn(version, facts.versions));

    it.each(facts.events.map((judged) => [judged.what, judged.allowed ? 'allowed' : 'refused', judged] as const))(
      '%s is %s',
      (_what, _verdict, judged) => {
        expect(versions).not.toEqual([]);
        for (const version of versions) {
          const room = build(version, facts);
          expect([version, judgeEvent(room, eventOf(room, judged)) === 'allowed']).toEqual([version, judged.allowed]);
        }
      },
    );
  },
);

describe('create events', () => {
  it.each(
    creates.map((judged) => [judged.source, judged.what, judged.allowed ? 'allowed' : 'refused', judged] as const),
  )('%s: %s is %s', (_source, _what, _verdict, judged) => {
    const versions = supportedRoomVersions.filter((version) => isIn(version, judged.versions));
    expect(versions).not.toEqual([]);
    for (const version of versions) {
      const room = new SketchedRoom(version, judged.sender);
      const event = makeEvent(room.version, {
        type: 'm.room.create',
        sender: judged.sender,
        stateKey: '',
        content: judged.content,
        ...(judged.prev ? { prev: [room.create] } : {}),
      });
      // The format of a version does not ask for what its rules ask for.
      const roomId = (judged.room_id ?? event.roomId) as RoomId;
      const named = { room_id: roomId, state_key: judged.state_key ?? '' };
      const pdu = { ...event.pdu, ...(room.version.roomIdFormat === 'opaque' ? named : {}) };
      expect([version, judgeEvent(room, { ...event, roomId, pdu }) === 'allowed']).toEqual([version, judged.allowed]);
    }
  });
});
