import { LRUCache } from 'lru-cache';
import type { DeviceId, EventId, RoomId, UserId } from '../matrix/ids.ts';

/** Devices and member events that are remembered, those longest unasked forgotten first: these are told again, which is allowed. */
const devicesMax = 2000;
const membersMax = 100_000;

interface DeviceMemory {
  /** Names this memory within the one cache of all; a client that starts again gets a new one. */
  readonly generation: number;
  /** The token that the client held when it last came: it holds what was told up to there. */
  confirmed: string | null;
  /** Told in an answer that the client has not come back with yet: that answer may be lost on its way. */
  pending: { readonly token: string; readonly members: readonly ToldMember[] } | null;
}

export interface ToldMember {
  readonly roomId: RoomId;
  readonly userId: UserId;
  readonly eventId: EventId;
}

/** What one device was told, for the length of one request. */
export interface LazyMembers {
  isKnown(roomId: RoomId, userId: UserId, eventId: EventId): boolean;
  /** Every answer is noted with its `next_batch`, one without members too. They count once the client comes back with it. */
  tell(token: string, members: readonly ToldMember[]): void;
}

/**
 * Which member events each lazily loading device holds, so that redundant ones are left out (client-server API,
 * "Lazy-loading room members"). In memory, bounded, and never surer than the client: a `since` other than that of the last
 * answers (a client that resumes from its own store, another process before us) starts anew.
 */
export class LazyMemberMemory {
  readonly #devices = new LRUCache<string, DeviceMemory>({ max: devicesMax });
  readonly #told = new LRUCache<string, EventId>({ max: membersMax });
  #generations = 0;

  /** `since`: the token of the request, null in an initial sync. */
  open(userId: UserId, deviceId: DeviceId, since: string | null): LazyMembers {
    const memory = this.#memoryOf(`${userId} ${deviceId}`, since);
    return {
      isKnown: (roomId, member, eventId) => this.#told.get(keyOf(memory, roomId, member)) === eventId,
      tell: (token, members) => {
        memory.pending = { token, members };
      },
    };
  }

  #memoryOf(device: string, since: string | null): DeviceMemory {
    const memory = this.#devices.get(device);
    if (memory && since !== null) {
      if (memory.pending?.token === since) {
        for (const member of memory.pending.members) {
          this.#told.set(keyOf(memory, member.roomId, member.userId), member.eventId);
        }
        memory.pending = null;
        memory.confirmed = since;
      }
      if (memory.confirmed === since) return memory;
    }
    this.#generations += 1;
    const fresh: DeviceMemory = { generation: this.#generations, confirmed: since, pending: null };
    this.#devices.set(device, fresh);
    return fresh;
  }
}

function keyOf(memory: DeviceMemory, roomId: RoomId, userId: UserId): string {
  return `${memory.generation} ${roomId} ${userId}`;
}
