import { checkAuth } from '../../../../../src/engine/auth/check.ts';
import { checkAuthEvents } from '../../../../../src/engine/auth/check-auth-events.ts';
import type { AuthVerdict } from '../../../../../src/engine/verdict.ts';
import type { JsonObject, RoomEvent } from '../../../../../src/matrix/pdu.ts';
import { supportedRoomVersions } from '../../../../../src/matrix/room-versions.ts';
import { type EventSketch, SketchedRoom } from '../../../../support/room-events.ts';

/** `allowed`, or the reason why not. */
export type Outcome = string;
type Case = (version: string) => Outcome | Promise<Outcome>;

/** One rule of the specification, with an event on each side of it that differ in nothing that another rule asks about. */
export interface RuleRow {
  /** Where it stands in which versions: `1-5: 5.1; 6-11: 4.1; 12: 5.1`. Versions not named do not have it. */
  readonly at: string;
  readonly passes: readonly [what: string, run: Case];
  readonly fails: readonly [what: string, run: Case, reason: string];
  /** What becomes of one of the two where the version does not have the rule. */
  readonly elsewhere?: { readonly passes?: string | RegExp; readonly fails?: string | RegExp };
}

/** version → the rule's number in it. */
export function numbersOf(row: RuleRow): Map<string, string> {
  const numbers = new Map<string, string>();
  for (const part of row.at.split(';')) {
    const [range = '', number = ''] = part.trim().split(': ');
    const [first = '', last = first] = range.split('-');
    for (let version = Number(first); version <= Number(last); version++) numbers.set(String(version), number);
  }
  return numbers;
}

export const everyVersion = `1-${supportedRoomVersions.at(-1)}`;

export const alice = '@alice:a.test';
export const bob = '@bob:b.test';
export const carol = '@carol:c.test';
export const dan = '@dan:d.test';

/** Alice made the room and is at 100 (12: above all), Bob at 50, Carol at 0; all three are joined. Dan is not. By invite only. */
export function furnishedRoom(version: string, levels: JsonObject = {}, createContent: JsonObject = {}): SketchedRoom {
  const room = new SketchedRoom(version, alice, createContent);
  for (const user of [alice, bob, carol]) room.member(user, 'join');
  room.set('m.room.power_levels', '', alice, { users: { ...founder(room), [bob]: 50 }, ...levels });
  room.set('m.room.join_rules', '', alice, { join_rule: 'invite' });
  return room;
}

/** A room where Dan has this membership. */
export function roomWithDan(version: string, membership: string, levels: JsonObject = {}): SketchedRoom {
  const room = furnishedRoom(version, levels);
  room.member(dan, membership, alice);
  return room;
}

/** What the power levels say of whoever made the room: nothing where creators stand above them. */
export function founder(room: SketchedRoom): JsonObject {
  return room.version.privilegedCreators ? {} : { [alice]: 100 };
}

export function outcomeOf(verdict: AuthVerdict): Outcome {
  return verdict.allowed ? 'allowed' : verdict.reason;
}

export function judge(room: SketchedRoom, sketch: EventSketch): Outcome {
  return judgeEvent(room, room.event(sketch));
}

export function judgeEvent(room: SketchedRoom, event: RoomEvent): Outcome {
  return outcomeOf(checkAuth(event, room.find, room.version));
}

/** By the rules about the list of auth events; `rejected` are those of them that were. */
export function judgeAuthEvents(
  room: SketchedRoom,
  event: RoomEvent,
  authEvents: readonly RoomEvent[],
  rejected: readonly RoomEvent[] = [],
): Outcome {
  const entries = authEvents.map((authEvent) => ({ event: authEvent, rejected: rejected.includes(authEvent) }));
  return outcomeOf(checkAuthEvents(event, entries, room.version));
}

export function member(user: string, membership: string, sender = user, extra: JsonObject = {}): EventSketch {
  return { type: 'm.room.member', stateKey: user, sender, content: { membership, ...extra } };
}
