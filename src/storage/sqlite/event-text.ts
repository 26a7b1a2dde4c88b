import { canonicalJson } from '../../base/json/canonical-json.ts';
import { findForms } from '../../engine/event/forms.ts';
import type { EventId } from '../../matrix/ids.ts';
import type { JsonObject, Pdu } from '../../matrix/pdu.ts';
import { relationOf } from '../../matrix/relation.ts';

/** What an event row says beside its two texts. */
export interface EventTexts {
  pduText: string;
  clientText: string;
  hasUrl: 0 | 1;
  relType: string | null;
  relatesTo: string | null;
}

/** What is stored of a PDU: both its texts, and what they hold that is searched by. */
export function textsOf(eventId: EventId, pdu: Readonly<Pdu>): EventTexts {
  return {
    pduText: findForms(pdu)?.whole ?? canonicalJson(pdu),
    clientText: JSON.stringify(clientForm(eventId, pdu)),
    hasUrl: typeof pdu.content.url === 'string' ? 1 : 0,
    ...relationColumnsOf(pdu.content),
  };
}

/** The event as clients see it, without `room_id` and `unsigned`. */
function clientForm(eventId: EventId, pdu: Readonly<Pdu>): JsonObject {
  const redacts = redactsOf(pdu);
  return {
    content: redacts === undefined ? pdu.content : { ...pdu.content, redacts },
    event_id: eventId,
    origin_server_ts: pdu.origin_server_ts,
    sender: pdu.sender,
    type: pdu.type,
    ...(pdu.state_key === undefined ? {} : { state_key: pdu.state_key }),
    ...(redacts === undefined ? {} : { redacts }),
  };
}

/**
 * `m.room.redaction` (client-server API, "Redactions"): whatever the room version, servers "should add a `redacts`
 * property" both to the top level and to the `content` of what clients see.
 */
function redactsOf(pdu: Readonly<Pdu>): unknown {
  if (pdu.type !== 'm.room.redaction') return undefined;
  return pdu.redacts ?? pdu.content.redacts;
}

/** For the columns. */
function relationColumnsOf(content: JsonObject): { relType: string | null; relatesTo: string | null } {
  const relation = relationOf(content);
  return { relType: relation?.type ?? null, relatesTo: relation?.eventId ?? null };
}
