import type { EventId, RoomId, UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import { supportedRoomVersions } from '../../matrix/room-versions.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { RoomsCore } from '../core/deps.ts';

type Deps = Pick<RoomsCore, 'storage' | 'clock' | 'requests'>;
type JoinTemplate = Awaited<ReturnType<RoomsCore['requests']['makeJoin']>>;

/** How long to wait before each time that the server is asked again; then what it gives is taken. */
const waitsMs = [100, 400, 1_500];
/** A join rests on six events at most. */
const authEventsMax = 20;

/**
 * The other server's template for a join. A server may answer for an event before it has taken it in, as Synapse does, and hold somebody who
 * just left to be in the room: the join would stand beside the departure, let in by rules that are not asked of members, and the room could settle
 * on either. So a server that does not know of the departure yet is given a moment.
 */
export async function makeJoinTemplate(
  deps: Deps,
  server: ServerName,
  join: { readonly roomId: RoomId; readonly userId: UserId },
): Promise<JoinTemplate> {
  const make = () => deps.requests.makeJoin(server, join.roomId, join.userId, supportedRoomVersions);
  for (const waitMs of waitsMs) {
    const template = await make();
    if (!(await restsOnOlder(deps, join, template.event))) return template;
    await new Promise<void>((resolve) => deps.clock.setTimer(waitMs, resolve));
  }
  return make();
}

/** Whether it names a member event of the user that their departure followed. One that is unknown here may well be newer. */
async function restsOnOlder(
  deps: Deps,
  { roomId, userId }: { readonly roomId: RoomId; readonly userId: UserId },
  template: JsonObject,
): Promise<boolean> {
  const row = await deps.storage.rooms.findMembership(roomId, userId);
  if (!row || row.outOfBand !== null || (row.membership !== 'leave' && row.membership !== 'ban')) return false;
  const known = await deps.storage.events.listByIds(authEventIds(template));
  const own = known.filter(({ event: { pdu } }) => pdu.type === 'm.room.member' && pdu.state_key === userId);
  return own.some(({ event }) => event.eventId !== row.eventId);
}

/** Ids, or pairs of an id and hashes in room versions 1 and 2. */
function authEventIds({ auth_events: list }: JsonObject): EventId[] {
  const entries: unknown[] = Array.isArray(list) ? list.slice(0, authEventsMax) : [];
  const ids = entries.map((entry): unknown => (Array.isArray(entry) ? entry[0] : entry));
  return ids.filter((id): id is EventId => typeof id === 'string');
}
