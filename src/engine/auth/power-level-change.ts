import type { JsonObject } from '../../matrix/pdu.ts';
import type { RoomVersion } from '../../matrix/room-versions.ts';
import { objectMember } from '../members.ts';
import { levelAt } from '../power.ts';
import { type AuthVerdict, allow, reject } from '../verdict.ts';

/** The levels that stand in the content by themselves. */
export const singleLevels: readonly string[] = [
  'users_default',
  'events_default',
  'state_default',
  'ban',
  'redact',
  'kick',
  'invite',
];

interface Change {
  readonly key: string;
  /** Undefined where the entry was added. */
  readonly from: number | undefined;
  /** Undefined where the entry was removed. */
  readonly to: number | undefined;
}

/** The maps whose entries are guarded alike. */
export function guardedMaps(version: RoomVersion): readonly string[] {
  return version.guardsNotificationLevels ? ['events', 'notifications'] : ['events'];
}

/** What is said before and after, and the rules by which both are read. */
interface Contents {
  readonly before: JsonObject;
  readonly after: JsonObject;
  readonly version: RoomVersion;
}

/**
 * 9.5 to 9.10: what the sender, whose level is `power`, may change in the room's power levels. The new content was checked.
 *
 * A level that is not there is no level here: the defaults, by which it is judged elsewhere, are not compared. Synapse reads the rules so,
 * and so does matrix-spec issue 2388; ruma takes the default for the single levels.
 */
export function checkPowerLevelChange(contents: Contents, sender: string, power: number): AuthVerdict {
  // 9.5. For the properties users_default, events_default, state_default, ban, redact, kick, invite check if they were added,
  // changed or removed. For each found alteration: 1. If the current value is higher than the sender's current power level, reject.
  // 2. If the new value is higher than the sender's current power level, reject.
  for (const change of listChanges(contents, singleLevels)) {
    if (isAbove(change.from, power) || isAbove(change.to, power)) return tooHigh(change.key);
  }
  // 9.6. For each entry being changed in, or removed from, the events or notifications (v6) properties: 1. If the current value is
  // greater than the sender's current power level, reject. 9.7. For each entry being added to, or changed in, the events or
  // notifications (v6) properties: 1. If the new value is greater than the sender's current power level, reject.
  for (const map of guardedMaps(contents.version)) {
    for (const change of listMapChanges(contents, map)) {
      if (isAbove(change.from, power) || isAbove(change.to, power)) return tooHigh(`${map}, ${change.key}`);
    }
  }
  for (const change of listMapChanges(contents, 'users')) {
    // 9.8. For each entry being changed in, or removed from, the users property, other than the sender's own entry: 1. If the
    // current value is greater than or equal to the sender's current power level, reject.
    if (change.key !== sender && change.from !== undefined && change.from >= power)
      return tooHigh(`users, ${change.key}`);
    // 9.9. For each entry being added to, or changed in, the users property: 1. If the new value is greater than the sender's
    // current power level, reject.
    if (isAbove(change.to, power)) return tooHigh(`users, ${change.key}`);
  }
  // 9.10. Otherwise, allow.
  return allow;
}

function tooHigh(what: string): AuthVerdict {
  return reject(`the sender's power level is too low to change ${what}`);
}

function isAbove(level: number | undefined, power: number): boolean {
  return level !== undefined && level > power;
}

function listMapChanges({ before, after, version }: Contents, map: string): Change[] {
  const [from, to] = [objectMember(before, map), objectMember(after, map)];
  const keys = new Set([...Object.keys(from), ...Object.keys(to)]);
  return listChanges({ before: from, after: to, version }, keys);
}

/** By what the levels mean: from "50" to 50 is no change. */
function listChanges({ before, after, version }: Contents, keys: Iterable<string>): Change[] {
  const changes: Change[] = [];
  for (const key of keys) {
    const [from, to] = [levelAt(before, key, version), levelAt(after, key, version)];
    if (from !== to) changes.push({ key, from, to });
  }
  return changes;
}
