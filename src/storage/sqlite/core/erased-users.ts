import type { UserId } from '../../../matrix/ids.ts';
import type { Position } from '../../contract/numbers.ts';
import type { Connection } from './database.ts';

/** Who was erased, and when: few, asked about for every event that anybody reads, and so kept in memory. */
export class ErasedUsers {
  readonly #read;
  #positions: Map<UserId, Position> | undefined;

  constructor(connection: Connection) {
    this.#read = connection.prepare<[], { userId: UserId; position: Position }>(
      'SELECT user_id AS userId, erased_at_position AS position FROM accounts WHERE erased_at_position IS NOT NULL',
    );
  }

  find(userId: UserId): Position | undefined {
    return this.#load().get(userId);
  }

  add(userId: UserId, position: Position): void {
    this.#load().set(userId, position);
  }

  /** What was added was undone, or is about to be. */
  forget(): void {
    this.#positions = undefined;
  }

  #load(): Map<UserId, Position> {
    this.#positions ??= new Map(this.#read.all().map(({ userId, position }) => [userId, position]));
    return this.#positions;
  }
}
