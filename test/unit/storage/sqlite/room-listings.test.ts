import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, it } from 'vitest';

const folder = join(import.meta.dirname, '../../../../migrations/sqlite');
const migrations = readdirSync(folder).sort();
const own = migrations.findIndex((name) => name.endsWith('_room_listings.sql'));

/** A database from before the listings. */
function olderDatabase(): Database.Database {
  const database = new Database(':memory:');
  for (const name of migrations.slice(0, own)) database.exec(readFileSync(join(folder, name), 'utf8'));
  return database;
}

function addState(database: Database.Database, roomNo: number, type: string, content: unknown): void {
  const eventNo = Number(
    database.prepare('INSERT INTO event_ids (event_id) VALUES (?)').run(`$${roomNo}${type}`).lastInsertRowid,
  );
  database
    .prepare(
      `INSERT INTO events (event_no, room_no, room_version, verdict, type, state_key, sender, depth, origin_server_ts, has_url,
         received_at_ms, client_text, pdu_text) VALUES (?, ?, '11', 'accepted', ?, '', '@a:b', 1, 1, 0, 1, ?, '{}')`,
    )
    .run(eventNo, roomNo, type, JSON.stringify({ content }));
  database
    .prepare(`INSERT INTO current_state (room_no, type, state_key, event_no) VALUES (?, ?, '', ?)`)
    .run(roomNo, type, eventNo);
}

describe('the listings of rooms', () => {
  it('are made for the rooms of an older database, whatever their state holds', () => {
    const database = olderDatabase();
    database.exec(
      `INSERT INTO rooms (room_no, room_id, version) VALUES (1, '!a:b', '11'), (2, '!c:b', '11'), (3, '!d:b', NULL)`,
    );
    database.exec(`INSERT INTO member_counts (room_no, membership, count) VALUES (1, 'join', 7)`);
    database.exec(`INSERT INTO public_rooms (room_id) VALUES ('!a:b')`);
    addState(database, 1, 'm.room.name', { name: 'Lobby' });
    addState(database, 1, 'm.room.topic', { topic: { not: 'text' } });
    addState(database, 1, 'm.room.canonical_alias', { alias: '#lobby:b' });
    addState(database, 1, 'm.room.avatar', { url: 'https://elsewhere' });
    addState(database, 1, 'm.room.create', { type: 'm.space' });
    addState(database, 1, 'm.room.join_rules', { join_rule: 'public' });
    addState(database, 2, 'm.room.join_rules', { join_rule: 'invite' });
    addState(database, 2, 'm.room.history_visibility', { history_visibility: 'world_readable' });
    addState(database, 2, 'm.room.guest_access', { guest_access: 'can_join' });
    database.exec(readFileSync(join(folder, migrations[own] ?? ''), 'utf8'));
    const rows = database.prepare('SELECT * FROM room_listings ORDER BY room_no').all();
    const empty = {
      topic: null,
      avatar_url: null,
      published: 0,
      joined_members: 0,
      world_readable: 0,
      guest_can_join: 0,
    };
    const unnamed = { ...empty, name: null, canonical_alias: null, room_type: null, search_text: '' };
    expect(rows).toEqual([
      {
        ...empty,
        room_no: 1,
        published: 1,
        joined_members: 7,
        name: 'Lobby',
        canonical_alias: '#lobby:b',
        room_type: 'm.space',
        join_rule: 'public',
        listable: 1,
        is_open: 1,
        search_text: 'lobby\n#lobby:b',
      },
      { ...unnamed, room_no: 2, join_rule: 'invite', world_readable: 1, guest_can_join: 1, listable: 1, is_open: 1 },
      { ...unnamed, room_no: 3, join_rule: null, listable: 0, is_open: 0 },
    ]);
  });
});
