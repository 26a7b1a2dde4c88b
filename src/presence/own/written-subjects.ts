import { assert } from '../../base/assert.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import type { Background } from '../../base/tasks/background.ts';
import type { UserId } from '../../matrix/ids.ts';
import type { Row } from '../../storage/contract/commit.ts';
import type { PresenceRow } from '../../storage/contract/presence.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import { rowOfSubject, type Subject } from './subject.ts';

/** A user's timers and activity are written at most this often. */
const writeEveryMs = 60_000;
/** The first change of a while is written sooner: who was told of it must be told of its end, also after a crash. */
const writeSoonMs = 1_000;
const rowsPerCommit = 500;

export interface WrittenSubjectsDeps {
  storage: Pick<Storage, 'commit'>;
  clock: Clock;
  background: Background;
  find(userId: UserId): Subject | undefined;
}

/** Our users as storage has them: who differs from that is written in batches, and seldom. */
export class WrittenSubjects {
  readonly #deps: WrittenSubjectsDeps;
  readonly #unwritten = new Set<UserId>();
  #timer: Timer | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #stopped = false;

  constructor(deps: WrittenSubjectsDeps) {
    this.#deps = deps;
  }

  /** The user is written when it is time. */
  mark(userId: UserId): void {
    this.#unwritten.add(userId);
    this.#arm(this.#dueAt(userId));
  }

  /** The user need not be written any more. */
  unmark(userId: UserId): void {
    this.#unwritten.delete(userId);
  }

  /** Resolves when these users are stored as they are now, together with the rows. */
  async write(userIds: readonly UserId[], besides: readonly Row[] = []): Promise<void> {
    for (let start = 0; start < userIds.length; start += rowsPerCommit) {
      const some = userIds.slice(start, start + rowsPerCommit);
      for (const userId of some) this.#unwritten.delete(userId);
      const rows = [...some.flatMap((userId) => this.#rowOf(userId) ?? []), ...besides];
      if (rows.length === 0) continue;
      try {
        const result = await this.#deps.storage.commit({ rows });
        assert(result.outcome === 'committed', 'presence expects nothing');
      } catch (error) {
        for (const userId of some) this.mark(userId);
        throw error;
      }
    }
  }

  /** Writes what is due, waits for it, and lets no timer fire any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.clear();
    await this.write([...this.#unwritten]);
  }

  #dueAt(userId: UserId): number {
    const writtenAt = this.#deps.find(userId)?.writtenAt ?? Number.NEGATIVE_INFINITY;
    return Math.max(this.#deps.clock.monotonic() + writeSoonMs, writtenAt + writeEveryMs);
  }

  #arm(at: number): void {
    if (this.#stopped || at >= this.#timerAt) return;
    this.#timer?.clear();
    this.#timerAt = at;
    this.#timer = this.#deps.clock.setTimer(at - this.#deps.clock.monotonic(), () => this.#writeDue());
  }

  #writeDue(): void {
    this.#timerAt = Number.POSITIVE_INFINITY;
    const now = this.#deps.clock.monotonic();
    const due: UserId[] = [];
    for (const userId of this.#unwritten) {
      const writtenAt = this.#deps.find(userId)?.writtenAt ?? Number.NEGATIVE_INFINITY;
      if (writtenAt + writeEveryMs <= now) due.push(userId);
      else this.#arm(writtenAt + writeEveryMs);
    }
    this.#deps.background.run('write presence', () => this.write(due));
  }

  #rowOf(userId: UserId): ({ kind: 'presence' } & PresenceRow) | undefined {
    const subject = this.#deps.find(userId);
    if (!subject) return undefined;
    const { clock } = this.#deps;
    subject.writtenAt = clock.monotonic();
    return { kind: 'presence', ...rowOfSubject(userId, subject, clock) };
  }
}
