import Database from 'better-sqlite3';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { openTestStorage } from '../../../support/storage.ts';

/** Small by nature. */
const mayBeScanned = new Set([
  'reaction_cursors',
  'narrowings',
  'presence_facts',
  'migrations',
  'waiting_events',
  'imports',
  'services',
  'network_rooms',
  'sqlite_master',
]);
/** Statements, by how they begin, and parts of a plan that walk on purpose. */
const walksOnPurpose = [
  // Asked for once, at the start (the second also by who explains an audience).
  /^SELECT destination FROM destinations d WHERE EXISTS/,
  /^SELECT server, seen_at_ms AS seenAtMs FROM presence_aware_servers/,
  // The first of them.
  /^SELECT user_id AS userId, .* FROM (device|key_backup)_leftovers LIMIT 1$/,
  // An index of just those who are asked for.
  /USING INDEX presence_not_offline/,
  /USING INDEX remote_device_lists_stale/,
  /USING COVERING INDEX accounts_erased/,
  /USING COVERING INDEX room_listings_public/,
  // The plan shows the children of the foreign key; SQLite skips them while no constraint is waiting.
  /^INSERT INTO \w+ \(\w+\) SELECT value FROM json_each/,
];

interface PlanRow {
  detail: string;
}

/** What SQLite would walk from end to end. An index that holds only what is asked for (a partial one) may be walked. */
function findScans(connection: Database.Database, sql: string): string[] {
  return connection
    .prepare<unknown[], PlanRow>(`EXPLAIN QUERY PLAN ${sql}`)
    .all(...Array.from({ length: sql.length }, () => null).slice(0, sql.split('?').length - 1))
    .map(({ detail }) => detail)
    .filter(
      (detail) =>
        detail.startsWith('SCAN ') &&
        !/ VIRTUAL TABLE|CONSTANT ROW|-ROW VALUES CLAUSE|SUBQUERY|\(subquery/.test(detail),
    )
    .filter((detail) => !mayBeScanned.has(detail.split(' ')[1] ?? ''))
    .filter((detail) => !walksOnPurpose.some((pattern) => pattern.test(detail)));
}

async function collectStatements(): Promise<{ connection: Database.Database; texts: string[]; stop(): Promise<void> }> {
  const texts: string[] = [];
  let connection: Database.Database | undefined;
  const prepare = Database.prototype.prepare;
  const spy = vi.spyOn(Database.prototype, 'prepare').mockImplementation(function (
    this: Database.Database,
    sql: string,
  ) {
    connection = this;
    texts.push(sql.replace(/\s+/g, ' ').trim());
    return Reflect.apply(prepare, this, [sql]);
  });
  const storage = await openTestStorage();
  spy.mockRestore();
  if (connection === undefined) throw new Error('nothing was prepared');
  return { connection, texts, stop: () => storage.stop() };
}

describe('every prepared statement', () => {
  let stop: (() => Promise<void>) | undefined;
  afterEach(() => stop?.());

  it('finds its rows by an index', async () => {
    const collected = await collectStatements();
    stop = collected.stop;
    const planned = collected.texts.filter((sql) => /^(SELECT|UPDATE|DELETE|INSERT)/.test(sql));
    expect(planned.length).toBeGreaterThan(100);
    const scanning = planned
      .filter((sql) => !walksOnPurpose.some((pattern) => pattern.test(sql)))
      .map((sql) => {
        const named = sql.replace(/@\w+/g, 'NULL');
        return { sql, scans: findScans(collected.connection, named) };
      })
      .filter(({ scans }) => scans.length > 0);
    expect(scanning).toEqual([]);
  });

  it('is held against a check that sees a scan', async () => {
    const collected = await collectStatements();
    stop = collected.stop;
    expect(findScans(collected.connection, 'SELECT * FROM events WHERE depth = ?')).toEqual(['SCAN events']);
  });
});
