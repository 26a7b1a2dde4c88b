import { listAuthChain } from '../engine/graph/auth-chain.ts';
import { notFound } from '../matrix/errors.ts';
import type { EventId, RoomId } from '../matrix/ids.ts';
import { prevEventIdsOf } from '../matrix/pdu.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { StoredEvent } from '../storage/contract/events.ts';
import {
  checkServerInRoom,
  checkServerMayAskAt,
  encodeForServer,
  getEventOfRoom,
  type RoomAccessDeps,
} from './room-access.ts';
import type { RoomServer } from './room-server.ts';
import { walkBack } from './walk.ts';

/** "The maximum number of events": more than this in one answer is cut, as the specification allows. */
const backfillMax = 100;
const missingMax = 20;
/** An auth chain longer than this is answered cut off; no honest room comes near. */
const authChainMax = 200_000;

type HistoryServer = Pick<
  RoomServer,
  'getEvent' | 'getState' | 'getStateIds' | 'getEventAuth' | 'backfill' | 'getMissingEvents' | 'timestampToEvent'
>;

/** Events, states and gaps for servers that are in the room (server-server API, "Retrieving events" and around it). */
export function createHistoryServer(deps: RoomAccessDeps): HistoryServer {
  const { events, state } = deps.storage;
  const authChainOf = async (eventIds: readonly EventId[]): Promise<EventId[]> => [
    ...(await listAuthChain(eventIds, (ids, ahead) => events.listAuthEdges(ids, ahead), authChainMax)),
  ];
  const stateAt = async (
    origin: Parameters<HistoryServer['getState']>[0],
    request: Parameters<HistoryServer['getState']>[1],
  ) => {
    const stored = await getAskedEvent(deps, origin, request);
    if (stored.snapshotBefore === null) throw notFound('The state at that event is not known here');
    const pduIds = [...(await state.getSnapshot(stored.snapshotBefore)).values()];
    return { pduIds, authChainIds: await authChainOf(pduIds) };
  };
  return {
    async getEvent(origin, eventId) {
      const stored = await events.find(eventId);
      if (!stored) throw notFound('No such event here');
      await checkServerMayAskAt(deps, stored, origin);
      const [text] = await encodeForServer(deps, [stored], origin);
      if (text === undefined) throw notFound('No such event here');
      return text;
    },
    getStateIds: stateAt,
    async getState(origin, request) {
      const { pduIds, authChainIds } = await stateAt(origin, request);
      return { pdus: await events.listPduTexts(pduIds), authChain: await events.listPduTexts(authChainIds) };
    },
    async getEventAuth(origin, { roomId, eventId }) {
      await getAskedEvent(deps, origin, { roomId, eventId });
      return events.listPduTexts(await authChainOf([eventId]));
    },
    async timestampToEvent(origin, { roomId, ts, direction }) {
      await checkServerInRoom(deps, roomId, origin);
      const [event] = await events.listNearMoment(roomId, ts, direction, 1);
      if (!event) throw notFound('There is no event on that side of the moment');
      return { eventId: event.eventId, originServerTs: event.originServerTs };
    },
    async backfill(origin, { roomId, from, limit }) {
      await checkServerInRoom(deps, roomId, origin);
      const found = await walkBack(deps, { roomId, from, limit: Math.min(limit, backfillMax) });
      return encodeForServer(deps, found, origin);
    },
    async getMissingEvents(origin, { roomId, earliest, latest, limit, minDepth }) {
      const start = (await events.listByIds(latest)).filter(({ event }) => event.roomId === roomId);
      if (start.length === 0) await checkServerInRoom(deps, roomId, origin);
      for (const stored of start) await checkServerMayAskAt(deps, stored, origin);
      const prev = start.flatMap(({ event }) => prevEventIdsOf(event.pdu));
      const until = new Set([...earliest, ...latest]);
      const found = await walkBack(deps, { roomId, from: prev, until, minDepth, limit: Math.min(limit, missingMax) });
      return encodeForServer(deps, found.reverse(), origin);
    },
  };
}

/** The event that a server asks about, if it may. A server that never was in the room does not learn which events it has. */
async function getAskedEvent(
  deps: RoomAccessDeps,
  origin: ServerName,
  { roomId, eventId }: { readonly roomId: RoomId; readonly eventId: EventId },
): Promise<StoredEvent> {
  const stored = await deps.storage.events.find(eventId);
  if (stored?.event.roomId === roomId) await checkServerMayAskAt(deps, stored, origin);
  else await checkServerInRoom(deps, roomId, origin);
  return getEventOfRoom(deps, roomId, eventId);
}
