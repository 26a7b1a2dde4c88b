import { isUserId, serverOfUser, type UserId } from '../../matrix/ids.ts';
import type { RoomEvent } from '../../matrix/pdu.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Row } from '../../storage/contract/commit.ts';
import { memberKey, membershipOf } from '../state-reads.ts';
import type { RoomsCore } from './deps.ts';
import type { StatePoint } from './state-point.ts';

/**
 * Servers that an event of another server takes out of the room although its sender did not know that they were in it: they were let in by
 * somebody who had not heard what the event rests on, such as a ban. Nobody else would tell them, and they would hold themselves to be in
 * the room for ever; so whoever held them to be in it passes the event on.
 *
 * `rows` are what the event changes. All other servers of the room got it from its sender, who had them in the state before the event.
 */
export async function listServersLeftBehind(
  deps: Pick<RoomsCore, 'storage' | 'roster' | 'serverName'>,
  event: RoomEvent,
  facts: { readonly before: StatePoint; readonly rows: readonly Row[] },
): Promise<ServerName[]> {
  const { roomId } = event;
  const leaving = new Map<ServerName, UserId[]>();
  for (const row of facts.rows) {
    if (row.kind !== 'membership' || row.membership === 'join' || !deps.roster.isJoined(roomId, row.userId)) continue;
    const server = serverOfUser(row.userId);
    leaving.set(server, [...(leaving.get(server) ?? []), row.userId]);
  }
  leaving.delete(deps.serverName);
  leaving.delete(serverOfUser(event.pdu.sender));
  const left: ServerName[] = [];
  for (const [server, users] of leaving) {
    if (deps.roster.usersOfServerIn(roomId, server).size > users.length) continue;
    if (!(await wasAnyJoined(deps, facts.before, users))) left.push(server);
  }
  return left;
}

async function wasAnyJoined(
  deps: Pick<RoomsCore, 'storage'>,
  point: StatePoint,
  users: readonly UserId[],
): Promise<boolean> {
  const ids = await point.readKeys(users.filter(isUserId).map(memberKey));
  const stored = await deps.storage.events.listByIds([...ids.values()]);
  return stored.some(({ event }) => membershipOf(event.pdu.content) === 'join');
}
