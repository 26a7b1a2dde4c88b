import { listEventIds, listEvents } from './answers.ts';
import { FederationError, type FederationRequests } from './requests-contract.ts';
import type { SendCall } from './signed-call.ts';

const secondMs = 1_000;
const mebibyte = 1_024 * 1_024;

const few = { timeoutMs: 30 * secondMs, responseBytesMax: 16 * mebibyte, heedBackoff: 'yes' } as const;
const wholeState = { timeoutMs: 120 * secondMs, responseBytesMax: 256 * mebibyte, heedBackoff: 'yes' } as const;

/** History and state of rooms (server-server API, "Backfilling and retrieving missing events", "Retrieving events"). */
export function createEventRequests(
  send: SendCall,
): Pick<
  FederationRequests,
  'getEvent' | 'getState' | 'getStateIds' | 'getEventAuth' | 'backfill' | 'getMissingEvents'
> {
  return {
    async getEvent(server, eventId) {
      const answer = await send({ ...few, server, method: 'GET', path: ['v1', 'event', eventId] });
      const [event] = listEvents(answer, 'pdus');
      if (!event) throw new FederationError('bad_answer', 'the answer holds no valid event', 200);
      return event;
    },

    async getState(server, roomId, eventId) {
      const path = ['v1', 'state', roomId];
      const answer = await send({ ...wholeState, server, method: 'GET', path, query: [['event_id', eventId]] });
      return { pdus: listEvents(answer, 'pdus'), authChain: listEvents(answer, 'auth_chain') };
    },

    async getStateIds(server, roomId, eventId) {
      const path = ['v1', 'state_ids', roomId];
      const answer = await send({ ...wholeState, server, method: 'GET', path, query: [['event_id', eventId]] });
      return { pduIds: listEventIds(answer, 'pdu_ids'), authChainIds: listEventIds(answer, 'auth_chain_ids') };
    },

    async getEventAuth(server, roomId, eventId) {
      const path = ['v1', 'event_auth', roomId, eventId];
      return listEvents(await send({ ...wholeState, server, method: 'GET', path }), 'auth_chain');
    },

    async backfill(server, roomId, from, limit) {
      const query = [...from.map((eventId) => ['v', eventId] as const), ['limit', String(limit)] as const];
      return listEvents(await send({ ...few, server, method: 'GET', path: ['v1', 'backfill', roomId], query }), 'pdus');
    },

    async getMissingEvents(server, roomId, body) {
      const path = ['v1', 'get_missing_events', roomId];
      return listEvents(await send({ ...few, server, method: 'POST', path, content: { ...body } }), 'events');
    },
  };
}
