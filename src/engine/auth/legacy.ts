import { findServerOfEventId, serverOfUser } from '../../matrix/ids.ts';
import { isStateEvent } from '../../matrix/pdu.ts';
import { findRedactionTarget } from '../event/redaction-target.ts';
import { levelToAct } from '../power.ts';
import { type AuthVerdict, allow, reject } from '../verdict.ts';
import type { AuthCase } from './rule.ts';

/** v1 to v5, 4. If type is m.room.aliases. Whoever is of the server may send it, joined or not. */
export function checkAliases({ event }: AuthCase): AuthVerdict {
  // 4.1. If event has no state_key, reject.
  if (!isStateEvent(event)) return reject('the aliases are no state');
  // 4.2. If sender's domain doesn't match state_key, reject.
  if (event.pdu.state_key !== serverOfUser(event.pdu.sender)) return reject("the aliases are another server's");
  // 4.3. Otherwise, allow.
  return allow;
}

/** v1 and v2, 11. If type is m.room.redaction. `power` is the sender's level. */
export function checkRedaction(subject: AuthCase, power: number): AuthVerdict {
  const { event, version } = subject;
  // 11.1. If the sender's power level is greater than or equal to the redact level, allow.
  if (power >= levelToAct('redact', subject)) return allow;
  // 11.2. If the domain of the event_id of the event being redacted is the same as the domain of the event_id of the
  // m.room.redaction, allow.
  const target = findRedactionTarget(event.pdu, version);
  const server = target && findServerOfEventId(target);
  if (server !== undefined && server === findServerOfEventId(event.eventId)) return allow;
  // 11.3. Otherwise, reject.
  return reject("the sender may not redact another server's event");
}
