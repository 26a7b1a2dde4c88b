import { isUserId } from '../../matrix/ids.ts';
import type { RoomEvent } from '../../matrix/pdu.ts';
import type { MembershipRow, RoomTableRow } from '../../storage/contract/rooms.ts';
import { membershipOf } from '../state-reads.ts';

const profileTextMax = 4096;

/** The membership row of a member event that holds in the current state; undefined where its state key is no user id. */
export function membershipRowOf(event: RoomEvent): Extract<RoomTableRow, { kind: 'membership' }> | undefined {
  const { pdu, roomId, eventId } = event;
  if (pdu.type !== 'm.room.member' || !isUserId(pdu.state_key)) return undefined;
  return {
    kind: 'membership',
    roomId,
    userId: pdu.state_key,
    membership: membershipOf(pdu.content),
    eventId,
    sender: pdu.sender,
    displayname: textOf(pdu.content.displayname),
    avatarUrl: textOf(pdu.content.avatar_url),
  };
}

/** Somebody whose member event is no longer part of the state: as if they had left by it. */
export function departureRowOf(row: MembershipRow): Extract<RoomTableRow, { kind: 'membership' }> {
  const { roomId, userId, eventId, sender, displayname, avatarUrl } = row;
  return { kind: 'membership', roomId, userId, membership: 'leave', eventId, sender, displayname, avatarUrl };
}

/** What other servers write there may be anything; only short enough strings count. */
function textOf(value: unknown): string | null {
  return typeof value === 'string' && value.length <= profileTextMax ? value : null;
}
