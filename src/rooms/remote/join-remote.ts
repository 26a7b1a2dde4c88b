import { Serial } from '../../base/tasks/serial.ts';
import { completeEvent, withSignatures } from '../../engine/event/build.ts';
import { parsePdu } from '../../engine/event/parse.ts';
import { authorisedViaKey } from '../../engine/event/verify.ts';
import type { MatrixError } from '../../matrix/errors.ts';
import type { RoomId, UserId } from '../../matrix/ids.ts';
import type { JsonObject, RoomEvent } from '../../matrix/pdu.ts';
import { findRoomVersion, type RoomVersion } from '../../matrix/room-versions.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import { verifyEvents } from '../core/verify-events.ts';
import type { FetchFrom } from './fetch-events.ts';
import { BadRoomError, importRoom } from './import/import-room.ts';
import { Intake } from './import/intake.ts';
import { makeJoinTemplate } from './join-template.ts';
import { takePulled } from './missing-events.ts';
import { asRefusal, mostTellingOf } from './refusal.ts';
import type { RemoteCore } from './remote-core.ts';
import { tellFirst } from './tell-first.ts';
import { isTemplateFor } from './templates.ts';

export interface RemoteJoin {
  readonly userId: UserId;
  readonly roomId: RoomId;
  /** The most promising first. */
  readonly servers: readonly ServerName[];
  /** Of the member event. */
  readonly content: JsonObject;
  /** As in `NewEvent`. */
  readonly sentAtMs: number | undefined;
  /** Also where this server is in the room, because none of its users can vouch for the join. */
  readonly forced: boolean;
}

/** joined: the room is usable. local: meanwhile another of our users joined, so the room's own way is open. */
export type RemoteJoinOutcome = 'joined' | 'local';

export interface RemoteJoins {
  /** Throws a MatrixError when no server lets the user in: M_FORBIDDEN if one said so, else M_NOT_FOUND or 502. */
  join(join: RemoteJoin): Promise<RemoteJoinOutcome>;
  /** Whether a join of this room is under way. */
  isJoining(roomId: RoomId): boolean;
  /** The version of a room that is being joined, once it is told. */
  findJoining(roomId: RoomId): RoomVersion | undefined;
  idle(): Promise<void>;
}

const waitingMax = 100;

export type RemoteJoinsDeps = RemoteCore & {
  /** A join of this room has ended, well or not. */
  readonly onEnd: (roomId: RoomId) => void;
};

/** A room that is being joined. */
interface Joining {
  /** Joins under way. */
  count: number;
  version: RoomVersion | undefined;
}

/** Joining through other servers (server-server API, "Joining Rooms"), one join of a room at a time. */
export function createRemoteJoins(deps: RemoteJoinsDeps): RemoteJoins {
  const lanes = new Serial({ waitingMax });
  const underWay = new Map<RoomId, Joining>();
  return {
    async join(join) {
      const joining = underWay.get(join.roomId) ?? { count: 0, version: undefined };
      underWay.set(join.roomId, joining);
      joining.count += 1;
      try {
        return await lanes.run(join.roomId, async (): Promise<RemoteJoinOutcome> => {
          if (!join.forced && isIn(deps, join.roomId)) return 'local';
          await joinThroughAny(deps, join, joining);
          return 'joined';
        });
      } finally {
        joining.count -= 1;
        if (joining.count === 0) underWay.delete(join.roomId);
        deps.onEnd(join.roomId);
      }
    },
    isJoining: (roomId) => underWay.has(roomId),
    findJoining: (roomId) => underWay.get(roomId)?.version,
    idle: () => lanes.idle(),
  };
}

function isIn(deps: RemoteCore, roomId: RoomId): boolean {
  return deps.roster.usersOfServerIn(roomId, deps.serverName).size > 0;
}

async function joinThroughAny(deps: RemoteCore, join: RemoteJoin, joining: Joining): Promise<void> {
  const failures: MatrixError[] = [];
  for (const server of join.servers) {
    try {
      return await joinThrough(deps, join, { server, joining });
    } catch (error) {
      const failure = asRefusal(error, server);
      deps.log.info({ roomId: join.roomId, server, reason: failure.message }, 'a server did not let our user join');
      failures.push(failure);
    }
  }
  throw mostTellingOf(failures);
}

async function joinThrough(
  deps: RemoteCore,
  join: RemoteJoin,
  { server, joining }: { readonly server: ServerName; readonly joining: Joining },
): Promise<void> {
  const { roomId, userId } = join;
  await tellFirst(deps, server);
  const template = await makeJoinTemplate(deps, server, { roomId, userId });
  const version = findRoomVersion(template.roomVersion);
  if (!version) throw new BadRoomError(`its version ${template.roomVersion} is not known here`);
  joining.version = version;
  const event = completeJoin(deps, join, { event: template.event, version });
  const from = { server, roomId, version };
  if (isIn(deps, roomId)) {
    const answer = await deps.requests.sendJoin(server, roomId, event.eventId, event.pdu, async () => undefined);
    return takeJoin(deps, from, await verifyJoin(deps, { event, version, returned: answer.event }));
  }
  await deps.imports.run(async (running) => {
    const intake = new Intake(deps, running, from);
    const answer = await deps.requests.sendJoin(server, roomId, event.eventId, event.pdu, (list, events) =>
      intake.take(list, events),
    );
    const verified = await verifyJoin(deps, { event, version, returned: answer.event });
    await importRoom(deps, { join: verified, version, server, intake, running });
  });
}

/** Our join, with the signatures that it came back with: a restricted one needs that of the server which vouches for it. */
async function verifyJoin(
  deps: RemoteCore,
  join: { readonly event: RoomEvent; readonly version: RoomVersion; readonly returned: JsonObject | undefined },
): Promise<RoomEvent> {
  const { event, version } = join;
  const returned = join.returned === undefined ? undefined : parsePdu(join.returned, version);
  const signed =
    returned?.outcome === 'parsed' && returned.event.eventId === event.eventId
      ? withSignatures(event, returned.event.pdu.signatures)
      : event;
  const [verified] = await verifyEvents(deps, [signed], version);
  if (!verified) throw new BadRoomError('nobody signed for the user whom its join names');
  return verified;
}

/** We are in the room already: the join is one more event of it, which the other server made possible. */
async function takeJoin(deps: RemoteCore, from: FetchFrom, join: RoomEvent): Promise<void> {
  const isTaken = await takePulled(deps, from, join, {
    placement: 'timeline',
    help: { answers: true, stateFetches: 1 },
  });
  if (!isTaken) throw new BadRoomError('the join that it let happen is not allowed by the room as it is here');
}

function completeJoin(
  deps: RemoteCore,
  { roomId, userId, content, sentAtMs }: RemoteJoin,
  template: { readonly event: JsonObject; readonly version: RoomVersion },
): RoomEvent {
  const { event, version } = template;
  if (!isTemplateFor(event, { roomId, userId, membership: 'join' })) {
    throw new BadRoomError('its join template is for something else');
  }
  const authoriser = event.content[authorisedViaKey];
  const complete = completeEvent(
    {
      ...event,
      origin_server_ts: sentAtMs ?? deps.clock.now(),
      content: { ...content, ...(authoriser === undefined ? {} : { [authorisedViaKey]: authoriser }) },
    },
    version,
    deps.sign,
  );
  if (complete.outcome === 'malformed') throw new BadRoomError(`its join template is not an event: ${complete.reason}`);
  return complete.event;
}
