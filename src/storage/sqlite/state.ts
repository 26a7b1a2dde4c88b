import { LRUCache } from 'lru-cache';
import type { EventId, RoomId, UserId } from '../../matrix/ids.ts';
import type { StateKey, StateMap } from '../../matrix/pdu.ts';
import type { StoredEvent, TimelineEvent } from '../contract/events.ts';
import type { Position, SnapshotId } from '../contract/numbers.ts';
import type { StateReads } from '../contract/state.ts';
import { type EventDeps, type StoredEventRecord, storedEventColumns } from './core/event-records.ts';
import type { Numbering } from './core/numbering.ts';
import type { Layer, SnapshotLayers } from './core/snapshot-layers.ts';
import { TimelineRows } from './core/timeline-rows.ts';

export interface StateDeps extends EventDeps {
  keys: Numbering<StateKey>;
  snapshots: SnapshotLayers;
}

/** Entries of the maps that are kept whole, and how many are made of numbers at a time. */
const entriesKeptMax = 300_000;
const chunkSize = 1_000;
/** Entries of the log that are read at a time. */
const loggedMax = 2_000;

export function createStateReads(deps: StateDeps): StateReads {
  return { ...createSnapshotReads(deps), ...createCurrentReads(deps) };
}

type SnapshotReads = Pick<
  StateReads,
  'getSnapshot' | 'getSnapshots' | 'getFromSnapshot' | 'getFromSnapshots' | 'getDeviation'
>;

