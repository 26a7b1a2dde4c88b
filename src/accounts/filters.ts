import { createHash } from 'node:crypto';
import { notFound } from '../matrix/errors.ts';
import { parseSyncFilter } from '../matrix/filter.ts';
import type { UserId } from '../matrix/ids.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import type { AccountReads } from '../storage/contract/accounts.ts';
import type { Storage } from '../storage/contract/storage.ts';
import { checkOwner } from './account-data.ts';

export interface Filters {
  /**
   * Keeps a filter and gives its id; the same filter again has the same id, so that a client which uploads at every start
   * adds nothing. Throws M_BAD_JSON for what is no filter, 403 for another user.
   */
  create(requester: UserId, userId: UserId, definition: JsonObject): Promise<string>;
  /** As it was uploaded. Throws M_NOT_FOUND; 403 for another user's. */
  get(requester: UserId, userId: UserId, filterId: string): Promise<JsonObject>;
}

export function createFilters(deps: { storage: { accounts: AccountReads; commit: Storage['commit'] } }): Filters {
  const { storage } = deps;
  return {
    async create(requester, userId, definition) {
      checkOwner(requester, userId);
      parseSyncFilter(definition);
      const filterId = createHash('sha256').update(JSON.stringify(definition)).digest('base64url').slice(0, 22);
      if (!(await storage.accounts.findFilter(userId, filterId))) {
        await storage.commit({ rows: [{ kind: 'filter', userId, filterId, definition }] });
      }
      return filterId;
    },

    async get(requester, userId, filterId) {
      checkOwner(requester, userId);
      const filter = await storage.accounts.findFilter(userId, filterId);
      if (!filter) throw notFound('There is no such filter');
      return filter.definition;
    },
  };
}
