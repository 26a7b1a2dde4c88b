import type { UserId } from '../../matrix/ids.ts';
import type { Narrowing } from '../../storage/contract/presence.ts';
import type { Marking } from '../core/marking.ts';
import type { Shown } from '../core/shown.ts';

/** That a destination is to be told of a subject. What it is told is decided when the transaction is built. */
export interface Mark {
  /** Grows with each marking: a mark that was set again meanwhile outlives the 200. */
  readonly version: number;
  readonly resend: boolean;
  readonly lasting: boolean;
}

/** What a destination holds of a subject, as of its last 200. */
export interface Held {
  /** Every user there, now and to come; else those who were named. */
  readonly whole: boolean;
  /** Null: not known; an earlier process sent it, or nobody said whether it arrived. */
  readonly shown: Shown | null;
  /** Monotonic: when it is to be sent again. */
  readonly renewAt: number;
}

/** What the destination may hold of a subject is to be taken back. */
export interface StandingNarrowing extends Pick<Narrowing, 'generation' | 'lastActiveAtMs'> {
  /** So many changes of audience were made before it. */
  readonly asOf: number;
}

/** A subject whose update is larger than a transaction: who has it so far. */
export interface Progress {
  readonly subject: UserId;
  readonly version: number;
  readonly generation: number | undefined;
  readonly shown: Shown;
  /** In the order of the names. */
  readonly sentUpTo: string;
}

/** Everything about one other server. Exists only while it has marks or holds something. */
export class Destination {
  readonly marks = new Map<UserId, Mark>();
  readonly narrowings = new Map<UserId, StandingNarrowing>();
  readonly held = new Map<UserId, Held>();
  progress: Progress | undefined;
  /** Of whom an `offline` is to tell the server that we know the field; see `Announcements`. */
  announce: UserId | undefined;
  /** Something goes as soon as the second is over, not when the window is. */
  urgent = false;
  inFlight = false;
  /** Attempts in a row that failed. */
  failures = 0;
  lastSentAt = Number.NEGATIVE_INFINITY;
  #version = 0;

  mark(subject: UserId, how: Marking): Mark {
    this.#version += 1;
    const former = this.marks.get(subject);
    const mark = {
      version: this.#version,
      resend: how.resend || (former?.resend ?? false),
      lasting: how.lasting || (former?.lasting ?? false),
    };
    this.marks.set(subject, mark);
    this.urgent ||= how.urgent;
    return mark;
  }

  /** Whatever the destination holds of the subject is to be said anew. */
  forgetShown(subject: UserId): void {
    const held = this.held.get(subject);
    if (held) this.held.set(subject, { ...held, shown: null });
  }

  narrow(subject: UserId, narrowing: StandingNarrowing): void {
    this.narrowings.set(subject, narrowing);
    this.held.delete(subject);
    this.urgent = true;
  }

  get isWaiting(): boolean {
    return this.marks.size > 0 || this.narrowings.size > 0 || this.announce !== undefined;
  }

  get isEmpty(): boolean {
    return !this.isWaiting && this.held.size === 0 && !this.inFlight;
  }
}
