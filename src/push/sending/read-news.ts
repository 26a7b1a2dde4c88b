import type { RoomId, UserId } from '../../matrix/ids.ts';
import { isUserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { PusherRow } from '../../storage/contract/push.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import type { NotificationRow } from '../../storage/contract/unread.ts';
import { isIdOnly, type PushedNews } from './payload.ts';

export interface NewsDeps {
  readonly storage: {
    readonly events: Pick<Storage['events'], 'findTimelineEvent'>;
    readonly rooms: Pick<Storage['rooms'], 'findMembership'>;
    readonly state: Pick<Storage['state'], 'findCurrent'>;
  };
}

/** What the user's gateway is told of an event; names only where it gets them. Undefined for an event that is not there any more. */
export async function readNews(
  deps: NewsDeps,
  pusher: PusherRow,
  { eventId, roomId, actions, highlights }: NotificationRow,
): Promise<PushedNews | undefined> {
  const stored = await deps.storage.events.findTimelineEvent(eventId);
  if (stored?.redactedBy) return undefined;
  const { userId } = pusher;
  const event = stored ? parse(stored.clientText) : await findInvite(deps, { userId, roomId, eventId });
  if (!event) return undefined;
  const isMember = event.type === 'm.room.member';
  const named = { eventId, roomId, actions, highlights, event, userIsTarget: isMember && event.state_key === userId };
  if (isIdOnly(pusher)) return { ...named, senderName: null, roomName: null, roomAlias: null };
  return {
    ...named,
    senderName: isUserId(event.sender) ? await findName(deps, roomId, event.sender) : null,
    roomName: await findText(deps, roomId, ['m.room.name', 'name']),
    roomAlias: await findText(deps, roomId, ['m.room.canonical_alias', 'alias']),
  };
}

function parse(clientText: string): JsonObject {
  const event: JsonObject = JSON.parse(clientText);
  return event;
}

/** To a room that we are not in, whose events are not stored. */
async function findInvite(
  { storage }: NewsDeps,
  invite: { userId: UserId; roomId: RoomId; eventId: string },
): Promise<JsonObject | undefined> {
  const row = await storage.rooms.findMembership(invite.roomId, invite.userId);
  return row?.eventId === invite.eventId ? row.outOfBand?.event : undefined;
}

async function findName({ storage }: NewsDeps, roomId: RoomId, userId: UserId): Promise<string | null> {
  return (await storage.rooms.findMembership(roomId, userId))?.displayname ?? null;
}

async function findText(
  { storage }: NewsDeps,
  roomId: RoomId,
  [type, field]: [string, string],
): Promise<string | null> {
  const text = (await storage.state.findCurrent(roomId, type, ''))?.event.pdu.content[field];
  return typeof text === 'string' && text !== '' ? text : null;
}
