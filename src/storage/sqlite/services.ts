import type { DeviceId, RoomAlias, RoomId, UserId } from '../../matrix/ids.ts';
import type { Position } from '../contract/numbers.ts';
import {
  type ArrivedEvent,
  arrivedMax,
  type ServiceReads,
  type ServiceTableRow,
  type ServiceTransaction,
} from '../contract/services.ts';
import type { DeviceName } from '../contract/to-device.ts';
import type { Connection } from './core/database.ts';
import type { Numbering } from './core/numbering.ts';
import type { Turn } from './core/turn.ts';
import type { Writes } from './core/writes.ts';
import { parseReceipt, receiptColumns, type StoredReceipt } from './receipts.ts';

type TransactionRecord = Omit<ServiceTransaction, 'collected'> & { collected: string };
type InRoom<T> = Omit<T, 'roomId'> & { readonly roomNo: number };

export function createServiceReads(connection: Connection, turn: Turn, rooms: Numbering<RoomId>): ServiceReads {
  const progress = connection.prepare<[string], Position>('SELECT position FROM services WHERE service_id = ?').pluck();
  const transaction = connection.prepare<[string], TransactionRecord>(
    `SELECT service_id AS serviceId, transaction_id AS transactionId, body, up_to AS upTo, collected
     FROM service_transactions WHERE service_id = ?`,
  );
  const receipts = connection.prepare<[Position, Position, number], StoredReceipt>(
    `SELECT ${receiptColumns} FROM receipts WHERE position > ? AND position <= ? ORDER BY position LIMIT ?`,
  );
  return {
    findProgress: (serviceId) => turn.read(() => progress.get(serviceId)),
    findTransaction: (serviceId) =>
      turn.read((): ServiceTransaction | undefined => {
        const record = transaction.get(serviceId);
        return record && { ...record, collected: JSON.parse(record.collected) };
      }),
    listReceipts: (after, upTo, limit) =>
      turn.read(() => {
        const found = receipts.all(after, upTo, limit);
        rooms.texts(new Set(found.map(({ roomNo }) => roomNo)));
        return found.map((record) => parseReceipt(record, rooms.text(record.roomNo)));
      }),
    ...createArrivedReads(connection, turn, rooms),
    ...createRoomReads(connection, turn, rooms),
    ...createInboxReads(connection, turn),
  };
}

function createArrivedReads(
  connection: Connection,
  turn: Turn,
  rooms: Numbering<RoomId>,
): Pick<ServiceReads, 'listArrived' | 'listOutOfBand'> {
  const inRoom = `e.room_no = r.room_no AND e.verdict = 'accepted' AND e.position > 0`;
  const arrived = connection.prepare<[Position, Position, Position], InRoom<ArrivedEvent>>(
    `SELECT e.position, i.event_id AS eventId, e.room_no AS roomNo, e.sender, e.type, e.state_key AS stateKey
     FROM rooms r CROSS JOIN events e ON ${inRoom} AND e.position > ? AND e.position <= ?
       JOIN event_ids i ON i.event_no = e.event_no
     WHERE r.newest_position > ?
     ORDER BY e.position`,
  );
  const next = connection
    .prepare<[Position, Position], Position | null>(
      `SELECT min((SELECT min(e.position) FROM events e WHERE ${inRoom} AND e.position > ?))
       FROM rooms r WHERE r.newest_position > ?`,
    )
    .pluck();
  const outOfBand = connection.prepare<
    [Position, Position, number],
    { position: Position; roomNo: number; userId: UserId; text: string }
  >(
    `SELECT position, room_no AS roomNo, user_id AS userId, out_of_band AS text FROM membership_log
     WHERE out_of_band IS NOT NULL AND position > ? AND position <= ? ORDER BY position LIMIT ?`,
  );
  return {
    listArrived: (after, upTo) =>
      turn.read(() => {
        // Positions have holes, of a million at each start: looking begins where the next event is.
        const first = upTo - after > arrivedMax ? (next.get(after, after) ?? upTo + 1) : after + 1;
        const last = Math.min(upTo, first + arrivedMax - 1);
        if (first > upTo) return { events: [], upTo };
        return { events: namedRooms(rooms, arrived.all(first - 1, last, first - 1)), upTo: last };
      }),
    listOutOfBand: (after, upTo, limit) =>
      turn.read(() =>
        namedRooms(rooms, outOfBand.all(after, upTo, limit)).map(({ text, ...membership }) => ({
          ...membership,
          outOfBand: JSON.parse(text),
        })),
      ),
  };
}

