import type { UserId } from '../../matrix/ids.ts';
import type { Moment } from '../core/audience.ts';
import type { Hour } from '../core/hour.ts';
import { listNamed, type RulesOfUsers } from '../core/rules.ts';
import type { LocalSubjects, RemoteSubjects } from '../core/subjects.ts';
import { listensTo, type PolicyFacts, reaches } from '../policy.ts';
import { type Choice, committedWithinMs } from './pending.ts';
import type { RowSet } from './row-set.ts';

/** Clients resume from tokens this old; who was lost before that is not told any more. */
export const lossesKeptMs = 30 * 86_400_000;

export interface LossRowsDeps {
  tracker: Pick<LocalSubjects, 'find' | 'mayBeHeld'>;
  remote: Pick<RemoteSubjects, 'has' | 'isNewSince'>;
  rules: Pick<RulesOfUsers, 'namedBy'>;
  hour: Pick<Hour, 'now'>;
  now(): number;
  isLocal(userId: UserId): boolean;
}

interface Pair {
  readonly viewer: UserId;
  readonly subject: UserId;
}

/** How it was before a change, and is now. */
export interface Compared {
  readonly befores: readonly Moment[];
  readonly now: Moment;
}

/** Whom one of our viewers loses with all that would remind of them: "losses that leave no shared room are rows". */
export class LossRows {
  readonly #deps: LossRowsDeps;

  constructor(deps: LossRowsDeps) {
    this.#deps = deps;
  }

  /** Notes that the viewer loses the subject, unless a shared room remains or they are given them without. */
  add(rows: RowSet, { viewer, subject }: Pair, { afters }: Choice): void {
    if (viewer === subject || !this.#deps.isLocal(viewer)) return;
    const isLost = afters.some(
      ({ facts }) => !facts.shareRoom(viewer, subject) && !this.#isGiven(subject, viewer, facts),
    );
    if (!isLost || !this.#isRemembered(subject)) return;
    rows.add({ kind: 'presence_loss', viewer, subject, atMs: this.#deps.hour.now() });
  }

  /** With a stranger who is not let in any more, or not wanted, nothing remains that would remind of them. */
  addStrangers(rows: RowSet, userId: UserId, choice: Choice): void {
    const { before } = choice;
    const pairs: Pair[] = [
      ...[...this.#deps.rules.namedBy(userId)].map((viewer) => ({ viewer, subject: userId })),
      ...[...listNamed(before.facts.rulesOf(userId))].map((subject) => ({ viewer: userId, subject })),
    ];
    for (const pair of pairs) if (this.#isGiven(pair.subject, pair.viewer, before.facts)) this.add(rows, pair, choice);
  }

  /** As `add`, when the change is there: the subject may have come to be shown only after it was decided on. */
  addMissed(rows: RowSet, { viewer, subject }: Pair, { befores, now }: Compared): void {
    if (viewer === subject || !this.#deps.isLocal(viewer) || !this.#isNew(subject)) return;
    const reminds = ({ facts }: Moment) => facts.shareRoom(viewer, subject) || this.#isGiven(subject, viewer, facts);
    if (reminds(now) || !befores.some(reminds)) return;
    rows.add({ kind: 'presence_loss', viewer, subject, atMs: this.#deps.hour.now() });
  }

  /** Whether the viewer, one of ours, may be told of the subject. */
  #isGiven(subject: UserId, viewer: UserId, facts: PolicyFacts): boolean {
    return this.#deps.isLocal(subject) ? reaches(subject, viewer, facts) : listensTo(viewer, subject, facts);
  }

  /** Whether a client that was away may still show something of the subject. */
  #isRemembered(subject: UserId): boolean {
    const { tracker, remote, isLocal } = this.#deps;
    if (!isLocal(subject)) return remote.has(subject);
    const presence = tracker.find(subject);
    return presence !== undefined && tracker.mayBeHeld(presence, lossesKeptMs);
  }

  /** Whether what a client may show of the subject came when a change that is there now may have been decided on already. */
  #isNew(subject: UserId): boolean {
    const { tracker, remote, isLocal, now } = this.#deps;
    const since = now() - committedWithinMs;
    if (!isLocal(subject)) return remote.isNewSince(subject, since);
    return (tracker.find(subject)?.changedAt ?? Number.NEGATIVE_INFINITY) >= since;
  }
}
