import type { RoomId, UserId } from '../../src/matrix/ids.ts';
import type { AccountDataRow } from '../../src/storage/contract/account-data.ts';
import type { Change } from '../../src/storage/contract/changes.ts';
import type { Batch, CommitListener, CommitResult, Row } from '../../src/storage/contract/commit.ts';
import type { Narrowing, PresenceCopyRow, PresenceRow } from '../../src/storage/contract/presence.ts';
import type { Membership } from '../../src/storage/contract/rooms.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';

/**
 * As much of a storage as presence and the roster ask for, in plain maps: for properties that need thousands of servers. What it
 * does is what `test/contract` says of these rows; everything else of the contract is not there.
 */
export class PresenceStorage {
  readonly #memberships = new Map<RoomId, Map<UserId, Membership>>();
  readonly #accountData = new Map<string, AccountDataRow>();
  readonly #presence = new Map<UserId, PresenceRow>();
  readonly #copies = new Map<UserId, readonly PresenceCopyRow[]>();
  readonly #narrowings = new Map<string, Narrowing>();
  readonly #losses = new Map<string, { viewer: UserId; subject: UserId; atMs: number }>();
  readonly #facts = new Map<string, string>();
  readonly #aware = new Map<string, number>();
  #generation = 0;
  #position = 0;
  #listener: CommitListener = () => {};

  /** The rest of the contract is never asked for here. */
  static open(): Promise<Storage> {
    return Promise.resolve(new PresenceStorage() as unknown as Storage);
  }

  onCommit(listener: CommitListener): void {
    this.#listener = listener;
  }

  async commit({ rows }: Batch): Promise<CommitResult> {
    await Promise.resolve();
    const changes = rows.flatMap((row) => this.#write(row) ?? []);
    this.#listener(changes);
    return { outcome: 'committed', position: this.#position as never, positions: [] };
  }

  readonly state = { findCurrent: async () => undefined };

  readonly rooms = {
    listJoined: async (after: RoomId | null) =>
      after === null
        ? [...this.#memberships].map(([roomId, users]) => ({
            roomId,
            userIds: [...users].flatMap(([userId, membership]) => (membership === 'join' ? [userId] : [])),
          }))
        : [],
  };

  readonly accountData = {
    listOfType: async (type: string, after: UserId | null) =>
      after === null ? [...this.#accountData.values()].filter((row) => row.type === type) : [],
    find: async (userId: UserId, roomId: RoomId | null, type: string) =>
      this.#accountData.get(keyOf(userId, roomId, type)),
  };

  readonly presence = {
    find: async (userId: UserId) => this.#presence.get(userId),
    listAll: async (after: UserId | null) => (after === null ? [...this.#presence.values()] : []),
    listCopies: async (after: unknown) => (after === null ? [...this.#copies.values()].flat() : []),
    listNarrowings: async () => [...this.#narrowings.values()].sort((a, b) => a.generation - b.generation),
    findNarrowing: async (destination: string, subject: UserId) => this.#narrowings.get(keyOf(destination, subject)),
    listLosses: async (viewer: UserId, sinceMs: number) =>
      [...this.#losses.values()].filter((loss) => loss.viewer === viewer && loss.atMs >= sinceMs),
    listFacts: async () => [...this.#facts].map(([name, value]) => ({ name, value })),
    listAwareServers: async () => [...this.#aware].map(([server, seenAtMs]) => ({ server, seenAtMs })),
  };

  #write(row: Row): Change | undefined {
    this.#position += 1;
    const position = this.#position as never;
    if (row.kind === 'membership') {
      const { roomId, userId, membership, eventId } = row;
      const users = this.#memberships.get(roomId) ?? new Map<UserId, Membership>();
      this.#memberships.set(roomId, users);
      const before = users.get(userId) ?? null;
      users.set(userId, membership);
      return { kind: 'membership', position, roomId, userId, before, after: membership, eventId };
    }
    if (row.kind === 'account_data') {
      const { userId, roomId, type, content } = row;
      const key = keyOf(userId, roomId, type);
      const before = this.#accountData.get(key)?.content ?? null;
      this.#accountData.set(key, { userId, roomId, type, content });
      return { kind: 'account_data', position, userId, roomId, type, before, content };
    }
    return this.#writePresence(row);
  }

  #writePresence(row: Row): Change | undefined {
    if (row.kind === 'presence') this.#presence.set(row.userId, row);
    else if (row.kind === 'presence_copies') this.#copies.set(row.subject, row.copies);
    else if (row.kind === 'presence_loss') this.#losses.set(keyOf(row.viewer, row.subject), row);
    else if (row.kind === 'presence_fact' && row.value !== null) this.#facts.set(row.name, row.value);
    else if (row.kind === 'presence_fact') this.#facts.delete(row.name);
    else if (row.kind === 'presence_aware_server' && row.seenAtMs !== null) this.#aware.set(row.server, row.seenAtMs);
    else if (row.kind === 'presence_aware_server') this.#aware.delete(row.server);
    else if (row.kind === 'narrowing_cleared') {
      const key = keyOf(row.destination, row.subject);
      if ((this.#narrowings.get(key)?.generation ?? 0) <= row.generation) this.#narrowings.delete(key);
    } else if (row.kind === 'narrowing') {
      const { destination, subject } = row;
      const key = keyOf(destination, subject);
      this.#generation += 1;
      const lastActiveAtMs = Math.min(
        row.lastActiveAtMs,
        this.#narrowings.get(key)?.lastActiveAtMs ?? row.lastActiveAtMs,
      );
      const narrowing = { destination, subject, generation: this.#generation, lastActiveAtMs };
      this.#narrowings.set(key, narrowing);
      return { kind: 'narrowing', ...narrowing };
    } else if (row.kind !== 'room' && row.kind !== 'presence_losses_pruned') {
      throw new Error(`not kept here: ${row.kind}`);
    }
    return undefined;
  }
}

function keyOf(...parts: readonly (string | null)[]): string {
  return JSON.stringify(parts);
}
