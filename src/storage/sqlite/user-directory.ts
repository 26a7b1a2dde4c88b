import { localpartOf, type UserId } from '../../matrix/ids.ts';
import type { DirectoryReads, FoundUser } from '../contract/directory.ts';
import type { Connection } from './core/database.ts';
import type { Turn } from './core/turn.ts';
import { quoteWord } from './core/word-search.ts';

/** What the writes of accounts and memberships change in the names of the user directory. Runs inside their transaction. */
export interface DirectoryNames {
  /** An account here has this name now. */
  putLocal(userId: UserId, name: string | null): void;
  /** The account has ended. */
  removeLocal(userId: UserId): void;
  /** Somebody's name in a room went from one to another; null: they are not joined. Of our own users only the profile counts. */
  changeInRoom(
    userId: UserId,
    change: { before: { name: string | null } | null; after: { name: string | null } | null },
  ): void;
}

export function createDirectoryNames(connection: Connection): DirectoryNames {
  const find = connection
    .prepare<[UserId, string], number>('SELECT name_no FROM directory_names WHERE user_id = ? AND name = ?')
    .pluck();
  const allOf = connection.prepare<[UserId], number>('SELECT name_no FROM directory_names WHERE user_id = ?').pluck();
  const isLocal = connection.prepare<[UserId]>('SELECT 1 FROM accounts WHERE user_id = ?');
  const isBorne = connection.prepare<[UserId, string]>(
    `SELECT 1 FROM memberships WHERE user_id = ? AND membership = 'join' AND coalesce(displayname, '') = ? LIMIT 1`,
  );
  const add = connection.prepare<[UserId, string, 0 | 1]>(
    'INSERT INTO directory_names (user_id, name, is_local) VALUES (?, ?, ?)',
  );
  const addWords = connection.prepare<[number | bigint, string, string]>(
    'INSERT INTO directory_words (rowid, name, localpart) VALUES (?, ?, ?)',
  );
  const remove = connection.prepare<[number]>('DELETE FROM directory_names WHERE name_no = ?');
  const removeWords = connection.prepare<[number]>('DELETE FROM directory_words WHERE rowid = ?');

  const put = (userId: UserId, name: string, local: 0 | 1): void => {
    if (find.get(userId, name) !== undefined) return;
    addWords.run(add.run(userId, name, local).lastInsertRowid, name, localpartOf(userId));
  };
  const drop = (nameNo: number): void => {
    removeWords.run(nameNo);
    remove.run(nameNo);
  };
  const dropAll = (userId: UserId): void => {
    for (const nameNo of allOf.all(userId)) drop(nameNo);
  };

  return {
    putLocal(userId, name) {
      dropAll(userId);
      put(userId, name ?? '', 1);
    },
    removeLocal: dropAll,
    changeInRoom(userId, { before, after }) {
      if (before?.name === after?.name && (before === null) === (after === null)) return;
      if (isLocal.get(userId) !== undefined) return;
      if (after) put(userId, after.name ?? '', 0);
      const old = before?.name ?? '';
      const nameNo = before && isBorne.get(userId, old) === undefined ? find.get(userId, old) : undefined;
      if (nameNo !== undefined) drop(nameNo);
    },
  };
}

interface Found {
  nameNo: number;
  userId: UserId;
  name: string;
  avatarUrl: string | null;
  /** Null: the searcher may not know of them. */
  seenIn: number | null;
}

/**
 * Of these names, those in whose room the searcher is or anybody may be: a name that somebody bears in one room is nothing to those who
 * are in another.
 */
function visible(candidates: string): string {
  return `WITH candidates AS (${candidates}), seen AS (
      SELECT c.*, (
        SELECT m.room_no FROM memberships m LEFT JOIN room_listings l ON l.room_no = m.room_no
        WHERE m.user_id = c.user_id AND m.membership = 'join' AND (c.is_local OR coalesce(m.displayname, '') = c.name)
          AND (l.is_open = 1 OR EXISTS (
            SELECT 1 FROM memberships o WHERE o.room_no = m.room_no AND o.user_id = @searcher AND o.membership = 'join'
          ))
        LIMIT 1
      ) AS seen_in FROM candidates c
    )
    SELECT s.name_no AS nameNo, s.user_id AS userId, s.name, s.seen_in AS seenIn,
      CASE WHEN s.is_local THEN p.avatar_url ELSE m.avatar_url END AS avatarUrl
    FROM seen s LEFT JOIN profiles p ON p.user_id = s.user_id
      LEFT JOIN memberships m ON m.room_no = s.seen_in AND m.user_id = s.user_id`;
}

/** Behind every character that may follow a prefix. */
const afterAny = '\u{10ffff}';

type UserReads = Pick<DirectoryReads, 'searchUsers' | 'listUsersByPrefix'>;

export function createUserReads(connection: Connection, turn: Turn): UserReads {
  const byWords = connection.prepare<[{ words: string; after: number; limit: number; searcher: UserId }], Found>(
    visible(`SELECT n.* FROM directory_words w CROSS JOIN directory_names n ON n.name_no = w.rowid
       WHERE directory_words MATCH @words AND w.rowid > @after ORDER BY w.rowid LIMIT @limit`),
  );
  const byPrefix = connection.prepare<[{ from: string; to: string; limit: number; searcher: UserId }], Found>(
    visible(
      'SELECT n.* FROM directory_names n WHERE n.user_id >= @from AND n.user_id < @to ORDER BY n.user_id LIMIT @limit',
    ),
  );

  const users = (found: readonly Found[]): FoundUser[] =>
    found
      .filter(({ seenIn }) => seenIn !== null)
      .map(({ userId, name, avatarUrl }) => ({ userId, displayname: name === '' ? null : name, avatarUrl }));

  return {
    searchUsers: ({ searcher, words, after, limit }) =>
      turn.read(() => {
        const found = byWords.all({ searcher, words: matchOf(words), after: after ?? 0, limit });
        return { users: users(found), last: found.length < limit ? null : (found.at(-1)?.nameNo ?? null) };
      }),
    listUsersByPrefix: ({ searcher, prefix, limit }) =>
      turn.read(() => users(byPrefix.all({ searcher, from: prefix, to: prefix + afterAny, limit }))),
  };
}

/** Each word must begin one: a phrase whose last word may go on. */
function matchOf(words: readonly string[]): string {
  return words.map((word) => `${quoteWord(word)} *`).join(' AND ');
}
