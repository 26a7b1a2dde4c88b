import type { JsonObject, RoomEvent } from '../../matrix/pdu.ts';

/** A member event that is not stored as an event, as clients see it, without `unsigned`. */
export function clientForm({ eventId, roomId, pdu }: RoomEvent): JsonObject {
  const { type, sender, content, origin_server_ts } = pdu;
  const stateKey = pdu.state_key === undefined ? {} : { state_key: pdu.state_key };
  return { event_id: eventId, room_id: roomId, type, sender, ...stateKey, content, origin_server_ts };
}
