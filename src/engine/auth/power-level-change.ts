import type { JsonObject } from '../../matrix/pdu.ts';
import { objectMember, ownMember } from '../members.ts';
import { isPowerLevel } from '../power.ts';
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

/** 9.5 to 9.10: what the sender, whose level is `power`, may change in the room's power levels. Both contents were checked. */
export function checkPowerLevelChange(
  contents: { before: JsonObject; after: JsonObject },
  sender: string,
  power: number,
): AuthVerdict {
  const { before, after } = contents;
  // 9.5. For the properties users_default, events_default, state_default, ban, redact, kick, invite check if they were added,
  // changed or removed. For each found alteration: 1. If the current value is higher than the sender's current power level, reject.
  // 2. If the new value is higher than the sender's current power level, reject.
  for (const change of listChanges(before, after, singleLevels)) {
    if (isAbove(change.from, power) || isAbove(change.to, power)) return tooHigh(change.key);
  }
  // 9.6. For each entry being changed in, or removed from, the events or notifications properties: 1. If the current value is
  // greater than the sender's current power level, reject. 9.7. For each entry being added to, or changed in, the events or
  // notifications properties: 1. If the new value is greater than the sender's current power level, reject.
  for (const map of ['events', 'notifications']) {
    for (const change of listMapChanges(before, after, map)) {
      if (isAbove(change.from, power) || isAbove(change.to, power)) return tooHigh(`${map}, ${change.key}`);
    }
  }
  for (const change of listMapChanges(before, after, 'users')) {
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

function listMapChanges(before: JsonObject, after: JsonObject, map: string): Change[] {
  const [from, to] = [objectMember(before, map), objectMember(after, map)];
  return listChanges(from, to, new Set([...Object.keys(from), ...Object.keys(to)]));
}

function listChanges(before: JsonObject, after: JsonObject, keys: Iterable<string>): Change[] {
  const changes: Change[] = [];
  for (const key of keys) {
    const [from, to] = [levelAt(before, key), levelAt(after, key)];
    if (from !== to) changes.push({ key, from, to });
  }
  return changes;
}

function levelAt(levels: JsonObject, key: string): number | undefined {
  const level = ownMember(levels, key);
  return isPowerLevel(level) ? level : undefined;
}
