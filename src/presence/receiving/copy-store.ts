import { assert } from '../../base/assert.ts';
import { breathe } from '../../base/breathe.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import type { Background } from '../../base/tasks/background.ts';
import { Sweeper } from '../../base/tasks/sweeper.ts';
import type { UserId } from '../../matrix/ids.ts';
import type { PresenceCopyRow } from '../../storage/contract/presence.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import { applyUpdate, type Copy, findVisible, isExpired, type Viewpoint, withoutViewers } from '../core/copies.ts';
import type { Span } from '../core/past.ts';
import { isBlank } from '../core/shown.ts';
import type { RemoteSubjects } from '../core/subjects.ts';
import type { PolicyFacts } from '../policy.ts';
import type { PresenceSettings } from '../settings.ts';
import { copyOfRow, rowsOfCopies } from './copy-rows.ts';
import { governedIn, newRecord, replaceCopies, type SubjectRecord } from './record.ts';

/** Subjects whom nobody here may be given (yet: their presence may be faster than their join). The oldest go first. */
const strangersMax = 5_000;
const pageSize = 1_000;
const subjectsPerCommit = 200;
/** Renewals are written at most this often. */
const writeEveryMs = 60_000;

export interface CopyStoreDeps {
  storage: Pick<Storage, 'commit'> & { presence: Pick<Storage['presence'], 'listCopies'> };
  facts: PolicyFacts;
  clock: Clock;
  background: Background;
  settings: Pick<PresenceSettings, 'copyExpiresMs'>;
  /** Whether others' presence is taken in at all. If not, what was held is let go: nothing would take it back. */
  isOpen: boolean;
  /** Whether anybody here may come to be given anything of the subject. Of all others little is kept, and nothing stored. */
  isNear(subject: UserId): boolean;
  /** A copy expired; `before` is what there was. */
  onExpired(subject: UserId, before: readonly Copy[]): void;
}

/** What we hold of subjects of other servers: with whom it was addressed to, and until when. */
export class CopyStore implements RemoteSubjects {
  readonly #deps: CopyStoreDeps;
  readonly #subjects = new Map<UserId, SubjectRecord>();
  readonly #strangers = new Set<UserId>();
  readonly #expiry: Sweeper<UserId>;
  readonly #unwritten = new Set<UserId>();
  /** To be written at once. */
  readonly #urgent = new Set<UserId>();
  #writeTimer: Timer | undefined;
  #stopped = false;

  constructor(deps: CopyStoreDeps) {
    this.#deps = deps;
    this.#expiry = new Sweeper({ clock: deps.clock, onDue: (subject) => this.#expire(subject) });
  }

