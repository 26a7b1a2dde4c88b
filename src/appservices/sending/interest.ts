import { LRUCache } from 'lru-cache';
import { isUserId, type RoomId, type UserId } from '../../matrix/ids.ts';
import type { Roster } from '../../roster/roster.ts';
import type { Change } from '../../storage/contract/changes.ts';
import type { ServiceReads } from '../../storage/contract/services.ts';
import type { AppServices } from '../app-services.ts';
import { ownsUser } from '../namespaces.ts';
import type { Registration } from '../registration.ts';

/** Rooms whose users and aliases are remembered; one that was asked for longest ago is looked into again. */
const roomsMax = 20_000;

const nobody: ReadonlySet<UserId> = new Set();

export interface InterestDeps {
  readonly services: AppServices;
  readonly roster: Pick<Roster, 'localUsersIn'>;
  readonly storage: { readonly services: Pick<ServiceReads, 'listAliases'> };
}

/**
 * Which services are interested in a room: by its id, by its aliases, or by who of their users is joined to it. Of each room it is looked up
 * once who of its local users belongs to a service; a change of membership then changes that, and no pattern is matched for an event.
 */
export class Interest {
  readonly #deps: InterestDeps;
  readonly #hasAliases: readonly Registration[];
  readonly #users = new LRUCache<RoomId, Map<Registration, Set<UserId>>>({ max: roomsMax });
  readonly #byAlias = new LRUCache<RoomId, readonly Registration[]>({ max: roomsMax });
  /** Of all changes of aliases: what was read before one may be older than it. */
  #aliasChanges = 0;

  constructor(deps: InterestDeps) {
    this.#deps = deps;
    this.#hasAliases = deps.services.all.filter(({ aliases }) => aliases.length > 0);
  }

  /** Of a commit, behind the roster. */
  apply(change: Change): void {
    if (change.kind === 'aliases') {
      this.#byAlias.delete(change.roomId);
      this.#aliasChanges += 1;
    }
    if (change.kind !== 'membership') return;
    const known = this.#users.peek(change.roomId);
    if (!known) return;
    for (const service of this.#deps.services.listOfUser(change.userId)) {
      if (change.after === 'join') usersOf(known, service).add(change.userId);
      else known.get(service)?.delete(change.userId);
    }
  }

  isUserOf(service: Registration, userId: string): boolean {
    return isUserId(userId) && this.#deps.services.listOfUser(userId).includes(service);
  }

  /** Whether nobody else has the user. */
  ownsUser(service: Registration, userId: UserId): boolean {
    return this.isUserOf(service, userId) && ownsUser(service, userId);
  }

  /** Users of the service who are joined to the room. Live: not to be kept over an await. */
  usersIn(service: Registration, roomId: RoomId): ReadonlySet<UserId> {
    return this.#usersIn(roomId).get(service) ?? nobody;
  }

  /** By its id or an alias. True as well where the aliases are not known yet. */
  mayNameRoom(service: Registration, roomId: RoomId): boolean {
    if (this.#deps.services.listOfRoom(roomId).includes(service)) return true;
    return (this.#byAlias.get(roomId) ?? this.#hasAliases).includes(service);
  }

  mayConcernRoom(service: Registration, roomId: RoomId): boolean {
    return this.usersIn(service, roomId).size > 0 || this.mayNameRoom(service, roomId);
  }

  /** Before `mayNameRoom` and `mayConcernRoom` are exact for these rooms; they are so until the next await. */
  async loadAliases(roomIds: Iterable<RoomId>): Promise<void> {
    if (this.#hasAliases.length === 0) return;
    const missing = new Set<RoomId>();
    for (const roomId of roomIds) if (!this.#byAlias.has(roomId)) missing.add(roomId);
    while (missing.size > 0) {
      const before = this.#aliasChanges;
      const found = await this.#deps.storage.services.listAliases(missing);
      if (this.#aliasChanges !== before) continue;
      for (const roomId of missing) {
        const services = (found.get(roomId) ?? []).flatMap((alias) => this.#deps.services.listOfAlias(alias));
        this.#byAlias.set(roomId, [...new Set(services)]);
      }
      return;
    }
  }

  #usersIn(roomId: RoomId): Map<Registration, Set<UserId>> {
    let known = this.#users.get(roomId);
    if (!known) {
      known = new Map();
      for (const userId of this.#deps.roster.localUsersIn(roomId))
        for (const service of this.#deps.services.listOfUser(userId)) usersOf(known, service).add(userId);
      this.#users.set(roomId, known);
    }
    return known;
  }
}

function usersOf(byService: Map<Registration, Set<UserId>>, service: Registration): Set<UserId> {
  let users = byService.get(service);
  if (!users) {
    users = new Set();
    byService.set(service, users);
  }
  return users;
}
