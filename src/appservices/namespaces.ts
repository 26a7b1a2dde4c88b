import { type RoomAlias, type RoomId, serverOfAlias, serverOfUser, type UserId } from '../matrix/ids.ts';
import type { Namespace, Registration } from './registration.ts';

/** What belongs to a service by its registration. Pure; `AppServices` asks it for all services and remembers. */

const covers = (namespaces: readonly Namespace[], id: string): boolean => namespaces.some(({ matches }) => matches(id));

const coversExclusively = (namespaces: readonly Namespace[], id: string): boolean =>
  namespaces.some(({ exclusive, matches }) => exclusive && matches(id));

/** "For the `users` namespace, application services can only register interest in *local* users." The sender is always its own. */
export function isUserOf({ sender, users }: Registration, userId: UserId): boolean {
  return userId === sender || (isOfSameServer(sender, userId) && covers(users, userId));
}

/** Whether nobody else may make the user: "prevents humans and other application services from creating/deleting entities". */
export function ownsUser({ sender, users }: Registration, userId: UserId): boolean {
  return userId === sender || (isOfSameServer(sender, userId) && coversExclusively(users, userId));
}

/** Aliases of other servers too: "all events in a matching room will be sent". */
export function isAliasOf({ aliases }: Registration, alias: RoomAlias): boolean {
  return covers(aliases, alias);
}

/** Whether nobody else may make or remove the alias of this server. */
export function ownsAlias({ sender, aliases }: Registration, alias: RoomAlias): boolean {
  return serverOfAlias(alias) === serverOfUser(sender) && coversExclusively(aliases, alias);
}

export function isRoomOf({ rooms }: Registration, roomId: RoomId): boolean {
  return covers(rooms, roomId);
}

function isOfSameServer(sender: UserId, userId: UserId): boolean {
  return serverOfUser(userId) === serverOfUser(sender);
}
