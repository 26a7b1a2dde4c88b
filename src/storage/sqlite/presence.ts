import { assert } from '../../base/assert.ts';
import type { UserId } from '../../matrix/ids.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type {
  AwareServer,
  Narrowing,
  PresenceCopyRow,
  PresenceReads,
  PresenceRow,
  PresenceTableRow,
} from '../contract/presence.ts';
import type { Connection } from './core/database.ts';
import type { Leftovers } from './core/leftovers.ts';
import type { Turn } from './core/turn.ts';
import type { ManyWrites, Writes } from './core/writes.ts';

type PresenceRecord = Omit<PresenceRow, 'currentlyActive' | 'devices'> & { currentlyActive: 0 | 1; devices: string };
type CopyRecord = Omit<PresenceCopyRow, 'currentlyActive' | 'recipients'> & {
  currentlyActive: 0 | 1;
  recipients: string | null;
};

const presenceColumns = `user_id AS userId, state, status_msg AS statusMsg, last_active_at_ms AS lastActiveAtMs,
  currently_active AS currentlyActive, changed_at_ms AS changedAtMs, devices`;

/** Losses that are deleted at a time. */
const prunedAtOnce = 500;

const narrowingColumns = 'destination, subject, generation, last_active_at_ms AS lastActiveAtMs';

function parsePresence(record: PresenceRecord): PresenceRow {
  return { ...record, currentlyActive: record.currentlyActive === 1, devices: JSON.parse(record.devices) };
}

function parseCopy(record: CopyRecord): PresenceCopyRow {
  const recipients: string[] | null = record.recipients === null ? null : JSON.parse(record.recipients);
  return { ...record, currentlyActive: record.currentlyActive === 1, recipients };
}

export function createPresenceReads(connection: Connection, turn: Turn): PresenceReads {
  const find = connection.prepare<[UserId], PresenceRecord>(
    `SELECT ${presenceColumns} FROM presence WHERE user_id = ?`,
  );
  const all = connection.prepare<[string, number], PresenceRecord>(
    `SELECT ${presenceColumns} FROM presence WHERE user_id > ? ORDER BY user_id LIMIT ?`,
  );
  const notOffline = connection.prepare<[], PresenceRecord>(
    `SELECT ${presenceColumns} FROM presence WHERE state <> 'offline' ORDER BY user_id`,
  );
  const copies = connection.prepare<[string, number, number], CopyRecord>(
    `SELECT subject, sequence, state, status_msg AS statusMsg, last_active_at_ms AS lastActiveAtMs,
       currently_active AS currentlyActive, recipients, expires_at_ms AS expiresAtMs
     FROM presence_copies WHERE (subject, sequence) > (?, ?) ORDER BY subject, sequence LIMIT ?`,
  );
  const narrowings = connection.prepare<[], Narrowing>(
    `SELECT ${narrowingColumns} FROM narrowings ORDER BY generation`,
  );
  const narrowing = connection.prepare<[ServerName, UserId], Narrowing>(
    `SELECT ${narrowingColumns} FROM narrowings WHERE destination = ? AND subject = ?`,
  );
  const losses = connection.prepare<[UserId, number], { subject: UserId; atMs: number }>(
    'SELECT subject, at_ms AS atMs FROM presence_losses WHERE viewer = ? AND at_ms >= ? ORDER BY at_ms, subject',
  );
  const aware = connection.prepare<[], AwareServer>(
    'SELECT server, seen_at_ms AS seenAtMs FROM presence_aware_servers ORDER BY server',
  );
  const held = connection
    .prepare<[string, string, number], UserId>(
      'SELECT subject FROM presence_at_services WHERE service_id = ? AND subject > ? ORDER BY subject LIMIT ?',
    )
    .pluck();
  const facts = connection.prepare<[], { name: string; value: string }>(
    'SELECT name, value FROM presence_facts ORDER BY name',
  );

  return {
    find: (userId) =>
      turn.read(() => {
        const record = find.get(userId);
        return record && parsePresence(record);
      }),
    listAll: (after, limit) => turn.read(() => all.all(after ?? '', limit).map(parsePresence)),
    listNotOffline: () => turn.read(() => notOffline.all().map(parsePresence)),
    listCopies: (after, limit) =>
      turn.read(() => copies.all(after?.subject ?? '', after?.sequence ?? 0, limit).map(parseCopy)),
    listNarrowings: () => turn.read(() => narrowings.all()),
    findNarrowing: (destination, subject) => turn.read(() => narrowing.get(destination, subject)),
    listLosses: (viewer, sinceMs) => turn.read(() => losses.all(viewer, sinceMs)),
    listAwareServers: () => turn.read(() => aware.all()),
    listHeldByService: (serviceId, after, limit) => turn.read(() => held.all(serviceId, after ?? '', limit)),
    listFacts: () => turn.read(() => facts.all()),
  };
}

export interface PresenceWrites {
  readonly rows: Writes<Exclude<PresenceTableRow['kind'], 'presence_loss'>>;
  readonly many: ManyWrites<'presence_loss'>;
}