function createSnapshotReads({ turn, keys, events, snapshots }: StateDeps): SnapshotReads {
  const maps = new LRUCache<SnapshotId, StateMap>({
    maxSize: entriesKeptMax,
    sizeCalculation: ({ size }) => size + 16,
  });
  const building = new Map<SnapshotId, Promise<StateMap>>();

  /** The layers of a snapshot, newest first, down to the first of which the whole map is at hand. */
  const layersOf = (snapshotId: SnapshotId): { layers: Layer[]; base: StateMap | undefined } => {
    const layers: Layer[] = [];
    for (let next: SnapshotId | null = snapshotId; next !== null; ) {
      const base = maps.get(next);
      if (base !== undefined) return { layers, base };
      const layer = snapshots.get(next);
      layers.push(layer);
      next = layer.parent;
    }
    return { layers, base: undefined };
  };

  /** Numbers of one snapshot, as far as no map is at hand. */
  const merge = (snapshotId: SnapshotId): { base: StateMap | undefined; merged: Map<number, number> } => {
    const { layers, base } = layersOf(snapshotId);
    const merged = new Map<number, number>();
    for (const layer of layers.reverse()) {
      for (let index = 0; index < layer.keys.length; index += 1) {
        merged.set(layer.keys[index] ?? 0, layer.events[index] ?? 0);
      }
    }
    return { base, merged };
  };

  /** Their texts are read together, a chunk at a time, with a chance for others between. */
  const buildAll = async (snapshotIds: readonly SnapshotId[]): Promise<StateMap[]> => {
    const merges = await turn.read(() => {
      snapshots.load(snapshotIds.filter((snapshotId) => !maps.has(snapshotId)));
      return snapshotIds.map(merge);
    });
    const built = merges.map(({ base }) => new Map<StateKey, EventId>(base));
    const entries = merges.flatMap(({ merged }, place) =>
      [...merged].map(([keyNo, eventNo]) => ({ place, keyNo, eventNo })),
    );
    for (let start = 0; start < entries.length; start += chunkSize) {
      const chunk = entries.slice(start, start + chunkSize);
      await turn.read(() => {
        const keyTexts = keys.texts(chunk.map(({ keyNo }) => keyNo));
        const eventTexts = events.texts(chunk.map(({ eventNo }) => eventNo));
        for (const { place, keyNo, eventNo } of chunk) {
          const key = keyTexts.get(keyNo);
          const event = eventTexts.get(eventNo);
          if (key === undefined) throw new Error(`no key has the number ${keyNo}`);
          if (event === undefined) built[place]?.delete(key);
          else built[place]?.set(key, event);
        }
      });
    }
    for (const [place, snapshotId] of snapshotIds.entries()) maps.set(snapshotId, built[place]);
    return built;
  };

  const build = async (snapshotId: SnapshotId): Promise<StateMap> => {
    const [map = new Map<StateKey, EventId>()] = await buildAll([snapshotId]);
    return map;
  };

  return {
    getSnapshot: async (snapshotId) => {
      const known = maps.get(snapshotId);
      if (known !== undefined) return known;
      const begun = building.get(snapshotId);
      if (begun !== undefined) return begun;
      const map = build(snapshotId).finally(() => building.delete(snapshotId));
      building.set(snapshotId, map);
      return map;
    },
    getSnapshots: async (snapshotIds) => {
      const wanted = [...new Set(snapshotIds)];
      const found = new Map(
        wanted.flatMap((snapshotId) => {
          const map = maps.get(snapshotId);
          return map === undefined ? [] : [[snapshotId, map] as const];
        }),
      );
      const missing = wanted.filter((snapshotId) => !found.has(snapshotId));
      if (missing.length === 0) return found;
      for (const [place, map] of (await buildAll(missing)).entries()) {
        const snapshotId = missing[place];
        if (snapshotId !== undefined) found.set(snapshotId, map);
      }
      return found;
    },
    getDeviation: async (snapshotId, from) => {
      const deviation = new Map<StateKey, EventId | undefined>();
      const keyNos = await turn.read(() => snapshots.listKeysBetween(snapshotId, from));
      for (let start = 0; start < keyNos.length; start += chunkSize) {
        const chunk = keyNos.slice(start, start + chunkSize);
        await turn.read(() => {
          const changed = new Map<number, number | undefined>();
          for (const keyNo of chunk) {
            const event = snapshots.findEventAt(snapshotId, keyNo);
            if (event !== snapshots.findEventAt(from, keyNo)) changed.set(keyNo, event);
          }
          const keyTexts = keys.texts(changed.keys());
          const eventTexts = events.texts([...changed.values()].filter((event) => event !== undefined));
          for (const [keyNo, event] of changed) {
            const key = keyTexts.get(keyNo);
            if (key !== undefined) deviation.set(key, event === undefined ? undefined : eventTexts.get(event));
          }
        });
      }
      return deviation;
    },
    getFromSnapshot: (snapshotId, wanted) =>
      turn.read(() => {
        const found = new Map<StateKey, EventId>();
        const whole = maps.get(snapshotId);
        if (whole === undefined) snapshots.get(snapshotId);
        for (const key of wanted) {
          const eventNo = whole === undefined ? snapshots.findEventNo(snapshotId, key) : undefined;
          const eventId = eventNo === undefined ? whole?.get(key) : events.text(eventNo);
          if (eventId !== undefined) found.set(key, eventId);
        }
        return found;
      }),
    getFromSnapshots: (wanted) =>
      turn.read(() => {
        snapshots.load([...wanted.keys()].filter((snapshotId) => !maps.has(snapshotId)));
        const keyNos = keys.findAll(new Set([...wanted.values()].flat()));
        const numbers = new Map<SnapshotId, [StateKey, number][]>();
        for (const [snapshotId, wantedKeys] of wanted) {
          if (maps.has(snapshotId)) continue;
          const found = wantedKeys.map((key) => {
            const keyNo = keyNos.get(key);
            return [key, (keyNo && snapshots.findEventNoOf(snapshotId, keyNo)) ?? 0] as const;
          });
          numbers.set(
            snapshotId,
            found.filter(([, eventNo]) => eventNo !== 0).map(([key, eventNo]) => [key, eventNo]),
          );
        }
        const texts = events.texts(new Set([...numbers.values()].flat().map(([, eventNo]) => eventNo)));
        const states = new Map<SnapshotId, StateMap>();
        for (const [snapshotId, wantedKeys] of wanted) {
          const whole = maps.get(snapshotId);
          const entries = whole
            ? wantedKeys.map((key) => [key, whole.get(key)] as const)
            : (numbers.get(snapshotId) ?? []).map(([key, eventNo]) => [key, texts.get(eventNo)] as const);
          states.set(snapshotId, mapOfKnown(entries));
        }
        return states;
      }),
  };
}

