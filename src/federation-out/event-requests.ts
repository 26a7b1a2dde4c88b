import { type EventId, isEventId } from '../matrix/ids.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import { eventsOf, streamAnswer } from './event-stream.ts';
import { type AnsweredEvent, FederationError, type FederationRequests } from './requests-contract.ts';
import type { Call, SendCall } from './signed-call.ts';

const secondMs = 1_000;
const mebibyte = 1_024 * 1_024;

const few = { timeoutMs: 30 * secondMs, responseBytesMax: 16 * mebibyte, heedBackoff: 'yes' } as const;
const wholeState = { timeoutMs: 120 * secondMs, responseBytesMax: 256 * mebibyte, heedBackoff: 'yes' } as const;

/** Events in the answer to a question for a few, of which some may ask for a hundred. */
const fewEventsMax = 1_000;
/** Events in one answer; no room that works has as many. */
const eventsMax = 500_000;

/** History and state of rooms (server-server API, "Backfilling and retrieving missing events", "Retrieving events"). */
export function createEventRequests(
  send: SendCall,
): Pick<
  FederationRequests,
  'getEvent' | 'getState' | 'getStateIds' | 'getEventAuth' | 'backfill' | 'getMissingEvents' | 'timestampToEvent'
> {
  return {
    async getEvent(server, eventId) {
      const path = ['v1', 'event', eventId];
      const [event] = await listStreamed(send, { ...few, server, method: 'GET', path }, 'pdus');
      if (!event) throw new FederationError('bad_answer', 'the answer holds no valid event', 200);
      return event;
    },

    async getState(server, roomId, eventId, take) {
      const path = ['v1', 'state', roomId];
      const call: Call = { ...wholeState, server, method: 'GET', path, query: [['event_id', eventId]] };
      await streamAnswer(send, call, {
        lists: ['pdus', 'auth_chain'],
        elementsMax: eventsMax,
        take: (list, elements) => take(list === 'pdus' ? 'state' : 'auth_chain', eventsOf(elements)),
      });
    },

    async getStateIds(server, roomId, eventId) {
      const path = ['v1', 'state_ids', roomId];
      const ids = { pdu_ids: [] as EventId[], auth_chain_ids: [] as EventId[] };
      const call: Call = { ...wholeState, server, method: 'GET', path, query: [['event_id', eventId]] };
      await streamAnswer(send, call, {
        lists: Object.keys(ids),
        elementsMax: eventsMax,
        async take(list, elements) {
          const found = elements.map(({ value }) => value).filter(isEventId);
          ids[list === 'pdu_ids' ? list : 'auth_chain_ids'].push(...found);
        },
      });
      return { pduIds: ids.pdu_ids, authChainIds: ids.auth_chain_ids };
    },

    async getEventAuth(server, roomId, eventId, take) {
      const path = ['v1', 'event_auth', roomId, eventId];
      await streamAnswer(
        send,
        { ...wholeState, server, method: 'GET', path },
        {
          lists: ['auth_chain'],
          elementsMax: eventsMax,
          take: (_list, elements) => take('auth_chain', eventsOf(elements)),
        },
      );
    },

    async backfill(server, roomId, from, limit) {
      const query = [...from.map((eventId) => ['v', eventId] as const), ['limit', String(limit)] as const];
      const path = ['v1', 'backfill', roomId];
      return jsonOf(await listStreamed(send, { ...few, server, method: 'GET', path, query }, 'pdus'));
    },

    async getMissingEvents(server, roomId, body) {
      const path = ['v1', 'get_missing_events', roomId];
      return jsonOf(await listStreamed(send, { ...few, server, method: 'POST', path, content: { ...body } }, 'events'));
    },

    async timestampToEvent(server, roomId, { ts, direction }) {
      const { body } = await send({
        server,
        method: 'GET',
        path: ['v1', 'timestamp_to_event', roomId],
        query: [
          ['ts', String(ts)],
          ['dir', direction === 'backward' ? 'b' : 'f'],
        ],
        // Somebody waits, and others are asked as well.
        timeoutMs: 10 * secondMs,
        responseBytesMax: 64 * 1_024,
        heedBackoff: 'yes',
      });
      const { event_id: eventId, origin_server_ts: originServerTs } = body;
      if (!isEventId(eventId) || typeof originServerTs !== 'number' || !Number.isSafeInteger(originServerTs)) {
        throw new FederationError('bad_answer', `${server} did not say which event it was`, 200);
      }
      return { eventId, originServerTs };
    },
  };
}

/** The events of one list: cut out one by one, since sixteen mebibytes parsed at once would hold up everybody. */
async function listStreamed(send: SendCall, call: Call, list: string): Promise<AnsweredEvent[]> {
  const events: AnsweredEvent[] = [];
  await streamAnswer(send, call, {
    lists: [list],
    elementsMax: fewEventsMax,
    async take(_list, elements) {
      events.push(...eventsOf(elements));
    },
  });
  return events;
}

function jsonOf(events: readonly AnsweredEvent[]): JsonObject[] {
  return events.map(({ json }) => json);
}
