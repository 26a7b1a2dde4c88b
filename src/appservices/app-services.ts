import { createHash, timingSafeEqual } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { RoomAlias, RoomId, UserId } from '../matrix/ids.ts';
import { isAliasOf, isRoomOf, isUserOf, ownsAlias, ownsUser } from './namespaces.ts';
import type { Registration } from './registration.ts';

/** All services of the configuration. They do not change while the server runs. */
export interface AppServices {
  readonly all: readonly Registration[];
  findById(id: string): Registration | undefined;
  /** Takes the same time whatever the token has in common with a right one. */
  findByToken(asToken: string): Registration | undefined;
  /** Whose namespace of users, or sender, this is. Remembered, so it may be asked in loops. */
  listOfUser(userId: UserId): readonly Registration[];
  /** Remembered too. */
  listOfAlias(alias: RoomAlias): readonly Registration[];
  /** Remembered too. */
  listOfRoom(roomId: RoomId): readonly Registration[];
  /** Whether the user is exclusively of a service other than this one; `but` is undefined for everybody who is no service. */
  isUserExclusive(userId: UserId, but?: Registration): boolean;
  isAliasExclusive(alias: RoomAlias, but?: Registration): boolean;
}

/** Of each kind of id; an id that was asked for longest ago is matched again. */
const rememberedMax = 20_000;

const none: readonly Registration[] = [];

/** `all` have ids and tokens of their own: see `findDuplicate`. */
export function createAppServices(all: readonly Registration[]): AppServices {
  const tokens = all.map((service) => ({ service, digest: digestOf(service.asToken) }));
  const remembered = <Id extends string>(isOf: (service: Registration, id: Id) => boolean) => {
    const known = new LRUCache<Id, readonly Registration[]>({ max: rememberedMax });
    return (id: Id): readonly Registration[] => {
      if (all.length === 0) return none;
      const before = known.get(id);
      if (before) return before;
      const found = all.filter((service) => isOf(service, id));
      const kept = found.length === 0 ? none : found;
      known.set(id, kept);
      return kept;
    };
  };
  return {
    all,
    findById: (id) => all.find((service) => service.id === id),
    findByToken(asToken) {
      if (tokens.length === 0) return undefined;
      const digest = digestOf(asToken);
      return tokens.filter((known) => timingSafeEqual(known.digest, digest))[0]?.service;
    },
    listOfUser: remembered(isUserOf),
    listOfAlias: remembered(isAliasOf),
    listOfRoom: remembered(isRoomOf),
    isUserExclusive: (userId, but) => all.some((service) => service !== but && ownsUser(service, userId)),
    isAliasExclusive: (alias, but) => all.some((service) => service !== but && ownsAlias(service, alias)),
  };
}

/** The services of a server that has none. */
export const noAppServices: AppServices = createAppServices([]);

/** "each `as_token` and `id` MUST be unique per application service": the first that says what an earlier one said, and which of both. */
export function findDuplicate(
  services: readonly Registration[],
): { index: number; earlier: number; field: 'id' | 'as_token' } | undefined {
  for (const [index, service] of services.entries()) {
    const before = services.slice(0, index);
    const byId = before.findIndex(({ id }) => id === service.id);
    if (byId !== -1) return { index, earlier: byId, field: 'id' };
    const byToken = before.findIndex(({ asToken }) => asToken === service.asToken);
    if (byToken !== -1) return { index, earlier: byToken, field: 'as_token' };
  }
  return undefined;
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