function mapOfKnown(entries: readonly (readonly [StateKey, EventId | undefined])[]): StateMap {
  const map = new Map<StateKey, EventId>();
  for (const [key, eventId] of entries) if (eventId !== undefined) map.set(key, eventId);
  return map;
}

interface LoggedState {
  position: Position;
  roomNo: number;
  keyNo: number;
  eventNo: number | null;
}

type Place = Pick<LoggedState, 'position' | 'keyNo'>;

type CurrentReads = Omit<StateReads, keyof SnapshotReads>;

function createCurrentReads({ connection, turn, rooms, keys, events, records }: StateDeps): CurrentReads {
  const snapshot = connection
    .prepare<[RoomId], SnapshotId | null>('SELECT snapshot_no FROM rooms WHERE room_id = ?')
    .pluck();
  const one = connection.prepare<[number, string, string], StoredEventRecord>(
    `SELECT ${storedEventColumns}
     FROM current_state s JOIN events e ON e.event_no = s.event_no JOIN event_ids i ON i.event_no = s.event_no
     WHERE s.room_no = ? AND s.type = ? AND s.state_key = ?`,
  );
  const rows = new TimelineRows(connection, { turn, records });
  const all = connection
    .prepare<[number], number>('SELECT event_no FROM current_state WHERE room_no = ? ORDER BY type, state_key')
    .pluck();
  const ofType = connection
    .prepare<[number, string], number>(
      'SELECT event_no FROM current_state WHERE room_no = ? AND type = ? ORDER BY state_key',
    )
    .pluck();
  const snapshotsOf = connection.prepare<[string], { roomNo: number; snapshotId: SnapshotId }>(
    `SELECT r.room_no AS roomNo, r.snapshot_no AS snapshotId
     FROM json_each(?) j CROSS JOIN rooms r ON r.room_no = j.value WHERE r.snapshot_no IS NOT NULL`,
  );
  // Member events stand between the other types, and there may be many: they are passed by.
  const ofRooms = (condition: string) =>
    connection
      .prepare<[string], number>(`SELECT s.event_no FROM json_each(?) j CROSS JOIN current_state s ON ${condition}`)
      .pluck();
  const wholeRooms = ofRooms('s.room_no = j.value');
  const beforeMembers = ofRooms(`s.room_no = j.value AND s.type < 'm.room.member'`);
  const behindMembers = ofRooms(`s.room_no = j.value AND s.type > 'm.room.member'`);
  const theseMembers = ofRooms(
    `s.room_no = j.value ->> 0 AND s.type = 'm.room.member' AND s.state_key = j.value ->> 1`,
  );
  const listNumbers = async (
    roomNos: ReadonlyMap<RoomId, number>,
    members: 'all' | ReadonlyMap<RoomId, Iterable<UserId>>,
  ): Promise<number[]> => {
    const list = JSON.stringify([...roomNos.values()]);
    if (members === 'all') return turn.read(() => wholeRooms.all(list));
    const pairs = [...roomNos].flatMap(([roomId, roomNo]) =>
      [...(members.get(roomId) ?? [])].map((userId) => [roomNo, userId]),
    );
    return turn.read(() => [
      ...beforeMembers.all(list),
      ...theseMembers.all(JSON.stringify(pairs)),
      ...behindMembers.all(list),
    ]);
  };
  const ids = connection
    .prepare<[number], EventId>(
      'SELECT i.event_id FROM current_state s JOIN event_ids i ON i.event_no = s.event_no WHERE s.room_no = ?',
    )
    .pluck();
  const changes = connection.prepare<[Position, number, Position, number], LoggedState>(
    `SELECT position, room_no AS roomNo, key_no AS keyNo, event_no AS eventNo FROM current_state_log
     WHERE (position, key_no) > (?, ?) AND position <= ? ORDER BY position, key_no LIMIT ?`,
  );
  /** What was logged last of each key, by the numbers of rooms and keys. */
  const lastNumbers = async (
    range: { readonly after: Position; readonly upTo: Position },
    isWanted: (roomId: RoomId, position: Position) => boolean,
  ): Promise<Map<number, Map<number, number | null>>> => {
    const found = new Map<number, Map<number, number | null>>();
    // Behind every key of the position where it begins.
    for (let last: Place = { position: range.after, keyNo: Number.MAX_SAFE_INTEGER }; ; ) {
      const { position: after, keyNo: afterKey } = last;
      const page = await turn.read(() => changes.all(after, afterKey, range.upTo, loggedMax));
      for (const { position, roomNo, keyNo, eventNo } of page) {
        if (!isWanted(rooms.text(roomNo), position)) continue;
        const ofRoom = found.get(roomNo) ?? new Map<number, number | null>();
        found.set(roomNo, ofRoom);
        ofRoom.set(keyNo, eventNo);
      }
      last = page.at(-1) ?? last;
      if (page.length < loggedMax) return found;
    }
  };
  const lastOfEach = async (
    range: { readonly after: Position; readonly upTo: Position },
    isWanted: (roomId: RoomId, position: Position) => boolean,
  ): Promise<Map<RoomId, Map<StateKey, EventId | null>>> => {
    const changed = new Map<RoomId, Map<StateKey, EventId | null>>();
    for (const [roomNo, numbers] of await lastNumbers(range, isWanted)) {
      const ofRoom = new Map<StateKey, EventId | null>();
      const entries = [...numbers];
      for (let start = 0; start < entries.length; start += chunkSize) {
        const chunk = entries.slice(start, start + chunkSize);
        await turn.read(() => {
          const keyTexts = keys.texts(chunk.map(([keyNo]) => keyNo));
          const eventTexts = events.texts(chunk.flatMap(([, eventNo]) => (eventNo === null ? [] : [eventNo])));
          for (const [keyNo, eventNo] of chunk) {
            const key = keyTexts.get(keyNo) ?? keys.text(keyNo);
            ofRoom.set(key, eventNo === null ? null : (eventTexts.get(eventNo) ?? events.text(eventNo)));
          }
        });
      }
      changed.set(await turn.read(() => rooms.text(roomNo)), ofRoom);
    }
    return changed;
  };

  return {
    findCurrentSnapshot: (roomId) => turn.read(() => snapshot.get(roomId) ?? undefined),
    listCurrentSnapshots: (roomIds) =>
      turn.read(() => {
        const found = snapshotsOf.all(JSON.stringify([...rooms.findAll(roomIds).values()]));
        return new Map(found.map(({ roomNo, snapshotId }) => [rooms.text(roomNo), snapshotId]));
      }),
    listCurrentOfRooms: async (roomIds, members) => {
      const roomNos = await turn.read(() => rooms.findAll(roomIds));
      const found = new Map<RoomId, TimelineEvent[]>();
      for (const event of await rows.list(await listNumbers(roomNos, members))) {
        const ofRoom = found.get(event.roomId);
        if (ofRoom) ofRoom.push(event);
        else found.set(event.roomId, [event]);
      }
      return found;
    },
    findCurrent: (roomId, type, stateKey) =>
      turn.read((): StoredEvent | undefined => {
        const record = one.get(rooms.find(roomId) ?? 0, type, stateKey);
        return record && records.stored(record);
      }),
    listCurrent: async (roomId, type) => {
      const numbers = await turn.read(() => {
        const roomNo = rooms.find(roomId) ?? 0;
        return type === undefined ? all.all(roomNo) : ofType.all(roomNo, type);
      });
      return rows.list(numbers);
    },
    listCurrentIds: (roomId) => turn.read(() => ids.all(rooms.find(roomId) ?? 0)),
    listCurrentChanges: (roomIds, after, upTo) => lastOfEach({ after, upTo }, (roomId) => roomIds.has(roomId)),
    listCurrentChangesUpTo: (upTo, after) =>
      lastOfEach(
        { after, upTo: Math.max(after, ...upTo.values()) },
        (roomId, position) => position <= (upTo.get(roomId) ?? 0),
      ),
  };
}
