import { acceptsRoom, type SyncFilter } from '../matrix/filter.ts';
import type { RoomId, UserId } from '../matrix/ids.ts';
import { ignoredUsersType, parseIgnoredUsers } from '../matrix/ignored-users.ts';
import type { Roster } from '../roster/roster.ts';
import type { Membership, StoredMembership } from '../storage/contract/rooms.ts';
import type { Storage } from '../storage/contract/storage.ts';
import type { LeftRoom, ScopeRooms, SyncQuestion, SyncScope } from './stream.ts';

export interface ScopeDeps {
  readonly storage: Pick<Storage, 'accountData' | 'rooms' | 'position'>;
  readonly roster: Pick<Roster, 'snapshotOfRooms'>;
}

/**
 * Finds out which rooms the client has to hear of in which section. To be called in the turn in which the position of the question was taken: who is
 * joined is as of then.
 */
export async function readScope(deps: ScopeDeps, question: SyncQuestion): Promise<SyncScope> {
  const joined = deps.roster.snapshotOfRooms(question.viewer.userId);
  const ignored = parseIgnoredUsers(
    (await deps.storage.accountData.find(question.viewer.userId, null, ignoredUsersType))?.content,
  );
  const rooms = await readRooms(deps, question, { joined, ignored });
  return { ...question, ignored, rooms };
}

interface RoomFacts {
  readonly joined: ReadonlySet<RoomId>;
  readonly ignored: ReadonlySet<UserId>;
}

async function readRooms(deps: ScopeDeps, request: SyncQuestion, facts: RoomFacts): Promise<ScopeRooms> {
  const isShown = (roomId: RoomId): boolean => acceptsRoom(request.filter, roomId);
  const { joined } = facts;
  const joinedShown = namesRooms(request.filter) ? new Set([...joined].filter(isShown)) : joined;
  const news = request.since === null ? await readAll(deps, request, facts) : await readChanged(deps, request, facts);
  const told = news.rows.filter(({ membership }) => isShown(membership.roomId));
  return {
    joined,
    newlyJoined: news.newlyJoined,
    departed: new Set(
      news.rows.filter(({ before }) => before?.membership === 'join').map(({ membership }) => membership.roomId),
    ),
    joinedShown,
    known: without(joined, news.newlyJoined),
    knownShown: without(joinedShown, news.newlyJoined),
    pending: told
      .map(({ membership }) => membership)
      .filter((row) => row.membership === 'knock' || (row.membership === 'invite' && !facts.ignored.has(row.sender))),
    left: told.filter(
      (room) =>
        room.membership.membership === 'ban' ||
        (room.membership.membership === 'leave' && !isIgnoredInvite(room, facts.ignored)),
    ),
  };
}

function namesRooms(filter: SyncFilter): boolean {
  return filter.rooms !== undefined || filter.notRooms.size > 0;
}

/** The very set where nothing is taken from it: who has a thousand rooms must not pay for them at each poll. */
function without(rooms: ReadonlySet<RoomId>, taken: ReadonlySet<RoomId>): ReadonlySet<RoomId> {
  return taken.size === 0 ? rooms : new Set([...rooms].filter((roomId) => !taken.has(roomId)));
}

/** An invite by an ignored user was never told, so there is nothing to tell of its end. */
function isIgnoredInvite({ membership, before }: LeftRoom, ignored: ReadonlySet<UserId>): boolean {
  if (before?.membership === 'invite') return ignored.has(before.sender);
  return before?.membership !== 'join' && membership.sender !== membership.userId && ignored.has(membership.sender);
}

interface RoomNews {
  readonly newlyJoined: ReadonlySet<RoomId>;
  /** Of rooms that the viewer is not joined to. */
  readonly rows: readonly LeftRoom[];
}

async function readAll(deps: ScopeDeps, request: SyncQuestion, facts: RoomFacts): Promise<RoomNews> {
  // A room that the user left is over for them; a ban holds, so a client that begins anew is told too.
  const memberships: Membership[] = ['invite', 'knock', 'ban'];
  if (request.filter.includeLeave) memberships.push('leave');
  const rows = await deps.storage.rooms.listMembershipsOfUser(request.viewer.userId, memberships);
  return {
    newlyJoined: facts.joined,
    rows: rows.filter((row) => row.position <= request.upTo).map((membership) => ({ membership, before: null })),
  };
}

async function readChanged(deps: ScopeDeps, request: SyncQuestion, facts: RoomFacts): Promise<RoomNews> {
  const { userId } = request.viewer;
  const changes =
    request.upTo > request.after
      ? await deps.storage.rooms.listMembershipChanges(userId, request.after, request.upTo)
      : [];
  if (changes.length === 0) return { newlyJoined: new Set(), rows: [] };
  const last = new Map<RoomId, StoredMembership>();
  const interrupted = new Set<RoomId>();
  for (const change of changes) {
    last.set(change.roomId, change);
    if (change.membership !== 'join') interrupted.add(change.roomId);
  }
  const before = await deps.storage.rooms.listMembershipsAt(userId, new Set(last.keys()), request.after);
  const newlyJoined = new Set<RoomId>();
  const rows: LeftRoom[] = [];
  for (const [roomId, membership] of last) {
    const known = before.get(roomId) ?? null;
    if (membership.membership !== 'join') rows.push({ membership, before: known });
    // Who left and came back within this answer missed what happened between: the room is told as a new one.
    else if (known?.membership !== 'join' || interrupted.has(roomId)) newlyJoined.add(roomId);
  }
  return { newlyJoined: new Set([...newlyJoined].filter((roomId) => facts.joined.has(roomId))), rows };
}
