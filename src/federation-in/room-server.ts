import type { EventId, RoomId, UserId } from '../matrix/ids.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import type { ServerName } from '../matrix/server-name.ts';

/** An event as it came: unverified JSON, read exactly. */
export type SentEvent = JsonObject;

/** JSON texts of PDUs, as they are stored. */
export type PduTexts = readonly string[];

/**
 * What other servers may ask of our rooms (server-server API). `origin` is who asks, proven by its signature. Every method
 * refuses with a MatrixError: 404 M_NOT_FOUND for a room we are not in, 403 M_FORBIDDEN for a server that is not in the room,
 * that its access control list keeps out, or that may not see what it asks for; 400 for what is malformed.
 */
export interface RoomServer {
  makeJoin(
    origin: ServerName,
    request: { roomId: RoomId; userId: UserId; versions: readonly string[] },
  ): Promise<{ room_version: string; event: JsonObject }>;
  sendJoin(
    origin: ServerName,
    request: { roomId: RoomId; eventId: EventId; event: SentEvent },
  ): Promise<{ event: string; state: PduTexts; authChain: PduTexts }>;
  makeLeave(
    origin: ServerName,
    request: { roomId: RoomId; userId: UserId },
  ): Promise<{ room_version: string; event: JsonObject }>;
  sendLeave(origin: ServerName, request: { roomId: RoomId; eventId: EventId; event: SentEvent }): Promise<void>;
  makeKnock(
    origin: ServerName,
    request: { roomId: RoomId; userId: UserId; versions: readonly string[] },
  ): Promise<{ room_version: string; event: JsonObject }>;
  /** What the room says of itself to whoever knocks. */
  sendKnock(origin: ServerName, request: { roomId: RoomId; eventId: EventId; event: SentEvent }): Promise<PduTexts>;
  /** The invite with our signature added. */
  receiveInvite(
    origin: ServerName,
    request: {
      roomId: RoomId;
      eventId: EventId;
      /** Undefined by the first version of the endpoint, which knows the versions only in which servers give the ids. */
      roomVersion: string | undefined;
      event: SentEvent;
      strippedState: readonly JsonObject[];
    },
  ): Promise<JsonObject>;
  getEvent(origin: ServerName, eventId: EventId): Promise<string>;
  getState(
    origin: ServerName,
    request: { roomId: RoomId; eventId: EventId },
  ): Promise<{ pdus: PduTexts; authChain: PduTexts }>;
  getStateIds(
    origin: ServerName,
    request: { roomId: RoomId; eventId: EventId },
  ): Promise<{ pduIds: readonly EventId[]; authChainIds: readonly EventId[] }>;
  /** The event next to a moment, Unix milliseconds. M_NOT_FOUND where there is none. */
  timestampToEvent(
    origin: ServerName,
    request: { roomId: RoomId; ts: number; direction: 'backward' | 'forward' },
  ): Promise<{ eventId: EventId; originServerTs: number }>;
  getEventAuth(origin: ServerName, request: { roomId: RoomId; eventId: EventId }): Promise<PduTexts>;
  backfill(origin: ServerName, request: { roomId: RoomId; from: readonly EventId[]; limit: number }): Promise<PduTexts>;
  getMissingEvents(
    origin: ServerName,
    request: {
      roomId: RoomId;
      earliest: readonly EventId[];
      latest: readonly EventId[];
      limit: number;
      minDepth: number;
    },
  ): Promise<PduTexts>;
}
