import type { UserId } from '../../src/matrix/ids.ts';
import type { ServerName } from '../../src/matrix/server-name.ts';
import { here, type room, user, type World } from './presence-world.ts';

/** A server with many users that is not simulated itself. */
export const big = 'big.test' as ServerName;

/** Its users; `length` is how long their names are at least. */
export function many(count: number, length = 10): UserId[] {
  return Array.from({ length: count }, (_, index) => user(`${'u'.repeat(length)}${index}:${big}`));
}

/** Brings users of a server that is not simulated into a room. */
export async function joinMany(world: World, roomId: ReturnType<typeof room>, users: readonly UserId[]): Promise<void> {
  await world.host(here).commit(
    users.map((userId) => ({
      kind: 'membership' as const,
      roomId,
      userId,
      membership: 'join' as const,
      eventId: `$${userId}` as never,
      sender: userId,
      displayname: null,
      avatarUrl: null,
    })),
  );
}

/** Hears every transaction to a server that is not simulated. */
export function acceptAll(world: World): void {
  const deliver = world.deliver.bind(world);
  world.deliver = async (parcel) => {
    const arrived = await deliver(parcel);
    return arrived || !world.hosts.has(parcel.to);
  };
}
