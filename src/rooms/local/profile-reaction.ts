import { breathe } from '../../base/breathe.ts';
import type { Reaction } from '../../feed/feed.ts';
import { MatrixError } from '../../matrix/errors.ts';
import type { RoomId, UserId } from '../../matrix/ids.ts';
import { commitDraft } from '../core/commit-draft.ts';
import type { Profile, RoomsCore } from '../core/deps.ts';
import { RoomDraft } from '../core/room-draft.ts';
import { findRoomHead } from '../core/room-head.ts';
import { memberKey, membershipOf } from '../state-reads.ts';
import { withoutAuthoriser } from './member-content.ts';

export type ProfileReactionDeps = Pick<
  RoomsCore,
  'storage' | 'clock' | 'sign' | 'lock' | 'roster' | 'serverName' | 'ports' | 'log'
>;

const attemptsMax = 3;

/**
 * After a change of a local user's profile: their member event in every room they are joined to says the same (client-server
 * API, "Events on Change of Profile Information"). Compares with the profile as it is now, so it may run twice, and late.
 */
export function createProfileReaction(deps: ProfileReactionDeps): Reaction {
  return {
    name: 'rooms-profile',
    kinds: ['profile'],
    async react(change) {
      if (change.kind !== 'profile') return [];
      const { userId } = change;
      const profile = (await deps.ports.findProfile(userId)) ?? { displayname: null, avatarUrl: null };
      for (const roomId of [...deps.roster.roomsOf(userId)]) {
        try {
          await deps.lock.run(roomId, () => updateMember(deps, { roomId, userId, profile }));
        } catch (error) {
          // One room that refuses does not keep the others from learning it.
          if (!(error instanceof MatrixError)) throw error;
          deps.log.info({ roomId, userId, reason: error.message }, 'a room does not take the new profile');
        }
        await breathe();
      }
      return [];
    },
  };
}

async function updateMember(
  deps: ProfileReactionDeps,
  member: { readonly roomId: RoomId; readonly userId: UserId; readonly profile: Profile },
): Promise<void> {
  const { roomId, userId, profile } = member;
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const head = await findRoomHead(deps.storage, roomId);
    if (!head) return;
    const draft = new RoomDraft(deps, head);
    const key = memberKey(userId);
    const content = (await draft.readState([key])).get(key)?.pdu.content;
    if (!content || membershipOf(content) !== 'join') return;
    const { displayname, avatar_url: avatarUrl, ...rest } = withoutAuthoriser(content);
    if ((displayname ?? null) === profile.displayname && (avatarUrl ?? null) === profile.avatarUrl) return;
    await draft.append({
      type: 'm.room.member',
      sender: userId,
      stateKey: userId,
      content: {
        ...rest,
        ...(profile.displayname === null ? {} : { displayname: profile.displayname }),
        ...(profile.avatarUrl === null ? {} : { avatar_url: profile.avatarUrl }),
      },
    });
    if ((await commitDraft(deps, draft)).outcome === 'committed') return;
  }
}
