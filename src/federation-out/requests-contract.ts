import type { EventId, RoomAlias, RoomId, UserId } from '../matrix/ids.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import type { ServerName } from '../matrix/server-name.ts';

/**
 * Another server did not give what it was asked for. `refused` carries its answer; `unreachable` covers name look-up,
 * connection, TLS, time-outs and back-off; `bad_answer` is a 200 whose body is not what the specification says.
 */
export class FederationError extends Error {
  override name = 'FederationError';
  readonly outcome: 'refused' | 'unreachable' | 'bad_answer';
  readonly status: number | undefined;
  readonly body: JsonObject | undefined;
  constructor(outcome: FederationError['outcome'], message: string, status?: number, body?: JsonObject) {
    super(message);
    this.outcome = outcome;
    this.status = status;
    this.body = body;
  }
}

/** What is asked of another server's public list, as its API has it; a filter makes it a POST. */
export interface PublicRoomsQuery {
  readonly limit: number;
  readonly since?: string | undefined;
  readonly filter?:
    | {
        readonly generic_search_term?: string | undefined;
        readonly room_types?: readonly (string | null)[] | undefined;
      }
    | undefined;
  readonly include_all_networks?: boolean | undefined;
  readonly third_party_instance_id?: string | undefined;
}

export interface PublicRoomsAnswer {
  /** Unverified. */
  chunk: JsonObject[];
  nextBatch: string | undefined;
  prevBatch: string | undefined;
  total: number | undefined;
}

/** An event in an answer: unverified JSON, read exactly, and its text as it was written. */
export interface AnsweredEvent {
  readonly json: JsonObject;
  readonly text: string;
}

/** Takes events of a large answer while it arrives, in order and a few at a time. The answer waits for it. */
export type TakeEvents = (list: 'state' | 'auth_chain', events: readonly AnsweredEvent[]) => Promise<void>;

/**
 * Every call the specification has us make (server-server API). Answers are checked for their outer shape only: events in
 * them are unverified JSON, read exactly. All throw FederationError. Each has a time limit and a size limit of its own.
 */
export interface FederationRequests {
  makeJoin(
    server: ServerName,
    roomId: RoomId,
    userId: UserId,
    versions: readonly string[],
  ): Promise<{ roomVersion: string; event: JsonObject }>;
  sendJoin(
    server: ServerName,
    roomId: RoomId,
    eventId: EventId,
    event: JsonObject,
    take: TakeEvents,
  ): Promise<{ event: JsonObject | undefined }>;
  makeLeave(
    server: ServerName,
    roomId: RoomId,
    userId: UserId,
  ): Promise<{ roomVersion: string | undefined; event: JsonObject }>;
  sendLeave(server: ServerName, roomId: RoomId, eventId: EventId, event: JsonObject): Promise<void>;
  makeKnock(
    server: ServerName,
    roomId: RoomId,
    userId: UserId,
    versions: readonly string[],
  ): Promise<{ roomVersion: string; event: JsonObject }>;
  /** What the room says of itself to whoever knocks. */
  sendKnock(server: ServerName, roomId: RoomId, eventId: EventId, event: JsonObject): Promise<JsonObject[]>;
  invite(
    server: ServerName,
    roomId: RoomId,
    eventId: EventId,
    body: { room_version: string; event: JsonObject; invite_room_state: JsonObject[] },
  ): Promise<JsonObject>;
  getEvent(server: ServerName, eventId: EventId): Promise<AnsweredEvent>;
  getState(server: ServerName, roomId: RoomId, eventId: EventId, take: TakeEvents): Promise<void>;
  getStateIds(
    server: ServerName,
    roomId: RoomId,
    eventId: EventId,
  ): Promise<{ pduIds: EventId[]; authChainIds: EventId[] }>;
  getEventAuth(server: ServerName, roomId: RoomId, eventId: EventId, take: TakeEvents): Promise<void>;
  backfill(server: ServerName, roomId: RoomId, from: readonly EventId[], limit: number): Promise<JsonObject[]>;
  getMissingEvents(
    server: ServerName,
    roomId: RoomId,
    body: { earliest_events: EventId[]; latest_events: EventId[]; limit: number; min_depth: number },
  ): Promise<JsonObject[]>;
  /** The event next to a moment, Unix milliseconds, as this server knows the room; refused with 404 where there is none. */
  timestampToEvent(
    server: ServerName,
    roomId: RoomId,
    moment: { readonly ts: number; readonly direction: 'backward' | 'forward' },
  ): Promise<{ eventId: EventId; originServerTs: number }>;
  queryProfile(server: ServerName, userId: UserId, field?: string): Promise<JsonObject>;
  queryDirectory(server: ServerName, alias: RoomAlias): Promise<{ roomId: RoomId; servers: ServerName[] }>;
  /** Unverified; the devices and keys of these users of the server. */
  queryUserKeys(server: ServerName, deviceKeys: JsonObject, timeoutMs: number): Promise<JsonObject>;
  /** Unverified; one-time keys of devices of the server's users. What is lost on the way is lost. */
  claimUserKeys(server: ServerName, oneTimeKeys: JsonObject, timeoutMs: number): Promise<JsonObject>;
  /** Unverified; all devices of one user, and up to which update. */
  getUserDevices(server: ServerName, userId: UserId): Promise<JsonObject>;
  queryPublicRooms(server: ServerName, query: PublicRoomsQuery): Promise<PublicRoomsAnswer>;
  /** A space and its children, as `GET /hierarchy/{roomId}` tells them. */
  getHierarchy(server: ServerName, roomId: RoomId, suggestedOnly: boolean): Promise<JsonObject>;
  sendTransaction(server: ServerName, transactionId: string, body: { text: string }): Promise<{ pdus: JsonObject }>;
}
