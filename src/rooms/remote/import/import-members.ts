import { breathe } from '../../../base/breathe.ts';
import type { EventId, RoomId, UserId } from '../../../matrix/ids.ts';
import { type StateKey, splitStateKey } from '../../../matrix/pdu.ts';
import type { Row } from '../../../storage/contract/commit.ts';
import { departureRowOf, membershipRowOf } from '../../core/member-row.ts';
import { memberKey } from '../../state-reads.ts';
import type { RemoteCore } from '../remote-core.ts';

type Deps = Pick<RemoteCore, 'storage'>;

interface Members {
  readonly roomId: RoomId;
  /** Whose membership comes with their join. */
  readonly except: UserId;
}

const membersPerCommit = 100;
const pageMax = 500;

/** Writes the members of a room as this state has them; whoever is left over from an earlier stay of this server departs. */
export async function importMembers(
  deps: Deps,
  members: Members,
  state: ReadonlyMap<StateKey, EventId>,
): Promise<void> {
  const unchanged = await settleStored(deps, members, state);
  const ids = [...state].filter(([key]) => splitStateKey(key).type === 'm.room.member').map(([, eventId]) => eventId);
  for (let start = 0; start < ids.length; start += membersPerCommit) {
    const stored = await deps.storage.events.listByIds(ids.slice(start, start + membersPerCommit));
    const rows = stored.flatMap(({ event }): Row[] => {
      const row = membershipRowOf(event);
      return row && row.userId !== members.except && !unchanged.has(row.userId) ? [row] : [];
    });
    if (rows.length > 0) await deps.storage.commit({ rows });
    await breathe();
  }
}

/** Members whose stored membership says what the state says. Those that the state does not know depart. */
async function settleStored(
  deps: Deps,
  { roomId, except }: Members,
  state: ReadonlyMap<StateKey, EventId>,
): Promise<ReadonlySet<UserId>> {
  const unchanged = new Set<UserId>();
  for (let after: UserId | null = null; ; ) {
    const page = await deps.storage.rooms.listMemberPage(roomId, after, pageMax);
    const departures: Row[] = [];
    for (const row of page) {
      if (row.userId === except) continue;
      const eventId = state.get(memberKey(row.userId));
      // An invite that came before the room stands in it from now on: whoever refuses it does so here.
      if (eventId === row.eventId && row.outOfBand === null) unchanged.add(row.userId);
      else if (eventId === undefined && row.membership !== 'leave') departures.push(departureRowOf(row));
    }
    for (let start = 0; start < departures.length; start += membersPerCommit) {
      await deps.storage.commit({ rows: departures.slice(start, start + membersPerCommit) });
    }
    const last = page.at(-1);
    if (!last || page.length < pageMax) return unchanged;
    after = last.userId;
  }
}