function createRoomReads(
  connection: Connection,
  turn: Turn,
  rooms: Numbering<RoomId>,
): Pick<ServiceReads, 'listJoinChanges' | 'listAliases'> {
  // Two indexes know of nothing else, in the order of positions.
  const changes = connection.prepare<
    { rooms: string; after: Position; limit: number },
    { position: Position; roomNo: number; userId: UserId; joined: 0 | 1 }
  >(
    `SELECT position, room_no AS roomNo, user_id AS userId, 1 AS joined FROM membership_log
     WHERE membership = 'join' AND before IS NOT 'join' AND position > @after
       AND room_no IN (SELECT value FROM json_each(@rooms))
     UNION ALL
     SELECT position, room_no, user_id, 0 FROM membership_log
     WHERE before = 'join' AND membership <> 'join' AND position > @after
       AND room_no IN (SELECT value FROM json_each(@rooms))
     ORDER BY position DESC LIMIT @limit`,
  );
  const aliases = connection.prepare<[string], { roomId: RoomId; alias: RoomAlias }>(
    'SELECT a.room_id AS roomId, a.alias FROM json_each(?) j CROSS JOIN aliases a ON a.room_id = j.value ORDER BY a.alias',
  );
  return {
    listJoinChanges: (roomIds, after, limit) =>
      turn.read(() => {
        const roomNos = JSON.stringify([...rooms.findAll(roomIds).values()]);
        const found = namedRooms(rooms, changes.all({ rooms: roomNos, after, limit }));
        return found.map((change) => ({ ...change, joined: change.joined === 1 }));
      }),
    listAliases: (roomIds) =>
      turn.read(() => {
        const found = new Map<RoomId, RoomAlias[]>();
        for (const { roomId, alias } of aliases.all(JSON.stringify([...roomIds])))
          found.set(roomId, [...(found.get(roomId) ?? []), alias]);
        return found;
      }),
  };
}

function createInboxReads(
  connection: Connection,
  turn: Turn,
): Pick<ServiceReads, 'listWaitingDevices' | 'listMessages'> {
  const waiting = connection.prepare<[string, string, number], DeviceName>(
    `SELECT d.user_id AS userId, d.device_id AS deviceId FROM devices d
     WHERE (d.user_id, d.device_id) > (?, ?) AND EXISTS (
       SELECT 1 FROM to_device_messages m WHERE m.user_id = d.user_id AND m.device_id = d.device_id
     )
     ORDER BY d.user_id, d.device_id LIMIT ?`,
  );
  const messages = connection.prepare<
    [string, number],
    { userId: UserId; deviceId: DeviceId; position: Position; text: string }
  >(
    `SELECT m.user_id AS userId, m.device_id AS deviceId, m.position, m.event AS text
     FROM json_each(?) j CROSS JOIN to_device_messages m ON m.user_id = j.value ->> 0 AND m.device_id = j.value ->> 1
     ORDER BY m.position LIMIT ?`,
  );
  return {
    listWaitingDevices: (after, limit) =>
      turn.read(() => waiting.all(after?.userId ?? '', after?.deviceId ?? '', limit)),
    listMessages: (devices, limit) =>
      turn.read(() => messages.all(JSON.stringify(devices.map(({ userId, deviceId }) => [userId, deviceId])), limit)),
  };
}

/** With the rooms' names, which are looked up together. */
function namedRooms<T extends { readonly roomNo: number }>(
  rooms: Numbering<RoomId>,
  records: readonly T[],
): (Omit<T, 'roomNo'> & { roomId: RoomId })[] {
  rooms.texts(new Set(records.map(({ roomNo }) => roomNo)));
  return records.map(({ roomNo, ...record }) => ({ ...record, roomId: rooms.text(roomNo) }));
}

export function createServiceWrites(
  connection: Connection,
  collect: (device: DeviceName, upTo: Position) => void,
): Writes<ServiceTableRow['kind']> {
  const putProgress = connection.prepare<[string, Position]>(
    'INSERT INTO services (service_id, position) VALUES (?, ?) ON CONFLICT DO UPDATE SET position = excluded.position',
  );
  const put = connection.prepare<[TransactionRecord]>(
    `INSERT OR REPLACE INTO service_transactions (service_id, transaction_id, body, up_to, collected)
     VALUES (@serviceId, @transactionId, @body, @upTo, @collected)`,
  );
  const remove = connection.prepare<[string, string], { upTo: Position; collected: string }>(
    `DELETE FROM service_transactions WHERE service_id = ? AND transaction_id = ? RETURNING up_to AS upTo, collected`,
  );
  const isGone = 'service_id NOT IN (SELECT value FROM json_each(?))';
  // Whoever was told anything has a row in `services`.
  const forgetPresence = connection.prepare<[string]>(
    `DELETE FROM presence_at_services WHERE service_id IN (SELECT service_id FROM services WHERE ${isGone})`,
  );
  const keep = connection.prepare<[string]>(`DELETE FROM services WHERE ${isGone}`);
  return {
    service_progress({ serviceId, position }) {
      putProgress.run(serviceId, position);
    },
    service_transaction({ serviceId, transactionId, body, upTo, collected }) {
      put.run({ serviceId, transactionId, body, upTo, collected: JSON.stringify(collected) });
    },
    service_delivered({ serviceId, transactionId }) {
      const [delivered] = remove.all(serviceId, transactionId);
      if (delivered === undefined) return;
      putProgress.run(serviceId, delivered.upTo);
      const collected: ServiceTransaction['collected'] = JSON.parse(delivered.collected);
      for (const { upTo, ...device } of collected) collect(device, upTo);
    },
    services_kept({ serviceIds }) {
      const kept = JSON.stringify(serviceIds);
      forgetPresence.run(kept);
      keep.run(kept);
    },
  };
}
