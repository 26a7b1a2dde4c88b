import type { EventId, RoomId, UserId } from './ids.ts';
import type { JsonObject } from './pdu.ts';

/** An ephemeral data unit, wrapped as a transaction carries it (server-server API, "EDUs"). */
export interface Edu {
  edu_type: string;
  content: JsonObject;
}

/** Server-server API, "Transactions". */
export const transactionPdusMax = 50;
export const transactionEdusMax = 100;

/** `m.typing` */
export interface TypingEduContent {
  room_id: RoomId;
  user_id: UserId;
  typing: boolean;
}

/** `m.receipt`: room → `m.read` → user → the receipt. */
export interface ReceiptEduContent {
  [roomId: string]: {
    'm.read': { [userId: string]: { data: { ts: number; thread_id?: string }; event_ids: EventId[] } };
  };
}
