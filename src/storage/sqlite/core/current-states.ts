import type { Connection } from './database.ts';

/**
 * The entries of states by number. Each room has one state that counts; an import puts another together under its own number, positive,
 * which the room then takes over by a single write. The first state of a room that was not imported has the negative of its number.
 */
export interface CurrentStates {
  put(stateNo: number, type: string, stateKey: string, eventNo: number): void;
  remove(stateNo: number, type: string, stateKey: string): void;
  /** The number of the state that counts in a room; a new one if it has none. */
  ofRoom(roomNo: number): number;
  /** The room's state is this one from now on. The number of the one before; undefined if it had none. */
  adopt(roomNo: number, stateNo: number): number | undefined;
  listTypes(stateNo: number): string[];
  list(stateNo: number): { type: string; stateKey: string; eventNo: number }[];
  /** Removes up to `limit` entries of a state that no room has. True once none are left, or a room has it. */
  prune(stateNo: number, limit: number): boolean;
}

export function createCurrentStates(connection: Connection): CurrentStates {
  const put = connection.prepare<[number, string, string, number]>(
    'INSERT OR REPLACE INTO current_states (state_no, type, state_key, event_no) VALUES (?, ?, ?, ?)',
  );
  const remove = connection.prepare<[number, string, string]>(
    'DELETE FROM current_states WHERE state_no = ? AND type = ? AND state_key = ?',
  );
  const ofRoom = connection.prepare<[number], number | null>('SELECT state_no FROM rooms WHERE room_no = ?').pluck();
  const roomOf = connection.prepare<[number], number>('SELECT room_no FROM rooms WHERE state_no = ?').pluck();
  const setOfRoom = connection.prepare<[number, number]>('UPDATE rooms SET state_no = ? WHERE room_no = ?');
  const types = connection
    .prepare<[number], string>('SELECT DISTINCT type FROM current_states WHERE state_no = ?')
    .pluck();
  const list = connection.prepare<[number], { type: string; stateKey: string; eventNo: number }>(
    'SELECT type, state_key AS stateKey, event_no AS eventNo FROM current_states WHERE state_no = ?',
  );
  const prune = connection.prepare<[number, number, number]>(
    `DELETE FROM current_states WHERE state_no = ? AND (type, state_key) IN (
       SELECT type, state_key FROM current_states WHERE state_no = ? LIMIT ?
     )`,
  );

  return {
    put: (stateNo, type, stateKey, eventNo) => void put.run(stateNo, type, stateKey, eventNo),
    remove: (stateNo, type, stateKey) => void remove.run(stateNo, type, stateKey),
    ofRoom(roomNo) {
      const known = ofRoom.get(roomNo) ?? null;
      if (known === null) setOfRoom.run(-roomNo, roomNo);
      return known ?? -roomNo;
    },
    adopt(roomNo, stateNo) {
      const before = ofRoom.get(roomNo) ?? undefined;
      setOfRoom.run(stateNo, roomNo);
      return before;
    },
    listTypes: (stateNo) => types.all(stateNo),
    list: (stateNo) => list.all(stateNo),
    prune(stateNo, limit) {
      if (roomOf.get(stateNo) !== undefined) return true;
      return prune.run(stateNo, stateNo, limit).changes < limit;
    },
  };
}
