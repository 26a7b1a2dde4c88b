import type { Log } from '../base/log.ts';
import { findRoomIdOfPdu } from '../engine/event/parse.ts';
import type { EventId, RoomId } from '../matrix/ids.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { Receiver } from '../rooms/remote/receive/receive.ts';
import type { ReceivedPdu } from '../rooms/remote/receive/receive-types.ts';

export type PduResults = ReadonlyMap<EventId, { error?: string }>;

export interface PduReceiver {
  /**
   * Takes in the PDUs of one transaction, JSON as it came and read exactly, by room and in order: what became of each whose id could be
   * computed, `{}` or why it was not taken. No other server is waited for. A bad PDU costs its own entry. Never rejects.
   */
  receive(origin: ServerName, pdus: readonly unknown[]): Promise<PduResults>;
}

export interface PduReceiverDeps {
  readonly rooms: Pick<Receiver, 'receivePdus'>;
  readonly log: Log;
}

export function createPduReceiver(deps: PduReceiverDeps): PduReceiver {
  return {
    receive(origin, pdus) {
      const taken = [...byRoom(pdus)].map(([roomId, ofRoom]) =>
        deps.rooms.receivePdus({ origin, roomId, pdus: ofRoom }),
      );
      return collect(deps.log, taken);
    },
  };
}

/** Without a room id there is nothing to say about a PDU, so it is dropped without an entry. */
function byRoom(pdus: readonly unknown[]): Map<RoomId, unknown[]> {
  const rooms = new Map<RoomId, unknown[]>();
  for (const pdu of pdus) {
    const roomId = findRoomIdOfPdu(pdu);
    if (roomId === undefined) continue;
    const others = rooms.get(roomId);
    if (others) others.push(pdu);
    else rooms.set(roomId, [pdu]);
  }
  return rooms;
}

/** A bug in one room never takes the other rooms' entries with it. */
async function collect(log: Log, rooms: readonly Promise<ReceivedPdu[]>[]): Promise<PduResults> {
  const results = new Map<EventId, { error?: string }>();
  for (const settled of await Promise.allSettled(rooms)) {
    if (settled.status === 'rejected') {
      log.error({ err: settled.reason }, 'the PDUs of a room could not be taken in');
      continue;
    }
    for (const { eventId, verdict } of settled.value)
      if (eventId !== undefined) results.set(eventId, answerOf(verdict));
  }
  return results;
}

/** Only what is not kept at all counts as failed: the other server need not hear how an event was judged. */
function answerOf(verdict: ReceivedPdu['verdict']): { error?: string } {
  switch (verdict.verdict) {
    case 'dropped':
    case 'rejected':
      return { error: verdict.reason };
    // Nothing is wrong with what waits: it is kept.
    default:
      return {};
  }
}
