import type { UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { Roster } from '../../roster/roster.ts';
import type { Change } from '../../storage/contract/changes.ts';
import type { Row } from '../../storage/contract/commit.ts';
import type { Past, PastChange } from '../core/past.ts';
import type { RoomSizes } from '../core/room-sizes.ts';
import { isAudienceType, type RulesOfUsers } from '../core/rules.ts';
import type { RemoteSubjects } from '../core/subjects.ts';
import type { ServerMarks } from './addressees.ts';
import type { AudienceRows } from './audience-rows.ts';
import type { Dispatcher } from './dispatcher.ts';

export interface ReactionsDeps {
  rules: RulesOfUsers;
  sizes: RoomSizes;
  past: Past;
  remote: Pick<RemoteSubjects, 'has'>;
  roster: Pick<Roster, 'localUsersIn'>;
  rows: Pick<AudienceRows, 'repair' | 'sawMembership' | 'sawRules'>;
  dispatcher: Pick<Dispatcher, 'compare'>;
  servers: Pick<ServerMarks, 'narrow'>;
  now(): number;
  isLocal(userId: UserId): boolean;
  deviceGone(userId: UserId, deviceId: Extract<Change, { kind: 'device_removed' }>['deviceId']): void;
  userDeactivated(userId: UserId): void;
  /** Stores rows that make good what a concurrent writer undid, or nobody knew before. */
  store(rows: readonly Row[]): void;
}

/**
 * What follows from a commit, before the committing call resolves: the policy as it is now, what it was, and the orders to
 * tell of the difference. Nothing here waits or writes.
 */
export function createReactions(deps: ReactionsDeps): (changes: readonly Change[]) => void {
  return (changes) => {
    const documents = new Map<UserId, Map<string, JsonObject>>();
    for (const change of changes) {
      if (change.kind === 'membership') changeMembership(deps, change);
      else if (change.kind === 'account_deactivated') deps.userDeactivated(change.userId);
      else if (change.kind === 'device_removed') deps.deviceGone(change.userId, change.deviceId);
      else if (change.kind === 'account_data' && change.roomId === null && isAudienceType(change.type)) {
        collect(documents, change.userId, { type: change.type, content: contentOf(deps, change) });
      }
    }
    for (const [userId, contents] of documents) changeRules(deps, userId, contents);
    // Behind the changes that they came with: by the order it is known which those are.
    for (const change of changes) if (change.kind === 'narrowing') deps.servers.narrow(change, deps.past.next);
  };
}

function changeMembership(deps: ReactionsDeps, change: Extract<Change, { kind: 'membership' }>): void {
  const { userId, roomId } = change;
  deps.rows.sawMembership(userId, roomId);
  const joined = change.before === 'join';
  if (joined === (change.after === 'join')) return;
  if (deps.sizes.update(roomId)) {
    noteChange(deps, { kind: 'room_size', roomId, counts: !deps.sizes.counts(roomId) });
    // It stands in the commit of one who joins or leaves, but not in that of a room which comes with all its members.
    deps.store([deps.sizes.factOf(roomId)]);
  }
  // Nobody of ours sees anybody through a room that none of us is in.
  const concernsUs = deps.isLocal(userId) || deps.remote.has(userId) || deps.roster.localUsersIn(roomId).size > 0;
  if (concernsUs) noteChange(deps, { kind: 'membership', userId, roomId, joined });
}

function changeRules(deps: ReactionsDeps, userId: UserId, contents: ReadonlyMap<string, JsonObject>): void {
  deps.rows.sawRules(userId);
  const rules = deps.rules.rulesOf(userId);
  const former = deps.rules.configsOf(userId);
  const isSame = [...contents].every(([type, content]) => JSON.stringify(former.get(type)) === JSON.stringify(content));
  deps.rules.put(userId, contents);
  if (!isSame) noteChange(deps, { kind: 'rules', userId, rules });
}

function noteChange(deps: ReactionsDeps, change: PastChange): void {
  deps.dispatcher.compare(change, deps.past.record(deps.now(), change));
}

function contentOf(deps: ReactionsDeps, change: Extract<Change, { kind: 'account_data' }>): JsonObject {
  const repaired = deps.rows.repair(change.userId, change);
  if (!repaired) return change.content;
  const { userId, type } = change;
  deps.store([{ kind: 'account_data', userId, roomId: null, type, content: repaired }]);
  return repaired;
}

function collect(
  documents: Map<UserId, Map<string, JsonObject>>,
  userId: UserId,
  { type, content }: { readonly type: string; readonly content: JsonObject },
): void {
  let contents = documents.get(userId);
  if (!contents) {
    contents = new Map();
    documents.set(userId, contents);
  }
  contents.set(type, content);
}
