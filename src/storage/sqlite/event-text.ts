import { canonicalJson } from '../../base/canonical-json.ts';
import type { EventId } from '../../matrix/ids.ts';
import type { JsonObject, Pdu } from '../../matrix/pdu.ts';

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
    pduText: canonicalJson(pdu),
    clientText: JSON.stringify(clientForm(eventId, pdu)),
    hasUrl: typeof pdu.content.url === 'string' ? 1 : 0,
    ...relationOf(pdu.content),
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

/** `m.relates_to` (client-server API, "Forming relationships between events"). */
function relationOf(content: JsonObject): { relType: string | null; relatesTo: string | null } {
  const none = { relType: null, relatesTo: null };
  const relation = content['m.relates_to'];
  if (typeof relation !== 'object' || relation === null) return none;
  const relType: unknown = Reflect.get(relation, 'rel_type');
  const relatesTo: unknown = Reflect.get(relation, 'event_id');
  return typeof relType === 'string' && typeof relatesTo === 'string' ? { relType, relatesTo } : none;
}
