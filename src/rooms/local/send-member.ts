import { forbidden, serverUnavailable } from '../../matrix/errors.ts';
import type { RoomId, UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { Membership } from '../../storage/contract/rooms.ts';
import { commitDraft } from '../core/commit-draft.ts';
import type { RoomsCore } from '../core/deps.ts';
import { restrictedJoinContent } from '../core/restricted-join.ts';
import { RoomDraft } from '../core/room-draft.ts';
import { findRoomHead } from '../core/room-head.ts';
import { memberKey, membershipOf } from '../state-reads.ts';

export interface MemberChange {
  readonly roomId: RoomId;
  readonly sender: UserId;
  readonly target: UserId;
  readonly content: JsonObject;
  /** As in `NewEvent`. */
  readonly sentAtMs?: number | undefined;
  /** Asked with the target's membership before the change; throws what the caller is to be told. */
  readonly check?: (before: Membership) => void;
}

export type MemberDeps = Pick<RoomsCore, 'storage' | 'clock' | 'sign' | 'lock' | 'roster' | 'serverName' | 'ports'>;

/** Writers of a room stand in line, so a second conflict would already be strange. */
export const attemptsMax = 3;

/**
 * Sends a member event into a room that we know the state of. Throws M_FORBIDDEN as the
 * rules of the room say.
 */
export function sendMember(deps: MemberDeps, change: MemberChange): Promise<void> {
  const { roomId } = change;
  return deps.lock.run(roomId, async () => {
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const draft = await getDraft(deps, roomId);
      await appendMember(deps, draft, change);
      const result = await commitDraft(deps, draft);
      if (result.outcome === 'committed') return;
    }
    throw serverUnavailable('The room is busy, try again');
  });
}

/** Where the room stands. Throws M_FORBIDDEN for one that we do not know. To be called under its lock. */
export async function getDraft(deps: MemberDeps, roomId: RoomId): Promise<RoomDraft> {
  const head = await findRoomHead(deps.storage, roomId);
  if (!head) throw forbidden('You are not in this room');
  return new RoomDraft(deps, head);
}

/** Authorises the member event and takes it into the draft. Throws as `sendMember` does, and the draft is as it was. */
export async function appendMember(deps: MemberDeps, draft: RoomDraft, change: MemberChange): Promise<void> {
  const { roomId, sender, target, sentAtMs } = change;
  const isOwn = sender === target;
  if (!isOwn && !deps.roster.isJoined(roomId, sender)) throw forbidden('You are not in this room');
  const key = memberKey(target);
  const before = (await draft.readState([key])).get(key);
  change.check?.(before ? membershipOf(before.pdu.content) : 'leave');
  const isJoin = isOwn && change.content.membership === 'join';
  const more = isJoin ? await restrictedJoinContent(deps, draft, target) : {};
  const content = { ...change.content, ...more };
  await draft.append({ type: 'm.room.member', sender, stateKey: target, content, sentAtMs });
}
