import { isObject, objectMember, withMembers } from '../engine/members.ts';
import type { EventId, RoomId, UserId } from '../matrix/ids.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import { findRoomVersion } from '../matrix/room-versions.ts';
import type { ServerName } from '../matrix/server-name.ts';
import { findString, getObject } from './answers.ts';
import { eventsOf, streamAnswer } from './event-stream.ts';
import { FederationError, type FederationRequests } from './requests-contract.ts';
import type { Answer, Call, SendCall } from './signed-call.ts';

const secondMs = 1_000;
const kibibyte = 1_024;
const mebibyte = 1_024 * kibibyte;
/** One event and a little around it. */
const eventBytesMax = 256 * kibibyte;

/** Somebody waits for each of these, so none heeds the back-off. */
const waitedFor = { timeoutMs: 30 * secondMs, responseBytesMax: eventBytesMax, heedBackoff: 'no' } as const;

/** The whole state of a room that may have a hundred thousand members. */
const wholeState = { timeoutMs: 180 * secondMs, responseBytesMax: 256 * mebibyte, heedBackoff: 'no' } as const;
/** Events in one answer; no room that works has as many. */
const eventsMax = 500_000;

/** Joining, leaving, knocking and inviting (server-server API, "Joining Rooms", "Knocking upon a room", "Leaving Rooms", "Inviting to a room"). */
export function createJoinRequests(
  send: SendCall,
): Pick<
  FederationRequests,
  'makeJoin' | 'sendJoin' | 'makeLeave' | 'sendLeave' | 'makeKnock' | 'sendKnock' | 'invite'
> {
  return {
    makeJoin: (server, ...asked) => makeTemplate(send, server, 'make_join', ...asked),
    makeKnock: (server, ...asked) => makeTemplate(send, server, 'make_knock', ...asked),

    async sendKnock(server, roomId, eventId, event) {
      const path = ['v1', 'send_knock', roomId, eventId];
      const { body } = await send({ ...waitedFor, server, method: 'PUT', path, content: event });
      // It is taken by now, whatever stands there.
      return Array.isArray(body.knock_room_state) ? body.knock_room_state.filter(isObject) : [];
    },

    async sendJoin(server, roomId, eventId, event, take) {
      const sendAs = (version: 'v1' | 'v2') => {
        const path = [version, 'send_join', roomId, eventId];
        const call: Call = { ...wholeState, server, method: 'PUT', path, content: event };
        return streamAnswer(send, call, {
          lists: ['state', 'auth_chain'],
          elementsMax: eventsMax,
          take: (list, elements) => take(list === 'state' ? list : 'auth_chain', eventsOf(elements)),
        });
      };
      const answer = await sendAs('v2').catch((error: unknown) => {
        if (!lacksEndpoint(error)) throw error;
        return sendAs('v1');
      });
      return { event: answer.body.event === undefined ? undefined : getObject(answer, 'event') };
    },

    async makeLeave(server, roomId, userId) {
      const answer = await send({ ...waitedFor, server, method: 'GET', path: ['v1', 'make_leave', roomId, userId] });
      return { roomVersion: findString(answer, 'room_version'), event: getObject(answer, 'event') };
    },

    async sendLeave(server, roomId, eventId, event) {
      const call = { ...waitedFor, server, method: 'PUT', content: event } as const;
      try {
        await send({ ...call, path: ['v2', 'send_leave', roomId, eventId] });
      } catch (error) {
        if (!lacksEndpoint(error)) throw error;
        await send({ ...call, path: ['v1', 'send_leave', roomId, eventId], answersInList: true });
      }
    },

    async invite(server, roomId, eventId, body) {
      const path = ['v2', 'invite', roomId, eventId];
      try {
        return signedInvite(await send({ ...waitedFor, server, method: 'PUT', path, content: { ...body } }));
      } catch (error) {
        if (!mayBeOlder(error) || findRoomVersion(body.room_version)?.eventIds !== 'given') throw error;
        return inviteAsBefore(send, { server, roomId, eventId }, body).catch(() => {
          throw error;
        });
      }
    },
  };
}

async function makeTemplate(
  send: SendCall,
  server: ServerName,
  ...[endpoint, roomId, userId, versions]: [
    endpoint: string,
    roomId: RoomId,
    userId: UserId,
    versions: readonly string[],
  ]
): Promise<{ roomVersion: string; event: JsonObject }> {
  const query = versions.map((version) => ['ver', version] as const);
  const path = ['v1', endpoint, roomId, userId];
  const answer = await send({ ...waitedFor, server, method: 'GET', path, query });
  // "If not provided, the room version is assumed to be either "1" or "2"."
  return { roomVersion: findString(answer, 'room_version') ?? '1', event: getObject(answer, 'event') };
}

/** Server-server API, "Unsupported endpoints": 404 `M_UNRECOGNIZED`, or 405 for the method; older servers say no more than 404. */
function lacksEndpoint(error: unknown): boolean {
  if (!(error instanceof FederationError) || (error.status !== 404 && error.status !== 405)) return false;
  return error.body?.errcode === undefined || error.body.errcode === 'M_UNRECOGNIZED';
}

/** "Senders which receive a 400 or 404 response … should retry using the v1 API as the server may be older, if the room version is 1 or 2." */
function mayBeOlder(error: unknown): boolean {
  return error instanceof FederationError && (error.status === 400 || error.status === 404);
}

/** The first version of the endpoint: the event alone, which carries what the room looks like. */
async function inviteAsBefore(
  send: SendCall,
  to: { readonly server: ServerName; readonly roomId: RoomId; readonly eventId: EventId },
  { event, invite_room_state }: { readonly event: JsonObject; readonly invite_room_state: readonly JsonObject[] },
): Promise<JsonObject> {
  const unsigned = { ...objectMember(event, 'unsigned'), invite_room_state };
  const path = ['v1', 'invite', to.roomId, to.eventId];
  const call = { ...waitedFor, server: to.server, method: 'PUT', path, answersInList: true } as const;
  return signedInvite(await send({ ...call, content: withMembers(event, { unsigned }) }));
}

function signedInvite(answer: Answer) {
  const event = getObject(answer, 'event');
  if (!isObject(event.signatures)) {
    throw new FederationError('bad_answer', 'the answer has an "event" without signatures', 200);
  }
  return event;
}
