import { foldText } from '../../base/fold-text.ts';
import type { RoomAlias, RoomId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import { isListable, isOpenRoom, listingOf, listingStateTypes } from '../../matrix/room-listing.ts';
import type { DirectoryReads, ListedRoom, RoomList } from '../contract/directory.ts';
import type { Connection } from './core/database.ts';
import type { Turn } from './core/turn.ts';

/** What the writes of other nouns change in the listings of rooms. Runs inside their transaction. */
export interface RoomListings {
  /** State that listings are made of changed in this room, or was redacted. */
  refresh(roomNo: number): void;
  /** The number of joined members changed by so many. */
  countJoined(roomNo: number, difference: number): void;
  publish(roomNo: number, published: boolean): void;
}

interface Written {
  roomNo: number;
  name: string | null;
  topic: string | null;
  canonicalAlias: string | null;
  avatarUrl: string | null;
  roomType: string | null;
  joinRule: string | null;
  worldReadable: 0 | 1;
  guestCanJoin: 0 | 1;
  listable: 0 | 1;
  isOpen: 0 | 1;
  searchText: string;
}

const bit = (value: boolean): 0 | 1 => (value ? 1 : 0);

export function createRoomListings(connection: Connection): RoomListings {
  const state = connection.prepare<[string, number], { type: string; clientText: string }>(
    `SELECT s.type, e.client_text AS clientText
     FROM json_each(?) CROSS JOIN current_state s ON s.room_no = ? AND s.type = value AND s.state_key = ''
       JOIN events e ON e.event_no = s.event_no`,
  );
  const put = connection.prepare<[Written]>(
    `INSERT INTO room_listings (room_no, name, topic, canonical_alias, avatar_url, room_type, join_rule, world_readable,
       guest_can_join, listable, is_open, search_text)
     VALUES (@roomNo, @name, @topic, @canonicalAlias, @avatarUrl, @roomType, @joinRule, @worldReadable,
       @guestCanJoin, @listable, @isOpen, @searchText)
     ON CONFLICT DO UPDATE SET name = excluded.name, topic = excluded.topic, canonical_alias = excluded.canonical_alias,
       avatar_url = excluded.avatar_url, room_type = excluded.room_type, join_rule = excluded.join_rule,
       world_readable = excluded.world_readable, guest_can_join = excluded.guest_can_join, listable = excluded.listable,
       is_open = excluded.is_open, search_text = excluded.search_text`,
  );
  const addJoined = connection.prepare<[number, number]>(
    `INSERT INTO room_listings (room_no, joined_members) VALUES (?, ?)
     ON CONFLICT DO UPDATE SET joined_members = joined_members + excluded.joined_members`,
  );
  const setPublished = connection.prepare<[number, 0 | 1]>(
    `INSERT INTO room_listings (room_no, published) VALUES (?, ?)
     ON CONFLICT DO UPDATE SET published = excluded.published`,
  );
  const types = JSON.stringify(listingStateTypes);

  return {
    refresh(roomNo) {
      const contents = new Map<string, JsonObject>();
      for (const { type, clientText } of state.all(types, roomNo)) {
        const { content }: { content: JsonObject } = JSON.parse(clientText);
        contents.set(type, content);
      }
      const listing = listingOf(contents);
      const { name, topic, canonicalAlias } = listing;
      const words = [name, topic, canonicalAlias].filter((text) => text !== null);
      put.run({
        roomNo,
        ...listing,
        worldReadable: bit(listing.worldReadable),
        guestCanJoin: bit(listing.guestCanJoin),
        listable: bit(isListable(listing)),
        isOpen: bit(isOpenRoom(listing)),
        searchText: foldText(words.join('\n')),
      });
    },
    countJoined(roomNo, difference) {
      addJoined.run(roomNo, difference);
    },
    publish(roomNo, published) {
      setPublished.run(roomNo, bit(published));
    },
  };
}

interface ListedRecord extends Omit<ListedRoom, 'worldReadable' | 'guestCanJoin' | 'canonicalAlias'> {
  canonicalAlias: RoomAlias | null;
  worldReadable: 0 | 1;
  guestCanJoin: 0 | 1;
}

interface Wanted {
  members: number;
  roomId: RoomId | '';
  search: string | null;
  /** JSON list; null: any. */
  types: string | null;
  network: string;
  limit: number;
}

interface FactsRecord extends ListedRecord {
  version: string;
  joinRules: string | null;
  serverAcl: string | null;
  encryption: string | null;
}

const listingColumns = `r.room_id AS roomId, l.joined_members AS joinedMembers, l.name, l.topic, l.canonical_alias AS canonicalAlias,
  l.avatar_url AS avatarUrl, l.room_type AS roomType, l.join_rule AS joinRule, l.world_readable AS worldReadable,
  l.guest_can_join AS guestCanJoin`;

type ListingReads = Pick<DirectoryReads, 'getVisibility' | 'listPublicRooms' | 'listRoomFacts' | 'countPublicRooms'>;

export function createListingReads(connection: Connection, turn: Turn): ListingReads {
  const isPublic = connection.prepare<[RoomId]>(
    `SELECT 1 FROM rooms r JOIN room_listings l ON l.room_no = r.room_no WHERE r.room_id = ? AND l.published = 1`,
  );
  const listable = 'l.listable = 1 AND l.joined_members > 0';
  /** The own list has an index of its own, so it is asked for in the index's words. */
  const inList = {
    own: `l.published = 1 AND ${listable}`,
    network: `l.room_no IN (SELECT room_no FROM network_rooms WHERE network = @network) AND ${listable}`,
    all: `l.room_no IN (
        SELECT room_no FROM room_listings l WHERE l.published = 1 AND ${listable} UNION ALL SELECT room_no FROM network_rooms
      ) AND ${listable}`,
  };
  /** Larger rooms stand before smaller ones; a place lies behind the room it names. */
  const list = (
    condition: string,
    range: '<=' | '>=',
    ties: '>' | '<',
    order: 'DESC' | 'ASC',
    tieOrder: 'ASC' | 'DESC',
  ) =>
    connection.prepare<[Wanted], ListedRecord>(
      `SELECT ${listingColumns}
       FROM room_listings l JOIN rooms r ON r.room_no = l.room_no
       WHERE ${condition}
         AND l.joined_members ${range} @members AND (l.joined_members <> @members
           OR l.room_no ${ties} coalesce((SELECT room_no FROM rooms WHERE room_id = @roomId), 0))
         AND (@search IS NULL OR instr(l.search_text, @search) > 0)
         AND (@types IS NULL OR EXISTS (SELECT 1 FROM json_each(@types) WHERE value IS l.room_type))
       ORDER BY l.joined_members ${order}, l.room_no ${tieOrder} LIMIT @limit`,
    );
  const statementsOf = (condition: string) => ({
    forward: list(condition, '<=', '>', 'DESC', 'ASC'),
    backward: list(condition, '>=', '<', 'ASC', 'DESC'),
    count: connection
      .prepare<[{ network: string }], number>(`SELECT count(*) FROM room_listings l WHERE ${condition}`)
      .pluck(),
  });
  const lists = { own: statementsOf(inList.own), network: statementsOf(inList.network), all: statementsOf(inList.all) };
  const current = (type: string) => `(
    SELECT e.client_text FROM current_state s JOIN events e ON e.event_no = s.event_no
    WHERE s.room_no = r.room_no AND s.type = '${type}' AND s.state_key = ''
  )`;
  const facts = connection.prepare<[string], FactsRecord>(
    `SELECT ${listingColumns}, r.version, ${current('m.room.join_rules')} AS joinRules,
       ${current('m.room.server_acl')} AS serverAcl, ${current('m.room.encryption')} AS encryption
     FROM json_each(?) j CROSS JOIN rooms r ON r.room_id = j.value AND r.version IS NOT NULL
       JOIN room_listings l ON l.room_no = r.room_no`,
  );

  return {
    getVisibility: (roomId) => turn.read(() => (isPublic.get(roomId) === undefined ? 'private' : 'public')),
    listPublicRooms: ({ from, direction, limit, search, roomTypes, list: wantedList = 'own' }) =>
      turn.read(() => {
        const wanted: Wanted = {
          members: from?.joinedMembers ?? (direction === 'forward' ? Number.MAX_SAFE_INTEGER : 0),
          roomId: from?.roomId ?? '',
          search: search === null ? null : foldText(search),
          types: roomTypes === null ? null : JSON.stringify(roomTypes),
          network: networkOf(wantedList),
          limit,
        };
        const { forward, backward } = lists[kindOf(wantedList)];
        const found = direction === 'forward' ? forward.all(wanted) : backward.all(wanted).reverse();
        return found.map(listedOf);
      }),
    listRoomFacts: (roomIds) =>
      turn.read(() =>
        facts.all(JSON.stringify([...roomIds])).map((record) => ({
          ...listedOf(record),
          version: record.version,
          joinRules: contentOf(record.joinRules),
          serverAcl: contentOf(record.serverAcl),
          encryption: contentOf(record.encryption),
        })),
      ),
    countPublicRooms: (wanted = 'own') =>
      turn.read(() => lists[kindOf(wanted)].count.get({ network: networkOf(wanted) }) ?? 0),
  };
}

function kindOf(wanted: RoomList): 'own' | 'all' | 'network' {
  return typeof wanted === 'string' ? wanted : 'network';
}

function networkOf(wanted: RoomList): string {
  return typeof wanted === 'string' ? '' : wanted.network;
}

function listedOf(record: ListedRecord): ListedRoom {
  return { ...record, worldReadable: record.worldReadable === 1, guestCanJoin: record.guestCanJoin === 1 };
}

function contentOf(clientText: string | null): JsonObject | null {
  if (clientText === null) return null;
  const { content }: { content: JsonObject } = JSON.parse(clientText);
  return content;
}
