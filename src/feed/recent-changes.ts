import type { RoomId, UserId } from '../matrix/ids.ts';
import type { Change } from '../storage/contract/changes.ts';
import type { Position } from '../storage/contract/numbers.ts';

/** Commits that are remembered. A reader further behind asks the storage. */
const commitsMax = 4_096;

/** What changed behind a position: everything that did is named, and maybe something that changed just before. */
export interface RecentNews {
  /** Rooms with a new event in the timeline. */
  readonly eventRooms: ReadonlySet<RoomId>;
  /** Rooms whose current state changed. */
  readonly stateRooms: ReadonlySet<RoomId>;
  readonly receiptRooms: ReadonlySet<RoomId>;
  /** Rooms that somebody came to. */
  readonly joinRooms: ReadonlySet<RoomId>;
  /** Rooms that somebody joined to went from. */
  readonly departureRooms: ReadonlySet<RoomId>;
  /** Users whose membership of some room changed. */
  readonly membershipUsers: ReadonlySet<UserId>;
  readonly accountDataUsers: ReadonlySet<UserId>;
  /** Users whose keys, or whose devices' keys, changed. */
  readonly deviceListUsers: ReadonlySet<UserId>;
  /** Users of whose devices one got messages. */
  readonly toDeviceUsers: ReadonlySet<UserId>;
}

class News implements RecentNews {
  readonly eventRooms = new Set<RoomId>();
  readonly stateRooms = new Set<RoomId>();
  readonly receiptRooms = new Set<RoomId>();
  readonly joinRooms = new Set<RoomId>();
  readonly departureRooms = new Set<RoomId>();
  readonly membershipUsers = new Set<UserId>();
  readonly accountDataUsers = new Set<UserId>();
  readonly deviceListUsers = new Set<UserId>();
  readonly toDeviceUsers = new Set<UserId>();

  add(change: Change): void {
    switch (change.kind) {
      case 'event':
        this.eventRooms.add(change.roomId);
        break;
      case 'current_state':
        this.stateRooms.add(change.roomId);
        break;
      case 'receipt':
        this.receiptRooms.add(change.roomId);
        break;
      case 'membership':
        this.membershipUsers.add(change.userId);
        if (change.after === 'join') this.joinRooms.add(change.roomId);
        else if (change.before === 'join') this.departureRooms.add(change.roomId);
        break;
      case 'account_data':
        this.accountDataUsers.add(change.userId);
        break;
      case 'device_list':
        if (change.here) this.deviceListUsers.add(change.userId);
        break;
      case 'to_device':
        for (const { userId } of change.devices) this.toDeviceUsers.add(userId);
        break;
    }
  }
}

interface Commit {
  /** Nothing of this commit has a higher position, and nothing of a later one a lower. */
  readonly upTo: Position;
  readonly changes: readonly Change[];
}

/**
 * The last commits in memory, so that a `/sync` which is nearly up to date need not ask the storage what happened since. Cohorts of readers
 * ask with the same position, and the answer is made once for them.
 */
export class RecentChanges {
  readonly #position: () => Position;
  readonly #commits: Commit[] = [];
  readonly #known = new Map<Position, RecentNews>();
  /** All that happened behind it is here. */
  #floor: Position;

  /** `position` is the storage's: while it tells of a commit, that commit is behind it. */
  constructor(position: () => Position) {
    this.#position = position;
    this.#floor = position();
  }

  /** A listener for the feed. */
  apply(changes: readonly Change[]): void {
    this.#known.clear();
    this.#commits.push({ upTo: this.#position(), changes });
    if (this.#commits.length <= commitsMax) return;
    // Half at once: moving the rest costs something.
    const dropped = this.#commits.splice(0, commitsMax / 2);
    this.#floor = dropped.at(-1)?.upTo ?? this.#floor;
  }

  /** Undefined where `after` is too long ago. */
  since(after: Position): RecentNews | undefined {
    if (after < this.#floor) return undefined;
    const known = this.#known.get(after);
    if (known) return known;
    const news = new News();
    for (let index = this.#commits.length - 1; index >= 0; index -= 1) {
      const commit = this.#commits[index];
      if (commit === undefined || commit.upTo <= after) break;
      for (const change of commit.changes) news.add(change);
    }
    this.#known.set(after, news);
    return news;
  }
}
