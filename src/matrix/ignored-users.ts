import { isUserId, type UserId } from './ids.ts';
import type { JsonObject } from './pdu.ts';

/** Global account data (client-server API, "Ignoring Users"). */
export const ignoredUsersType = 'm.ignored_user_list';

/** More are not read: a list of this length is no list of people any more. */
export const ignoredUsersMax = 10_000;

/**
 * Whom the owner of this account data ignores: the keys of `ignored_users` that are user ids. Total: whatever is not of
 * that shape ignores nobody.
 */
export function parseIgnoredUsers(content: JsonObject | undefined): ReadonlySet<UserId> {
  const users = content?.ignored_users;
  if (typeof users !== 'object' || users === null || Array.isArray(users)) return new Set();
  return new Set(Object.keys(users).filter(isUserId).slice(0, ignoredUsersMax));
}
