import { eventTypes } from '../../matrix/event-types.ts';
import { serverOfUser } from '../../matrix/ids.ts';
import { isStateEvent, type RoomEvent } from '../../matrix/pdu.ts';
import type { RoomVersion } from '../../matrix/room-versions.ts';
import { type AuthState, membershipIn } from '../auth-state.ts';
import { createEventIdOfRoom } from '../event/event-id.ts';
import { ownMember } from '../members.ts';
import { levelToAct, levelToSend, powerLevelOf } from '../power.ts';
import { type AuthVerdict, allow, reject } from '../verdict.ts';
import { checkCreate } from './create.ts';
import { checkAliases, checkRedaction } from './legacy.ts';
import { checkMember } from './member.ts';
import { checkPowerLevels } from './power-levels.ts';
import type { AuthCase } from './rule.ts';

/**
 * The authorisation rules of the event's room version against one state (room versions, "Authorisation rules"), but for those
 * about the list of `auth_events`, which are `checkAuthEvents`, and for the signatures, which are checked before (`findMissingSigner`).
 *
 * `state` must answer for the places of `listNeededPlaces` and must not hand out rejected events. Never throws. The numbers in the
 * comments of this folder are those of room version 11, or of the version named. Versions 1 to 5 have one rule more before the fourth, 12
 * before the third. `v8` before a rule says that it came with that version, behind a word that the word did.
 */
export function checkAuth(event: RoomEvent, state: AuthState, version: RoomVersion): AuthVerdict {
  // 1. If type is m.room.create: …
  if (event.pdu.type === eventTypes.create) return checkCreate(event, version);
  const create = state(eventTypes.create, '');
  if (!create) return reject('the room has no create event');
  // v12, 2. If the event's room_id is not an event ID for an accepted (not rejected) m.room.create event, with the sigil `!` instead
  // of `$`, reject.
  if (version.roomIdFormat === 'create_hash' && create.eventId !== createEventIdOfRoom(event.roomId)) {
    return reject('the room id is not that of the create event');
  }
  // 3. If the content of the m.room.create event in the room state has the property m.federate set to false, and the sender domain
  // of the event does not match the sender domain of the create event, reject.
  if (
    ownMember(create.pdu.content, 'm.federate') === false &&
    serverOfUser(event.pdu.sender) !== serverOfUser(create.pdu.sender)
  ) {
    return reject('the room does not federate');
  }
  const subject: AuthCase = { event, create, state, version };
  // v1 to v5, 4. If type is m.room.aliases: …
  if (version.aliasesRule && event.pdu.type === eventTypes.aliases) return checkAliases(subject);
  // 4. If type is m.room.member: …
  if (event.pdu.type === eventTypes.member) return checkMember(subject);
  return checkByMemberOfRoom(subject);
}

function checkByMemberOfRoom(subject: AuthCase): AuthVerdict {
  const { event, state, version } = subject;
  const { type, sender } = event.pdu;
  // 5. If the sender's current membership state is not join, reject.
  if (membershipIn(state, sender) !== 'join') return reject('the sender is not joined');
  const power = powerLevelOf(sender, state, version);
  // 6. If type is m.room.third_party_invite: allow if and only if sender's current power level is greater than or equal to the
  // invite level.
  if (type === eventTypes.thirdPartyInvite) {
    return power >= levelToAct('invite', subject) ? allow : reject('the sender may not invite');
  }
  // 7. If the event type's required power level is greater than the sender's power level, reject.
  const isState = isStateEvent(event);
  if (levelToSend({ type, isState }, subject) > power) return reject(`the sender may not send ${type}`);
  // 8. If the event has a state_key that starts with an @ and does not match the sender, reject.
  if (isState && event.pdu.state_key.startsWith('@') && event.pdu.state_key !== sender) {
    return reject("the state key is another user's");
  }
  // 9. If type is m.room.power_levels: …
  if (type === eventTypes.powerLevels) return checkPowerLevels(subject, power);
  // v1 and v2, 11. If type is m.room.redaction: …
  if (version.redactionRule && type === eventTypes.redaction) return checkRedaction(subject, power);
  // 10. Otherwise, allow.
  return allow;
}
