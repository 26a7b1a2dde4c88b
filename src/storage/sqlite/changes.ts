import type { Change, ChangeReads, LoggedChange } from '../contract/changes.ts';
import type { Position } from '../contract/numbers.ts';
import type { Connection } from './core/database.ts';
import { prepareInsertMany } from './core/many-rows.ts';
import type { Turn } from './core/turn.ts';
import type { Writes } from './core/writes.ts';

/** How many old entries one moved cursor removes at most. */
const pruneMax = 1_000;

const loggedKinds: ReadonlySet<Change['kind']> = new Set([
  'event',
  'membership',
  'profile',
  'account_data',
  'device_list',
]);

function isLogged(change: Change): change is LoggedChange {
  return loggedKinds.has(change.kind);
}

export function createChangeReads(connection: Connection, turn: Turn): ChangeReads {
  const lastOfPage = connection
    .prepare<[Position, number], Position | null>(
      'SELECT max(position) FROM (SELECT position FROM change_log WHERE position > ? ORDER BY position, place LIMIT ?)',
    )
    .pluck();
  const list = connection
    .prepare<[Position, Position], string>(
      'SELECT change FROM change_log WHERE position > ? AND position <= ? ORDER BY position, place',
    )
    .pluck();
  const cursor = connection.prepare<[string], Position>('SELECT position FROM reaction_cursors WHERE name = ?').pluck();

  return {
    list: (after, limit) =>
      turn.read(() => {
        const last = lastOfPage.get(after, limit) ?? null;
        if (last === null) return [];
        return list.all(after, last).map((text): LoggedChange => JSON.parse(text));
      }),
    findCursor: (name) => turn.read(() => cursor.get(name)),
  };
}

export interface ChangeWrites extends Writes<'reaction_cursor'> {
  log(changes: readonly Change[]): void;
}

/** The log of changes. It reaches back to where the slowest reaction stands. */
export function createChangeWrites(connection: Connection): ChangeWrites {
  const insert = prepareInsertMany(connection, 'change_log (position, place, change)');
  const putCursor = connection.prepare<[string, Position]>(
    'INSERT OR REPLACE INTO reaction_cursors (name, position) VALUES (?, ?)',
  );
  const slowest = connection.prepare<[], Position>('SELECT min(position) FROM reaction_cursors').pluck();
  const prune = connection.prepare<[Position, number]>(
    `DELETE FROM change_log WHERE position <= (
       SELECT max(position) FROM (SELECT position FROM change_log WHERE position <= ? ORDER BY position LIMIT ?)
     )`,
  );

  return {
    reaction_cursor({ name, position }) {
      putCursor.run(name, position);
      prune.run(slowest.get() ?? 0, pruneMax);
    },
    log(changes) {
      insert(changes.filter(isLogged).map((change, place) => [change.position, place, JSON.stringify(change)]));
    },
  };
}
