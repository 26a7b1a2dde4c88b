import { acceptsType } from '../../matrix/filter.ts';
import type { RoomId } from '../../matrix/ids.ts';
import { pushRulesType } from '../../matrix/push-rules.ts';
import { presentPushRules } from '../../push/rules.ts';
import type { AccountDataRow } from '../../storage/contract/account-data.ts';
import type { Position } from '../../storage/contract/numbers.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import type { Answer } from '../answer.ts';
import { acceptsSection } from '../apply-filter.ts';
import { mayBeNews, type SyncScope, type SyncStream } from '../stream.ts';

export interface AccountDataDeps {
  readonly storage: Pick<Storage, 'accountData'>;
}

/**
 * What the viewer's devices stored: for the account, and for each room that stands in the answer or that they are joined
 * to. Reads behind the streams of rooms, whose left rooms it completes.
 */
export function createAccountDataStream(deps: AccountDataDeps): SyncStream {
  return {
    mayTell: (question) => mayBeNews(question, (news) => news.accountDataUsers.has(question.viewer.userId)),
    async read(scope, answer) {
      const { userId } = scope.viewer;
      if (scope.upTo <= scope.after) return;
      // A room that is new to the client comes with all that was ever stored for it.
      const isWhole = (roomId: RoomId): boolean => scope.rooms.newlyJoined.has(roomId);
      const from: Position = scope.rooms.newlyJoined.size > 0 ? 0 : scope.after;
      const rows = await deps.storage.accountData.listSince(userId, from, scope.upTo);
      if (scope.since === null) addDefaults(scope, answer, rows);
      for (const row of rows) {
        const isNew = row.position > scope.after;
        if (row.roomId === null) {
          if (isNew) addGlobal(scope, answer, row);
        } else if (isNew || isWhole(row.roomId)) {
          addToRoom(scope, answer, row.roomId, row);
        }
      }
    },
  };
}

/** Whoever never changed a push rule still has those that everybody has. */
function addDefaults(scope: SyncScope, answer: Answer, rows: readonly AccountDataRow[]): void {
  if (rows.some(({ roomId, type }) => roomId === null && type === pushRulesType)) return;
  if (!acceptsType(scope.filter.accountData, pushRulesType)) return;
  const content = presentPushRules(scope.viewer.userId, undefined);
  answer.accountData.push(JSON.stringify({ type: pushRulesType, content }));
}

function addGlobal(scope: SyncScope, answer: Answer, row: AccountDataRow): void {
  if (!acceptsType(scope.filter.accountData, row.type)) return;
  const content = row.type === pushRulesType ? presentPushRules(row.userId, row.content) : row.content;
  answer.accountData.push(JSON.stringify({ type: row.type, content }));
}

function addToRoom(scope: SyncScope, answer: Answer, roomId: RoomId, row: AccountDataRow): void {
  const filter = scope.filter.roomAccountData;
  if (!acceptsSection(filter, roomId) || !acceptsType(filter, row.type)) return;
  if (scope.rooms.joinedShown.has(roomId)) answer.joinedRoom(roomId).accountData.push(encodeRow(row));
  else answer.left.get(roomId)?.accountData.push(encodeRow(row));
}

function encodeRow(row: AccountDataRow): string {
  return JSON.stringify({ type: row.type, content: row.content });
}
