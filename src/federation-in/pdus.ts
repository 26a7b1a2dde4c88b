import type { Log } from '../base/log.ts';
import { findRoomIdOfPdu } from '../engine/event/parse.ts';
import type { EventId, RoomId } from '../matrix/ids.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { Receiver } from '../rooms/remote/receive.ts';
import type { ReceivedPdu } from '../rooms/remote/receive-types.ts';

export type PduResults = ReadonlyMap<EventId, { error?: string }>;

export interface TakenPdus {
  /** Resolves when every PDU that needs nothing from other servers has its verdict. Never rejects. */
  readonly judgedLocally: Promise<void>;
  /** What became of each PDU whose id could be computed: `{}`, or why it was not taken. Never rejects. */
  readonly results: Promise<PduResults>;
}

export interface PduReceiver {
  /** Takes in the PDUs of one transaction, JSON as it came and read exactly, by room and in order. A bad one costs its own entry. */
  receive(origin: ServerName, pdus: readonly unknown[]): TakenPdus;
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
      return {
        judgedLocally: Promise.all(taken.map(({ judgedLocally }) => judgedLocally)).then(() => undefined),
        results: collect(
          deps.log,
          taken.map(({ results }) => results),
        ),
      };
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
    // Nothing is wrong with what waits for events that could not be had: it is fetched again when a later event names it.
    default:
      return {};
  }
}
