import type { RoomId, UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';

/**
 * Whether the template that another server gave is for the member event that was asked for: nobody may have us sign anything else.
 */
export function isTemplateFor(
  event: JsonObject,
  wanted: { readonly roomId: RoomId; readonly userId: UserId; readonly membership: 'join' | 'leave' | 'knock' },
): event is JsonObject & { content: JsonObject } {
  const { content } = event;
  if (typeof content !== 'object' || content === null || Array.isArray(content)) return false;
  return (
    event.type === 'm.room.member' &&
    event.room_id === wanted.roomId &&
    event.sender === wanted.userId &&
    event.state_key === wanted.userId &&
    (content as JsonObject).membership === wanted.membership
  );
}
