import type { RoomId, UserId } from '../matrix/ids.ts';
import type { StateKey } from '../matrix/pdu.ts';
import { splitStateKey } from '../matrix/pdu.ts';
import type { Roster } from '../roster/roster.ts';
import type { Storage } from '../storage/contract/storage.ts';

export interface SummaryDeps {
  readonly storage: Pick<Storage, 'rooms'>;
  readonly roster: Pick<Roster, 'usersIn'>;
}

export interface RoomSummary {
  readonly heroes: readonly UserId[];
  /** JSON object. */
  readonly text: string;
}

const heroesMax = 5;

/** Whether changes of a room's state can change its summary. */
export function changesSummary(keys: Iterable<StateKey>): boolean {
  for (const key of keys) if (splitStateKey(key).type === 'm.room.member') return true;
  return false;
}

/**
 * "the first 5 members of the room, ordered by stream ordering, which are joined or invited", never the viewer; else those
 * who left; and how many are joined and invited, as of now.
 */
export async function readSummary(deps: SummaryDeps, roomId: RoomId, viewer: UserId): Promise<RoomSummary> {
  const [heroes, invitedCount] = await Promise.all([
    deps.storage.rooms.listHeroes(roomId, viewer, heroesMax),
    deps.storage.rooms.countMembers(roomId, 'invite'),
  ]);
  const userIds = heroes.map((hero) => hero.userId);
  return {
    heroes: userIds,
    text:
      `{"m.heroes":${JSON.stringify(userIds)},"m.joined_member_count":${deps.roster.usersIn(roomId).size},` +
      `"m.invited_member_count":${invitedCount}}`,
  };
}
