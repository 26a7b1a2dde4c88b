import { badJson, forbidden, invalidParam } from '../matrix/errors.ts';
import type { RoomId, UserId } from '../matrix/ids.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import type { AccountDataReads } from '../storage/contract/account-data.ts';
import { type AccountData, checkOwner } from './account-data.ts';

/** Whose tags, on which room. */
export interface TagsKey {
  readonly userId: UserId;
  readonly roomId: RoomId;
}

/** Room tags: the `m.tag` account data of a room, a tag at a time. All throw 403 for another user's. */
export interface Tags {
  list(requester: UserId, key: TagsKey): Promise<JsonObject>;
  /** Throws M_INVALID_PARAM for a name of more than 255 bytes, M_BAD_JSON for an `order` that is no number. */
  put(requester: UserId, key: TagsKey & { tag: string }, content: JsonObject): Promise<void>;
  /** A tag that is not there is no error. */
  remove(requester: UserId, key: TagsKey & { tag: string }): Promise<void>;
}

const type = 'm.tag';
const tagBytesMax = 255;
const tagsMax = 500;

export function createTags(deps: { storage: { accountData: AccountDataReads }; accountData: AccountData }): Tags {
  return {
    async list(requester, { userId, roomId }) {
      checkOwner(requester, userId);
      return tagsOf((await deps.storage.accountData.find(userId, roomId, type))?.content);
    },

    async put(requester, { userId, roomId, tag }, content) {
      checkOwner(requester, userId);
      if (Buffer.byteLength(tag) > tagBytesMax) throw invalidParam(`A tag has at most ${tagBytesMax} bytes`);
      if (content.order !== undefined && typeof content.order !== 'number') throw badJson("'order' is not a number");
      await deps.accountData.change({ userId, roomId, type }, (before) => {
        const others = Object.entries(tagsOf(before)).filter(([name]) => name !== tag);
        if (others.length >= tagsMax) throw forbidden(`A room has at most ${tagsMax} tags`);
        return { ...before, tags: Object.fromEntries([...others, [tag, content]]) };
      });
    },

    async remove(requester, { userId, roomId, tag }) {
      checkOwner(requester, userId);
      await deps.accountData.change({ userId, roomId, type }, (before) => {
        const tags = tagsOf(before);
        if (!Object.hasOwn(tags, tag)) return undefined;
        return { ...before, tags: Object.fromEntries(Object.entries(tags).filter(([name]) => name !== tag)) };
      });
    },
  };
}

/** Clients may write `m.tag` whole, so it may be anything. */
function tagsOf(content: JsonObject | undefined): JsonObject {
  const tags = content?.tags;
  return typeof tags === 'object' && tags !== null && !Array.isArray(tags) ? (tags as JsonObject) : {};
}
