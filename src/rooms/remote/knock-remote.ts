import { completeEvent } from '../../engine/event/build.ts';
import type { RoomId, UserId } from '../../matrix/ids.ts';
import type { JsonObject, RoomEvent } from '../../matrix/pdu.ts';
import { findRoomVersion, supportedRoomVersions } from '../../matrix/room-versions.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { OutOfBandMembership, StoredMembership } from '../../storage/contract/rooms.ts';
import { clientForm } from '../core/client-form.ts';
import type { RoomsCore } from '../core/deps.ts';
import { membershipRowOf } from '../core/member-row.ts';
import { BadRoomError } from './import/import-room.ts';
import { asRefusal, mostTellingOf } from './refusal.ts';
import { isStateLike, strippedStateMax } from './stripped-events.ts';
import { tellFirst } from './tell-first.ts';
import { isTemplateFor } from './templates.ts';

export interface RemoteKnock {
  readonly userId: UserId;
  readonly roomId: RoomId;
  /** The most promising first. */
  readonly servers: readonly ServerName[];
  /** Of the member event. */
  readonly content: JsonObject;
  /** As in `NewEvent`. */
  readonly sentAtMs: number | undefined;
}

/**
 * Knocks on a room that this server is not in (server-server API, "Knocking upon a room"), through the first server that takes it. Throws
 * a MatrixError when none does: M_FORBIDDEN if one said so, else M_NOT_FOUND or 502.
 */
export async function knockRemote(deps: RoomsCore, knock: RemoteKnock): Promise<void> {
  const before = await deps.storage.rooms.findMembership(knock.roomId, knock.userId);
  const failures = [];
  for (const server of knock.servers) {
    try {
      const { event, strippedState } = await knockThrough(deps, knock, server);
      await keepKnock(deps, event, { before, outOfBand: { event: clientForm(event), strippedState, via: server } });
      return;
    } catch (error) {
      const failure = asRefusal(error, server);
      deps.log.info({ roomId: knock.roomId, server, reason: failure.message }, 'a server did not take a knock');
      failures.push(failure);
    }
  }
  throw mostTellingOf(failures);
}

async function knockThrough(
  deps: RoomsCore,
  { userId, roomId, content, sentAtMs }: RemoteKnock,
  server: ServerName,
): Promise<{ event: RoomEvent; strippedState: JsonObject[] }> {
  await tellFirst(deps, server);
  const template = await deps.requests.makeKnock(server, roomId, userId, supportedRoomVersions);
  const version = findRoomVersion(template.roomVersion);
  if (!version) throw new BadRoomError(`its version ${template.roomVersion} is not known here`);
  if (!isTemplateFor(template.event, { roomId, userId, membership: 'knock' })) {
    throw new BadRoomError('its knock template is for something else');
  }
  const complete = completeEvent(
    { ...template.event, origin_server_ts: sentAtMs ?? deps.clock.now(), content },
    version,
    deps.sign,
  );
  if (complete.outcome === 'malformed') throw new BadRoomError(`its knock template is no event: ${complete.reason}`);
  const { event } = complete;
  const state = await deps.requests.sendKnock(server, roomId, event.eventId, event.pdu);
  return { event, strippedState: state.filter(isStateLike).slice(0, strippedStateMax) };
}

/** Unless an invite came since, or even the join: that is later. An end of an earlier knock is not. */
async function keepKnock(
  deps: RoomsCore,
  event: RoomEvent,
  kept: { readonly before: StoredMembership | undefined; readonly outOfBand: OutOfBandMembership },
): Promise<void> {
  const row = membershipRowOf(event);
  if (!row) return;
  await deps.lock.run(event.roomId, async () => {
    const now = await deps.storage.rooms.findMembership(row.roomId, row.userId);
    const isNews = now !== undefined && now.eventId !== kept.before?.eventId;
    if (isNews && (now.membership === 'invite' || now.membership === 'join')) return;
    const step = { roomId: row.roomId, userId: row.userId, before: now?.membership ?? null, after: 'knock' };
    const audience = await deps.ports.rowsForAudienceChange([step]);
    await deps.storage.commit({ rows: [{ ...row, outOfBand: kept.outOfBand }, ...audience] });
  });
}