export function createPresenceWrites(connection: Connection, leftovers: Leftovers): PresenceWrites {
  const put = connection.prepare<[PresenceRecord]>(
    `INSERT OR REPLACE INTO presence (user_id, state, status_msg, last_active_at_ms, currently_active, changed_at_ms, devices)
     VALUES (@userId, @state, @statusMsg, @lastActiveAtMs, @currentlyActive, @changedAtMs, @devices)`,
  );
  const remove = connection.prepare<[UserId]>('DELETE FROM presence WHERE user_id = ?');
  const removeCopies = connection.prepare<[UserId]>('DELETE FROM presence_copies WHERE subject = ?');
  const insertCopy = connection.prepare<[CopyRecord]>(
    `INSERT INTO presence_copies
       (subject, sequence, state, status_msg, last_active_at_ms, currently_active, recipients, expires_at_ms)
     VALUES (@subject, @sequence, @state, @statusMsg, @lastActiveAtMs, @currentlyActive, @recipients, @expiresAtMs)`,
  );
  // Who lost access first must not learn of later activity: an outstanding narrowing keeps its older hour.
  const narrow = connection.prepare<[Omit<Narrowing, 'generation'>], Narrowing>(
    `INSERT OR REPLACE INTO narrowings (destination, subject, last_active_at_ms)
     VALUES (@destination, @subject, min(@lastActiveAtMs, coalesce(
       (SELECT last_active_at_ms FROM narrowings WHERE destination = @destination AND subject = @subject),
       @lastActiveAtMs)))
     RETURNING ${narrowingColumns}`,
  );
  const clear = connection.prepare<[ServerName, UserId, number]>(
    'DELETE FROM narrowings WHERE destination = ? AND subject = ? AND generation <= ?',
  );
  // Who leaves a room of ten thousand is lost to all of them: one statement, in the order in which the rows lie.
  const putLosses = connection.prepare<[string]>(
    `INSERT OR REPLACE INTO presence_losses (viewer, subject, at_ms)
     SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?) ORDER BY 1, 2, 3`,
  );
  const pruneLosses = connection.prepare<[number, number]>(
    `DELETE FROM presence_losses WHERE (viewer, subject) IN (
       SELECT viewer, subject FROM presence_losses WHERE at_ms < ? ORDER BY at_ms LIMIT ?
     )`,
  );
  // Nobody reads them any more. What a process does not come to is pruned again.
  let lossesBeforeMs = 0;
  leftovers.add(() => (lossesBeforeMs === 0 ? 0 : pruneLosses.run(lossesBeforeMs, prunedAtOnce).changes));
  const putAware = connection.prepare<[ServerName, number]>(
    'INSERT OR REPLACE INTO presence_aware_servers (server, seen_at_ms) VALUES (?, ?)',
  );
  const removeAware = connection.prepare<[ServerName]>('DELETE FROM presence_aware_servers WHERE server = ?');
  const putHeld = connection.prepare<[string, UserId]>(
    'INSERT OR IGNORE INTO presence_at_services (service_id, subject) VALUES (?, ?)',
  );
  const removeHeld = connection.prepare<[string, UserId]>(
    'DELETE FROM presence_at_services WHERE service_id = ? AND subject = ?',
  );
  const putFact = connection.prepare<[string, string]>(
    'INSERT OR REPLACE INTO presence_facts (name, value) VALUES (?, ?)',
  );
  const removeFact = connection.prepare<[string]>('DELETE FROM presence_facts WHERE name = ?');

  const rows: PresenceWrites['rows'] = {
    presence(row) {
      put.run({ ...row, currentlyActive: row.currentlyActive ? 1 : 0, devices: JSON.stringify(row.devices) });
    },
    presence_removed(row) {
      remove.run(row.userId);
    },
    presence_copies({ subject, copies }) {
      removeCopies.run(subject);
      for (const copy of copies) {
        insertCopy.run({
          ...copy,
          subject,
          currentlyActive: copy.currentlyActive ? 1 : 0,
          recipients: copy.recipients === null ? null : JSON.stringify(copy.recipients),
        });
      }
    },
    narrowing({ destination, subject, lastActiveAtMs }, step) {
      const stored = narrow.get({ destination, subject, lastActiveAtMs });
      assert(stored, 'the narrowing was written');
      step.change({ kind: 'narrowing', ...stored });
    },
    narrowing_cleared({ destination, subject, generation }) {
      clear.run(destination, subject, generation);
    },
    presence_losses_pruned({ beforeMs }) {
      lossesBeforeMs = beforeMs;
      leftovers.expect();
    },
    presence_aware_server({ server, seenAtMs }) {
      if (seenAtMs === null) removeAware.run(server);
      else putAware.run(server, seenAtMs);
    },
    presence_at_service({ serviceId, subject, held }) {
      (held ? putHeld : removeHeld).run(serviceId, subject);
    },
    presence_fact({ name, value }) {
      if (value === null) removeFact.run(name);
      else putFact.run(name, value);
    },
  };
  return {
    rows,
    many: {
      presence_loss(losses) {
        putLosses.run(JSON.stringify(losses.map(({ row: { viewer, subject, atMs } }) => [viewer, subject, atMs])));
      },
    },
  };
}
