import type { RoomId, UserId } from '../../matrix/ids.ts';
import type { PolicyFacts, RoomChoice } from '../policy.ts';
import type { SharingRules } from '../sharing-rules.ts';

/** What the policy's facts are made of, as of one moment. */
export interface Ground {
  roomsOf(user: UserId): ReadonlySet<RoomId>;
  /** Not excluded, not oversized. */
  counts(roomId: RoomId): boolean;
  rulesOf(subject: UserId): SharingRules;
}

/** What was, or will be, different at another moment. */
export interface Difference {
  readonly rules: Map<UserId, SharingRules>;
  /** User → room → whether they are joined. */
  readonly joined: Map<UserId, Map<RoomId, boolean>>;
  /** Room → whether it counts. */
  readonly counts: Map<RoomId, boolean>;
}

export function newDifference(): Difference {
  return { rules: new Map(), joined: new Map(), counts: new Map() };
}

export function setJoined(difference: Difference, user: UserId, change: { roomId: RoomId; joined: boolean }): void {
  let rooms = difference.joined.get(user);
  if (!rooms) {
    rooms = new Map();
    difference.joined.set(user, rooms);
  }
  rooms.set(change.roomId, change.joined);
}

/** The ground with the difference laid over it. */
export function withDifference(ground: Ground, difference: Difference): Ground {
  const changed = new Map<UserId, ReadonlySet<RoomId>>();
  return {
    rulesOf: (subject) => difference.rules.get(subject) ?? ground.rulesOf(subject),
    counts: (roomId) => difference.counts.get(roomId) ?? ground.counts(roomId),
    roomsOf(user) {
      const changes = difference.joined.get(user);
      if (!changes) return ground.roomsOf(user);
      const known = changed.get(user);
      if (known) return known;
      const rooms = new Set(ground.roomsOf(user));
      for (const [roomId, joined] of changes) {
        if (joined) rooms.add(roomId);
        else rooms.delete(roomId);
      }
      changed.set(user, rooms);
      return rooms;
    },
  };
}

export function createFacts(ground: Ground): PolicyFacts {
  return {
    rulesOf: (subject) => ground.rulesOf(subject),
    shareRoom(a, b) {
      const [few, many] = bySize(ground.roomsOf(a), ground.roomsOf(b));
      for (const roomId of few) if (many.has(roomId)) return true;
      return false;
    },
    shareCountingRoom(a, b, which) {
      const [few, many] = bySize(ground.roomsOf(a), ground.roomsOf(b));
      for (const roomId of few) if (many.has(roomId) && isWanted(roomId, which) && ground.counts(roomId)) return true;
      return false;
    },
    everyRoomIs(user, accepts) {
      for (const roomId of ground.roomsOf(user)) if (!accepts(roomId, ground.counts(roomId))) return false;
      return true;
    },
  };
}

function isWanted(roomId: RoomId, which: RoomChoice | undefined): boolean {
  if (which === undefined) return true;
  if (which.among && !which.among.has(roomId)) return false;
  return !which.except?.has(roomId);
}

function bySize(a: ReadonlySet<RoomId>, b: ReadonlySet<RoomId>): [ReadonlySet<RoomId>, ReadonlySet<RoomId>] {
  return a.size <= b.size ? [a, b] : [b, a];
}
