import { foldText } from '../base/fold-text.ts';
import { invalidParam } from '../matrix/errors.ts';
import { localpartOf, type UserId, userIdOf } from '../matrix/ids.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { FoundUser } from '../storage/contract/directory.ts';
import type { Storage } from '../storage/contract/storage.ts';

export interface UserDirectoryDeps {
  readonly storage: Pick<Storage, 'directory'>;
  readonly serverName: ServerName;
}

export interface UserDirectory {
  /**
   * Client-server API, "User directory": people whom the searcher may know of, whose user id or display name fits. Never the searcher. Throws
   * M_INVALID_PARAM for a term that is too long.
   */
  search(searcher: UserId, request: { readonly term: string; readonly limit: number }): Promise<UserSearchAnswer>;
}

export interface UserSearchAnswer {
  readonly results: readonly { user_id: UserId; display_name?: string; avatar_url?: string }[];
  /** There are more than these. */
  readonly limited: boolean;
}

/** A search asks for at most so many; more are cut to it. */
export const usersMax = 100;
const termLengthMax = 500;
const wordsMax = 8;
/** People looked at in one go, and altogether: behind that a search ends as limited. */
const pageSize = 200;
const scannedMax = 4_000;

export function createUserDirectory(deps: UserDirectoryDeps): UserDirectory {
  const { directory } = deps.storage;

  return {
    async search(searcher, { term, limit }) {
      const wanted = Math.min(limit, usersMax);
      const asked = term.trim();
      if (asked.length > termLengthMax) throw invalidParam('search_term is too long');
      if (asked === '') return { results: [], limited: false };
      const found = new Map<UserId, FoundUser>();
      const add = (users: readonly FoundUser[]): void => {
        for (const user of users) if (user.userId !== searcher && !found.has(user.userId)) found.set(user.userId, user);
      };
      for (const prefix of listPrefixes(asked, deps.serverName)) {
        add(await directory.listUsersByPrefix({ searcher, prefix, limit: pageSize }));
      }
      const words = listWords(asked);
      let isCut = false;
      let after: number | null = null;
      for (let scanned = 0; words.length > 0 && found.size <= wanted; scanned += pageSize) {
        isCut = scanned >= scannedMax;
        if (isCut) break;
        const page: { users: FoundUser[]; last: number | null } = await directory.searchUsers({
          searcher,
          words,
          after,
          limit: pageSize,
        });
        add(page.users);
        after = page.last;
        if (after === null) break;
      }
      const ranked = [...found.values()].sort((a, b) => rankOf(a, asked) - rankOf(b, asked));
      return { results: ranked.slice(0, wanted).map(present), limited: isCut || ranked.length > wanted };
    },
  };
}

/** User ids to look for by how they begin: the term, where it begins like one; and the one that it is the local part of here. */
function listPrefixes(term: string, serverName: ServerName): string[] {
  if (term.startsWith('@')) return term.length > 1 ? [...new Set([term, term.toLowerCase()])] : [];
  return [userIdOf(term.toLowerCase(), serverName)];
}

/** Words that hold something to search for. */
function listWords(term: string): string[] {
  const words = term.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word));
  return words.slice(0, wordsMax);
}

/** "Ordered by rank and then whether or not profile info is available": who is just this stands first. */
function rankOf({ userId, displayname, avatarUrl }: FoundUser, term: string): number {
  const folded = foldText(term);
  const isExact = [userId, localpartOf(userId), displayname ?? ''].some((text) => foldText(text) === folded);
  return (isExact ? 0 : 2) + (displayname === null && avatarUrl === null ? 1 : 0);
}

function present({ userId, displayname, avatarUrl }: FoundUser) {
  return {
    user_id: userId,
    ...(displayname === null ? {} : { display_name: displayname }),
    ...(avatarUrl === null ? {} : { avatar_url: avatarUrl }),
  };
}
