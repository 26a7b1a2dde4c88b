import { sortByPrevEvents } from '../../engine/graph/topological.ts';
import type { RoomId } from '../../matrix/ids.ts';
import { getRoomVersion } from '../../matrix/room-versions.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { HistoryPlace } from '../../storage/contract/events.ts';
import { parseAndVerify } from '../core/verify-events.ts';
import { ask } from './fetch-events.ts';
import { takePulled } from './missing-events.ts';
import type { RemoteCore } from './remote-core.ts';

export interface Backfill {
  /**
   * Fetches what is missing in a room's history between `lowestDepth` and the boundary. True if something came in time; a fetch
   * that takes longer goes on, and the next request finds its result. Never throws for what other servers do.
   */
  fillGap(roomId: RoomId, boundary: HistoryPlace, lowestDepth: number): Promise<boolean>;
  idle(): Promise<void>;
}

const eventsPerRequest = 100;
const edgesMax = 20;
const serversMax = 3;
/** Places in one answer whose state is asked for: more gaps than this wait for the next. */
const stateFetchesMax = 10;
const patienceMs = 12_000;

export function createBackfill(deps: RemoteCore): Backfill {
  const underWay = new Map<RoomId, Promise<boolean>>();

  async function fill(roomId: RoomId, boundary: HistoryPlace, lowestDepth: number): Promise<boolean> {
    const edges = await deps.storage.events.listBackwardExtremities(roomId);
    const within = edges.filter(({ depth }) => depth >= lowestDepth && depth <= boundary.depth).slice(0, edgesMax);
    if (within.length === 0) return false;
    const from = within.map(({ eventId }) => eventId);
    const servers = [...deps.roster.serversIn(roomId)].filter((server) => server !== deps.serverName);
    for (const server of servers.slice(0, serversMax)) {
      if ((await fetchFrom(deps, { roomId, server, from })) > 0) return true;
    }
    return false;
  }

  return {
    async fillGap(roomId, boundary, lowestDepth) {
      const running = underWay.get(roomId) ?? fill(roomId, boundary, lowestDepth);
      if (!underWay.has(roomId)) {
        const entry = running.finally(() => underWay.delete(roomId));
        // Whoever waits gets the failure; one that nobody waits for any more is only told to the log.
        entry.catch((err: unknown) => deps.log.error({ err, roomId }, 'fetching history failed'));
        underWay.set(roomId, entry);
      }
      return withPatience(deps, running);
    },
    async idle() {
      await Promise.allSettled(underWay.values());
    },
  };
}

/** False when it takes too long. */
function withPatience(deps: RemoteCore, running: Promise<boolean>): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const timer = deps.clock.setTimer(patienceMs, () => resolve(false));
    running.then(resolve, reject).finally(() => timer.clear());
  });
}

/** How many events of the answer took their place. */
async function fetchFrom(
  deps: RemoteCore,
  request: {
    readonly roomId: RoomId;
    readonly server: ServerName;
    readonly from: Parameters<RemoteCore['requests']['backfill']>[2];
  },
): Promise<number> {
  const { roomId, server } = request;
  const answer = await ask(() => deps.requests.backfill(server, roomId, request.from, eventsPerRequest));
  const room = answer && (await deps.storage.rooms.find(roomId));
  if (!answer || !room) return 0;
  const version = getRoomVersion(room.version);
  const events = await parseAndVerify(deps, answer.slice(0, eventsPerRequest + edgesMax), { roomId, version });
  const known = await deps.storage.events.listByIds(events.map((event) => event.eventId));
  const placed = new Set(
    known.filter((stored) => stored.placement !== 'outlier').map((stored) => stored.event.eventId),
  );
  const help = { answers: true, stateFetches: stateFetchesMax };
  let taken = 0;
  for (const event of await sortByPrevEvents(events)) {
    if (placed.has(event.eventId)) continue;
    if (await takePulled(deps, { server, roomId, version }, event, { placement: 'historical', help })) taken += 1;
  }
  return taken;
}
