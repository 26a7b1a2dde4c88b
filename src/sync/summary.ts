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
 * For each room "the first 5 members of the room, ordered by stream ordering, which are joined or invited", never the viewer; else those
 * who left; and how many are joined and invited, as of now.
 */
export async function readSummaries(
  deps: SummaryDeps,
  roomIds: ReadonlySet<RoomId>,
  viewer: UserId,
): Promise<Map<RoomId, RoomSummary>> {
  if (roomIds.size === 0) return new Map();
  const [heroes, invited] = await Promise.all([
    deps.storage.rooms.listHeroesOf(roomIds, viewer, heroesMax),
    deps.storage.rooms.countMembersOf(roomIds, 'invite'),
  ]);
  const summaries = new Map<RoomId, RoomSummary>();
  for (const roomId of roomIds) {
    const userIds = (heroes.get(roomId) ?? []).map((hero) => hero.userId);
    const text =
      `{"m.heroes":${JSON.stringify(userIds)},"m.joined_member_count":${deps.roster.usersIn(roomId).size},` +
      `"m.invited_member_count":${invited.get(roomId) ?? 0}}`;
    summaries.set(roomId, { heroes: userIds, text });
  }
  return summaries;
}
