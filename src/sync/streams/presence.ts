import { breathe } from '../../base/breathe.ts';
import { acceptsSender, acceptsType } from '../../matrix/filter.ts';
import type { UserId } from '../../matrix/ids.ts';
import type { PresencePart } from '../../presence/types.ts';
import type { Roster } from '../../roster/roster.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import { mayBeNews, type SyncQuestion, type SyncScope, type SyncStream, touches } from '../stream.ts';

export interface PresenceStreamDeps {
  readonly storage: Pick<Storage, 'rooms'>;
  readonly roster: Pick<Roster, 'usersIn' | 'roomsOf'>;
  readonly presence: Pick<PresencePart, 'read'>;
}

const nobody: ReadonlySet<UserId> = new Set();

/** Hands on what presence addressed to this device. Who may see whom is decided there. */
export function createPresenceStream(deps: PresenceStreamDeps): SyncStream {
  /** Whether somebody may be in a room of the viewer who was in none. */
  const mayBeShared = (question: SyncQuestion): boolean =>
    mayBeNews(question, ({ joinRooms }) => touches(joinRooms, deps.roster.roomsOf(question.viewer.userId)));
  return {
    mayTell(question) {
      const { since, presence } = question;
      if (since === null) return true;
      // Nothing is taken from what waits for this client; a later filter may want it.
      if (!acceptsType(question.filter.presence, 'm.presence')) return false;
      return mayBeShared(question) || presence?.mayTell(since.presence) !== false;
    },
    readNow(question, answer) {
      if (mayBeShared(question)) return false;
      const { viewer, since, filter, presence } = question;
      const found = presence?.readNow({
        viewer: viewer.userId,
        deviceId: viewer.deviceId,
        since: since?.presence ?? null,
        newlyShared: nobody,
        accepts: (subject) => acceptsSender(filter.presence, subject),
      });
      if (found === undefined) return false;
      answer.presence = found.events;
      answer.presenceToken = found.token;
      return true;
    },
    async read(scope, answer) {
      const wanted = acceptsType(scope.filter.presence, 'm.presence');
      const { events, token } = await deps.presence.read({
        viewer: scope.viewer.userId,
        deviceId: scope.viewer.deviceId,
        since: scope.since?.presence ?? null,
        newlyShared: wanted ? await listNewlyShared(deps, scope) : new Set(),
        accepts: (subject) => wanted && acceptsSender(scope.filter.presence, subject),
      });
      answer.presence = events;
      answer.presenceToken = token;
    },
  };
}

/**
 * "The response that carries a join carries the presence gained by it": the members of rooms that this answer tells as
 * new, and who newly joined a room of the viewer. An initial sync asks about everybody anyway.
 */
async function listNewlyShared(deps: PresenceStreamDeps, scope: SyncScope): Promise<Set<UserId>> {
  const users = new Set<UserId>();
  if (scope.since === null || scope.upTo <= scope.after) return users;
  for (const roomId of scope.rooms.newlyJoined) {
    for (const userId of deps.roster.usersIn(roomId)) users.add(userId);
    await breathe();
  }
  const came = await deps.storage.rooms.listNewlyJoined(scope.rooms.known, scope.after, scope.upTo);
  for (const { userId } of came) users.add(userId);
  users.delete(scope.viewer.userId);
  return users;
}
