import type { EventId, RoomId } from '../../matrix/ids.ts';
import { getRoomVersion } from '../../matrix/room-versions.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import { parseAndVerify } from '../core/verify-events.ts';
import type { Moment } from '../reading/moments.ts';
import { ask } from './fetch-events.ts';
import { takePulled } from './missing-events.ts';
import type { RemoteCore } from './remote-core.ts';

/** Servers that are asked at once; each may know of an event that the others do not. */
const serversMax = 3;
/** States that are asked for to give one event its place. */
const stateFetchesMax = 2;

/**
 * The event next to a moment, as other servers know the room (server-server API, "Retrieving events", `timestamp_to_event`): stored in its
 * place when `find` resolves. Undefined where none of a few servers tells of one that is nearer than `nearest` and that can be had.
 */
export function createRemoteMoments(deps: RemoteCore) {
  async function listAnswers(roomId: RoomId, moment: Moment) {
    const servers = [...deps.roster.serversIn(roomId)].filter((server) => server !== deps.serverName);
    const answers = await Promise.all(
      servers.slice(0, serversMax).map(async (server) => {
        const answer = await ask(() => deps.requests.timestampToEvent(server, roomId, moment));
        return answer && isOnItsSide(answer.originServerTs, moment) ? [{ server, ...answer }] : [];
      }),
    );
    const distance = ({ originServerTs }: { originServerTs: number }) => Math.abs(originServerTs - moment.ts);
    return answers.flat().sort((a, b) => distance(a) - distance(b));
  }

  return {
    async find(roomId: RoomId, moment: Moment, nearest: number | undefined): Promise<EventId | undefined> {
      for (const { server, eventId, originServerTs } of await listAnswers(roomId, moment)) {
        const isNearer = nearest === undefined || Math.abs(originServerTs - moment.ts) < Math.abs(nearest - moment.ts);
        if (!isNearer) return undefined;
        if (await takeEvent(deps, { server, roomId, eventId })) return eventId;
      }
      return undefined;
    },
  };
}

function isOnItsSide(originServerTs: number, { ts, direction }: Moment): boolean {
  return direction === 'backward' ? originServerTs <= ts : originServerTs >= ts;
}

/** Whether the event is in its place then. */
async function takeEvent(
  deps: RemoteCore,
  { server, roomId, eventId }: { readonly server: ServerName; readonly roomId: RoomId; readonly eventId: EventId },
): Promise<boolean> {
  const stored = await deps.storage.events.find(eventId);
  if (stored && stored.placement !== 'outlier') return stored.verdict === 'accepted' && stored.event.roomId === roomId;
  const room = await deps.storage.rooms.find(roomId);
  const answer = room && (await ask(() => deps.requests.getEvent(server, eventId)));
  if (!room || !answer) return false;
  const version = getRoomVersion(room.version);
  const [event] = await parseAndVerify(deps, [answer.json], { roomId, version });
  if (event?.eventId !== eventId) return false;
  const help = { answers: true, stateFetches: stateFetchesMax };
  return takePulled(deps, { server, roomId, version }, event, { placement: 'historical', help });
}
