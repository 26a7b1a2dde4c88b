import { eventTypes } from '../../matrix/event-types.ts';
import { type EventId, isEventId, serverOfUser } from '../../matrix/ids.ts';
import type { Pdu, RoomEvent } from '../../matrix/pdu.ts';
import type { RoomVersion } from '../../matrix/room-versions.ts';
import type { AuthState } from '../auth-state.ts';
import { ownMember } from '../members.ts';
import { mayAct } from '../power.ts';

/** The event that a redaction names; undefined where this is no redaction or it names none. */
export function findRedactionTarget(pdu: Readonly<Pdu>, version: RoomVersion): EventId | undefined {
  if (pdu.type !== eventTypes.redaction) return undefined;
  const target = ownMember(version.redactsIn === 'event' ? pdu : pdu.content, 'redacts');
  return isEventId(target) ? target : undefined;
}

/**
 * Whether a valid redaction is carried out (room versions 3 and later, "Handling redactions"): "the server applies the redaction if one
 * of the following conditions is met". `state` is the state before the redaction. The caller has checked that neither event was
 * rejected; before version 3 that is all, because "redactions were explicitly part of the authorisation rules".
 */
export function mayApplyRedaction(
  events: { redaction: RoomEvent; target: RoomEvent },
  state: AuthState,
  version: RoomVersion,
): boolean {
  const { redaction, target } = events;
  if (redaction.roomId !== target.roomId) return false;
  if (version.redactionRule) return true;
  // 1. The power level of the redaction event's sender is greater than or equal to the redact level.
  if (mayAct(redaction.pdu.sender, 'redact', { state, version })) return true;
  // 2. The domain of the redaction event's sender matches that of the original event's sender.
  return serverOfUser(redaction.pdu.sender) === serverOfUser(target.pdu.sender);
}
