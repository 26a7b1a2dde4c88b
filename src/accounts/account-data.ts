import { forbidden, limitExceeded, MatrixError, notFound } from '../matrix/errors.ts';
import type { RoomId, UserId } from '../matrix/ids.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import type { AccountDataReads } from '../storage/contract/account-data.ts';
import type { Row } from '../storage/contract/commit.ts';
import type { Storage } from '../storage/contract/storage.ts';
import type { InOrder } from './in-order.ts';

/**
 * Asked before account data is written: the rows to write in its place, one commit's worth. Throws a MatrixError to refuse.
 * Called in order for each user, so what it reads of that user's account data is what the rows replace.
 */
export type CheckAccountData = (
  userId: UserId,
  roomId: RoomId | null,
  type: string,
  content: JsonObject,
) => Promise<readonly Row[]>;

/**
 * Asked what a client is shown of global account data, whose stored form is its owner's matter (undefined: nothing is stored).
 * Undefined: nothing is to be shown.
 */
export type PresentAccountData = (
  userId: UserId,
  type: string,
  stored: JsonObject | undefined,
) => JsonObject | undefined;

/** What to write where nobody has a say: the one row. */
export function singleRow(userId: UserId, roomId: RoomId | null, type: string, content: JsonObject): readonly Row[] {
  return [{ kind: 'account_data', userId, roomId, type, content }];
}

/** One document: a type, of a user, global or in a room. */
export interface AccountDataKey {
  readonly userId: UserId;
  readonly roomId: RoomId | null;
  readonly type: string;
}

export interface AccountData {
  /** Throws M_NOT_FOUND; 403 for another user's. */
  get(requester: UserId, key: AccountDataKey): Promise<JsonObject>;
  /** Throws 403 for another user's, 405 M_BAD_JSON for types that the server manages, and what `checkAccountData` throws. */
  put(requester: UserId, key: AccountDataKey, content: JsonObject): Promise<void>;
  /** Reads, decides and writes as one step. `decide` gives the new content, or undefined to leave it. */
  change(key: AccountDataKey, decide: (content: JsonObject | undefined) => JsonObject | undefined): Promise<void>;
}

/**
 * "server-managed": "The server MUST reject … with M_BAD_JSON" (client-server API, "Client Config", room and global
 * account data alike).
 */
const managedTypes: ReadonlySet<string> = new Set(['m.fully_read', 'm.push_rules']);
const attemptsMax = 5;

export function createAccountData(deps: {
  storage: { accountData: AccountDataReads; commit: Storage['commit'] };
  checkAccountData: CheckAccountData;
  presentAccountData: PresentAccountData;
  inOrder: InOrder;
}): AccountData {
  const { storage } = deps;

  return {
    async get(requester, { userId, roomId, type }) {
      checkOwner(requester, userId);
      const row = await storage.accountData.find(userId, roomId, type);
      const content = roomId === null ? deps.presentAccountData(userId, type, row?.content) : row?.content;
      if (!content) throw notFound('There is no account data of this type');
      return content;
    },

    async put(requester, { userId, roomId, type }, content) {
      checkOwner(requester, userId);
      if (managedTypes.has(type)) throw new MatrixError(405, 'M_BAD_JSON', `${type} cannot be set through this API`);
      await deps.inOrder(userId, async () => {
        await storage.commit({ rows: await deps.checkAccountData(userId, roomId, type, content) });
      });
    },

    async change(key, decide) {
      const { userId, roomId, type } = key;
      await deps.inOrder(userId, async () => {
        for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
          const before = await storage.accountData.find(userId, roomId, type);
          const content = decide(before?.content);
          if (content === undefined) return;
          const result = await storage.commit({
            rows: await deps.checkAccountData(userId, roomId, type, content),
            expect: [{ kind: 'account_data_revision', userId, roomId, type, position: before?.position ?? null }],
          });
          if (result.outcome === 'committed') return;
        }
        throw limitExceeded(1_000);
      });
    },
  };
}

/** Refuses what is not the requester's own, whoever else's it may be. */
export function checkOwner(requester: UserId, userId: UserId): void {
  if (requester !== userId) throw forbidden('This belongs to another user');
}