  async load(): Promise<void> {
    let after: { subject: UserId; sequence: number } | null = null;
    for (;;) {
      const page: PresenceCopyRow[] = await this.#deps.storage.presence.listCopies(after, pageSize);
      for (const row of page) this.#restore(row);
      await breathe();
      const last = page.at(-1);
      if (!last || page.length < pageSize) break;
      after = { subject: last.subject, sequence: last.sequence };
    }
    for (const [subject, record] of this.#subjects) {
      if (this.#deps.isOpen || record.copies.length === 0) this.#expire(subject);
      else this.remove(subject);
    }
  }

  /** Whether anything was ever told of this subject, also if nothing of it is left. */
  has(subject: UserId): boolean {
    return this.#subjects.has(subject);
  }

  isNewSince(subject: UserId, at: number): boolean {
    return (this.#subjects.get(subject)?.heardAt ?? Number.NEGATIVE_INFINITY) >= at;
  }

  subjects(): IterableIterator<UserId> {
    return this.#subjects.keys();
  }

  get size(): number {
    return this.#subjects.size;
  }

  isNear(subject: UserId): boolean {
    return this.#deps.isNear(subject);
  }

  copiesOf(subject: UserId): readonly Copy[] {
    return this.#subjects.get(subject)?.copies ?? [];
  }

  /** Whether what was held at some time between those two told this viewer anything; undefined when that is forgotten. */
  governedIn(subject: UserId, viewer: Viewpoint, span: Span): boolean | undefined {
    const record = this.#subjects.get(subject);
    if (!record) return false;
    return governedIn(record, viewer, span);
  }

  /** What this viewer may see of the subject now. */
  findVisible(subject: UserId, viewer: UserId): Copy | undefined {
    const { facts, clock } = this.#deps;
    return findVisible(this.copiesOf(subject), { subject, viewer }, { facts, now: clock.monotonic() });
  }

  /** False: equal to what was held, only its time is new. */
  apply(subject: UserId, update: Omit<Copy, 'changedAt'>): boolean {
    const record = this.#getRecord(subject, update.receivedAt);
    const { copies, renewed } = applyUpdate(record.copies, update);
    if (renewed) {
      record.copies = copies;
      this.#setExpiry(subject, copies);
      this.#markUnwritten(subject);
    } else {
      this.#replace(subject, record, copies);
    }
    return !renewed;
  }

  /** These viewers share no room with the subject any more. */
  dropViewers(subject: UserId, viewers: readonly UserId[]): void {
    const record = this.#subjects.get(subject);
    if (!record) return;
    const copies = withoutViewers(record.copies, viewers, this.#deps.clock.monotonic());
    if (copies === record.copies) return;
    this.#replace(subject, record, copies);
    this.#writeSoon(subject);
  }

  /** The subject shares no room with anybody here any more. */
  remove(subject: UserId): void {
    const record = this.#subjects.get(subject);
    if (!record) return;
    this.#replace(subject, record, []);
    this.#writeSoon(subject);
    this.#addStranger(subject);
  }

  /** Nobody here names the subject any more: what was told is not stored, but is there should somebody name them again. */
  letGo(subject: UserId): void {
    if (!this.#subjects.has(subject)) return;
    this.#markUnwritten(subject);
    this.#addStranger(subject);
  }

  /** The subject has joined a room here: what was told of them before is worth keeping. */
  keep(subject: UserId): void {
    if (this.#strangers.delete(subject)) this.#writeSoon(subject);
  }

  /** Whether a crash now would bring back what is not held any more, or lose what is. */
  isUnwritten(subject: UserId): boolean {
    return this.#unwritten.has(subject);
  }

  /** Resolves when these are stored as they are now. */
  async write(subjects: readonly UserId[]): Promise<void> {
    for (let start = 0; start < subjects.length; start += subjectsPerCommit) {
      const some = subjects.slice(start, start + subjectsPerCommit);
      for (const subject of some) this.#unwritten.delete(subject);
      const rows = some.map((subject) => ({
        kind: 'presence_copies' as const,
        subject,
        copies: this.#isKept(subject) ? rowsOfCopies(subject, this.copiesOf(subject), this.#deps.clock) : [],
      }));
      try {
        const result = await this.#deps.storage.commit({ rows });
        assert(result.outcome === 'committed', 'presence expects nothing');
      } catch (error) {
        for (const subject of some) this.#markUnwritten(subject);
        throw error;
      }
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#expiry.stop();
    this.#writeTimer?.clear();
    await this.write([...this.#unwritten]);
  }

  #getRecord(subject: UserId, heardAt: number): SubjectRecord {
    let record = this.#subjects.get(subject);
    if (!record) {
      record = newRecord(heardAt);
      this.#subjects.set(subject, record);
    }
    if (this.#deps.isNear(subject)) this.#strangers.delete(subject);
    else this.#addStranger(subject);
    return record;
  }

  #addStranger(subject: UserId): void {
    this.#strangers.add(subject);
    if (this.#strangers.size <= strangersMax) return;
    for (const oldest of this.#strangers) {
      this.#strangers.delete(oldest);
      // Who has come near since is no stranger any more.
      if (this.#deps.isNear(oldest)) continue;
      this.#subjects.delete(oldest);
      this.#expiry.set(oldest, undefined);
      return;
    }
  }

  #replace(subject: UserId, record: SubjectRecord, copies: readonly Copy[]): void {
    replaceCopies(record, copies, this.#deps.clock.monotonic());
    this.#setExpiry(subject, copies);
  }

  #setExpiry(subject: UserId, copies: readonly Copy[]): void {
    let first = Number.POSITIVE_INFINITY;
    for (const { expiresAt } of copies) if (expiresAt !== null) first = Math.min(first, expiresAt);
    this.#expiry.set(subject, first === Number.POSITIVE_INFINITY ? undefined : first);
  }

  #expire(subject: UserId): void {
    const record = this.#subjects.get(subject);
    if (!record || this.#stopped) return;
    const before = record.copies;
    const now = this.#deps.clock.monotonic();
    const lasting = before.filter((copy) => !isExpired(copy, now));
    const copies = lasting.every(({ shown }) => isBlank(shown)) ? [] : lasting;
    if (copies.length === before.length) {
      this.#setExpiry(subject, copies);
      return;
    }
    this.#replace(subject, record, copies);
    this.#markUnwritten(subject);
    this.#deps.onExpired(subject, before);
  }

  /**
   * Together where it is a whole room. A crash before the next minute would lose whoever came near until they are renewed, and bring back for whoever comes
   * near again what was dropped.
   */
  #writeSoon(subject: UserId): void {
    this.#unwritten.add(subject);
    this.#urgent.add(subject);
    if (this.#urgent.size > 1 || this.#stopped) return;
    this.#deps.background.run('write copies of presence', async () => {
      await breathe();
      const urgent = [...this.#urgent];
      this.#urgent.clear();
      await this.write(urgent);
    });
  }

  #markUnwritten(subject: UserId): void {
    this.#unwritten.add(subject);
    if (this.#writeTimer || this.#stopped) return;
    this.#writeTimer = this.#deps.clock.setTimer(writeEveryMs, () => {
      this.#writeTimer = undefined;
      this.#deps.background.run('write copies of presence', () => this.write([...this.#unwritten]));
    });
  }

  /** Strangers are not stored, nor whose trace is too old. */
  #isKept(subject: UserId): boolean {
    return this.#subjects.has(subject) && this.#deps.isNear(subject);
  }

  #restore(row: PresenceCopyRow): void {
    const stored = copyOfRow(row, this.#deps.clock, this.#deps.settings.copyExpiresMs);
    if (stored === 'forgotten') {
      this.#markUnwritten(row.subject);
      return;
    }
    const record = this.#getRecord(row.subject, Number.NEGATIVE_INFINITY);
    if (stored !== 'trace') record.copies = [...record.copies, stored];
  }
}
