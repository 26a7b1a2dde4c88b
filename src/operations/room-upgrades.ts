import type { AccountData } from '../accounts/account-data.ts';
import { breathe } from '../base/breathe.ts';
import type { Log } from '../base/log.ts';
import type { Reaction } from '../feed/feed.ts';
import { MatrixError } from '../matrix/errors.ts';
import { isRoomId, type RoomId, serverOfUser, type UserId } from '../matrix/ids.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import type { PushRule } from '../matrix/push-rules.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { PushRules } from '../push/rules.ts';
import { predecessorOf } from '../rooms/core/predecessor.ts';
import type { Roster } from '../roster/roster.ts';
import type { Storage } from '../storage/contract/storage.ts';

export interface RoomUpgradeDeps {
  readonly storage: Pick<Storage, 'accountData' | 'state'>;
  readonly roster: Pick<Roster, 'isJoined' | 'localUsersIn'>;
  readonly accountData: Pick<AccountData, 'change'>;
  readonly pushRules: Pick<PushRules, 'getAll' | 'put' | 'change'>;
  readonly serverName: ServerName;
  readonly log: Log;
}

/**
 * "When a user joins the new room, the server should automatically transfer/replicate some of the user's personalized settings" (client-server
 * API, "Room Upgrades"): tags, the mark of a direct chat, the push rule. Looks when one of our users comes to a room that names a
 * predecessor, and when a tombstone arrives, because either may be known first. Both rooms must name each other: else any room could
 * take over the settings of another by saying that it replaces it. What the user has set for the new room stays. May run twice.
 */
export function createRoomUpgradeReaction(deps: RoomUpgradeDeps): Reaction {
  const { storage, roster } = deps;

  async function carryOver(userId: UserId, from: RoomId, to: RoomId): Promise<void> {
    try {
      const tags = await storage.accountData.find(userId, from, 'm.tag');
      if (tags) {
        await deps.accountData.change({ userId, roomId: to, type: 'm.tag' }, (before) =>
          before === undefined ? tags.content : undefined,
        );
      }
      await deps.accountData.change({ userId, roomId: null, type: 'm.direct' }, (before) =>
        before === undefined ? undefined : withDirectRoom(before, from, to),
      );
      await copyPushRules(deps, userId, { from, to });
    } catch (error) {
      // One user whose settings are refused does not keep the others from theirs.
      if (!(error instanceof MatrixError)) throw error;
      deps.log.info({ userId, from, to, reason: error.message }, 'settings of a room do not follow its upgrade');
    }
  }

  return {
    name: 'room-upgrades',
    kinds: ['membership', 'event'],
    concerns(change) {
      if (change.kind === 'event') return change.type === 'm.room.tombstone' && change.stateKey === '';
      if (change.kind !== 'membership' || serverOfUser(change.userId) !== deps.serverName) return false;
      return change.after === 'join' && change.before !== 'join';
    },
    async react(change) {
      if (change.kind === 'membership') {
        const { userId, roomId } = change;
        const from = await findPredecessor(deps, roomId);
        if (from && (await findReplacement(deps, from)) === roomId) await carryOver(userId, from, roomId);
      } else if (change.kind === 'event') {
        const { roomId } = change;
        const to = await findReplacement(deps, roomId);
        if (!to || (await findPredecessor(deps, to)) !== roomId) return [];
        for (const userId of [...roster.localUsersIn(to)]) {
          if (roster.isJoined(roomId, userId)) await carryOver(userId, roomId, to);
          await breathe();
        }
      }
      return [];
    },
  };
}

async function findPredecessor({ storage }: RoomUpgradeDeps, roomId: RoomId): Promise<RoomId | null> {
  return predecessorOf((await storage.state.findCurrent(roomId, 'm.room.create', ''))?.event);
}

async function findReplacement({ storage }: RoomUpgradeDeps, roomId: RoomId): Promise<RoomId | undefined> {
  const tombstone = await storage.state.findCurrent(roomId, 'm.room.tombstone', '');
  const replacement = tombstone?.event.pdu.content.replacement_room;
  return isRoomId(replacement) ? replacement : undefined;
}

/** Beside the old room in every list that names it; undefined where nothing changes. Clients may write anything there. */
function withDirectRoom(direct: JsonObject, from: RoomId, to: RoomId): JsonObject | undefined {
  let changed = false;
  const entries = Object.entries(direct).map(([userId, rooms]): [string, unknown] => {
    if (!Array.isArray(rooms) || !rooms.includes(from) || rooms.includes(to)) return [userId, rooms];
    changed = true;
    return [userId, [...rooms, to]];
  });
  return changed ? Object.fromEntries(entries) : undefined;
}

interface RoomPair {
  readonly from: RoomId;
  readonly to: RoomId;
}

/** The rule for the room, and overriding rules that name the room in their id and in a condition, as clients mute with. */
async function copyPushRules({ pushRules }: RoomUpgradeDeps, userId: UserId, { from, to }: RoomPair): Promise<void> {
  const rules = await pushRules.getAll(userId);
  for (const kind of ['override', 'room'] as const) {
    const known = new Set(rules[kind].map((rule) => rule.rule_id));
    for (const rule of rules[kind]) {
      const copy = copyForRoom(rule, kind, { from, to });
      if (!copy || known.has(copy.rule_id)) continue;
      await pushRules.put(userId, kind, copy, { before: undefined, after: undefined });
      if (!rule.enabled) await pushRules.change({ userId, kind, ruleId: copy.rule_id }, { enabled: false });
    }
  }
}

function copyForRoom(rule: PushRule, kind: 'override' | 'room', { from, to }: RoomPair) {
  const { rule_id: ruleId, actions, conditions } = rule;
  if (rule.default || !ruleId.includes(from)) return undefined;
  if (kind === 'room') return ruleId === from ? { rule_id: to, actions } : undefined;
  const isOfRoom = (condition: JsonObject): boolean => condition.key === 'room_id' && condition.pattern === from;
  if (!conditions?.some(isOfRoom)) return undefined;
  return {
    rule_id: ruleId.replaceAll(from, () => to),
    actions,
    conditions: conditions.map((condition) => (isOfRoom(condition) ? { ...condition, pattern: to } : condition)),
  };
}
